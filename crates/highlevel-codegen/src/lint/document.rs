//! Rules about the document as a whole.

use serde_json::Value;

use crate::document::walk;
use crate::{Document, Problem};

/// Progenitor reads `OpenAPI` 3.0 only.
pub(super) fn version(document: &Document, problems: &mut Vec<Problem>) {
    let version = document.value().get("openapi");
    if !version.and_then(Value::as_str).is_some_and(|version| version.starts_with("3.0.")) {
        let found = version.map_or_else(|| "missing".to_owned(), Value::to_string);
        problems.push(Problem::new(
            "/openapi",
            format!("is {found}, but the generator reads OpenAPI 3.0 only"),
            "write `openapi: 3.0.3`",
        ));
    }
}

/// `webhooks` is a key of `OpenAPI` 3.1, and ignored; the payloads of `x-webhooks` have to be components.
pub(super) fn webhooks(document: &Document, problems: &mut Vec<Problem>) {
    if document.value().get("webhooks").is_some() {
        problems.push(Problem::new(
            "/webhooks",
            "is ignored by the generator, so it would get no type",
            "put the payloads under components/schemas and list the events under `x-webhooks`",
        ));
    }
    let events = document.value().get("x-webhooks").and_then(Value::as_object);
    for (event, definition) in events.into_iter().flatten() {
        let pointer = format!("/x-webhooks/{}/payload", crate::document::escape(event));
        let reference = definition.pointer("/payload/$ref").and_then(Value::as_str);
        if reference.and_then(crate::document::schema_name).is_none() {
            problems.push(Problem::new(
                pointer,
                "is not a reference to a schema, so it would get no type",
                "write `payload: { $ref: \"#/components/schemas/NAME\" }`",
            ));
        }
    }
}

/// References lead to existing values: otherwise the generator panics.
pub(super) fn references(document: &Document, problems: &mut Vec<Problem>) {
    walk(document.value(), "", &mut |pointer, value| {
        let Some(place) = pointer.strip_suffix("/$ref") else {
            return;
        };
        let Some(reference) = value.as_str() else {
            return;
        };
        if document.resolve(reference).is_none() {
            problems.push(Problem::new(
                place,
                format!("refers to `{reference}`, which does not exist"),
                "correct the name, or add the component; references to other files are not read",
            ));
        }
    });
}

/// The path is appended to the server's URL unchanged.
pub(super) fn servers(document: &Document, problems: &mut Vec<Problem>) {
    let servers = document.value().get("servers").and_then(Value::as_array);
    for (index, server) in servers.into_iter().flatten().enumerate() {
        if server["url"].as_str().is_some_and(|url| url.ends_with('/')) {
            problems.push(Problem::new(
                format!("/servers/{index}/url"),
                "ends with a slash, so every request would go to a path that starts with `//`",
                "remove the slash",
            ));
        }
    }
}
