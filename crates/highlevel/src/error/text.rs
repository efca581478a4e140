//! Text of a server in messages.

use std::borrow::Cow;

/// Returns the beginning of a server's text: a body of a megabyte does not belong in a log.
pub(super) fn excerpt(text: &str) -> Cow<'_, str> {
    const CHARACTERS: usize = 1000;
    match text.char_indices().nth(CHARACTERS) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => Cow::Borrowed(text),
    }
}

/// Returns a server's text on one line: with a line break it could forge a line of a log.
pub(super) fn printable(text: &str) -> String {
    let escape = |letter: char| match letter {
        '"' | '\'' => letter.to_string(),
        other => other.escape_debug().to_string(),
    };
    text.chars().map(escape).collect()
}
