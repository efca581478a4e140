//! Estimates of memory usage, used for all memory limits.

use std::mem::size_of;

use serde_json::Value;

/// Returns the memory used by an allocation: eight bytes of overhead, rounded up to a multiple of 16, at least 32.
pub(crate) fn block(bytes: usize) -> usize {
    if bytes == 0 { 0 } else { bytes.saturating_add(23).max(32) & !15 }
}

/// Returns the heap memory of a string.
pub(crate) fn text(text: &str) -> usize {
    block(text.len())
}

/// Returns the heap memory of an optional string.
pub(crate) fn option(value: Option<&String>) -> usize {
    value.map_or(0, |value| text(value))
}

/// Returns the heap memory of a list of strings.
pub(crate) fn texts(list: &[String]) -> usize {
    block(size_of_val(list)) + list.iter().map(|each| text(each)).sum::<usize>()
}

/// Returns the heap memory of headers.
pub(crate) fn headers(headers: &[(String, String)]) -> usize {
    let each = |(name, value): &(String, String)| text(name) + text(value);
    block(size_of_val(headers)) + headers.iter().map(each).sum::<usize>()
}

/// Returns the heap memory of a parsed JSON value. An object is a B-tree whose nodes have capacity for eleven fields and,
/// except the root, are at least half full. An array may have twice the capacity that it needs.
pub(crate) fn json(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(string) => text(string),
        Value::Array(values) => {
            block(values.capacity() * size_of::<Value>()) + values.iter().map(json).sum::<usize>()
        }
        Value::Object(fields) => {
            self::fields(fields.len())
                + fields.iter().map(|(name, value)| text(name) + json(value)).sum::<usize>()
        }
    }
}

/// Returns the heap memory of the nodes of an object with a number of fields.
pub(crate) fn fields(count: usize) -> usize {
    const NODE: usize = 11 * (size_of::<String>() + size_of::<Value>()) + 16;
    count.div_ceil(5) * block(NODE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allocations_are_rounded_up() {
        let cases =
            [(0, 0), (1, 32), (8, 32), (24, 32), (25, 48), (40, 48), (41, 64), (1_000_000, 1_000_016)];
        for (bytes, weight) in cases {
            assert_eq!(block(bytes), weight, "{bytes}");
        }
    }

    #[test]
    fn small_values_use_many_times_the_memory_of_their_text() {
        let numbers = serde_json::from_str::<Value>(&format!("[{}0]", "0,".repeat(999))).unwrap();
        assert!(json(&numbers) >= 1_000 * size_of::<Value>());
        let objects = serde_json::from_str::<Value>(&format!("[{}{{}}]", "{\"\":0},".repeat(999))).unwrap();
        assert!(json(&objects) >= 999 * 600, "{}", json(&objects));
    }
}
