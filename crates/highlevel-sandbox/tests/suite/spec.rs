//! Validation against the OpenAPI spec: the violations it finds, and their messages.

use highlevel_sandbox::Spec;
use serde_json::{Value, json};

/// Returns pointer, keyword and message of each violation.
type ExpectedViolation<'a> = (&'a str, &'a str, &'a str);

#[test]
fn every_violation_has_a_pointer_a_keyword_and_a_message() {
    let spec = Spec::load().unwrap();
    let cases: &[(&str, Value, &[ExpectedViolation])] = &[
        (
            "SendMessageRequest",
            json!({"type": "SMS"}),
            &[
                ("/contactId", "required", "contactId is required, but it is missing (at /contactId)"),
                ("/status", "required", "status is required, but it is missing (at /status)"),
            ],
        ),
        (
            "SendMessageRequest",
            json!({"type": "live-chat", "contactId": "a", "status": 1}),
            &[
                ("/status", "type", "status must be a string, found the number 1 (at /status)"),
                (
                    "/type",
                    "enum",
                    "type must be one of SMS, Email, WhatsApp, IG, FB, Custom, Live_Chat, RCS, TIKTOK, \
                     InternalComment; found \"live-chat\", did you mean Live_Chat? (at /type)",
                ),
            ],
        ),
        (
            "SendMessageRequest",
            json!({"type": "SMS", "contactId": null, "status": "read", "emailCc": ["a", []], "scheduledTimestamp": 1.5}),
            &[
                ("/contactId", "type", "contactId must be a string, found null (at /contactId)"),
                ("/emailCc/1", "type", "emailCc[1] must be a string, found an array (at /emailCc/1)"),
                (
                    "/scheduledTimestamp",
                    "type",
                    "scheduledTimestamp must be an integer, found the number 1.5 (at /scheduledTimestamp)",
                ),
            ],
        ),
        (
            "InboundMessageRequest",
            json!({"type": "SMS", "date": "2024-07-29", "call": {"status": "rang"}}),
            &[
                (
                    "/call/status",
                    "enum",
                    "call.status must be one of pending, completed, answered, busy, no-answer, failed, canceled, \
                     voicemail; found \"rang\" (at /call/status)",
                ),
                (
                    "/date",
                    "format",
                    "date must be a date and time like 2024-07-29T15:51:28.071Z (RFC 3339); found \"2024-07-29\" \
                     (at /date)",
                ),
            ],
        ),
        (
            "OutboundCallRequest",
            json!("Call"),
            &[("", "type", "the body must be an object, found \"Call\" (at the top)")],
        ),
        (
            "OutboundMessage",
            json!({"to": 5, "attachments": null}),
            &[("/to", "oneOf", "to must be a string or an array; found the number 5 (at /to)")],
        ),
        (
            "OutboundMessage",
            json!({"to": ["a", 5]}),
            &[(
                "/to",
                "oneOf",
                "to must be a string or a list whose every entry is a string; found an array (at /to)",
            )],
        ),
        ("Nope", json!({}), &[("", "$ref", "schema Nope does not exist in the spec")]),
    ];
    for (schema, value, expected) in cases {
        let violations = spec.validate(schema, value);
        let found: Vec<ExpectedViolation> = violations
            .iter()
            .map(|violation| (&*violation.pointer, &*violation.keyword, &*violation.message))
            .collect();
        assert_eq!(found, *expected, "{schema}: {value}");
    }
}

#[test]
fn every_example_of_the_spec_is_valid() {
    let spec = Spec::load().unwrap();
    let document = spec.document();
    let mut checked = 0;
    let mut check = |owner: &str, schema: &Value, examples: &Value| {
        for (name, example) in examples.as_object().into_iter().flatten() {
            let schema = schema["$ref"].as_str().unwrap().rsplit('/').next().unwrap();
            let name =
                example["$ref"].as_str().map_or(name.as_str(), |path| path.rsplit('/').next().unwrap());
            let value = &document["components"]["examples"][name]["value"];
            assert_eq!(spec.validate(schema, value), [], "{owner}: {name} as {schema}");
            checked += 1;
        }
    };
    for (path, item) in document["paths"].as_object().unwrap() {
        let content = &item["post"]["requestBody"]["content"]["application/json"];
        check(path, &content["schema"], &content["examples"]);
    }
    for (name, response) in document["components"]["responses"].as_object().unwrap() {
        if let Some(content) = response["content"].get("application/json") {
            check(name, &content["schema"], &content["examples"]);
        }
    }
    for (event, description) in document["x-webhooks"].as_object().unwrap() {
        check(event, &description["payload"], &description["examples"]);
    }
    assert!(checked >= 15, "{checked} examples were found");
}

#[test]
fn operations_and_events_can_be_found_by_name() {
    let spec = Spec::load().unwrap();
    let requests = [
        ("POST", "/conversations/messages", Some("SendMessageRequest")),
        ("post", "/conversations/messages/inbound", Some("InboundMessageRequest")),
        ("POST", "/conversations/messages/outbound", Some("OutboundCallRequest")),
        ("GET", "/conversations/messages", None),
        ("POST", "/conversations", None),
    ];
    for (method, path, schema) in requests {
        assert_eq!(spec.request_schema(method, path), schema, "{method} {path}");
    }
    assert_eq!(spec.event_schema("InboundMessage"), Some("InboundMessage"));
    assert_eq!(spec.event_schema("Nope"), None);
    assert_eq!(spec.allowed_values("EmailReplyMode"), ["reply", "reply_all"]);
    assert!(spec.schema_names().any(|name| name == "Direction"));
}

#[test]
fn errors_of_an_invalid_spec_name_the_place() {
    let cases = [
        ("a: [", "the document is not valid YAML"),
        ("components: {schemas: {A: {type: 5}}}", "/components/schemas/A cannot be compiled"),
        (
            "components: {schemas: {A: {$ref: '#/components/schemas/B'}}}",
            "/components/schemas/A cannot be compiled",
        ),
    ];
    for (yaml, expected) in cases {
        let error = Spec::parse(yaml).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
