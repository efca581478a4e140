//! Rewrites the generated operations to start from a base URL that is parsed once, and to read the response once.
//!
//! progenitor formats and parses the URL of each request, collects headers in a second map, and reads the body from a stream.
//! Here, `self.builder(method, path)` provides the URL and the headers, and `self.exchange(request)` a response that was read.

use quote::ToTokens;
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::visit_mut::{self, VisitMut};
use syn::{Expr, ExprMacro, ImplItem, ImplItemFn, Item, ItemImpl, LitStr, Stmt, Token, parse_quote};

use crate::Problem;

/// Rewrites all operations, and the type of the base URL.
///
/// # Errors
///
/// Returns a problem if an operation has another shape than the ones that progenitor generates today.
pub(crate) fn rewrite(file: &mut syn::File) -> Result<(), Problem> {
    // The assertion that the client implements the hooks, which are not called any more.
    file.items.retain(|item| !matches!(item, Item::Const(item) if item.ident == "_"));
    for item in &mut file.items {
        match item {
            Item::Struct(item) if item.ident == "Client" => {
                for field in &mut item.fields {
                    if field.ident.as_ref().is_some_and(|name| name == "baseurl") {
                        field.ty = parse_quote!(crate::BaseUrl);
                    }
                }
            }
            Item::Impl(item) if is_of_client(item) => {
                for item in &mut item.items {
                    if let ImplItem::Fn(function) = item {
                        rewrite_function(function)?;
                    }
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn is_of_client(item: &ItemImpl) -> bool {
    item.trait_.is_none() && matches!(&*item.self_ty, syn::Type::Path(path) if path.path.is_ident("Client"))
}

fn rewrite_function(function: &mut ImplItemFn) -> Result<(), Problem> {
    if function.sig.ident == "new_with_client" {
        // Callers that share a base URL do not parse it for each client.
        function.sig.inputs[0] = parse_quote!(baseurl: impl ::std::convert::Into<crate::BaseUrl>);
        function.block = parse_quote!({ Self { baseurl: baseurl.into(), client, inner } });
    }
    if function.sig.asyncness.is_none() {
        return Ok(());
    }
    let name = function.sig.ident.to_string();
    let statements = rewrite_statements(&function.block.stmts).ok_or_else(|| {
        Problem::new(
            "",
            format!("the generated operation `{name}` has an unexpected shape"),
            "compare the generated source with highlevel_codegen::operations, which rewrites it",
        )
    })?;
    function.block.stmts = statements;
    Ok(())
}

/// Returns the statements of an operation: its request, the exchange, and the choice by the status of the response.
fn rewrite_statements(statements: &[Stmt]) -> Option<Vec<Stmt>> {
    let mut start = Start { path: path(initial_value(statements, "url")?)?, is_replaced: false };
    let mut request = initial_value(statements, "request")?.clone();
    start.visit_expr_mut(&mut request);
    let Some(Stmt::Expr(result, None)) = statements.last() else { return None };
    let mut result = result.clone();
    let mut results = Results { replaced: 0 };
    results.visit_expr_mut(&mut result);
    let arms = if let Expr::Match(result) = &result { result.arms.len() } else { return None };
    (start.is_replaced && results.replaced == arms).then(|| {
        vec![
            parse_quote!(let request = #request;),
            parse_quote!(let response = self.exchange(request).await?;),
            Stmt::Expr(result, None),
        ]
    })
}

/// Returns the value that a variable is declared with.
fn initial_value<'s>(statements: &'s [Stmt], name: &str) -> Option<&'s Expr> {
    statements.iter().find_map(|statement| match statement {
        Stmt::Local(local) => match &local.pat {
            syn::Pat::Ident(pattern) if pattern.ident == name => local.init.as_ref().map(|init| &*init.expr),
            _ => None,
        },
        _ => None,
    })
}

/// Returns the path of an operation from the formatted URL: `format!("{}/a/{}", self.baseurl, id)`.
fn path(url: &Expr) -> Option<Expr> {
    let Expr::Macro(ExprMacro { mac, .. }) = url else { return None };
    let arguments = Punctuated::<Expr, Token![,]>::parse_terminated.parse2(mac.tokens.clone()).ok()?;
    let mut arguments = arguments.into_iter();
    let Some(Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(format), .. })) = arguments.next() else {
        return None;
    };
    let template = format.value().strip_prefix("{}").map(|path| LitStr::new(path, format.span()))?;
    arguments.next().filter(|base| base.to_token_stream().to_string() == "self . baseurl")?;
    let parameters: Vec<Expr> = arguments.collect();
    Some(if parameters.is_empty() {
        parse_quote!(crate::request::Path::Fixed(#template))
    } else {
        parse_quote!(crate::request::Path::Formatted(format!(#template, #(#parameters),*)))
    })
}

/// Replaces the start of a request, and leaves out the second map of headers.
struct Start {
    path: Expr,
    is_replaced: bool,
}

impl VisitMut for Start {
    fn visit_expr_mut(&mut self, expression: &mut Expr) {
        while let Expr::MethodCall(call) = expression
            && call.method == "headers"
        {
            *expression = (*call.receiver).clone();
        }
        if let Expr::MethodCall(call) = expression
            && call.receiver.to_token_stream().to_string() == "self . client"
        {
            let method = quote::format_ident!("{}", call.method.to_string().to_uppercase());
            let path = &self.path;
            *expression = parse_quote!(self.builder(::reqwest::Method::#method, #path));
            self.is_replaced = true;
            return;
        }
        visit_mut::visit_expr_mut(self, expression);
    }
}

/// Replaces the results for each status.
struct Results {
    replaced: usize,
}

impl VisitMut for Results {
    fn visit_expr_mut(&mut self, expression: &mut Expr) {
        let text = expression.to_token_stream().to_string().replace(' ', "");
        let replacement = match text.as_str() {
            "ResponseValue::from_response(response).await" => Some(parse_quote!(response.into_value())),
            "Ok(ResponseValue::empty(response))" => Some(parse_quote!(Ok(response.into_empty()))),
            "Err(Error::UnexpectedResponse(response))" => Some(parse_quote!(Err(response.into_unexpected()))),
            _ => None,
        };
        if let Some(replacement) = replacement {
            *expression = replacement;
            self.replaced += 1;
        } else {
            visit_mut::visit_expr_mut(self, expression);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(body: &str) -> syn::File {
        syn::parse_str(&format!("impl Client {{ async fn get(&self) -> R {{ {body} }} }}")).expect("Rust")
    }

    const URL: &str = r#"let url = format!("{}/a/{}", self.baseurl, encode_path(&id));"#;
    const REQUEST: &str = "let mut request = self.client.get(url).query(&q).headers(header_map).build()?;";
    const RESULT: &str = "match response.status().as_u16() { \
        200u16 => ResponseValue::from_response(response).await, _ => Err(Error::UnexpectedResponse(response)) }";

    #[test]
    fn operations_are_rewritten() {
        let mut file = operation(&format!("{URL} {REQUEST} self.pre(&mut request).await?; {RESULT}"));
        rewrite(&mut file).expect("the shape of an operation");
        let expected = operation(
            "let request = self.builder(::reqwest::Method::GET, \
                crate::request::Path::Formatted(format!(\"/a/{}\", encode_path(&id)))).query(&q).build()?; \
             let response = self.exchange(request).await?; \
             match response.status().as_u16() { \
                200u16 => response.into_value(), _ => Err(response.into_unexpected()) }",
        );
        assert_eq!(file.to_token_stream().to_string(), expected.to_token_stream().to_string());
    }

    #[test]
    fn operations_of_another_shape_are_reported() {
        let without_base = URL.replace("self.baseurl", "base");
        let without_client = REQUEST.replace("self.client", "client");
        let with_another_result =
            RESULT.replace("ResponseValue::from_response(response).await", "Ok(response)");
        for (url, request, result) in [
            ("", REQUEST, RESULT),
            (&*without_base, REQUEST, RESULT),
            (URL, "", RESULT),
            (URL, &*without_client, RESULT),
            (URL, REQUEST, "Ok(response)"),
            (URL, REQUEST, &*with_another_result),
        ] {
            let mut file = operation(&format!("{url} {request} {result}"));
            let problem = rewrite(&mut file).expect_err("another shape");
            assert!(problem.message.contains("`get`"), "{}", problem.message);
        }
    }
}
