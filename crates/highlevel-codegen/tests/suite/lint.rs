//! Each rule of the lint, by a small description with one fault.

use serde_json::{Value, json};

use crate::description::Edit::{self, Remove, Set};
use crate::description::{edited, lint, run, small};

/// A name, edits of the small description, and the problems that come of them: the pointer and distinctive words of
/// what is wrong and of how to mend it.
type Case = (&'static str, Vec<Edit>, &'static [(&'static str, &'static str, &'static str)]);

/// A new field of what is sent.
const SENT: &str = "/components/schemas/Letter/properties/new";
/// A new field of what is received.
const RECEIVED: &str = "/components/schemas/Receipt/properties/new";
/// A new component.
const COMPONENT: &str = "/components/schemas/New";
const OPERATION: &str = "/paths/~1letters/post";

fn described(mut schema: Value) -> Value {
    schema["description"] = json!("A new thing.");
    schema
}

fn refer(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn json_body(schema: &Value) -> Value {
    json!({ "description": "An answer.", "content": { "application/json": { "schema": schema } } })
}

#[track_caller]
fn check(cases: Vec<Case>) {
    for (name, edits, expected) in cases {
        let problems = lint(edited(&edits)).err();
        let problems = problems.as_ref().map_or(&[][..], |problems| problems.as_slice());
        let fits = problems.len() == expected.len()
            && problems.iter().zip(expected).all(|(problem, (pointer, what, mend))| {
                problem.pointer == *pointer && problem.what.contains(what) && problem.mend.contains(mend)
            });
        assert!(fits, "{name}: expected {expected:#?}, found {problems:#?}");
    }
}

#[test]
fn the_small_description_is_clean() {
    lint(small()).unwrap_or_else(|problems| panic!("{problems}"));
    run(&small()).unwrap_or_else(|problems| panic!("{problems}"));
}

#[test]
fn the_embedded_description_is_clean() {
    highlevel_codegen::run_embedded().unwrap_or_else(|problems| panic!("{problems}"));
}

#[test]
fn document() {
    const VERSION: &[(&str, &str, &str)] = &[("/openapi", "reads OpenAPI 3.0 only", "3.0.3")];
    const EXISTS: &str = "does not exist";
    check(vec![
        ("version 3.1", vec![Set("/openapi", json!("3.1.0"))], VERSION),
        ("version 2", vec![Set("/openapi", json!("2.0"))], VERSION),
        ("a version that only begins alike", vec![Set("/openapi", json!("3.00"))], VERSION),
        ("a number as version", vec![Set("/openapi", json!(3.0))], VERSION),
        ("no version", vec![Remove("/openapi")], VERSION),
        ("another patch of 3.0", vec![Set("/openapi", json!("3.0.0"))], &[]),
        (
            "webhooks of 3.1",
            vec![Set("/webhooks", json!({}))],
            &[("/webhooks", "no type would come of it", "x-webhooks")],
        ),
        (
            "a webhook without a payload",
            vec![Set("/x-webhooks/A~1B", json!({}))],
            &[("/x-webhooks/A~1B/payload", "not a reference to a schema", "#/components/schemas/NAME")],
        ),
        (
            "a webhook with the payload in place",
            vec![Set("/x-webhooks/LetterRead/payload", json!({ "type": "string" }))],
            &[("/x-webhooks/LetterRead/payload", "not a reference to a schema", "#/components/schemas/NAME")],
        ),
        (
            "a reference to no schema",
            vec![Set(SENT, refer("Leter"))],
            &[(SENT, "`#/components/schemas/Leter`, which does not exist", "correct the name")],
        ),
        (
            "a reference to no response",
            vec![Set("/paths/~1letters/post/responses/400", json!({ "$ref": "#/components/responses/No" }))],
            &[("/paths/~1letters/post/responses/400", EXISTS, "add the component")],
        ),
        (
            "a reference in a webhook",
            vec![Set("/x-webhooks/LetterRead/payload", refer("No"))],
            &[("/x-webhooks/LetterRead/payload", EXISTS, "correct the name")],
        ),
        (
            "a reference to another file",
            vec![Set(SENT, json!({ "$ref": "letters.yaml#/Letter" }))],
            &[(SENT, EXISTS, "other files are not read")],
        ),
        (
            "a reference to a part of a component",
            vec![Set(SENT, json!({ "$ref": "#/components/schemas/Letter/properties/text" }))],
            &[(SENT, "which is not a component", "make it a component")],
        ),
        (
            "a reference to something that is no schema",
            vec![Set(SENT, json!({ "$ref": "#/info" }))],
            &[(SENT, "which is not a component", "make it a component")],
        ),
        (
            "a slash at the end of a server",
            vec![Set("/servers/-", json!({ "url": "https://example.com/" }))],
            &[("/servers/1/url", "begins with `//`", "remove the slash")],
        ),
    ]);
}

#[test]
fn operations() {
    const SUCCESSES: &str = "the generator panics when successes differ";
    const SAME: &str = "the same schema";
    const PATH: &[(&str, &str, &str)] =
        &[("/paths/~1letters/post/parameters/1", "`id` has to stand in the path", "`{id}` into the path")];
    const NAMED: &str = "would become a function of another name";
    check(vec![
        (
            "no id",
            vec![Remove("/paths/~1letters/post/operationId")],
            &[(OPERATION, "has no operationId", "operationId: sendMessage")],
        ),
        (
            "one id twice",
            vec![Set("/paths/~1notes", edited(&[])["paths"]["/letters"].clone())],
            &[(
                "/paths/~1notes/post/operationId",
                "is the id of /paths/~1letters/post as well",
                "of its own",
            )],
        ),
        (
            "an id in snake case",
            vec![Set("/paths/~1letters/post/operationId", json!("send_letter"))],
            &[("/paths/~1letters/post/operationId", NAMED, "camel case")],
        ),
        (
            "the id of a function that exists",
            vec![Set("/paths/~1letters/post/operationId", json!("new"))],
            &[("/paths/~1letters/post/operationId", NAMED, "camel case")],
        ),
        (
            "an empty id",
            vec![Set("/paths/~1letters/post/operationId", json!(""))],
            &[("/paths/~1letters/post/operationId", NAMED, "camel case")],
        ),
        (
            "no responses",
            vec![Remove("/paths/~1letters/post/responses")],
            &[("/paths/~1letters/post/responses", "is missing", "at least one success")],
        ),
        (
            "only an error",
            vec![
                Remove("/paths/~1letters/post/responses/200"),
                Remove("/paths/~1letters/post/responses/201"),
            ],
            &[("/paths/~1letters/post/responses", "has no success", "2xx")],
        ),
        (
            "200 and default",
            vec![Set("/paths/~1letters/post/responses/default", json_body(&refer("Receipt")))],
            &[("/paths/~1letters/post/responses/default", "a success and as an error", "each status")],
        ),
        (
            "two success schemas",
            vec![Set("/paths/~1letters/post/responses/201", json_body(&refer("LetterRead")))],
            &[("/paths/~1letters/post/responses/201", SUCCESSES, SAME)],
        ),
        (
            "a body beside no body",
            vec![Set("/paths/~1letters/post/responses/204", json!({ "description": "Nothing." }))],
            &[("/paths/~1letters/post/responses/204", "has no body, but 200 has the body", SAME)],
        ),
        (
            "no body beside a body",
            vec![Set("/paths/~1letters/post/responses/200", json!({ "description": "Nothing." }))],
            &[("/paths/~1letters/post/responses/201", "but 200 has no body", SAME)],
        ),
        (
            "the same schema, once in place and once referred to",
            vec![Set("/paths/~1letters/post/responses/201", json_body(&refer("Receipt")))],
            &[],
        ),
        (
            "a form as request",
            vec![Set(
                "/paths/~1letters/post/requestBody/content",
                json!({ "multipart/form-data": { "schema": refer("Letter") } }),
            )],
            &[(
                "/paths/~1letters/post/requestBody/content/multipart~1form-data",
                "only JSON bodies",
                "application/json",
            )],
        ),
        (
            "a request without a schema",
            vec![Set("/paths/~1letters/post/requestBody/content/application~1json", json!({}))],
            &[(
                "/paths/~1letters/post/requestBody/content/application~1json",
                "has no schema",
                "#/components/schemas/NAME",
            )],
        ),
        (
            "a request written in place",
            vec![Set(
                "/paths/~1letters/post/requestBody/content/application~1json/schema",
                json!({ "type": "array", "items": { "type": "string" } }),
            )],
            &[(
                "/paths/~1letters/post/requestBody/content/application~1json/schema",
                "is written in place",
                "#/components/schemas/NAME",
            )],
        ),
        (
            "a default of a parameter",
            vec![Set(
                "/paths/~1letters/post/parameters/-",
                json!({ "name": "limit", "in": "query", "schema": { "type": "integer", "default": 20 } }),
            )],
            &[
                ("/paths/~1letters/post/parameters/1", "the generator ignores", "remove it"),
                ("/paths/~1letters/post/parameters/1/schema/default", "although the caller", "left out"),
            ],
        ),
        (
            "a parameter that is not in the path",
            vec![Set(
                "/paths/~1letters/post/parameters/-",
                json!({ "name": "id", "in": "path", "required": true, "schema": refer("LetterId") }),
            )],
            PATH,
        ),
        (
            "a parameter in the path that is not required",
            vec![
                Set("/paths/~1letters~1{id}", edited(&[])["paths"]["/letters"].clone()),
                Set(
                    "/paths/~1letters~1{id}/post/parameters/-",
                    json!({ "name": "id", "in": "path", "schema": refer("LetterId") }),
                ),
                Remove("/paths/~1letters"),
            ],
            &[("/paths/~1letters~1{id}/post/parameters/1", "be required", "`required: true`")],
        ),
        (
            "parameters beside the operations",
            vec![Set("/paths/~1letters/parameters", json!([{ "$ref": "#/components/parameters/Version" }]))],
            &[("/paths/~1letters/parameters", "`Version` header is not recognised", "each operation")],
        ),
    ]);
}

#[test]
fn names_and_places_of_schemas() {
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
            "a word of Rust",
            vec![Set("/components/schemas/Self", described(json!({ "type": "string" })))],
            &[("/components/schemas/Self", NOT_CAMEL, "SmsMessage")],
        ),
        (
            "two components that name each other",
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
            "an object in an answer, without a name",
            vec![Set(
                RECEIVED,
                described(json!({ "type": "object", "additionalProperties": {}, "properties": {} })),
            )],
            &[(RECEIVED, "is an object without a name", "make it a component")],
        ),
        (
            "a component without a description",
            vec![Set(COMPONENT, json!({ "type": "string" }))],
            &[(COMPONENT, "has no description", "what it is")],
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
fn enums_and_unions() {
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
        ("self", vec![Set(VALUES, json!(["self"]))], &[(CHANNEL, "a word of Rust", "leave it out")]),
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
fn keywords() {
    const NEW: &str = "/components/schemas/Letter/properties/new";
    const ANSWERS: &str = "rejects whole answers";
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
        ("a number in an answer", vec![Set(RECEIVED, described(json!({ "type": "number" })))], &[]),
        (
            "a number in a header of an answer",
            vec![Set(
                "/components/responses/Sent/headers",
                json!({ "X-Left": { "schema": { "type": "number" } } }),
            )],
            &[],
        ),
        (
            "minLength",
            text("minLength", &json!(1)),
            &[("/components/schemas/Letter/properties/new/minLength", ANSWERS, "say the limit")],
        ),
        (
            "maxLength",
            text("maxLength", &json!(9)),
            &[("/components/schemas/Letter/properties/new/maxLength", ANSWERS, "say the limit")],
        ),
        (
            "pattern",
            text("pattern", &json!("^a")),
            &[("/components/schemas/Letter/properties/new/pattern", ANSWERS, "say the limit")],
        ),
        (
            "minimum",
            with("minimum", &json!(1)),
            &[("/components/schemas/Letter/properties/new/minimum", ANSWERS, "say the limit")],
        ),
        (
            "maximum",
            with("maximum", &json!(9)),
            &[("/components/schemas/Letter/properties/new/maximum", ANSWERS, "say the limit")],
        ),
        (
            "exclusiveMinimum",
            with("exclusiveMinimum", &json!(true)),
            &[("/components/schemas/Letter/properties/new/exclusiveMinimum", ANSWERS, "say the limit")],
        ),
        (
            "exclusiveMaximum",
            with("exclusiveMaximum", &json!(true)),
            &[("/components/schemas/Letter/properties/new/exclusiveMaximum", ANSWERS, "say the limit")],
        ),
        (
            "minItems",
            with("minItems", &json!(1)),
            &[("/components/schemas/Letter/properties/new/minItems", ANSWERS, "say the limit")],
        ),
        (
            "maxItems",
            with("maxItems", &json!(9)),
            &[("/components/schemas/Letter/properties/new/maxItems", ANSWERS, "say the limit")],
        ),
        (
            "a date and time in place",
            text("format", &json!("date-time")),
            &[(NEW, "one odd date would reject", "#/components/schemas/Timestamp")],
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
            &[("/components/schemas/Letter/properties/new/default", "although the caller", "left out")],
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
            &[("/components/schemas/Letter/properties/new/not", "panic", "in the description")],
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
fn properties() {
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

#[test]
fn received() {
    const RECEIPT: &str = "/components/schemas/Receipt";
    const LOST: &str = "unknown fields would be lost";
    check(vec![
        (
            "unknown fields are not kept",
            vec![Remove("/components/schemas/Receipt/additionalProperties")],
            &[(RECEIPT, LOST, "`additionalProperties: {}`")],
        ),
        (
            "unknown fields are refused",
            vec![Set("/components/schemas/Receipt/additionalProperties", json!(false))],
            &[(RECEIPT, LOST, "`additionalProperties: {}`")],
        ),
        (
            "an object that does not say so",
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
            "an object inside, which nobody describes",
            vec![Set(RECEIVED, described(json!({ "type": "object" })))],
            &[("/components/schemas/Receipt/properties/new", LOST, "`additionalProperties: {}`")],
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
            "nothing said about what is required on receive",
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
            &[("/components/schemas/Refusal", "of a request and of an answer", "describe it twice")],
        ),
        ("an id both ways", vec![Set(RECEIVED, refer("LetterId"))], &[]),
        ("a sent object needs none of it", vec![Remove("/components/schemas/Letter/required")], &[]),
    ]);
}

/// Errors are documented as they are: the generator does not get to see them.
#[test]
fn error_answers_may_differ() {
    let document = edited(&[
        Set("/paths/~1letters/post/responses/422", json_body(&refer("LetterRead"))),
        Set("/paths/~1letters/post/responses/404", json!({ "description": "Nothing." })),
        Set("/paths/~1letters/post/responses/4XX", json!({ "description": "Nothing." })),
        Set(
            "/paths/~1letters/post/responses/429",
            json!({ "description": "A page.", "content": { "text/html": { "schema": { "type": "string" } } } }),
        ),
        Set(
            "/paths/~1letters/post/responses/500",
            json!({ "description": "", "content": { "text/plain": {} } }),
        ),
    ]);
    lint(document.clone()).unwrap_or_else(|problems| panic!("{problems}"));
    let output = run(&document).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(output.outline, run(&small()).expect("it is clean").outline);
}

#[test]
fn problems_come_in_order_and_read_well() {
    let problems = lint(edited(&[
        Set("/openapi", json!("3.1.0")),
        Set(SENT, described(json!({ "type": "number" }))),
        Set("/webhooks", json!({})),
    ]))
    .expect_err("it has three faults");
    assert_eq!(
        problems.to_string(),
        "the OpenAPI description has 3 problems\n\
         \n\
         \x20 /components/schemas/Letter/properties/new\n\
         \x20     is a number in a request, and would go out with a fraction (1.0)\n\
         \x20     mend: write `type: integer` and `format: int64`\n\
         \n\
         \x20 /openapi\n\
         \x20     is \"3.1.0\", and the generator reads OpenAPI 3.0 only\n\
         \x20     mend: write `openapi: 3.0.3`\n\
         \n\
         \x20 /webhooks\n\
         \x20     is ignored by the generator, so no type would come of it\n\
         \x20     mend: put the payloads under components/schemas and list the events under `x-webhooks`"
    );
}
