//! Limits the number of values in JSON before it is parsed, because a parsed value may use up to 90 times the memory of its
//! text.

use memchr::{memchr_iter, memchr2};

/// The maximum number of values in a JSON body, counting each element and each field.
pub(crate) const MAX_VALUES: usize = 20_000;

/// Returns `true` if a JSON text has more than [`MAX_VALUES`] values.
///
/// Counts the commas, colons and opening brackets outside of strings, because one of them precedes each value except the
/// first. Invalid JSON is not detected.
pub(crate) fn has_too_many_values(text: &[u8]) -> bool {
    // Each value has at least one byte.
    text.len() > MAX_VALUES && count(text) > MAX_VALUES
}

fn count(text: &[u8]) -> usize {
    let (mut values, mut at) = (1, 0);
    while values <= MAX_VALUES {
        let rest = &text[at..];
        let string = memchr_iter(b'"', rest).next().unwrap_or(rest.len());
        values += rest[..string].iter().filter(|byte| matches!(byte, b',' | b':' | b'[' | b'{')).count();
        if string == rest.len() {
            break;
        }
        at += string + 1;
        // Skip to the end of the string. Any escaped character is skipped as well.
        loop {
            let Some(next) = memchr2(b'"', b'\\', &text[at..]) else { return values };
            let is_end = text[at + next] == b'"';
            at = text.len().min(at + next + if is_end { 1 } else { 2 });
            if is_end {
                break;
            }
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_outside_of_strings() {
        // An opening bracket counts as the value that follows it, so an empty array counts as two.
        let cases = [
            ("", 1),
            ("5", 1),
            ("[]", 2),
            ("[1,2]", 3),
            (r#"{"a":[1,"x,y:[{"],"b":"\"\\,"}"#, 7),
            (r#""a\"#, 1),
            (r#""a\"b,c"#, 1),
        ];
        for (text, values) in cases {
            assert_eq!(count(text.as_bytes()), values, "{text}");
        }
        let array = |length: usize| format!("[{}0]", "0,".repeat(length - 1));
        assert!(!has_too_many_values(array(MAX_VALUES - 1).as_bytes()));
        assert!(has_too_many_values(array(MAX_VALUES).as_bytes()));
        assert!(!has_too_many_values(format!("\"{}\"", ",:[".repeat(300_000)).as_bytes()));
        for nested in ["[", "{\"\":", "[[0],"] {
            assert!(has_too_many_values(nested.repeat(30_000).as_bytes()), "{nested}");
        }
    }
}
