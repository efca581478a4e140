//! Rules about enums, unions and received types.

use serde_json::json;

use super::{COMPONENT, RECEIVED, SENT, check, described, refer};
use crate::description::Edit::{Remove, Set};

#[test]
fn unsupported_enums_and_unions_are_reported() {
    const CHANNEL: &str = "/components/schemas/Channel";
    const VALUES: &str = "/components/schemas/Channel/enum";
    const UNION: &str = "/components/schemas/OneOrMany";
    check(vec![
        (
            "an enum in a field",
            vec![Set(SENT, described(json!({ "type": "string", "enum": ["a"] })))],
            &[(SENT, "is an enum without a name", "make it a component")],
        ),
        (
            "an enum in a list",
            vec![Set(SENT, described(json!({ "type": "array", "items": { "enum": ["a"] } })))],
            &[("/components/schemas/Letter/properties/new/items", "is an enum without a name", "component")],
        ),
        (
            "an enum in a parameter",
            vec![Set(
                "/paths/~1letters/post/parameters/-",
                json!({ "name": "sort", "in": "query", "schema": { "type": "string", "enum": ["asc"] } }),
            )],
            &[("/paths/~1letters/post/parameters/1/schema", "is an enum without a name", "component")],
        ),
        (
            "an enum of numbers",
            vec![Set(COMPONENT, described(json!({ "type": "integer", "enum": [1, 2] })))],
            &[
                (COMPONENT, "has the value 1, which is not a string", "`type: integer`"),
                (COMPONENT, "has the value 2, which is not a string", "`type: integer`"),
            ],
        ),
        (
            "an enum with null and a boolean",
            vec![Set(VALUES, json!(["SMS", null, true]))],
            &[(CHANNEL, "has the value null", "leave it out"), (CHANNEL, "has the value true", "in quotes")],
        ),
        ("an enum without values", vec![Set(VALUES, json!([]))], &[(CHANNEL, "without values", "list the")]),
        (
            "the same value twice",
            vec![Set(VALUES, json!(["a", "a"]))],
            &[(CHANNEL, "variant A", "leave one")],
        ),
        (
            "two values with one variant",
            vec![Set(VALUES, json!(["live-chat", "Live_Chat"]))],
            &[(CHANNEL, "`live-chat` and `Live_Chat` would both be the variant LiveChat", "leave one")],
        ),
        (
            "a value without letters",
            vec![Set(VALUES, json!(["-"]))],
            &[(CHANNEL, "no letter", "leave it out")],
        ),
        ("an empty value", vec![Set(VALUES, json!([""]))], &[(CHANNEL, "no letter", "leave it out")]),
        ("unknown", vec![Set(VALUES, json!(["unknown"]))], &[(CHANNEL, "name is taken", "leave it out")]),
        ("self", vec![Set(VALUES, json!(["self"]))], &[(CHANNEL, "a keyword of Rust", "leave it out")]),
        (
            "anyOf of an enum and a string",
            vec![Set(SENT, described(json!({ "anyOf": [refer("Channel"), { "type": "string" }] })))],
            &[("/components/schemas/Letter/properties/new/anyOf", "cannot be decoded", "the enum alone")],
        ),
        (
            "oneOf of an enum and a string",
            vec![Set(SENT, described(json!({ "oneOf": [{ "type": "string" }, refer("Channel")] })))],
            &[("/components/schemas/Letter/properties/new/oneOf", "cannot be decoded", "the enum alone")],
        ),
        (
            "anyOf of required fields",
            vec![Set(
                "/components/schemas/Letter/anyOf",
                json!([{ "required": ["text"] }, { "required": ["at"] }]),
            )],
            &[("/components/schemas/Letter/anyOf", "drops a field when both are sent", "fields optional")],
        ),
        (
            "anyOf of types",
            vec![Set(SENT, described(json!({ "anyOf": [{ "type": "string" }, { "type": "boolean" }] })))],
            &[("/components/schemas/Letter/properties/new/anyOf", "loses fields", "use `oneOf`")],
        ),
        (
            "oneOf without titles",
            vec![Set(UNION, described(json!({ "oneOf": [{ "type": "string" }, { "type": "boolean" }] })))],
            &[
                (
                    "/components/schemas/OneOrMany/oneOf/0",
                    "has no title",
                    "different from those of the other",
                ),
                ("/components/schemas/OneOrMany/oneOf/1", "has no title", "add a short title"),
            ],
        ),
        (
            "oneOf of two objects, by reference",
            vec![Set(SENT, described(json!({ "oneOf": [refer("Letter"), refer("Letter")] })))],
            &[(
                "/components/schemas/Letter/properties/new/oneOf/1",
                "the same type as branch 0",
                "branches of different types",
            )],
        ),
        (
            "oneOf without branches",
            vec![Set("/components/schemas/OneOrMany/oneOf", json!([]))],
            &[("/components/schemas/OneOrMany/oneOf", "has no branches", "remove the keyword")],
        ),
        (
            "one title twice",
            vec![Set("/components/schemas/OneOrMany/oneOf/1/title", json!("One"))],
            &[(
                "/components/schemas/OneOrMany/oneOf/1/title",
                "is the title of /components/schemas/OneOrMany/oneOf/0 as well",
                "another title",
            )],
        ),
        (
            "one title in two components",
            vec![Set(SENT, described(json!({ "type": "string", "title": "Many" })))],
            &[("/components/schemas/OneOrMany/oneOf/1/title", "`Many` is the title of", "another title")],
        ),
    ]);
}

#[test]
fn unsupported_received_types_are_reported() {
    const RECEIPT: &str = "/components/schemas/Receipt";
    const LOST: &str = "unknown fields would be lost";
    check(vec![
        (
            "unknown fields are not kept",
            vec![Remove("/components/schemas/Receipt/additionalProperties")],
            &[(RECEIPT, LOST, "`additionalProperties: {}`")],
        ),
        (
            "unknown fields are rejected",
            vec![Set("/components/schemas/Receipt/additionalProperties", json!(false))],
            &[(RECEIPT, LOST, "`additionalProperties: {}`")],
        ),
        (
            "an object without a type",
            vec![
                Remove("/components/schemas/Receipt/type"),
                Remove("/components/schemas/Receipt/additionalProperties"),
            ],
            &[(RECEIPT, LOST, "`additionalProperties: {}`")],
        ),
        (
            "an error, which is received as well",
            vec![Remove("/components/schemas/Refusal/additionalProperties")],
            &[("/components/schemas/Refusal", LOST, "`additionalProperties: {}`")],
        ),
        (
            "an event, which is received as well",
            vec![Remove("/components/schemas/LetterRead/additionalProperties")],
            &[("/components/schemas/LetterRead", LOST, "`additionalProperties: {}`")],
        ),
        (
            "a nested object without a description",
            vec![Set(RECEIVED, described(json!({ "type": "object" })))],
            &[
                ("/components/schemas/Receipt/properties/new", LOST, "`additionalProperties: {}`"),
                (
                    "/components/schemas/Receipt/properties/new",
                    "an object from HighLevel that may be null",
                    "`nullable: true`",
                ),
            ],
        ),
        (
            "a component behind another",
            vec![
                Set(COMPONENT, described(json!({ "type": "object", "properties": {} }))),
                Set(RECEIVED, refer("New")),
            ],
            &[
                (COMPONENT, LOST, "`additionalProperties: {}`"),
                (COMPONENT, "one missing field would reject", "`x-required-on-receive`"),
            ],
        ),
        (
            "no list of the fields that are required on receive",
            vec![Remove("/components/schemas/Receipt/x-required-on-receive")],
            &[(RECEIPT, "one missing field would reject", "`x-required-on-receive`")],
        ),
        (
            "a list that may not be null",
            vec![Remove("/components/schemas/Receipt/properties/stops/nullable")],
            &[("/components/schemas/Receipt/properties/stops", "may be null", "`nullable: true`")],
        ),
        (
            "one object both ways",
            vec![Set(SENT, refer("Refusal"))],
            &[("/components/schemas/Refusal", "of a request and of a response", "describe it twice")],
        ),
        ("an id both ways", vec![Set(RECEIVED, refer("LetterId"))], &[]),
        ("a sent object needs none of it", vec![Remove("/components/schemas/Letter/required")], &[]),
    ]);
}
