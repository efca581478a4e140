//! Lists the types and operations of the generated source for reviewers, one item per line.

use std::fmt::Write as _;

use quote::ToTokens;
use serde_json::Value;
use syn::{Fields, FnArg, ImplItem, Item, ReturnType, Type};

use crate::Document;
use crate::document::is_hand_written;
use crate::finish::wire_name;

/// Returns the outline of a finished source. A new optional field is one new line.
pub fn outline(file: &syn::File, document: &Document) -> String {
    let mut text = String::from("operations\n");
    for item in &file.items {
        if let Item::Impl(item) = item {
            for function in item.items.iter().filter_map(|item| match item {
                ImplItem::Fn(function) if function.sig.asyncness.is_some() => Some(function),
                _ => None,
            }) {
                operation(&mut text, &function.sig, document);
            }
        }
    }
    for (path, method, operation) in document.operations().filter(|(_, _, found)| is_hand_written(found)) {
        let id = operation.get("operationId").and_then(Value::as_str).unwrap_or_default();
        // Writing to a string does not fail.
        let _ = writeln!(text, "  {} {path}  {id} (hand-written)", method.to_uppercase());
    }
    let types = file.items.iter().find_map(|item| match item {
        Item::Mod(module) if module.ident == "types" => module.content.as_ref(),
        _ => None,
    });
    let mut sections: Vec<(String, String)> = types
        .into_iter()
        .flat_map(|(_, items)| items)
        .filter_map(|item| match item {
            Item::Struct(item) => Some((item.ident.to_string(), structure(item, document))),
            Item::Enum(item) => Some((item.ident.to_string(), enumeration(item))),
            _ => None,
        })
        .collect();
    sections.sort();
    for (_, section) in sections {
        text.push('\n');
        text.push_str(&section);
    }
    text
}

fn operation(text: &mut String, signature: &syn::Signature, document: &Document) {
    let name = signature.ident.to_string();
    let place = document.operations().find_map(|(path, method, operation)| {
        let id = operation.get("operationId")?.as_str()?;
        (id.to_lowercase() == name.replace('_', "")).then(|| format!("{} {path}", method.to_uppercase()))
    });
    let arguments: Vec<String> = signature
        .inputs
        .iter()
        .filter_map(|argument| match argument {
            FnArg::Typed(argument) => {
                Some(format!("{}: {}", argument.pat.to_token_stream(), short(&argument.ty)))
            }
            FnArg::Receiver(_) => None,
        })
        .collect();
    let result = match &signature.output {
        ReturnType::Type(_, ty) => short(ty),
        ReturnType::Default => "()".to_owned(),
    };
    // Writing to a string does not fail.
    let _ = writeln!(text, "  {}  {name}({}) -> {result}", place.unwrap_or_default(), arguments.join(", "));
}

fn structure(item: &syn::ItemStruct, document: &Document) -> String {
    let name = item.ident.to_string();
    match &item.fields {
        Fields::Named(fields) => {
            let direction = document.direction(&name);
            let way = match (direction.sent, direction.received) {
                (true, false) => " (sent)",
                (false, true) => " (received)",
                _ => "",
            };
            let mut text = format!("struct {name}{way}\n");
            for field in &fields.named {
                let Some(ident) = &field.ident else { continue };
                let flattened = field.attrs.iter().any(|attribute| {
                    attribute.path().is_ident("serde")
                        && attribute.to_token_stream().to_string().contains("flatten")
                });
                let wire = if flattened { "*".to_owned() } else { wire_name(field, ident) };
                let _ = writeln!(text, "  {wire}  {ident}: {}", short(&field.ty));
            }
            text
        }
        fields => {
            let inner: Vec<String> = fields.iter().map(|field| short(&field.ty)).collect();
            format!("struct {name}({})\n", inner.join(", "))
        }
    }
}

fn enumeration(item: &syn::ItemEnum) -> String {
    let mut text = format!("enum {}\n", item.ident);
    for variant in &item.variants {
        let inner: Vec<String> = variant.fields.iter().map(|field| short(&field.ty)).collect();
        let inner = if inner.is_empty() { String::new() } else { format!("({})", inner.join(", ")) };
        let doc = variant.attrs.iter().find_map(|attribute| match &attribute.meta {
            syn::Meta::NameValue(meta) if meta.path.is_ident("doc") => match &meta.value {
                syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => Some(text.value()),
                _ => None,
            },
            _ => None,
        });
        // The documentation of a documented value is the value itself, in backticks.
        let wire =
            doc.as_deref().and_then(|doc| doc.trim().strip_prefix('`')?.strip_suffix('`')).unwrap_or("*");
        let _ = writeln!(text, "  {wire}  {}{inner}", variant.ident);
    }
    text
}

/// Returns a type without well-known paths.
fn short(ty: &Type) -> String {
    let mut text = ty.to_token_stream().to_string().replace(' ', "");
    for path in [
        "::std::option::",
        "::std::string::",
        "::std::vec::",
        "::std::boxed::",
        "::serde_json::",
        "crate::types::",
        "crate::",
        "types::",
    ] {
        text = text.replace(path, "");
    }
    text.replace(",>", ">").replace("&'a", "&").replace(',', ", ")
}
