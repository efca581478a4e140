//! What things weigh in memory. The bounds of everything that is retained count these bytes, and not those of some text.

use std::mem::size_of;

use serde_json::Value;

/// What an allocator takes for a block: its own eight bytes, in steps of sixteen, at least 32.
pub(crate) fn block(bytes: usize) -> usize {
    if bytes == 0 { 0 } else { bytes.saturating_add(23).max(32) & !15 }
}

/// What a string holds beside its own three words.
pub(crate) fn text(text: &str) -> usize {
    block(text.len())
}

/// What an optional string holds.
pub(crate) fn option(value: Option<&String>) -> usize {
    value.map_or(0, |value| text(value))
}

/// What a list of strings holds.
pub(crate) fn texts(list: &[String]) -> usize {
    block(size_of_val(list)) + list.iter().map(|each| text(each)).sum::<usize>()
}

/// What headers hold.
pub(crate) fn headers(headers: &[(String, String)]) -> usize {
    let each = |(name, value): &(String, String)| text(name) + text(value);
    block(size_of_val(headers)) + headers.iter().map(each).sum::<usize>()
}

/// What a parsed JSON value holds. An object is a tree whose nodes have room for eleven fields each and are at least half
/// full, the first one aside; a list may have twice the room that it needs.
pub(crate) fn json(value: &Value) -> usize {
    const NODE: usize = 11 * (size_of::<String>() + size_of::<Value>()) + 16;
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(string) => text(string),
        Value::Array(values) => {
            block(values.capacity() * size_of::<Value>()) + values.iter().map(json).sum::<usize>()
        }
        Value::Object(fields) => {
            let nodes = fields.len().div_ceil(5);
            nodes * block(NODE) + fields.iter().map(|(name, value)| text(name) + json(value)).sum::<usize>()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_as_an_allocator_has_them() {
        let cases =
            [(0, 0), (1, 32), (8, 32), (24, 32), (25, 48), (40, 48), (41, 64), (1_000_000, 1_000_016)];
        for (bytes, weight) in cases {
            assert_eq!(block(bytes), weight, "{bytes}");
        }
    }

    #[test]
    fn small_values_weigh_many_times_their_text() {
        let numbers = serde_json::from_str::<Value>(&format!("[{}0]", "0,".repeat(999))).unwrap();
        assert!(json(&numbers) >= 1_000 * size_of::<Value>());
        let objects = serde_json::from_str::<Value>(&format!("[{}{{}}]", "{\"\":0},".repeat(999))).unwrap();
        assert!(json(&objects) >= 999 * 600, "{}", json(&objects));
    }
}
