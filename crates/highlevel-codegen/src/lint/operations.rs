//! Rules about operations: their ids, parameters, bodies and responses.

use std::collections::BTreeMap;

use serde_json::Value;

use super::schemas::is_camel_case;
use crate::document::{HAND_WRITTEN, escape};
use crate::{Document, Problem};

fn pointer(path: &str, method: &str) -> String {
    format!("/paths/{}/{method}", escape(path))
}

/// Each operation has a unique id: it becomes the name of a function.
pub(super) fn identifiers(document: &Document, problems: &mut Vec<Problem>) {
    let mut seen: BTreeMap<&str, String> = BTreeMap::new();
    for (path, method, operation) in document.operations() {
        let place = pointer(path, method);
        match operation.get("operationId").and_then(Value::as_str) {
            None => problems.push(Problem::new(
                place,
                "has no operationId, so its function would have no name",
                "add one in camel case, for example `operationId: sendMessage`",
            )),
            Some(id) => {
                if !is_camel_case(id, char::is_ascii_lowercase) || id == "new" {
                    problems.push(Problem::new(
                        format!("{place}/operationId"),
                        format!("`{id}` would become a function of another name, or one that exists already"),
                        "write it in camel case, for example `sendMessage`",
                    ));
                }
                if let Some(first) = seen.insert(id, place.clone()) {
                    problems.push(Problem::new(
                        format!("{place}/operationId"),
                        format!("`{id}` is the id of {first} as well"),
                        "give each operation a unique id",
                    ));
                }
            }
        }
    }
}

/// A hand-written operation has a reason.
pub(super) fn reasons(document: &Document, problems: &mut Vec<Problem>) {
    for (path, method, operation) in document.operations() {
        let reason = operation.get(HAND_WRITTEN);
        if reason.is_some_and(|reason| reason.as_str().is_none_or(|text| text.trim().is_empty())) {
            problems.push(Problem::new(
                format!("{}/{HAND_WRITTEN}", pointer(path, method)),
                "is not a text, so reviewers cannot see why the operation has no generated function",
                "write the reason in a sentence, or remove the key",
            ));
        }
    }
}

/// All successful responses of an operation have the same body: the generator asserts it.
pub(super) fn successes(document: &Document, problems: &mut Vec<Problem>) {
    for (path, method, operation) in document.operations() {
        let place = format!("{}/responses", pointer(path, method));
        let Some(responses) = operation.get("responses").and_then(Value::as_object) else {
            problems.push(Problem::new(
                place,
                "is missing",
                "describe at least one success, for example \"200\"",
            ));
            continue;
        };
        if responses.contains_key("default") {
            problems.push(Problem::new(
                format!("{place}/default"),
                "counts as a success and as an error at once, and beside another success makes the generator panic",
                "describe each status separately",
            ));
        }
        let mut first: Option<(&str, Option<String>)> = None;
        for (status, response) in responses.iter().filter(|(status, _)| status.starts_with('2')) {
            let body = body_of(document, response);
            match &first {
                None => first = Some((status, body)),
                Some((other, expected)) if *expected != body => problems.push(Problem::new(
                    format!("{place}/{status}"),
                    format!(
                        "has {}, but {other} has {}; the generator panics when successes differ",
                        describe(body.as_deref()),
                        describe(expected.as_deref())
                    ),
                    "give all 2xx responses of an operation the same schema",
                )),
                Some(_) => {}
            }
        }
        if first.is_none() {
            problems.push(Problem::new(place, "has no success", "describe at least one 2xx response"));
        }
    }
}

/// Returns the schema of a body: its reference, or its text if it is inline.
fn body_of(document: &Document, response: &Value) -> Option<String> {
    let response = follow(document, response);
    let media_type = response.get("content")?.as_object()?.values().next()?;
    let schema = media_type.get("schema")?;
    Some(schema["$ref"].as_str().map_or_else(|| schema.to_string(), str::to_owned))
}

fn describe(body: Option<&str>) -> String {
    body.map_or_else(|| "no body".to_owned(), |schema| format!("the body {schema}"))
}

fn follow<'d>(document: &'d Document, value: &'d Value) -> &'d Value {
    value["$ref"].as_str().and_then(|reference| document.resolve(reference)).unwrap_or(value)
}

/// The bodies that the generator reads are JSON and refer to components: it panics if a body has no schema. Error
/// responses may have any body; they are removed before.
pub(super) fn bodies(document: &Document, problems: &mut Vec<Problem>) {
    for (path, method, operation) in document.generated_operations() {
        let place = pointer(path, method);
        let mut bodies = vec![(format!("{place}/requestBody"), operation.get("requestBody"))];
        let responses = operation.get("responses").and_then(Value::as_object).into_iter().flatten();
        for (status, response) in responses.filter(|(status, _)| status.starts_with('2')) {
            bodies.push((format!("{place}/responses/{status}"), Some(response)));
        }
        for (place, body) in bodies {
            let content = body.map(|body| follow(document, body)).and_then(|body| body.get("content"));
            for (media_type, value) in content.and_then(Value::as_object).into_iter().flatten() {
                let place = format!("{place}/content/{}", escape(media_type));
                let help = "write `schema: { $ref: \"#/components/schemas/NAME\" }`";
                if media_type != "application/json" {
                    problems.push(Problem::new(
                        place,
                        format!("is `{media_type}`; only JSON bodies are supported"),
                        "describe the body as application/json, or mark the operation with `x-hand-written`",
                    ));
                } else if value.get("schema").is_none() {
                    problems.push(Problem::new(
                        place,
                        "has no schema, and the generator panics about that",
                        help,
                    ));
                } else if value.pointer("/schema/$ref").is_none() {
                    problems.push(Problem::new(
                        format!("{place}/schema"),
                        "is inline, so its type would have neither a name nor a direction",
                        help,
                    ));
                }
            }
        }
    }
}

/// Parameters belong to an operation. Their defaults are ignored. Path parameters have to be in the path and required.
pub(super) fn parameters(document: &Document, problems: &mut Vec<Problem>) {
    for (path, item) in document.value().get("paths").and_then(Value::as_object).into_iter().flatten() {
        if item.get("parameters").is_some() {
            problems.push(Problem::new(
                format!("/paths/{}/parameters", escape(path)),
                "is outside the operations, where the `Version` header is not recognised",
                "repeat it in each operation",
            ));
        }
    }
    for (path, method, operation) in document.operations() {
        let parameters = operation.get("parameters").and_then(Value::as_array);
        for (index, parameter) in parameters.into_iter().flatten().enumerate() {
            let place = format!("{}/parameters/{index}", pointer(path, method));
            let parameter = follow(document, parameter);
            if follow(document, &parameter["schema"]).get("default").is_some() {
                problems.push(Problem::new(
                    &place,
                    "has a default, which the generator ignores",
                    "remove it; the SDK sets the value",
                ));
            }
            if parameter["in"] == "path" {
                let name = parameter["name"].as_str().unwrap_or_default();
                if !path.contains(&format!("{{{name}}}")) || parameter["required"] != true {
                    problems.push(Problem::new(
                        &place,
                        format!(
                            "`{name}` has to be in the path and be required; the generator panics otherwise"
                        ),
                        format!("write `{{{name}}}` into the path and `required: true`"),
                    ));
                }
            }
        }
    }
}
