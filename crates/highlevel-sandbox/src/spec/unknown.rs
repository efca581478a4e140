//! Finds fields that are not in a schema.

use serde_json::Value;

use super::schema::referenced_schema;
use super::violation::{MAX_POINTER, escape, shortened};

/// Calls `found` with the pointer of each field of `value` that is not in `schema`. Objects without `properties` in the
/// schema are not searched. Long pointers are truncated.
pub(super) fn fields(
    schemas: &Value,
    schema: &Value,
    value: &Value,
    pointer: &mut String,
    found: &mut impl FnMut(&str),
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
                    Some(schema) => fields(schemas, schema, value, pointer, found),
                    None => found(&shortened(pointer, MAX_POINTER)),
                }
                pointer.truncate(length);
            }
        }
        Value::Array(entries) => {
            let Some(items) = schema.get("items") else { return };
            for (index, value) in entries.iter().enumerate() {
                pointer.push('/');
                pointer.push_str(&index.to_string());
                fields(schemas, items, value, pointer, found);
                pointer.truncate(length);
            }
        }
        _ => {}
    }
}
