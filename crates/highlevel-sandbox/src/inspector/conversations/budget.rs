//! Limits the size of untrusted content in a page: a message can have a megabyte, and a page has many messages.

use std::fmt::{self, Write};

use serde_json::Value;

use crate::inspector::format;

/// The budget of a page in bytes of HTML. Short texts are shown even if it is exhausted.
const PAGE: usize = 128 * 1024;
/// The maximum size of a text in bytes of HTML.
const TEXT: usize = 4 * 1024;
/// The minimum that is always shown of a text, in bytes of HTML or characters of a line.
const LEAST: usize = 40;
/// The size of the markup of a list item in bytes.
const ITEM: usize = 100;

pub(super) struct Budget {
    left: usize,
}

/// The beginning of a text.
pub(super) struct Excerpt {
    pub(super) text: String,
    /// The number of bytes that are not shown.
    pub(super) rest: usize,
}

/// The first items of a list.
pub(super) struct Listed<T> {
    pub(super) shown: Vec<T>,
    /// The number of items that are not shown.
    pub(super) more: usize,
}

impl Budget {
    pub(super) fn new() -> Self {
        Self { left: PAGE }
    }

    /// Returns the beginning of a text, with its line breaks.
    pub(super) fn text(&mut self, text: &str) -> Excerpt {
        let most = self.left.clamp(LEAST, TEXT);
        let mut taken = 0;
        let end = text.char_indices().find(|(_, letter)| {
            taken += length(*letter);
            taken > most
        });
        let (start, rest) = text.split_at(end.map_or(text.len(), |(at, _)| at));
        self.left = self.left.saturating_sub(taken);
        Excerpt { text: start.to_owned(), rest: rest.len() }
    }

    /// Returns at most `most` characters of a text, on one line.
    pub(super) fn line(&mut self, text: &str, most: usize) -> String {
        let line = format::start(text, if self.left == 0 { LEAST.min(most) } else { most });
        self.spend(&line);
        line
    }

    /// Charges the budget for a text that is shown in full.
    pub(super) fn spend(&mut self, text: &str) {
        self.left = self.left.saturating_sub(text.chars().map(length).sum());
    }

    /// Returns at most `most` items.
    pub(super) fn list<I: Iterator, T>(
        &mut self,
        mut items: I,
        most: usize,
        mut make: impl FnMut(&mut Self, I::Item) -> T,
    ) -> Listed<T> {
        let mut shown = Vec::new();
        while shown.len() < most && self.left > 0 {
            let Some(item) = items.next() else { break };
            self.left = self.left.saturating_sub(ITEM);
            shown.push(make(self, item));
        }
        Listed { shown, more: items.count() }
    }
}

/// Returns the size of a character in HTML, in bytes.
fn length(letter: char) -> usize {
    if matches!(letter, '<' | '>' | '&' | '"' | '\'') { "&#60;".len() } else { letter.len_utf8() }
}

/// Formats a JSON value, at most `most` characters on one line.
pub(super) fn value(value: &Value, most: usize) -> String {
    if let Value::String(text) = value {
        return format::start(text, most);
    }
    let mut line = Line { text: String::new(), left: most + 1 };
    // Writing fails as soon as the limit is reached.
    let _ = write_value(&mut line, value);
    format::start(&line.text, most)
}

fn write_value(line: &mut Line, value: &Value) -> fmt::Result {
    match value {
        Value::String(text) => line.write_str(text),
        Value::Array(all) => all.iter().enumerate().try_for_each(|(place, each)| {
            line.write_str(if place == 0 { "" } else { ", " })?;
            write_value(line, each)
        }),
        other => write!(line, "{other}"),
    }
}

/// A writer that accepts a limited number of characters.
struct Line {
    text: String,
    left: usize,
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for letter in text.chars() {
            self.left = self.left.checked_sub(1).ok_or(fmt::Error)?;
            self.text.push(letter);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        let cases = [
            ("", 0),
            (&*"a".repeat(TEXT), TEXT),
            (&*"a".repeat(TEXT + 1), TEXT),
            (&*"€".repeat(TEXT), TEXT / 3 * 3),
            (&*"<".repeat(TEXT), TEXT / 5),
        ];
        for (text, expected) in cases {
            let beginning = Budget::new().text(text);
            assert_eq!((beginning.text.as_str(), beginning.rest), (&text[..expected], text.len() - expected));
        }
    }

    #[test]
    fn little_is_shown_when_all_is_spent() {
        let mut budget = Budget::new();
        let long = "b".repeat(TEXT);
        let mut together = 0;
        for _ in 0..PAGE / TEXT {
            together += budget.text(&long).text.len();
        }
        assert_eq!(together, PAGE);
        assert_eq!(budget.text(&long).text.len(), LEAST);
        assert_eq!(budget.line(&long, 300).chars().count(), LEAST + 1);
        let listed = budget.list(0..7, 3, |_, number| number);
        assert_eq!((listed.shown, listed.more), (vec![], 7));
        let listed = Budget::new().list(0..7, 3, |_, number| number);
        assert_eq!((listed.shown, listed.more), (vec![0, 1, 2], 4));
    }

    #[test]
    fn a_value_is_one_line() {
        let cases = [
            (json!("a\n b"), "a b"),
            (json!("abcdefghi"), "abcdefgh…"),
            (json!(["a", ["b", 1]]), "a, b, 1"),
            (json!(["abcdef", "ghi", "j"]), "abcdef, …"),
            (json!({ "a": null }), r#"{"a":nul…"#),
            (json!([]), ""),
        ];
        for (given, expected) in cases {
            assert_eq!(value(&given, 8), expected, "{given}");
        }
    }
}
