//! Finds fields that are not in a schema.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::schema::referenced_schema;
use super::violation::{MAX_POINTER, escape, shortened};
use crate::similar::closest;

/// The maximum number of fields for which a suggestion is searched.
pub(super) const MAX_SUGGESTIONS: usize = 100;

/// Fields that are not in a schema.
#[derive(Debug, Default)]
pub(crate) struct UndocumentedFields {
    /// The maximum number of pointers.
    pub(crate) max: usize,
    /// JSON pointers; long ones are truncated.
    pub(crate) pointers: Vec<String>,
    /// The number of fields beyond the maximum.
    pub(crate) more: usize,
    /// The name of the field that was probably meant, by pointer.
    pub(crate) suggestions: BTreeMap<String, String>,
}

impl UndocumentedFields {
    fn add(&mut self, pointer: &str, suggestion: impl FnOnce() -> Option<String>) {
        if self.pointers.len() >= self.max {
            self.more += 1;
            return;
        }
        let pointer = shortened(pointer, MAX_POINTER).into_owned();
        if self.pointers.len() < MAX_SUGGESTIONS
            && let Some(name) = suggestion()
        {
            self.suggestions.insert(pointer.clone(), name);
        }
        self.pointers.push(pointer);
    }
}

/// Searches for fields of `value` that are not in `schema`. Objects without `properties` in the schema are not searched.
pub(super) fn search(
    schemas: &Value,
    schema: &Value,
    value: &Value,
    pointer: &mut String,
    found: &mut UndocumentedFields,
) {
    let schema = match referenced_schema(schema) {
        Some(name) => &schemas[name],
        None => schema,
    };
    let length = pointer.len();
    match value {
        Value::Object(present) => {
            let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
            for (name, value) in present {
                pointer.push('/');
                pointer.push_str(&escape(name));
                match properties.get(name) {
                    Some(schema) => search(schemas, schema, value, pointer, found),
                    None => found.add(pointer, || suggestion(name, present, properties)),
                }
                pointer.truncate(length);
            }
        }
        Value::Array(entries) => {
            let Some(items) = schema.get("items") else { return };
            for (index, value) in entries.iter().enumerate() {
                pointer.push('/');
                pointer.push_str(&index.to_string());
                search(schemas, items, value, pointer, found);
                pointer.truncate(length);
            }
        }
        _ => {}
    }
}

/// Returns the property that is most similar to an unknown field and that the object does not have.
fn suggestion(name: &str, present: &Map<String, Value>, properties: &Map<String, Value>) -> Option<String> {
    let missing = properties.keys().filter(|property| !present.contains_key(*property));
    closest(name, missing.map(String::as_str)).map(str::to_owned)
}
