//! A line of formatted JSON, with its annotations.

use std::borrow::Cow;

/// The maximum indentation depth.
const DEEPEST: usize = 12;
/// The maximum length of a JSON pointer in characters.
const MAX_PLACE: usize = 200;

/// An annotation at a place in JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::inspector) struct Mark {
    /// The ID of the HTML element.
    pub(in crate::inspector) id: String,
    /// The JSON pointer of the place.
    pub(in crate::inspector) pointer: String,
    /// `true` for errors, `false` for warnings.
    pub(in crate::inspector) is_error: bool,
    /// A short label.
    pub(in crate::inspector) name: String,
    pub(in crate::inspector) text: String,
}

impl Mark {
    /// Returns the pointer, truncated: a key can be as long as the body.
    pub(in crate::inspector) fn place(&self) -> Cow<'_, str> {
        match self.pointer.char_indices().nth(MAX_PLACE) {
            Some((end, _)) => format!("{}…", &self.pointer[..end]).into(),
            None => self.pointer.as_str().into(),
        }
    }
}

/// A line with its annotations.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::inspector) struct Line<'t> {
    pub(in crate::inspector) depth: usize,
    pub(in crate::inspector) tokens: Vec<JsonToken<'t>>,
    pub(in crate::inspector) marks: Vec<&'t Mark>,
}

/// A token of JSON.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::inspector) struct JsonToken<'t> {
    pub(in crate::inspector) kind: Kind,
    pub(in crate::inspector) text: Cow<'t, str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::inspector) enum Kind {
    Name,
    Text,
    /// A number, `true`, `false` or `null`.
    Literal,
    /// Punctuation.
    Sign,
}

/// The text is not JSON.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::inspector) struct NotJson;

impl Line<'_> {
    /// Returns the indentation depth.
    pub(in crate::inspector) fn depth(&self) -> usize {
        self.depth.min(DEEPEST)
    }

    pub(in crate::inspector) fn indent(&self) -> &'static str {
        const SPACES: &str = "                        ";
        &SPACES[..2 * self.depth()]
    }

    /// Returns the CSS class of the most severe annotation.
    pub(in crate::inspector) fn class(&self) -> &'static str {
        match self.marks.iter().any(|mark| mark.is_error) {
            true => "is-bad",
            false if self.marks.is_empty() => "",
            false => "is-warn",
        }
    }
}

impl Kind {
    /// Returns the CSS class.
    pub(in crate::inspector) fn class(self) -> &'static str {
        match self {
            Self::Name => "json-name",
            Self::Text => "json-text",
            Self::Literal => "json-literal",
            Self::Sign => "json-sign",
        }
    }
}
