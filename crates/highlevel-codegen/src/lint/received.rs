//! Rules about types that HighLevel sends: added fields must not be lost, and missing fields must not cause errors.

use serde_json::{Value, json};

use super::walk::within_schema;
use crate::document::escape;
use crate::{Document, Problem};

fn received_components(document: &Document) -> impl Iterator<Item = (&str, String, &Value)> {
    document
        .schemas()
        .filter(|(name, _)| document.direction(name).received)
        .map(|(name, schema)| (name, format!("/components/schemas/{}", escape(name)), schema))
}

fn is_object(schema: &Value) -> bool {
    schema["type"] == "object" || schema.get("properties").is_some()
}

/// Received objects keep unknown fields and name the fields that a caller needs.
pub(super) fn objects(document: &Document, problems: &mut Vec<Problem>) {
    for (_, place, schema) in received_components(document) {
        within_schema(schema, &place, &mut |pointer, schema| {
            if !is_object(schema) {
                return;
            }
            if schema.get("additionalProperties") != Some(&json!({})) {
                problems.push(Problem::new(
                    pointer,
                    "comes from HighLevel, and its unknown fields would be lost",
                    "add `additionalProperties: {}`",
                ));
            }
            if schema.get("properties").is_some()
                && pointer == place
                && schema.get("x-required-on-receive").is_none()
            {
                problems.push(Problem::new(
                    pointer,
                    "comes from HighLevel, and one missing field would reject the whole object",
                    "add `x-required-on-receive` with the fields that a caller needs, or `[]`",
                ));
            }
        });
    }
}

/// HighLevel sends `null` for an empty list or object.
pub(super) fn collections(document: &Document, problems: &mut Vec<Problem>) {
    for (_, place, schema) in received_components(document) {
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            let kind = match property["type"].as_str() {
                Some("array") => "a list",
                Some("object") if property.get("properties").is_none() => "an object",
                _ => continue,
            };
            if property["nullable"] != true {
                problems.push(Problem::new(
                    format!("{place}/properties/{}", escape(name)),
                    format!("is {kind} from HighLevel that may be null, which would reject the whole object"),
                    "add `nullable: true`",
                ));
            }
        }
    }
}

/// One object cannot be strict and lenient at once.
pub(super) fn both_directions(document: &Document, problems: &mut Vec<Problem>) {
    for (name, place, schema) in received_components(document) {
        if document.direction(name).sent && is_object(schema) {
            problems.push(Problem::new(
                place,
                "is part of a request and of a response; requests are strict, responses lenient",
                "describe it twice, with two names",
            ));
        }
    }
}
