//! Reads JSON as text, line by line.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::de::IgnoredAny;

use super::line::{JsonToken, Kind, Line, NotJson};
use crate::inspector::format;

/// JSON pointers, each with the line on which its value starts.
pub(super) type Places<'p> = HashMap<&'p str, Option<usize>>;

/// Reads at most `most_bytes` and `most_lines` of a text, and returns `true` if it was truncated. Fills in the lines of
/// the places.
pub(super) fn read<'t>(
    text: &'t str,
    most_bytes: usize,
    most_lines: usize,
    places: &mut Places<'_>,
) -> Result<(Vec<Line<'t>>, bool), NotJson> {
    let lines = vec![Line::default()];
    let path = JsonPath::new(places);
    let mut reader = JsonReader { text, at: 0, most_bytes, most_lines, lines, levels: Vec::new(), path };
    match reader.document() {
        Ok(()) => Ok((reader.lines, false)),
        Err(ReadStop::Full) => Ok((reader.lines, true)),
        Err(ReadStop::NotJson) => Err(NotJson),
    }
}

struct JsonReader<'t, 'a, 'p> {
    text: &'t str,
    at: usize,
    most_bytes: usize,
    most_lines: usize,
    lines: Vec<Line<'t>>,
    levels: Vec<Level>,
    path: JsonPath<'a, 'p>,
}

/// An open array or object.
struct Level {
    is_object: bool,
    /// The number of values read so far.
    entries: usize,
    /// The length of its JSON pointer.
    path: usize,
}

enum ReadStop {
    NotJson,
    /// The size limit is reached.
    Full,
}

impl<'t> JsonReader<'t, '_, '_> {
    fn document(&mut self) -> Result<(), ReadStop> {
        self.value()?;
        while let Some(level) = self.levels.last() {
            let (is_object, is_first, path) = (level.is_object, level.entries == 0, level.path);
            let end = if is_object { '}' } else { ']' };
            if self.next() == Some(end) {
                self.levels.pop();
                if !is_first {
                    self.line()?;
                }
                self.sign()?;
                continue;
            }
            if !is_first {
                if self.next() != Some(',') {
                    return Err(ReadStop::NotJson);
                }
                self.sign()?;
            }
            self.line()?;
            if is_object {
                if self.next() != Some('"') {
                    return Err(ReadStop::NotJson);
                }
                let name = self.scalar(Kind::Name)?;
                let name = serde_json::from_str(name).unwrap_or_else(|_| name.to_owned());
                self.path.enter(path, &name);
                if self.next() != Some(':') {
                    return Err(ReadStop::NotJson);
                }
                self.sign()?;
                self.add(Kind::Sign, Cow::Borrowed(" "));
            } else {
                let place = self.levels.last().map_or(0, |level| level.entries);
                self.path.enter(path, &place.to_string());
            }
            if let Some(level) = self.levels.last_mut() {
                level.entries += 1;
            }
            self.value()?;
        }
        if self.next().is_some() { Err(ReadStop::NotJson) } else { Ok(()) }
    }

    /// Reads a scalar, or the beginning of an array or object.
    fn value(&mut self) -> Result<(), ReadStop> {
        self.path.found(self.lines.len() - 1);
        match self.next() {
            Some(begin @ ('{' | '[')) => {
                self.sign()?;
                let path = self.path.text.len();
                self.levels.push(Level { is_object: begin == '{', entries: 0, path });
            }
            Some('"') => {
                self.scalar(Kind::Text)?;
            }
            _ => {
                self.scalar(Kind::Literal)?;
            }
        }
        Ok(())
    }

    /// Returns the next character that is not white space.
    fn next(&mut self) -> Option<char> {
        let rest = &self.text[self.at..];
        let space = rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
        self.at += space;
        self.text[self.at..].chars().next()
    }

    fn sign(&mut self) -> Result<(), ReadStop> {
        let sign = &self.text[self.at..=self.at];
        self.at += 1;
        if self.at > self.most_bytes {
            return Err(ReadStop::Full);
        }
        self.add(Kind::Sign, Cow::Borrowed(sign));
        Ok(())
    }

    /// Reads a string including its quotes, a number, or a literal.
    fn scalar(&mut self, kind: Kind) -> Result<&'t str, ReadStop> {
        let rest = &self.text[self.at..];
        let length = if kind == Kind::Literal {
            rest.find(|letter: char| !letter.is_ascii_alphanumeric() && !"+-.".contains(letter))
        } else {
            end_of_string(rest)
        };
        let scalar = &rest[..length.unwrap_or(rest.len())];
        if serde_json::from_str::<IgnoredAny>(scalar).is_err() {
            return Err(ReadStop::NotJson);
        }
        let room = self.most_bytes.saturating_sub(self.at);
        if scalar.len() > room {
            self.add(kind, Cow::Owned(format!("{}…", format::beginning(scalar, room))));
            return Err(ReadStop::Full);
        }
        self.at += scalar.len();
        self.add(kind, Cow::Borrowed(scalar));
        Ok(scalar)
    }

    fn add(&mut self, kind: Kind, text: Cow<'t, str>) {
        if let Some(line) = self.lines.last_mut() {
            line.tokens.push(JsonToken { kind, text });
        }
    }

    fn line(&mut self) -> Result<(), ReadStop> {
        if self.lines.len() >= self.most_lines {
            return Err(ReadStop::Full);
        }
        self.lines.push(Line { depth: self.levels.len(), ..Line::default() });
        Ok(())
    }
}

/// The current JSON pointer, and the requested places.
struct JsonPath<'a, 'p> {
    text: String,
    longest: usize,
    places: &'a mut Places<'p>,
}

impl<'a, 'p> JsonPath<'a, 'p> {
    fn new(places: &'a mut Places<'p>) -> Self {
        let longest = places.keys().map(|place| place.len()).max().unwrap_or_default();
        Self { text: String::new(), longest, places }
    }

    /// Appends a segment to the pointer of this length.
    fn enter(&mut self, parent: usize, segment: &str) {
        self.text.truncate(parent);
        // Longer pointers are not requested; skipping them bounds the cost of long keys.
        if self.text.len() <= self.longest {
            self.text.push('/');
            self.text.push_str(&segment.replace('~', "~0").replace('/', "~1"));
        }
    }

    /// Records that a value starts on this line.
    fn found(&mut self, line: usize) {
        if self.text.len() > self.longest {
            return;
        }
        let Some(place) = self.places.get_mut(self.text.as_str()) else { return };
        let before = place.replace(line);
        if before.is_some() {
            // A duplicate key: discard the places inside the previous value.
            let inside = format!("{}/", self.text);
            for (_, place) in self.places.iter_mut().filter(|(pointer, _)| pointer.starts_with(&inside)) {
                *place = None;
            }
        }
    }
}

/// Returns the end of the string that starts here, including its quote.
fn end_of_string(text: &str) -> Option<usize> {
    let mut escaped = false;
    let inside = text.bytes().enumerate().skip(1);
    for (place, byte) in inside {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(place + 1),
            _ => {}
        }
    }
    None
}
