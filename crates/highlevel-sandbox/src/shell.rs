//! Escapes text for a terminal and a POSIX shell. Both the library and the program contain this module.

use std::fmt::Write;

/// Escapes untrusted text for one line of a terminal: control characters, escape sequences, line breaks and
/// bidirectional formatting characters.
#[allow(dead_code, reason = "the library only needs `quoted`")]
pub(crate) fn printable(text: &str) -> String {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return text.to_owned();
    }
    text.chars().fold(String::with_capacity(text.len()), |mut printable, character| {
        if is_printable(character) {
            printable.push(character);
        } else {
            printable.extend(character.escape_unicode());
        }
        printable
    })
}

/// Serializes JSON for one line of a terminal. Characters that are not printable get JSON escapes.
#[allow(dead_code, reason = "the library only needs `quoted`")]
pub(crate) fn json_line(json: &serde_json::Value) -> String {
    json.to_string().chars().fold(String::new(), |mut line, character| {
        if is_printable(character) {
            line.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                // Writing to a string cannot fail.
                let _ = write!(line, "\\u{unit:04x}");
            }
        }
        line
    })
}

/// Quotes any text without NUL as one word for a POSIX shell.
///
/// If a command with control characters is pasted, they can end the quotation or control the terminal. Text with such
/// characters is therefore expressed as a `printf` command.
pub(crate) fn quoted(text: &str) -> String {
    let is_plain = |text: &str| text.chars().all(|character| is_printable(character) || character == '\n');
    if is_plain(text) {
        return format!("'{}'", text.replace('\'', r"'\''"));
    }
    // The shell removes trailing line breaks from the output of a command.
    let printed = text.trim_end_matches('\n');
    let rest = &text[printed.len()..];
    let format = printed.chars().fold(String::new(), |mut format, character| {
        match character {
            '\'' => format.push_str(r"'\''"),
            '\\' => format.push_str(r"\\"),
            '%' => format.push_str("%%"),
            '\n' => format.push_str(r"\n"),
            character if is_printable(character) => format.push(character),
            character => {
                for byte in character.encode_utf8(&mut [0; 4]).bytes() {
                    // Always three digits, so that a digit that follows is not part of the escape.
                    let _ = write!(format, "\\{byte:03o}");
                }
            }
        }
        format
    });
    let rest = if rest.is_empty() { String::new() } else { format!("'{rest}'") };
    // After `--`, text with a leading dash is not an option.
    format!("\"$(printf -- '{format}')\"{rest}")
}

/// Returns `true` for characters without any effect on a terminal. These are the ones that debug output of the standard
/// library does not escape; it escapes control characters, format characters and line separators.
fn is_printable(character: char) -> bool {
    matches!(character, '\'' | '"' | '\\') || {
        let mut escaped = character.escape_debug();
        escaped.next() == Some(character) && escaped.next().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ESC, bell, C1 CSI and NEL, delete, right-to-left override, isolate, zero-width space, line separator, tab.
    const UNPRINTABLE: [char; 10] = [
        '\u{1b}', '\u{7}', '\u{9b}', '\u{85}', '\u{7f}', '\u{202e}', '\u{2066}', '\u{200b}', '\u{2028}', '\t',
    ];

    #[test]
    fn quoted_text_round_trips_through_a_shell() {
        for (text, expected) in [
            ("Bearer a", "'Bearer a'"),
            ("it's", r"'it'\''s'"),
            ("two\nlines\n", "'two\nlines\n'"),
            ("\u{1b}[201~1\nrm", r#""$(printf -- '\033[201~1\nrm')""#),
            ("-a%d\u{9b}'\\7", r#""$(printf -- '-a%%d\302\233'\''\\7')""#),
            ("a\r\n\n", "\"$(printf -- 'a\\015')\"'\n\n'"),
            ("$(id) `id` \"\t", r#""$(printf -- '$(id) `id` "\011')""#),
            ("Grüße 👋", "'Grüße 👋'"),
        ] {
            assert_eq!(quoted(text), expected);
            for shell in ["sh", "bash"] {
                let output =
                    std::process::Command::new(shell).args(["-c", &format!("printf %s {expected}")]).output();
                // If the shell is not installed, only the comparison above applies.
                if let Ok(output) = output {
                    assert_eq!(String::from_utf8(output.stdout).unwrap(), text, "{shell}: {expected}");
                }
            }
        }
    }

    #[test]
    fn control_and_format_characters_are_escaped() {
        for character in UNPRINTABLE {
            let text = format!("a{character}b");
            let escaped = format!("\\u{{{:x}}}", u32::from(character));
            assert_eq!(printable(&text), format!("a{escaped}b"));
            let json = serde_json::json!({ &text: &text });
            let line = json_line(&json);
            assert!(line.chars().all(is_printable), "{line:?}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&line).unwrap(), json);
            assert!(quoted(&text).chars().all(is_printable), "{text:?}");
        }
        assert_eq!(printable("a \"b\" 'c' \\ é 👋"), "a \"b\" 'c' \\ é 👋");
        assert_eq!(json_line(&serde_json::json!("\u{e0041}")), r#""\udb40\udc41""#);
    }
}
