//! Text for a terminal and words for a POSIX shell. The library and the program both contain this file.

use std::fmt::Write;

/// Text from outside, fit for one line of a terminal: control characters, escape sequences, line breaks and marks that
/// change the direction of writing are escaped.
#[allow(dead_code, reason = "the library only needs `quoted`")]
pub(crate) fn printable(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut printable, character| {
        if is_printable(character) {
            printable.push(character);
        } else {
            printable.extend(character.escape_unicode());
        }
        printable
    })
}

/// JSON for one line of a terminal. Whatever is not printable is escaped, as JSON has it.
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

/// One word for a POSIX shell, whatever is in it but NUL. Pasted as they are, control characters can leave the quotation
/// or act on the terminal, so text that has some is written by `printf`.
pub(crate) fn quoted(text: &str) -> String {
    let is_plain = |text: &str| text.chars().all(|character| is_printable(character) || character == '\n');
    if is_plain(text) {
        return format!("'{}'", text.replace('\'', r"'\''"));
    }
    // The shell removes line breaks from the end of what a command prints.
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
                    // Three digits, so that no digit that follows is taken for a part of it.
                    let _ = write!(format, "\\{byte:03o}");
                }
            }
        }
        format
    });
    let rest = if rest.is_empty() { String::new() } else { format!("'{rest}'") };
    // After `--`, text that begins with a dash is not an option.
    format!("\"$(printf -- '{format}')\"{rest}")
}

/// Returns `true` for characters that a terminal shows and does nothing else with. The standard library escapes the
/// others in debug output: control characters, format characters such as bidirectional overrides, separators of lines.
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
    const HOSTILE: [char; 10] = [
        '\u{1b}', '\u{7}', '\u{9b}', '\u{85}', '\u{7f}', '\u{202e}', '\u{2066}', '\u{200b}', '\u{2028}', '\t',
    ];

    #[test]
    fn shells_read_a_quoted_word_back() {
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
                // Where there is no such shell, the comparison above has to do.
                if let Ok(output) = output {
                    assert_eq!(String::from_utf8(output.stdout).unwrap(), text, "{shell}: {expected}");
                }
            }
        }
    }

    #[test]
    fn nothing_that_acts_on_a_terminal_is_printed() {
        for character in HOSTILE {
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
