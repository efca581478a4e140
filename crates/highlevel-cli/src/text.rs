//! Text of servers and arguments, for terminals and shells.

use std::fmt::Write;

use serde_json::Value;

/// Escapes untrusted text for one line of a terminal: control characters, escape sequences, line breaks and
/// bidirectional formatting characters.
pub(crate) fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for character in text.chars() {
        if is_printable(character) {
            printable.push(character);
        } else {
            printable.extend(character.escape_unicode());
        }
    }
    printable
}

/// Escapes each line of a text.
pub(crate) fn printable_lines(text: &str) -> String {
    text.split('\n').map(printable).collect::<Vec<_>>().join("\n")
}

/// Serializes JSON for one line of a terminal. Characters that are not printable get JSON escapes.
pub(crate) fn json_line(json: &Value) -> String {
    let mut line = String::new();
    for character in json.to_string().chars() {
        if is_printable(character) {
            line.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                // Writing to a string cannot fail.
                let _ = write!(line, "\\u{unit:04x}");
            }
        }
    }
    line
}

/// Returns a path or another argument as one word of a POSIX shell.
pub(crate) fn shell_word(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+:@".contains(&byte);
    if !text.is_empty() && text.bytes().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", printable(text).replace('\'', r"'\''"))
}

/// Returns labelled values, one per line, with the values aligned.
pub(crate) fn rows<'a>(rows: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let rows: Vec<_> = rows.into_iter().collect();
    let width = rows.iter().map(|(label, _)| label.len()).max().unwrap_or_default();
    let lines = rows.iter().map(|(label, value)| format!("  {label:width$}  {}", printable(value)));
    lines.collect::<Vec<_>>().join("\n")
}

/// Returns `true` for characters that have no effect on a terminal other than being shown.
fn is_printable(character: char) -> bool {
    matches!(character, '\'' | '"' | '\\') || {
        let mut escaped = character.escape_debug();
        escaped.next() == Some(character) && escaped.next().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_and_format_characters_are_escaped() {
        for character in ['\u{1b}', '\u{7}', '\u{9b}', '\u{7f}', '\u{202e}', '\u{200b}', '\u{2028}', '\r'] {
            let text = format!("a{character}b");
            assert_eq!(printable(&text), format!("a\\u{{{:x}}}b", u32::from(character)));
            let json = serde_json::json!({ &text: &text });
            let line = json_line(&json);
            assert!(line.chars().all(is_printable), "{line:?}");
            assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), json);
        }
        assert_eq!(printable("a \"b\" 'c' \\ é 👋"), "a \"b\" 'c' \\ é 👋");
        assert_eq!(printable_lines("a\nb\u{1b}"), "a\nb\\u{1b}");
    }

    #[test]
    fn words_of_a_shell_are_quoted() {
        for (text, expected) in [
            ("records/a-1.json", "records/a-1.json"),
            ("my record.json", "'my record.json'"),
            ("it's", r"'it'\''s'"),
            ("$(id)", "'$(id)'"),
            ("", "''"),
        ] {
            assert_eq!(shell_word(text), expected);
        }
    }

    #[test]
    fn values_are_aligned() {
        let text = rows([("id", "a".to_owned()), ("status", "b\u{1b}".to_owned())]);
        assert_eq!(text, "  id      a\n  status  b\\u{1b}");
    }
}
