//! The page for reviewers.

use serde_json::json;

use crate::description::Edit::Set;
use crate::description::{edited, run, small};

#[test]
fn outline_of_the_small_spec() {
    let output = run(&small()).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(
        output.outline,
        "operations
  POST /letters  send_letter(body: &Letter) -> Result<ResponseValue<Receipt>, Error<()>>

enum Channel
  SMS  Sms
  Live_Chat  LiveChat
  *  Unknown(String)

enum Edition
  v1  V1
  v2  V2
  *  Unknown(String)

struct Letter (sent)
  at  at: Option<Timestamp>
  channel  channel: Channel
  pages  pages: Option<i64>
  replyTo  reply_to: LetterId
  stamps  stamps: Vec<String>
  text  text: Option<String>

struct LetterId(String)

struct LetterRead (received)
  channel  channel: Option<Channel>
  id  id: LetterId
  *  extra: Map<String, Value>

enum OneOrMany
  *  One(String)
  *  Many(Vec<String>)

struct Receipt (received)
  id  id: LetterId
  stops  stops: Option<Vec<String>>
  to  to: Option<OneOrMany>
  weight  weight: Option<f64>
  *  extra: Map<String, Value>

struct Refusal (received)
  message  message: Option<String>
  *  extra: Map<String, Value>
"
    );
}

/// The lines of `new` that are not in `old`; fails if `old` has lines that are not in `new`.
fn added<'t>(old: &str, new: &'t str) -> Vec<&'t str> {
    let mut rest = old.lines().peekable();
    let added = new
        .lines()
        .filter(|line| if rest.peek() == Some(line) { rest.next().is_none() } else { true })
        .collect();
    assert_eq!(rest.next(), None, "a line was removed or changed");
    added
}

#[test]
fn a_new_optional_field_is_one_line() {
    let small = run(&small()).unwrap_or_else(|problems| panic!("{problems}")).outline;
    let field = json!({ "type": "string", "description": "The colour." });
    for (component, expected) in [
        ("Letter", "  inkColour  ink_colour: Option<String>"),
        ("Receipt", "  inkColour  ink_colour: Option<String>"),
    ] {
        let mut document = edited(&[]);
        document["components"]["schemas"][component]["properties"]["inkColour"] = field.clone();
        let outline = run(&document).unwrap_or_else(|problems| panic!("{problems}")).outline;
        assert_eq!(added(&small, &outline), [expected], "{component}");
    }
}

#[test]
fn a_new_optional_field_of_the_embedded_spec_is_one_line() {
    let text = highlevel_spec::OPENAPI_YAML;
    let marker = "        replyMessageId:\n";
    assert_eq!(text.matches(marker).count(), 1, "the place where this test adds a field");
    let field = "        colour:\n          type: string\n          description: Colour of the message.\n";
    let edited = text.replace(marker, &format!("{field}{marker}"));
    let before = highlevel_codegen::run(text).unwrap_or_else(|problems| panic!("{problems}"));
    let after = highlevel_codegen::run(&edited).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(added(&before.outline, &after.outline), ["  colour  colour: Option<String>"]);
}

#[test]
fn a_new_value_of_an_enum_is_one_line() {
    let before = run(&small()).unwrap_or_else(|problems| panic!("{problems}")).outline;
    let document =
        edited(&[Set("/components/schemas/Channel/enum", json!(["SMS", "Live_Chat", "no-answer"]))]);
    let after = run(&document).unwrap_or_else(|problems| panic!("{problems}")).outline;
    assert_eq!(added(&before, &after), ["  no-answer  NoAnswer"]);
}

#[test]
fn parameters_are_arguments() {
    let document = edited(&[
        Set(
            "/components/parameters/Limit",
            json!({ "name": "limit", "in": "query", "schema": { "type": "integer", "format": "int64" } }),
        ),
        Set("/paths/~1letters/post/parameters/-", json!({ "$ref": "#/components/parameters/Limit" })),
    ]);
    let outline = run(&document).unwrap_or_else(|problems| panic!("{problems}")).outline;
    assert!(outline.contains("send_letter(limit: Option<i64>, body: &Letter)"), "{outline}");
}

/// Its bodies may have any type, and its response has a generated type.
#[test]
fn a_hand_written_operation_is_listed_and_not_generated() {
    let path = "/paths/~1letters~1{letterId}~1scan";
    let operation = |reason: serde_json::Value| {
        json!({ "post": {
            "operationId": "scanLetter",
            "x-hand-written": reason,
            "parameters": [{
                "name": "letterId", "in": "path", "required": true,
                "schema": { "$ref": "#/components/schemas/LetterId" }
            }],
            "requestBody": { "content": { "multipart/form-data": { "schema": {
                "type": "object", "properties": { "scan": { "type": "string", "format": "binary" } }
            } } } },
            "responses": { "200": { "$ref": "#/components/responses/Sent" } }
        } })
    };
    let output = run(&edited(&[Set(path, operation(json!("The body is a file.")))]));
    let output = output.unwrap_or_else(|problems| panic!("{problems}"));
    assert!(
        output.outline.contains("  POST /letters/{letterId}/scan  scanLetter (hand-written)\n"),
        "{}",
        output.outline
    );
    assert!(!output.source.contains("fn scan_letter"));
    assert!(!output.normalised.contains("scanLetter"));

    for reason in [json!(""), json!(true)] {
        let problems = run(&edited(&[Set(path, operation(reason))])).expect_err("no reason").to_string();
        assert!(problems.contains("x-hand-written"), "{problems}");
    }
}
