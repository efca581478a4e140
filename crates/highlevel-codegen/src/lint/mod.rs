//! Reports everything in a spec that progenitor would silently lose or panic about.
//!
//! Each rule is a function of the document. Each problem has its place, its consequence and a fix.

mod document;
mod operations;
mod received;
mod schemas;

use serde_json::Value;

use crate::document::walk;
use crate::{Document, Problem, Problems};

type Rule = fn(&Document, &mut Vec<Problem>);

const RULES: &[Rule] = &[
    document::version,
    document::webhooks,
    document::references,
    document::servers,
    operations::identifiers,
    operations::successes,
    operations::bodies,
    operations::parameters,
    schemas::names,
    schemas::nested,
    schemas::targets,
    schemas::descriptions,
    schemas::enums,
    schemas::unions,
    schemas::titles,
    schemas::numbers,
    schemas::limits,
    schemas::keywords,
    schemas::properties,
    received::objects,
    received::collections,
    received::both_directions,
];

/// Applies all rules.
///
/// # Errors
///
/// Returns all problems of all rules.
pub fn lint(document: &Document) -> Result<(), Problems> {
    let mut problems = Vec::new();
    for rule in RULES {
        rule(document, &mut problems);
    }
    Problems::check(problems)
}

/// Visits every schema of the document with its JSON pointer, nested ones included.
///
/// Schemas are under `components/schemas` and `schema` keys. Examples are values and are skipped.
fn each_schema<'d>(document: &'d Document, visit: &mut dyn FnMut(&str, &'d Value)) {
    for (name, schema) in document.schemas() {
        within_schema(schema, &format!("/components/schemas/{}", crate::document::escape(name)), visit);
    }
    walk(document.value(), "", &mut |pointer, value| {
        let is_schema = pointer.ends_with("/schema") && !pointer.starts_with("/components/schemas/");
        if is_schema && !pointer.contains("/examples/") {
            within_schema(value, pointer, visit);
        }
    });
}

/// Visits a schema and the schemas inside it.
fn within_schema<'d>(schema: &'d Value, pointer: &str, visit: &mut dyn FnMut(&str, &'d Value)) {
    visit(pointer, schema);
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        for (name, property) in properties {
            within_schema(
                property,
                &format!("{pointer}/properties/{}", crate::document::escape(name)),
                visit,
            );
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
