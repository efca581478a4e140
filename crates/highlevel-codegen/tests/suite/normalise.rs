//! Each step on its own: a description before and after it.

use highlevel_codegen::Document;
use highlevel_codegen::normalise::{
    drop_error_responses, drop_reference_siblings, drop_unread_parts, drop_version_parameter, normalise,
    relax_received,
};
use serde_json::{Value, json};

use crate::description::small;

type Step = fn(&mut Value);

#[track_caller]
fn check(step: Step, cases: Vec<(&str, Value, Value)>) {
    for (name, before, expected) in cases {
        let mut found = before;
        step(&mut found);
        assert_eq!(found, expected, "{name}");
        let once = found.clone();
        step(&mut found);
        assert_eq!(found, once, "{name}: twice is once");
    }
}

fn operation(operation: &Value) -> Value {
    json!({ "paths": { "/a": { "post": operation } } })
}

#[test]
fn error_responses_are_removed() {
    check(
        drop_error_responses,
        vec![
            (
                "only successes stay",
                operation(
                    &json!({ "responses": { "200": 1, "201": 2, "2XX": 3, "302": 4, "400": 5, "5XX": 6, "default": 7 } }),
                ),
                operation(&json!({ "responses": { "200": 1, "201": 2, "2XX": 3 } })),
            ),
            ("nothing to drop", json!({ "paths": {} }), json!({ "paths": {} })),
            (
                "odd",
                json!({ "paths": { "/a": [], "/b": { "get": 1 } } }),
                json!({ "paths": { "/a": [], "/b": { "get": 1 } } }),
            ),
        ],
    );
}

#[test]
fn the_version_parameter_is_removed() {
    let components = json!({
        "parameters": {
            "Version": { "in": "header", "name": "Version" },
            "Limit": { "in": "query", "name": "limit" },
        }
    });
    let version = json!({ "$ref": "#/components/parameters/Version" });
    let limit = json!({ "$ref": "#/components/parameters/Limit" });
    let document = |parameters: Value| {
        let mut document = operation(&json!({ "parameters": parameters }));
        document["components"] = components.clone();
        document
    };
    check(
        drop_version_parameter,
        vec![
            ("by reference", document(json!([version, limit])), document(json!([limit]))),
            ("in place", document(json!([{ "in": "header", "name": "Version" }])), document(json!([]))),
            (
                "another place, another name",
                document(
                    json!([{ "in": "query", "name": "Version" }, { "in": "header", "name": "X-Version" }]),
                ),
                document(
                    json!([{ "in": "query", "name": "Version" }, { "in": "header", "name": "X-Version" }]),
                ),
            ),
            (
                "no components",
                operation(&json!({ "parameters": [limit] })),
                operation(&json!({ "parameters": [limit] })),
            ),
        ],
    );
}

#[test]
fn received_objects_are_relaxed() {
    let schemas = |schema: Value| json!({ "components": { "schemas": { "A": schema } } });
    check(
        relax_received,
        vec![
            (
                "fewer fields are required",
                schemas(json!({ "required": ["a", "b"], "x-required-on-receive": ["a"] })),
                schemas(json!({ "required": ["a"] })),
            ),
            (
                "more fields are required",
                schemas(json!({ "x-required-on-receive": ["a"] })),
                schemas(json!({ "required": ["a"] })),
            ),
            (
                "none is required",
                schemas(json!({ "required": ["a", "b"], "x-required-on-receive": [] })),
                schemas(json!({})),
            ),
            (
                "what is sent stays",
                schemas(json!({ "required": ["a"] })),
                schemas(json!({ "required": ["a"] })),
            ),
        ],
    );
}

#[test]
fn siblings_of_references_are_removed() {
    check(
        drop_reference_siblings,
        vec![
            (
                "siblings go, wherever",
                json!({ "a": { "$ref": "#/b", "description": "x" }, "l": [{ "$ref": "#/b", "nullable": true }] }),
                json!({ "a": { "$ref": "#/b" }, "l": [{ "$ref": "#/b" }] }),
            ),
            (
                "a property of that name is none",
                json!({ "properties": { "$ref": { "type": "string" }, "b": { "type": "string" } } }),
                json!({ "properties": { "$ref": { "type": "string" }, "b": { "type": "string" } } }),
            ),
        ],
    );
}

#[test]
fn unused_parts_are_removed() {
    check(
        drop_unread_parts,
        vec![
            (
                "at the top",
                json!({ "openapi": "3.0.3", "servers": [], "tags": [], "security": [], "x-webhooks": {}, "info": {} }),
                json!({ "openapi": "3.0.3", "info": {} }),
            ),
            (
                "extensions of operations",
                operation(&json!({ "operationId": "a", "x-scopes": [] })),
                operation(&json!({ "operationId": "a" })),
            ),
            (
                "components that no operation uses, and headers of responses",
                json!({
                    "paths": { "/a": { "post": {
                        "parameters": [{ "$ref": "#/components/parameters/Used" }],
                        "responses": { "200": { "$ref": "#/components/responses/Used" } },
                    } } },
                    "components": {
                        "parameters": { "Used": {}, "Unused": {} },
                        "responses": { "Used": { "headers": {}, "description": "" }, "Unused": {} },
                        "securitySchemes": {}, "headers": {}, "examples": {},
                        "schemas": { "Unused": {} },
                    }
                }),
                json!({
                    "paths": { "/a": { "post": {
                        "parameters": [{ "$ref": "#/components/parameters/Used" }],
                        "responses": { "200": { "$ref": "#/components/responses/Used" } },
                    } } },
                    "components": {
                        "parameters": { "Used": {} },
                        "responses": { "Used": { "description": "" } },
                        "schemas": { "Unused": {} },
                    }
                }),
            ),
            (
                "kinds of which nothing is used",
                json!({ "components": { "parameters": { "A": {} }, "responses": { "B": {} } } }),
                json!({ "components": {} }),
            ),
            (
                "examples, but not what is only called so",
                json!({
                    "example": 1,
                    "components": { "schemas": {
                        "example": { "type": "string", "example": "a" },
                        "A": { "examples": {}, "properties": { "example": { "example": 1 }, "examples": { "type": "array" } } },
                    } }
                }),
                json!({
                    "components": { "schemas": {
                        "example": { "type": "string" },
                        "A": { "properties": { "example": {}, "examples": { "type": "array" } } },
                    } }
                }),
            ),
        ],
    );
}

/// All steps, and nothing else: the rest of the small description stays as it is.
#[test]
fn all_steps_work_together() {
    let mut expected = small();
    expected.as_object_mut().expect("a mapping").retain(|key, _| key != "servers" && key != "x-webhooks");
    expected["paths"]["/letters"]["post"]["parameters"] = json!([]);
    let remove = |value: &mut Value, key: &str| {
        assert!(value.as_object_mut().and_then(|map| map.remove(key)).is_some(), "{key}");
    };
    remove(&mut expected["paths"]["/letters"]["post"]["responses"], "400");
    remove(&mut expected["components"], "parameters");
    remove(&mut expected["components"]["responses"], "Refused");
    remove(&mut expected["components"]["schemas"]["Letter"]["properties"]["replyTo"], "description");
    for name in ["Receipt", "Refusal", "LetterRead"] {
        remove(&mut expected["components"]["schemas"][name], "x-required-on-receive");
    }
    expected["components"]["schemas"]["Receipt"]["required"] = json!(["id"]);
    expected["components"]["schemas"]["LetterRead"]["required"] = json!(["id"]);
    let document = Document::new(small());
    assert_eq!(normalise(&document), expected);
    assert_eq!(*document.value(), small(), "the description itself is not changed");
}
