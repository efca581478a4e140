//! The generated source, and panics of the generator.

use highlevel_codegen::{GeneratedFiles, generate};
use quote::ToTokens;
use serde_json::{Value, json};
use syn::{Attribute, Fields, ImplItem, Item};

use crate::description::Edit::{Remove, Set};
use crate::description::{edited, run, small};

fn embedded() -> GeneratedFiles {
    highlevel_codegen::run_embedded().unwrap_or_else(|problems| panic!("{problems}"))
}

/// The items of `mod types`.
fn types(source: &str) -> Vec<Item> {
    let file = syn::parse_file(source).expect("the source is Rust");
    file.items
        .into_iter()
        .find_map(|item| match item {
            Item::Mod(module) if module.ident == "types" => module.content.map(|(_, items)| items),
            _ => None,
        })
        .expect("there are types")
}

/// The parameters of each `new`, by type.
fn constructors(items: &[Item]) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    for item in items {
        let Item::Impl(item) = item else { continue };
        for function in &item.items {
            let ImplItem::Fn(function) = function else { continue };
            if function.sig.ident == "new" {
                let parameters = function.sig.inputs.iter().filter_map(|input| match input {
                    syn::FnArg::Typed(input) => Some(input.pat.to_token_stream().to_string()),
                    syn::FnArg::Receiver(_) => None,
                });
                found.push((item.self_ty.to_token_stream().to_string(), parameters.collect()));
            }
        }
    }
    found.sort();
    found
}

fn text(attributes: &[Attribute]) -> Vec<String> {
    attributes.iter().map(|attribute| attribute.to_token_stream().to_string()).collect()
}

/// Types that are sent have a constructor with the required fields; received types have none. The expectation comes from
/// the description alone.
#[test]
fn sent_types_have_constructors() {
    let expected = |pairs: &[(&str, &[&str])]| -> Vec<(String, Vec<String>)> {
        pairs
            .iter()
            .map(|(name, fields)| ((*name).to_owned(), fields.iter().map(|f| (*f).to_owned()).collect()))
            .collect()
    };
    let output = run(&small()).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(constructors(&types(&output.source)), expected(&[("Letter", &["channel", "reply_to"])]));
    assert_eq!(
        constructors(&types(&embedded().source)),
        expected(&[
            ("CallDetails", &[]),
            ("ContactCustomField", &[]),
            ("ContactDndSetting", &["status"]),
            ("ContactDndSettings", &[]),
            ("ContactNoteRequest", &["body"]),
            ("ContactRequest", &["location_id"]),
            ("ContactSort", &["direction", "field"]),
            ("ContactTagsRequest", &["tags"]),
            ("CreateConversationRequest", &["contact_id", "location_id"]),
            ("EmailRecipientStatus", &["email_id", "status"]),
            ("Forward", &[]),
            ("InboundMessageRequest", &["type_"]),
            ("OutboundCallRequest", &["conversation_provider_id", "type_"]),
            ("ProviderError", &["message"]),
            ("SearchContactsRequest", &["location_id", "page_limit"]),
            ("SendMessageRequest", &["contact_id", "status", "type_"]),
            ("SetAttachmentsRequest", &["attachments"]),
            ("TypingRequest", &["conversation_id", "is_typing", "location_id", "visitor_id"]),
            ("UpdateContactRequest", &[]),
            ("UpdateConversationRequest", &["location_id"]),
            ("UpdateEmailStatusRequest", &["status"]),
            ("UpdateMessageStatusRequest", &["status"]),
            ("WhatsAppContent", &["type_"]),
            ("WhatsAppMedia", &["type_", "url"]),
        ])
    );
}

#[test]
fn every_type_is_documented_and_complete() {
    let source = embedded().source;
    assert!(!source.contains("<details>"), "the copy of the schema is in the documentation");
    assert!(!source.contains("Not described."), "a field without a description");
    let (mut structs, mut fields) = (0, 0);
    for item in types(&source) {
        let (name, attributes) = match &item {
            Item::Struct(item) => (item.ident.to_string(), text(&item.attrs)),
            Item::Enum(item) => (item.ident.to_string(), text(&item.attrs)),
            _ => continue,
        };
        let has = |words: &str| attributes.iter().any(|attribute| attribute.contains(words));
        assert!(has("doc ="), "{name}: no documentation");
        if let Item::Struct(item) = &item {
            structs += 1;
            let named = matches!(item.fields, Fields::Named(_));
            assert_eq!(has("non_exhaustive"), named, "{name}: non_exhaustive");
            assert!(has("feature = \"schemars\""), "{name}: no schema");
            assert_eq!(attributes.iter().filter(|a| a.contains("PartialEq")).count(), 1, "{name}: PartialEq");
            for field in item.fields.iter().filter(|field| field.ident.is_some()) {
                fields += 1;
                assert!(
                    text(&field.attrs).iter().any(|attribute| attribute.contains("doc =")),
                    "{name}.{}: no documentation",
                    field.ident.to_token_stream()
                );
            }
        }
        if let Item::Enum(item) = &item {
            let open = item.variants.iter().any(|variant| variant.ident == "Unknown");
            // The schema of an open enum is written by hand, in `open_enum!`.
            assert_eq!(has("feature = \"schemars\""), !open, "{name}: schema");
            assert_eq!(has("non_exhaustive"), open, "{name}: non_exhaustive");
            for variant in &item.variants {
                assert!(!text(&variant.attrs).is_empty(), "{name}::{}: no documentation", variant.ident);
            }
        }
    }
    assert!(structs > 20 && fields > 100, "{structs} structs with {fields} fields");
}

#[test]
fn descriptions_beside_references_document_the_field() {
    let source = run(&small()).unwrap_or_else(|problems| panic!("{problems}")).source;
    let letter = types(&source)
        .into_iter()
        .find_map(|item| match item {
            Item::Struct(item) if item.ident == "Letter" => Some(item),
            _ => None,
        })
        .expect("there is a letter");
    let documented = |name: &str, words: &str| {
        let field =
            letter.fields.iter().find(|field| field.ident.as_ref().is_some_and(|ident| ident == name));
        let attributes = text(&field.unwrap_or_else(|| panic!("{name} is a field")).attrs);
        assert!(attributes.iter().any(|attribute| attribute.contains(words)), "{name}: {attributes:?}");
    };
    documented("reply_to", " The response.");
    documented("channel", " A channel.");
    documented("text", " The text.");
}

#[test]
fn the_source_names_its_origin() {
    let source = embedded().source;
    let header: Vec<&str> = source.lines().take(2).collect();
    assert!(header[0].contains("highlevel-codegen") && header[0].contains("spec/openapi.yaml"), "{header:?}");
    assert!(header[1].contains("cargo xtask codegen"), "{header:?}");
}

#[test]
fn equal_input_gives_equal_bytes() {
    assert_eq!(embedded(), embedded());
}

/// A mapping has no order. Written with its keys the other way round, a description gives the same bytes.
#[test]
fn the_order_of_keys_does_not_matter() {
    fn reversed(value: &Value) -> String {
        match value {
            Value::Object(map) => {
                let entries = map
                    .iter()
                    .rev()
                    .map(|(key, value)| format!("{}: {}", Value::from(key.as_str()), reversed(value)));
                format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
            }
            Value::Array(items) => {
                format!("[{}]", items.iter().map(reversed).collect::<Vec<_>>().join(", "))
            }
            value => value.to_string(),
        }
    }
    let document = highlevel_codegen::parse::parse(highlevel_spec::OPENAPI_YAML).expect("it is YAML");
    let text = reversed(&document);
    assert_ne!(text, document.to_string());
    let output = highlevel_codegen::run(&text).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(output, embedded());
}

#[test]
fn errors_name_invalid_openapi() {
    let cases = [
        ("/components/schemas/Letter", Set("/components/schemas/Letter/required", json!("channel"))),
        ("/components/responses/Sent", Remove("/components/responses/Sent/description")),
        ("/paths/~1letters", Set("/paths/~1letters/post/tags", json!(7))),
        ("", Remove("/info")),
    ];
    for (pointer, edit) in cases {
        let problems = run(&edited(&[edit])).expect_err(pointer);
        let [problem] = problems.as_slice() else { panic!("{problems}") };
        assert_eq!(problem.pointer, pointer, "{problem}");
        assert!(problem.message.starts_with("is not OpenAPI 3.0: "), "{problem}");
    }
}

/// A panic of the generator, about something that the lint does not report, becomes one readable problem.
#[test]
fn a_panic_of_the_generator_is_an_error() {
    // A response that refers to a schema: it exists, so the lint is content.
    let passes_lint = edited(&[
        Set("/paths/~1letters/post/responses/200", json!({ "$ref": "#/components/schemas/Receipt" })),
        Remove("/paths/~1letters/post/responses/201"),
    ]);
    let problems = run(&passes_lint).expect_err("a schema is not a response");
    let mut negated = small();
    negated["components"]["schemas"]["Letter"]["properties"]["text"] = json!({ "not": { "type": "string" } });
    let direct = generate::generate(&negated, &[]).expect_err("progenitor does not know `not`");

    let [problem] = problems.as_slice() else { panic!("{problems}") };
    for problem in [problem, &direct] {
        assert!(problem.message.starts_with("the generator does not accept it: it panicked: "), "{problem}");
        assert!(problem.help.contains("add a rule to the lint"), "{problem}");
        assert_eq!(problem.to_string().lines().count(), 3, "{problem}");
    }
}

/// The panic hook is process-wide, so its output is checked from outside, in a process without other
/// tests.
#[test]
fn a_panic_of_the_generator_prints_nothing() {
    let output = std::process::Command::new(std::env::current_exe().expect("the path of this program"))
        .args(["--exact", "generate::panics_once_inside_and_once_outside", "--ignored", "--nocapture"])
        .env("RUST_BACKTRACE", "1")
        .output()
        .expect("this program runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert_eq!(errors.matches("panicked at").count(), 1, "only the panic outside is printed:\n{errors}");
    assert!(errors.contains("outside the generator"), "the hook was not put back:\n{errors}");
}

#[test]
#[ignore = "run by the test above, in a process of its own"]
fn panics_once_inside_and_once_outside() {
    a_panic_of_the_generator_is_an_error();
    std::panic::catch_unwind(|| panic!("outside the generator")).expect_err("it panics");
}
