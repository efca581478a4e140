//! Formats bodies: JSON with one value per line and annotations, text, or bytes.
//!
//! It formats the source text instead of a parsed value, so that the order of keys, the digits of numbers, escapes and
//! duplicate keys are shown as sent. It does not recurse, so nesting is unlimited.

mod line;
mod reader;
#[cfg(test)]
mod tests;

use super::format;
pub(super) use line::Mark;
use line::{Line, NotJson};
use reader::Places;

/// The maximum size of a text, in bytes and in lines.
const MOST_BYTES: usize = 64 * 1024;
const MOST_LINES: usize = 2_000;
/// The maximum number of bytes in a hex dump.
const MOST_DUMPED: usize = 4 * 1024;

/// A body by its format, truncated if it is long.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Shown<'t> {
    Nothing,
    Json(Json<'t>),
    Text {
        text: &'t str,
        is_cut: bool,
    },
    /// Neither JSON nor text, as a hex dump.
    Bytes {
        dump: String,
        is_cut: bool,
    },
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

    /// Returns the text of a body that is not JSON.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text { text, .. } => Some(text),
            Self::Bytes { dump, .. } => Some(dump),
            _ => None,
        }
    }

    /// Returns `true` if the body is truncated.
    pub(super) fn is_cut(&self) -> bool {
        match self {
            Self::Nothing => false,
            Self::Json(json) => json.is_cut,
            Self::Text { is_cut, .. } | Self::Bytes { is_cut, .. } => *is_cut,
        }
    }

    /// Returns the name of the format.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Nothing => "none",
            Self::Json(_) => "JSON",
            Self::Text { .. } => "text",
            Self::Bytes { .. } => "bytes",
        }
    }
}

/// Formatted JSON.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Json<'t> {
    pub(super) lines: Vec<Line<'t>>,
    /// `true` if it is truncated.
    pub(super) is_cut: bool,
}

impl<'t> Json<'t> {
    /// Formats the beginning of a text as JSON, with annotations at JSON pointers. An annotation whose target is
    /// missing or not shown is attached to the closest ancestor. For duplicate keys the last one counts, as in most
    /// parsers.
    ///
    /// The text after the shown part is not parsed.
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

/// Returns a pointer and all its ancestors, innermost first.
fn containers(pointer: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(pointer), |inner| inner.rfind('/').map(|end| &inner[..end]))
}

/// Formats a hex dump with 16 bytes per line: offset, digits and printable characters.
fn dump(bytes: &[u8]) -> String {
    let lines = bytes.chunks(16).enumerate().map(|(line, chunk)| {
        let digits: Vec<String> = chunk.iter().map(|byte| format!("{byte:02x}")).collect();
        let letters =
            chunk.iter().map(|byte| if (b' '..=b'~').contains(byte) { char::from(*byte) } else { '.' });
        format!("{:08x}  {:<47}  {}", line * 16, digits.join(" "), letters.collect::<String>())
    });
    lines.collect::<Vec<_>>().join("\n")
}
