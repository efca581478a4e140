//! Compares the spec with the published documentation, which is stored here as data.
//!
//! The tables list all fields, enum values, statuses, headers and scopes of the reference pages. The examples are copies
//! of those on the pages.

mod reference;

use highlevel_sandbox::Spec;
use serde_json::{Value, json};

use reference::{FIELD_EXAMPLES, FIELDS, OPERATIONS, VALUES};

fn spec() -> &'static Spec {
    Spec::load().expect("the embedded spec is valid")
}

fn resolve(value: &Value) -> &Value {
    match value["$ref"].as_str() {
        Some(reference) => spec().document().pointer(&reference[1..]).expect("references resolve"),
        None => value,
    }
}

fn at(pointer: &str) -> &'static Value {
    spec().document().pointer(pointer).unwrap_or_else(|| panic!("{pointer} is missing"))
}

fn kind(schema: &Value) -> &str {
    let schema = resolve(schema);
    if schema.get("oneOf").is_some() { "union" } else { schema["type"].as_str().unwrap_or("any") }
}

#[test]
fn documented_fields_are_in_the_spec() {
    let mut wrong = Vec::new();
    for (name, fields) in FIELDS {
        let schema = at(&format!("/components/schemas/{name}"));
        let required = schema.get("x-required-by-reference").unwrap_or(&schema["required"]);
        let required = |field: &str| required.as_array().is_some_and(|all| all.contains(&json!(field)));
        for entry in *fields {
            let (field, expected) = entry.split_once(": ").expect("`name: type`");
            let (field, is_required) = (field.trim_end_matches('!'), field.ends_with('!'));
            let Some(property) = schema["properties"].get(field) else {
                wrong.push(format!("{name}.{field} is missing"));
                continue;
            };
            if kind(property) != expected {
                wrong.push(format!("{name}.{field} is {}, expected {expected}", kind(property)));
            }
            if required(field) != is_required {
                wrong
                    .push(format!("{name}.{field}: required is {}, expected {is_required}", required(field)));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

/// A field that refers to a component has the example of the page, not that of the component.
#[test]
fn documented_field_examples_are_in_the_spec() {
    for (name, examples) in FIELD_EXAMPLES {
        for (field, expected) in *examples {
            let property = at(&format!("/components/schemas/{name}/properties/{field}"));
            let expected: Value = serde_json::from_str(expected).expect("JSON");
            assert_eq!(property.get("example"), Some(&expected), "{name}.{field}");
        }
    }
}

/// The page types `direction` as an object with two values as its example, and a default that the sandbox does not apply.
#[test]
fn documented_default_of_direction_is_in_the_spec() {
    let direction = at("/components/schemas/InboundMessageRequest/properties/direction");
    assert_eq!(direction["x-default"], "outbound");
    assert_eq!(direction["x-reference-example"], json!(["outbound", "inbound"]));
    assert!(direction["description"].as_str().is_some_and(|text| text.contains("defaults to `outbound`")));
}

/// Each example of an error names its source, except for those of the reference.
#[test]
fn examples_of_errors_name_their_source() {
    const OF_THE_REFERENCE: [&str; 3] = ["BadRequest", "Unauthorized", "UnprocessableEntity"];
    let mut codes = Vec::new();
    for status in ["BadRequest", "Unauthorized", "Forbidden", "NotFound", "UnprocessableEntity"] {
        let content = at(&format!("/components/responses/{status}/content/application~1json"));
        for reference in content["examples"].as_object().expect("examples").values() {
            let name = reference["$ref"].as_str().and_then(|path| path.rsplit('/').next()).expect("a name");
            let example = resolve(reference);
            let source = example["description"].as_str().unwrap_or_default();
            let has_source = ["[live ", "[one]", "[conflict]"].iter().any(|tag| source.starts_with(tag));
            assert!(has_source != OF_THE_REFERENCE.contains(&name), "{name}: {source}");
            codes.extend(example.pointer("/value/canonicalCode").and_then(Value::as_str));
        }
    }
    let mut listed = spec().allowed_values("CanonicalCode");
    listed.sort_unstable();
    codes.sort_unstable();
    assert_eq!(codes, listed, "each code has one example");
}

#[test]
fn documented_values_are_in_the_spec() {
    for (name, values) in VALUES {
        let described = spec().allowed_values(name);
        for value in *values {
            assert!(described.contains(value), "{name} lacks {value}: {described:?}");
        }
    }
}

#[test]
fn documented_statuses_headers_and_scopes_are_in_the_spec() {
    for (path, request, response) in OPERATIONS {
        let operation = &at("/paths")[path]["post"];
        assert_eq!(operation["x-scopes"], json!(["conversations/message.write"]), "{path}");
        assert_eq!(
            operation["x-auth-methods"],
            json!(["OAuth Access Token", "Private Integration Token"]),
            "{path}"
        );
        assert_eq!(operation["x-token-types"], json!(["Sub-Account Token"]), "{path}");
        assert_eq!(spec().request_schema("POST", path), Some(*request), "{path}");
        for (status, schema) in [
            ("200", *response),
            ("201", *response),
            ("400", "BadRequestError"),
            ("401", "UnauthorizedError"),
            ("403", "ForbiddenError"),
            ("404", "NotFoundError"),
            ("422", "UnprocessableEntityError"),
        ] {
            let response_spec = resolve(&operation["responses"][status]);
            assert_eq!(
                response_spec["content"]["application/json"]["schema"]["$ref"],
                format!("#/components/schemas/{schema}"),
                "{path} {status}"
            );
        }
        let version = resolve(&operation["parameters"][0]);
        assert_eq!(
            (&version["name"], &version["in"], &version["required"]),
            (&json!("Version"), &json!("header"), &json!(true))
        );
    }
    assert_eq!(at("/security"), &json!([{ "bearer": [] }]));
    let bearer = at("/components/securitySchemes/bearer");
    assert_eq!((&bearer["scheme"], &bearer["bearerFormat"]), (&json!("bearer"), &json!("JWT")));
    for header in [
        "X-RateLimit-Limit-Daily",
        "X-RateLimit-Daily-Remaining",
        "X-RateLimit-Interval-Milliseconds",
        "X-RateLimit-Max",
        "X-RateLimit-Remaining",
        "X-RateLimit-Daily-Reset",
    ] {
        for response in [
            "MessageSent",
            "MessageAdded",
            "BadRequest",
            "Unauthorized",
            "Forbidden",
            "NotFound",
            "UnprocessableEntity",
            "TooManyRequests",
            "InternalServerError",
        ] {
            let _ = at(&format!("/components/responses/{response}/headers/{header}"));
        }
    }
}

#[test]
fn documented_events_and_their_channels_are_in_the_spec() {
    let inbound = json!(["Call", "Voicemail", "SMS", "GMB", "FB", "IG", "Email", "Live Chat"]);
    let mut outbound = inbound.clone();
    outbound.as_array_mut().expect("an array").push(json!("Internal Comment"));
    for (event, schema) in [
        ("OutboundMessage", "OutboundMessage"),
        ("InboundMessage", "InboundMessage"),
        ("ProviderOutboundMessage", "ProviderOutboundMessage"),
        ("INSTALL", "Install"),
        ("UNINSTALL", "Uninstall"),
        ("UPDATE", "AppUpdate"),
        ("ConversationUpdate", "ConversationUpdate"),
        ("ConversationUnreadUpdate", "ConversationUnreadUpdate"),
        ("LCEmailStats", "LcEmailStats"),
        ("ContactDndUpdate", "ContactDndUpdate"),
        ("VoiceAiCallEnd", "VoiceAiCallEnd"),
    ] {
        assert_eq!(spec().event_schema(event), Some(schema));
    }
    assert_eq!(at("/x-webhooks/OutboundMessage/channels"), &outbound);
    assert_eq!(at("/x-webhooks/InboundMessage/channels"), &inbound);
    assert_eq!(at("/x-webhooks/ProviderOutboundMessage/channels"), &json!(["SMS", "Email", "Custom"]));
}

/// Returns the examples of the reference pages: the name, the schema, and the value.
pub(crate) fn examples() -> Vec<(&'static str, &'static str, Value)> {
    let read = |text: &str| serde_json::from_str::<Value>(text).expect("examples are JSON");
    let mut examples = vec![
        ("send an email", "SendMessageRequest", read(include_str!("../reference-examples/send.json"))),
        ("message sent", "SendMessageResponse", read(include_str!("../reference-examples/sent.json"))),
        ("add a call", "OutboundCallRequest", read(include_str!("../reference-examples/call.json"))),
        ("message added", "AddMessageResponse", read(include_str!("../reference-examples/added.json"))),
        ("400", "BadRequestError", json!({ "statusCode": 400, "message": "Bad Request" })),
        (
            "401",
            "UnauthorizedError",
            json!({ "statusCode": 401, "message": "Invalid token: access token is invalid", "error": "Unauthorized" }),
        ),
        (
            "422",
            "UnprocessableEntityError",
            json!({ "statusCode": 422, "message": ["Unprocessable Entity"], "error": "Unprocessable Entity" }),
        ),
    ];
    for (name, text) in [
        ("message event", include_str!("../reference-examples/event-message.json")),
        ("call event", include_str!("../reference-examples/event-call.json")),
        ("voicemail event", include_str!("../reference-examples/event-voicemail.json")),
        ("email event", include_str!("../reference-examples/event-email.json")),
    ] {
        examples.push((name, "OutboundMessage", read(text)));
    }
    // The page has a list of both values in `direction`, which takes one. Each value makes an example.
    let inbound = read(include_str!("../reference-examples/inbound.json"));
    for direction in inbound["direction"].as_array().expect("the page shows an array") {
        let mut example = inbound.clone();
        example["direction"] = direction.clone();
        examples.push(("add an inbound SMS", "InboundMessageRequest", example));
    }
    examples
}

#[test]
fn documented_examples_are_valid() {
    let examples = examples();
    assert_eq!(examples.len(), 13);
    for (name, schema, example) in examples {
        assert_eq!(spec().validate(schema, &example), Vec::new(), "{name}");
    }
}

#[test]
fn examples_in_the_spec_are_valid() {
    let mut checked = 0;
    for (path, _, _) in OPERATIONS {
        let operation = &at("/paths")[path]["post"];
        let mut bodies = vec![&operation["requestBody"]];
        bodies.extend(operation["responses"].as_object().expect("responses").values());
        for body in bodies {
            let content = &resolve(body)["content"]["application/json"];
            let Some(schema) = content["schema"]["$ref"].as_str() else { continue };
            for example in content["examples"].as_object().expect("examples").values() {
                let value = &resolve(example)["value"];
                assert_eq!(
                    spec().validate(&schema["#/components/schemas/".len()..], value),
                    Vec::new(),
                    "{path}"
                );
                checked += 1;
            }
        }
    }
    for (event, definition) in at("/x-webhooks").as_object().expect("events") {
        let schema = spec().event_schema(event).expect("a payload");
        for example in definition["examples"].as_object().expect("examples").values() {
            assert_eq!(spec().validate(schema, &resolve(example)["value"]), Vec::new(), "{event}");
            checked += 1;
        }
    }
    for (name, schema) in at("/components/schemas").as_object().expect("schemas") {
        for (pointer, schema) in std::iter::once((String::new(), schema)).chain(
            schema["properties"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(property, schema)| (format!("/properties/{property}"), schema)),
        ) {
            let Some(example) = schema.get("example") else { continue };
            if pointer.is_empty() {
                assert_eq!(spec().validate(name, example), Vec::new(), "{name}");
            } else {
                let mut object = json!({});
                object[&pointer["/properties/".len()..]] = example.clone();
                let errors: Vec<_> = spec()
                    .validate(name, &object)
                    .into_iter()
                    .filter(|error| error.keyword != "required")
                    .collect();
                assert_eq!(errors, Vec::new(), "{name}{pointer}");
            }
            checked += 1;
        }
    }
    assert!(checked > 100, "only {checked} examples were found");
}

/// Each component and field has a description. Each field and each component of type string has an example.
#[test]
fn components_and_fields_have_descriptions_and_examples() {
    for (name, schema) in at("/components/schemas").as_object().expect("schemas") {
        assert!(schema["description"].is_string(), "{name} has no description");
        if schema["type"] == "string" {
            assert!(schema.get("example").is_some(), "{name} has no example");
        }
        for (property, schema) in schema["properties"].as_object().into_iter().flatten() {
            if schema.get("$ref").is_none() && schema["type"] != "object" {
                assert!(schema["description"].is_string(), "{name}.{property} has no description");
                assert!(schema.get("example").is_some(), "{name}.{property} has no example");
            }
        }
    }
}

#[test]
fn invalid_examples_are_found() {
    let mut example = examples().swap_remove(0).2;
    example["scheduledTimestamp"] = json!("soon");
    let errors = spec().validate("SendMessageRequest", &example);
    assert_eq!(
        errors.iter().map(|error| error.pointer.as_str()).collect::<Vec<_>>(),
        ["/scheduledTimestamp"]
    );
}
