//! Each rule of the lint, by a small description with one fault.

mod document;
mod schemas;
mod types;

use serde_json::{Value, json};

use crate::description::Edit::{self, Set};
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
