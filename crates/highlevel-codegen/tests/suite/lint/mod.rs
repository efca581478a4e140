//! Each rule of the lint, with a small spec that has one problem.

mod document;
mod schemas;
mod types;

use serde_json::{Value, json};

use crate::description::Edit::{self, Set};
use crate::description::{edited, lint, run, small};

/// A name, edits of the small spec, and the expected problems.
type Case = (&'static str, Vec<Edit>, &'static [Expected]);

/// A JSON pointer, and distinctive parts of the message and of the help.
type Expected = (&'static str, &'static str, &'static str);

/// A new field of a request.
const SENT: &str = "/components/schemas/Letter/properties/new";
/// A new field of a response.
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
    json!({ "description": "A response.", "content": { "application/json": { "schema": schema } } })
}

#[track_caller]
fn check(cases: Vec<Case>) {
    for (name, edits, expected) in cases {
        let problems = lint(edited(&edits)).err();
        let problems = problems.as_ref().map_or(&[][..], |problems| problems.as_slice());
        let fits = problems.len() == expected.len()
            && problems.iter().zip(expected).all(|(problem, (pointer, message, help))| {
                problem.pointer == *pointer
                    && problem.message.contains(message)
                    && problem.help.contains(help)
            });
        assert!(fits, "{name}: expected {expected:#?}, found {problems:#?}");
    }
}

#[test]
fn the_small_spec_is_clean() {
    lint(small()).unwrap_or_else(|problems| panic!("{problems}"));
    run(&small()).unwrap_or_else(|problems| panic!("{problems}"));
}

#[test]
fn the_embedded_spec_is_clean() {
    highlevel_codegen::run_embedded().unwrap_or_else(|problems| panic!("{problems}"));
}

/// Error responses are removed before the generator runs.
#[test]
fn error_responses_may_differ() {
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
fn problems_are_sorted_and_formatted() {
    let problems = lint(edited(&[
        Set("/openapi", json!("3.1.0")),
        Set(SENT, described(json!({ "type": "number" }))),
        Set("/webhooks", json!({})),
    ]))
    .expect_err("three problems");
    assert_eq!(
        problems.to_string(),
        "the OpenAPI spec has 3 problems\n\
         \n\
         \x20 /components/schemas/Letter/properties/new\n\
         \x20     is a number in a request, and would be sent with a fraction (1.0)\n\
         \x20     help: write `type: integer` and `format: int64`\n\
         \n\
         \x20 /openapi\n\
         \x20     is \"3.1.0\", but the generator reads OpenAPI 3.0 only\n\
         \x20     help: write `openapi: 3.0.3`\n\
         \n\
         \x20 /webhooks\n\
         \x20     is ignored by the generator, so it would get no type\n\
         \x20     help: put the payloads under components/schemas and list the events under `x-webhooks`"
    );
}
