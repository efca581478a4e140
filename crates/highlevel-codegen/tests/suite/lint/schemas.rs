//! Rules about names, keywords and fields.

use serde_json::{Value, json};

use super::{COMPONENT, RECEIVED, SENT, check, described, refer};
use crate::description::Edit::{self, Set};

#[test]
fn schemas_need_unique_names_in_supported_places() {
    const NOT_CAMEL: &str = "is not a name in camel case";
    check(vec![
        (
            "an enum with a dash in its name",
            vec![Set("/components/schemas/my-enum", described(json!({ "type": "string", "enum": ["a"] })))],
            &[("/components/schemas/my-enum", NOT_CAMEL, "SmsMessage")],
        ),
        (
            "two capitals in a row",
            vec![Set("/components/schemas/SMSMessage", described(json!({ "type": "string" })))],
            &[("/components/schemas/SMSMessage", NOT_CAMEL, "SmsMessage")],
        ),
        (
            "a keyword of Rust",
            vec![Set("/components/schemas/Self", described(json!({ "type": "string" })))],
            &[("/components/schemas/Self", NOT_CAMEL, "SmsMessage")],
        ),
        (
            "two components that refer to each other",
            vec![
                Set("/components/schemas/Chicken", described(refer("Egg"))),
                Set("/components/schemas/Egg", described(refer("Chicken"))),
            ],
            &[
                ("/components/schemas/Chicken", "never end", "refer to the other"),
                ("/components/schemas/Egg", "never end", "refer to the other"),
            ],
        ),
        (
            "an object in a request, without a name",
            vec![Set(SENT, described(json!({ "type": "object", "properties": {} })))],
            &[(SENT, "is an object without a name", "make it a component")],
        ),
        (
            "a list of objects without a name",
            vec![Set(SENT, described(json!({ "type": "array", "items": { "properties": {} } })))],
            &[("/components/schemas/Letter/properties/new/items", "without a name", "make it a component")],
        ),
        (
            "an object in a response, without a name",
            vec![Set(
                RECEIVED,
                described(json!({ "type": "object", "additionalProperties": {}, "properties": {} })),
            )],
            &[(RECEIVED, "is an object without a name", "make it a component")],
        ),
        (
            "a component without a description",
            vec![Set(COMPONENT, json!({ "type": "string" }))],
            &[(COMPONENT, "has no description", "describe it")],
        ),
        (
            "a field with an empty description",
            vec![Set(SENT, json!({ "type": "string", "description": " " }))],
            &[(SENT, "has no description", "with its unit")],
        ),
        ("a reference needs no description", vec![Set(SENT, refer("LetterId"))], &[]),
    ]);
}

#[test]
fn unsupported_keywords_are_reported() {
    const NEW: &str = "/components/schemas/Letter/properties/new";
    const RESPONSES: &str = "rejects whole responses";
    fn text(key: &str, value: &Value) -> Vec<Edit> {
        vec![Set(SENT, described(json!({ "type": "string", key: value })))]
    }
    fn with(key: &str, value: &Value) -> Vec<Edit> {
        vec![Set(SENT, described(json!({ key: value })))]
    }
    check(vec![
        ("a number in a request", with("type", &json!("number")), &[(NEW, "with a fraction", "int64")]),
        (
            "a list of numbers in a request",
            vec![Set(SENT, described(json!({ "type": "array", "items": { "type": "number" } })))],
            &[("/components/schemas/Letter/properties/new/items", "with a fraction", "int64")],
        ),
        (
            "a number in a parameter",
            vec![Set(
                "/paths/~1letters/post/parameters/-",
                json!({ "name": "limit", "in": "query", "schema": { "type": "number" } }),
            )],
            &[("/paths/~1letters/post/parameters/1/schema", "with a fraction", "int64")],
        ),
        ("a number in a response", vec![Set(RECEIVED, described(json!({ "type": "number" })))], &[]),
        (
            "a number in a header of a response",
            vec![Set(
                "/components/responses/Sent/headers",
                json!({ "X-Left": { "schema": { "type": "number" } } }),
            )],
            &[],
        ),
        (
            "minLength",
            text("minLength", &json!(1)),
            &[("/components/schemas/Letter/properties/new/minLength", RESPONSES, "write the limit")],
        ),
        (
            "maxLength",
            text("maxLength", &json!(9)),
            &[("/components/schemas/Letter/properties/new/maxLength", RESPONSES, "write the limit")],
        ),
        (
            "pattern",
            text("pattern", &json!("^a")),
            &[("/components/schemas/Letter/properties/new/pattern", RESPONSES, "write the limit")],
        ),
        (
            "minimum",
            with("minimum", &json!(1)),
            &[("/components/schemas/Letter/properties/new/minimum", RESPONSES, "write the limit")],
        ),
        (
            "maximum",
            with("maximum", &json!(9)),
            &[("/components/schemas/Letter/properties/new/maximum", RESPONSES, "write the limit")],
        ),
        (
            "exclusiveMinimum",
            with("exclusiveMinimum", &json!(true)),
            &[("/components/schemas/Letter/properties/new/exclusiveMinimum", RESPONSES, "write the limit")],
        ),
        (
            "exclusiveMaximum",
            with("exclusiveMaximum", &json!(true)),
            &[("/components/schemas/Letter/properties/new/exclusiveMaximum", RESPONSES, "write the limit")],
        ),
        (
            "minItems",
            with("minItems", &json!(1)),
            &[("/components/schemas/Letter/properties/new/minItems", RESPONSES, "write the limit")],
        ),
        (
            "maxItems",
            with("maxItems", &json!(9)),
            &[("/components/schemas/Letter/properties/new/maxItems", RESPONSES, "write the limit")],
        ),
        (
            "an inline date and time",
            text("format", &json!("date-time")),
            &[(NEW, "one malformed date would reject", "#/components/schemas/Timestamp")],
        ),
        (
            "a date",
            text("format", &json!("date")),
            &[(
                "/components/schemas/Letter/properties/new/format",
                "`date` a type that rejects",
                "in the description",
            )],
        ),
        (
            "a UUID",
            text("format", &json!("uuid")),
            &[(
                "/components/schemas/Letter/properties/new/format",
                "`uuid` a type that rejects",
                "in the description",
            )],
        ),
        (
            "an address",
            text("format", &json!("ipv4")),
            &[("/components/schemas/Letter/properties/new/format", "`ipv4` a type", "in the description")],
        ),
        ("a format without a type of its own", text("format", &json!("uri")), &[]),
        (
            "const",
            text("const", &json!("a")),
            &[("/components/schemas/Letter/properties/new/const", "ignored", "enum with one value")],
        ),
        (
            "default",
            text("default", &json!("a")),
            &[("/components/schemas/Letter/properties/new/default", "although the caller", "is missing")],
        ),
        (
            "a list of types",
            with("type", &json!(["string", "null"])),
            &[("/components/schemas/Letter/properties/new/type", "a list of types", "`nullable: true`")],
        ),
        (
            "allOf",
            with("allOf", &json!([refer("LetterId")])),
            &[("/components/schemas/Letter/properties/new/allOf", "is merged", "write the fields out")],
        ),
        (
            "not",
            with("not", &json!({ "type": "string" })),
            &[("/components/schemas/Letter/properties/new/not", "panic", "the excluded values")],
        ),
        (
            "the same words as values of an example",
            vec![Set(
                "/paths/~1letters/post/requestBody/content/application~1json/examples",
                json!({ "odd": { "value": { "schema": { "const": 1, "enum": [1], "minLength": 1 } } } }),
            )],
            &[],
        ),
    ]);
}

#[test]
fn unsupported_properties_are_reported() {
    check(vec![
        (
            "a required field that is not there",
            vec![Set("/components/schemas/Letter/required", json!(["channel", "colour"]))],
            &[("/components/schemas/Letter/required", "names `colour`", "add the property")],
        ),
        (
            "a field required on receive that is not there",
            vec![Set("/components/schemas/Receipt/x-required-on-receive", json!(["colour"]))],
            &[("/components/schemas/Receipt/x-required-on-receive", "names `colour`", "correct the name")],
        ),
        (
            "two fields with one Rust name",
            vec![Set("/components/schemas/Letter/properties/reply_to", refer("LetterId"))],
            &[(
                "/components/schemas/Letter/properties/reply_to",
                "same Rust name as `replyTo`",
                "unknown fields",
            )],
        ),
        (
            "a name without letters",
            vec![Set("/components/schemas/Letter/properties/@", refer("LetterId"))],
            &[("/components/schemas/Letter/properties/@", "has no letter or digit", "unknown fields")],
        ),
        (
            "the name of the field that keeps the unknown ones",
            vec![Set("/components/schemas/Receipt/properties/extra", refer("LetterId"))],
            &[("/components/schemas/Receipt/properties/extra", "keeps the unknown fields", "unknown fields")],
        ),
        (
            "that name in a request, where nothing is kept",
            vec![Set("/components/schemas/Letter/properties/extra", refer("LetterId"))],
            &[],
        ),
    ]);
}
