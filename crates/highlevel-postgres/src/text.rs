//! Text that PostgreSQL can store. It stores U+0000 neither in text nor in `jsonb`, and no long values in an index; anything
//! that is received may be so.

use std::borrow::Cow;

use serde_json::Value;
use sha2::{Digest, Sha256};

/// The longest value that is stored in an index, in bytes.
pub(crate) const LONGEST_KEY: usize = 1_024;

/// Returns the SHA-256 of a text, in hexadecimal digits.
pub(crate) fn sha256(text: &str) -> String {
    let digits = |byte: &u8| [byte >> 4, byte & 0xf].map(|digit| char::from_digit(digit.into(), 16));
    Sha256::digest(text.as_bytes()).iter().flat_map(digits).flatten().collect()
}

/// Returns `true` if a string or a name in the value contains U+0000.
pub(crate) fn contains_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(values) => values.iter().any(contains_nul),
        Value::Object(fields) => {
            fields.iter().any(|(name, value)| name.contains('\0') || contains_nul(value))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Replaces U+0000 by the replacement character.
pub(crate) fn storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', "\u{fffd}").into() } else { text.into() }
}

/// Replaces U+0000 in all strings and names of the value.
pub(crate) fn storable_json(value: Value) -> Value {
    if !contains_nul(&value) {
        return value;
    }
    match value {
        Value::String(text) => Value::String(storable(&text).into_owned()),
        Value::Array(values) => values.into_iter().map(storable_json).collect(),
        Value::Object(fields) => fields
            .into_iter()
            .map(|(name, value)| (storable(&name).into_owned(), storable_json(value)))
            .collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_character_is_replaced_at_any_depth() {
        let rows = [
            ("a string", json!("a\0b"), json!("a\u{fffd}b")),
            ("an array", json!([1, ["\0"]]), json!([1, ["\u{fffd}"]])),
            ("a name", json!({ "a\0": { "b": "\0" } }), json!({ "a\u{fffd}": { "b": "\u{fffd}" } })),
            ("nothing to replace", json!({ "a": [null, true, "b"] }), json!({ "a": [null, true, "b"] })),
        ];
        for (name, received, stored) in rows {
            assert_eq!(contains_nul(&received), received != stored, "{name}");
            assert_eq!(storable_json(received), stored, "{name}");
        }
    }
}
