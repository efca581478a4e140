//! Visits the schemas of a document.

use serde_json::Value;

use crate::Document;
use crate::document::{escape, is_hand_written, walk};

/// Visits every schema of the document with its JSON pointer, nested ones included.
///
/// Schemas are under `components/schemas` and `schema` keys. Examples are values and are skipped.
pub(super) fn each_schema<'d>(document: &'d Document, visit: &mut dyn FnMut(&str, &'d Value)) {
    for (name, schema) in document.schemas() {
        within_schema(schema, &format!("/components/schemas/{}", escape(name)), visit);
    }
    // The bodies of hand-written operations are not generated.
    let hand_written: Vec<String> = document
        .operations()
        .filter(|(_, _, operation)| is_hand_written(operation))
        .flat_map(|(path, method, _)| {
            ["requestBody", "responses"].map(|part| format!("/paths/{}/{method}/{part}/", escape(path)))
        })
        .collect();
    walk(document.value(), "", &mut |pointer, value| {
        let is_schema = pointer.ends_with("/schema") && !pointer.starts_with("/components/schemas/");
        let is_generated = !hand_written.iter().any(|place| pointer.starts_with(place.as_str()));
        if is_schema && is_generated && !pointer.contains("/examples/") {
            within_schema(value, pointer, visit);
        }
    });
}

/// Visits a schema and the schemas inside it.
pub(super) fn within_schema<'d>(schema: &'d Value, pointer: &str, visit: &mut dyn FnMut(&str, &'d Value)) {
    visit(pointer, schema);
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        for (name, property) in properties {
            within_schema(property, &format!("{pointer}/properties/{}", escape(name)), visit);
        }
    }
    for key in ["items", "additionalProperties", "not"] {
        if let Some(child) = schema.get(key).filter(|child| child.is_object()) {
            within_schema(child, &format!("{pointer}/{key}"), visit);
        }
    }
    for key in ["oneOf", "anyOf", "allOf"] {
        for (index, child) in schema.get(key).and_then(Value::as_array).into_iter().flatten().enumerate() {
            within_schema(child, &format!("{pointer}/{key}/{index}"), visit);
        }
    }
}
