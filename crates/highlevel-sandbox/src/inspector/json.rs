//! Bodies for people: JSON with one value a line and marks at places in it, text, or bytes.
//!
//! It goes by the text and not by what a parser makes of it, so the order of the names, the digits of numbers, escapes, and
//! names that come twice are shown as they were sent. It does not recurse, so nesting has no limit.

mod reader;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use super::format;
use reader::Places;

/// How deep lines are indented at most.
const DEEPEST: usize = 12;
/// How much of a text is shown, in bytes and in lines.
const MOST_BYTES: usize = 64 * 1024;
const MOST_LINES: usize = 2_000;
/// How much is shown as hexadecimal digits, in bytes.
const MOST_DUMPED: usize = 4 * 1024;

/// How much of a JSON pointer is shown, in characters.
const LONGEST_PLACE: usize = 200;

/// A body as what it is. Of a long one, the beginning.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Shown<'t> {
    Nothing,
    Json(Json<'t>),
    Text {
        text: &'t str,
        is_cut: bool,
    },
    /// Neither JSON nor text, as hexadecimal digits.
    Bytes {
        dump: String,
        is_cut: bool,
    },
}

/// Something to say about a place in JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    /// Of the page, to link to.
    pub(super) id: String,
    /// The JSON pointer of the place.
    pub(super) pointer: String,
    /// Whether it is wrong, and not only remarkable.
    pub(super) is_error: bool,
    /// In a word.
    pub(super) name: String,
    pub(super) text: String,
}

impl Mark {
    /// The place in no more than a line: a name in JSON can be as long as the body.
    pub(super) fn place(&self) -> Cow<'_, str> {
        match self.pointer.char_indices().nth(LONGEST_PLACE) {
            Some((end, _)) => format!("{}…", &self.pointer[..end]).into(),
            None => self.pointer.as_str().into(),
        }
    }
}

impl<'t> Shown<'t> {
    pub(super) fn of(body: &'t [u8], marks: &'t [Mark]) -> Self {
        if body.is_empty() {
            return Self::Nothing;
        }
        match std::str::from_utf8(body) {
            Ok(text) if !text.contains('\0') => {
                let as_text = |NotJson| {
                    let start = format::beginning(text, MOST_BYTES);
                    Self::Text { text: start, is_cut: start.len() < text.len() }
                };
                Json::show(text, marks).map_or_else(as_text, Self::Json)
            }
            _ => Self::Bytes {
                dump: dump(&body[..body.len().min(MOST_DUMPED)]),
                is_cut: body.len() > MOST_DUMPED,
            },
        }
    }

    pub(super) fn json(&self) -> Option<&Json<'t>> {
        if let Self::Json(json) = self { Some(json) } else { None }
    }

    /// What is no JSON.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text { text, .. } => Some(text),
            Self::Bytes { dump, .. } => Some(dump),
            _ => None,
        }
    }

    /// Whether there is more of it than is shown.
    pub(super) fn is_cut(&self) -> bool {
        match self {
            Self::Nothing => false,
            Self::Json(json) => json.is_cut,
            Self::Text { is_cut, .. } | Self::Bytes { is_cut, .. } => *is_cut,
        }
    }

    /// What it is called.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Nothing => "none",
            Self::Json(_) => "JSON",
            Self::Text { .. } => "text",
            Self::Bytes { .. } => "bytes",
        }
    }
}

/// JSON by lines.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Json<'t> {
    pub(super) lines: Vec<Line<'t>>,
    /// Whether there is more of it than is shown.
    pub(super) is_cut: bool,
}

/// A line, and what there is to say about it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Line<'t> {
    depth: usize,
    pub(super) tokens: Vec<Token<'t>>,
    pub(super) marks: Vec<&'t Mark>,
}

/// A word of JSON.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Token<'t> {
    pub(super) kind: Kind,
    pub(super) text: Cow<'t, str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Name,
    Text,
    /// A number, `true`, `false` or `null`.
    Literal,
    /// Braces, commas, and the like.
    Sign,
}

/// The text is not JSON.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotJson;

impl<'t> Json<'t> {
    /// The beginning of a text as JSON, with marks at JSON pointers. A mark whose place is not there, or is not shown,
    /// stands at what would contain it. Of a name that comes twice the last one counts, as it does to most parsers.
    ///
    /// What comes after the part that is shown is not looked at.
    fn show(text: &'t str, marks: &'t [Mark]) -> Result<Self, NotJson> {
        Self::read(text, MOST_BYTES, MOST_LINES, marks)
    }

    fn read(text: &'t str, most_bytes: usize, most_lines: usize, marks: &'t [Mark]) -> Result<Self, NotJson> {
        let mut places = Places::new();
        for mark in marks {
            places.extend(containers(&mark.pointer).map(|container| (container, None)));
        }
        let (mut lines, is_cut) = reader::read(text, most_bytes, most_lines, &mut places)?;
        for mark in marks {
            let mut containers = containers(&mark.pointer);
            let place = containers.find_map(|container| places.get(container).copied().flatten());
            if let Some(line) = lines.get_mut(place.unwrap_or_default()) {
                line.marks.push(mark);
            }
        }
        Ok(Self { lines, is_cut })
    }
}

impl Line<'_> {
    /// How deep it is indented.
    pub(super) fn depth(&self) -> usize {
        self.depth.min(DEEPEST)
    }

    pub(super) fn indent(&self) -> &'static str {
        const SPACES: &str = "                        ";
        &SPACES[..2 * self.depth()]
    }

    /// The class of the style sheet for what is remarked on.
    pub(super) fn class(&self) -> &'static str {
        match self.marks.iter().any(|mark| mark.is_error) {
            true => "is-bad",
            false if self.marks.is_empty() => "",
            false => "is-warn",
        }
    }
}

impl Kind {
    /// The class of the style sheet.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Name => "json-name",
            Self::Text => "json-text",
            Self::Literal => "json-literal",
            Self::Sign => "json-sign",
        }
    }
}

/// A pointer and all that it is in, from the inside out.
fn containers(pointer: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(pointer), |inner| inner.rfind('/').map(|end| &inner[..end]))
}

/// Sixteen bytes a line: where it begins, the digits, and the letters that there are.
fn dump(bytes: &[u8]) -> String {
    let lines = bytes.chunks(16).enumerate().map(|(line, chunk)| {
        let digits: Vec<String> = chunk.iter().map(|byte| format!("{byte:02x}")).collect();
        let letters =
            chunk.iter().map(|byte| if (b' '..=b'~').contains(byte) { char::from(*byte) } else { '.' });
        format!("{:08x}  {:<47}  {}", line * 16, digits.join(" "), letters.collect::<String>())
    });
    lines.collect::<Vec<_>>().join("\n")
}
