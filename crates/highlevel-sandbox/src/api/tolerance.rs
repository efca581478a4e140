//! Accepts bodies that the validator of the live API accepts although they do not match the spec.
//!
//! Each change is a rule of [`Rule`](crate::Rule), which the ledger names. No content is dropped: a text in a field with
//! another name is moved to the right one.

use serde_json::{Map, Value};

use crate::operation::Operation;

/// Changes a body to the form of the spec, and returns the names of the rules that it violates.
pub(super) fn normalise(operation: Operation, body: &mut Value) -> Vec<&'static str> {
    let mut tolerated = Vec::new();
    if remove_nulls(body) {
        tolerated.push("null-fields");
    }
    let Some(fields) = body.as_object_mut() else { return tolerated };
    match operation {
        Operation::SendMessage => {
            if remove_object(fields, "subType") {
                tolerated.push("sub-type-object");
            }
            if truncate(fields, "scheduledTimestamp") {
                tolerated.push("fractional-timestamp");
            }
        }
        Operation::AddInboundMessage => {
            if remove_object(fields, "direction") {
                tolerated.push("direction-object");
            }
            if !has_text(fields, "message") && has_text(fields, "body") {
                let text = fields.remove("body").unwrap_or_default();
                fields.insert("message".to_owned(), text);
                tolerated.push("body-for-message");
            }
        }
        _ => {}
    }
    tolerated
}

/// Removes the fields with `null` from all objects. Returns `true` if there were any.
pub(super) fn remove_nulls(value: &mut Value) -> bool {
    match value {
        Value::Object(fields) => {
            let count = fields.len();
            fields.retain(|_, value| !value.is_null());
            let mut removed = fields.len() < count;
            for value in fields.values_mut() {
                removed |= remove_nulls(value);
            }
            removed
        }
        Value::Array(entries) => {
            let mut removed = false;
            for value in entries {
                removed |= remove_nulls(value);
            }
            removed
        }
        _ => false,
    }
}

fn remove_object(fields: &mut Map<String, Value>, name: &str) -> bool {
    let is_object = fields.get(name).is_some_and(Value::is_object);
    is_object && fields.remove(name).is_some()
}

/// Truncates a number to an integer. Returns `true` if it had a fraction.
fn truncate(fields: &mut Map<String, Value>, name: &str) -> bool {
    /// The range of integers that a number with a fraction represents exactly.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let Some(number) = fields.get_mut(name) else { return false };
    match number.as_f64() {
        Some(value) if number.is_f64() && value.fract() != 0.0 && value.abs() < EXACT => {
            #[allow(clippy::cast_possible_truncation, reason = "the value is in the range of integers")]
            let seconds = value.trunc() as i64;
            *number = seconds.into();
            true
        }
        _ => false,
    }
}

fn has_text(fields: &Map<String, Value>, name: &str) -> bool {
    fields.get(name).and_then(Value::as_str).is_some_and(|text| !text.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn bodies_get_the_form_of_the_spec() {
        let send = Operation::SendMessage;
        let inbound = Operation::AddInboundMessage;
        let cases: [(Operation, Value, Value, &[&str]); 11] = [
            (send, json!({"message": "a"}), json!({"message": "a"}), &[]),
            (
                send,
                json!({"html": null, "forward": {"toEmail": null, "isForwarded": true}}),
                json!({"forward": {"isForwarded": true}}),
                &["null-fields"],
            ),
            (send, json!({"attachments": [null]}), json!({"attachments": [null]}), &[]),
            (send, json!({"subType": {"x": 1}}), json!({}), &["sub-type-object"]),
            (send, json!({"subType": "Email"}), json!({"subType": "Email"}), &[]),
            (
                send,
                json!({"scheduledTimestamp": 1_800_000_000.75}),
                json!({"scheduledTimestamp": 1_800_000_000}),
                &["fractional-timestamp"],
            ),
            (send, json!({"body": "a"}), json!({"body": "a"}), &[]),
            (inbound, json!({"direction": {}}), json!({}), &["direction-object"]),
            (inbound, json!({"body": "a"}), json!({"message": "a"}), &["body-for-message"]),
            (inbound, json!({"message": " ", "body": "a"}), json!({"message": "a"}), &["body-for-message"]),
            (inbound, json!({"message": "b", "body": "a"}), json!({"message": "b", "body": "a"}), &[]),
        ];
        for (operation, mut body, expected, names) in cases {
            let name = format!("{operation} {body}");
            assert_eq!(normalise(operation, &mut body), names, "{name}");
            assert_eq!(body, expected, "{name}");
        }
    }
}
