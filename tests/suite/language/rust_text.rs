//! Finds comments and string literals in Rust source.

use std::iter::Peekable;
use std::str::Chars;

/// A piece of text on one line of a source file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text {
    /// Counted from 1.
    pub(super) line: usize,
    pub(super) kind: Kind,
    /// Without the slashes or quotes.
    pub(super) content: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `//`
    Comment,
    /// `///` or `//!`
    Doc,
    /// A string literal, byte strings and raw strings included. Each line of it is a text.
    Literal,
}

/// Returns the comments and string literals of a source file. Block comments are skipped: the project has none.
pub(super) fn texts(source: &str) -> Vec<Text> {
    Lexer { chars: source.chars().peekable(), line: 1, found: Vec::new() }.run()
}

struct Lexer<'a> {
    chars: Peekable<Chars<'a>>,
    line: usize,
    found: Vec<Text>,
}

impl Lexer<'_> {
    fn run(mut self) -> Vec<Text> {
        let mut before = ' ';
        while let Some(current) = self.next() {
            match current {
                '/' if self.chars.peek() == Some(&'/') => self.comment(),
                '/' if self.chars.peek() == Some(&'*') => self.block_comment(),
                '"' => self.literal(None),
                'r' if before == 'b' || !is_identifier(before) => self.raw_literal(),
                '\'' => self.char_or_lifetime(),
                _ => {}
            }
            before = current;
        }
        self.found
    }

    fn next(&mut self) -> Option<char> {
        let next = self.chars.next();
        if next == Some('\n') {
            self.line += 1;
        }
        next
    }

    fn push(&mut self, line: usize, kind: Kind, text: &str) {
        self.found.push(Text { line, kind, content: text.trim().to_owned() });
    }

    fn comment(&mut self) {
        let line = self.line;
        let mut text = String::from("/");
        while let Some(next) = self.next().filter(|next| *next != '\n') {
            text.push(next);
        }
        let is_doc = text.starts_with("///") && !text.starts_with("////") || text.starts_with("//!");
        let kind = if is_doc { Kind::Doc } else { Kind::Comment };
        self.push(line, kind, text.trim_start_matches(['/', '!']));
    }

    fn block_comment(&mut self) {
        let mut before = ' ';
        while let Some(next) = self.next() {
            if before == '*' && next == '/' {
                return;
            }
            before = next;
        }
    }

    /// Reads the rest of a literal after its opening quote. `hashes` is their number in a raw literal, which has no
    /// escapes.
    fn literal(&mut self, hashes: Option<usize>) {
        let (mut text, mut line) = (String::new(), self.line);
        while let Some(next) = self.next() {
            match next {
                '\\' if hashes.is_none() => match self.next() {
                    Some('\n') => {
                        self.push(line, Kind::Literal, &std::mem::take(&mut text));
                        line = self.line;
                    }
                    Some('n' | 't' | 'r') => text.push(' '),
                    Some(escaped) => text.push(escaped),
                    None => break,
                },
                '"' if self.closes(hashes.unwrap_or(0)) => break,
                '\n' => {
                    self.push(line, Kind::Literal, &std::mem::take(&mut text));
                    line = self.line;
                }
                _ => text.push(next),
            }
        }
        self.push(line, Kind::Literal, &text);
    }

    /// Returns `true`, and skips the hashes, if as many of them follow as the literal was opened with.
    fn closes(&mut self, hashes: usize) -> bool {
        let mut ahead = self.chars.clone();
        if !(0..hashes).all(|_| ahead.next() == Some('#')) {
            return false;
        }
        self.chars = ahead;
        true
    }

    /// Reads a raw literal after its `r`. A raw identifier (`r#type`) or a name that begins with `r` is none.
    fn raw_literal(&mut self) {
        let mut ahead = self.chars.clone();
        let mut hashes = 0;
        while ahead.next_if_eq(&'#').is_some() {
            hashes += 1;
        }
        if ahead.next() == Some('"') {
            self.chars = ahead;
            self.literal(Some(hashes));
        }
    }

    /// Skips a character literal, so that a quote in it opens no string. A lifetime is left alone.
    fn char_or_lifetime(&mut self) {
        let mut ahead = self.chars.clone();
        match (ahead.next(), ahead.next()) {
            (Some('\\'), _) => {
                self.next();
                self.next();
                while self.next().is_some_and(|next| next != '\'') {}
            }
            (Some(_), Some('\'')) => {
                self.next();
                self.next();
            }
            _ => {}
        }
    }
}

fn is_identifier(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

#[test]
fn comments_and_literals_are_found_with_their_lines() {
    let source = r##"//! A module.
/// A function.
fn f<'a>(x: &'a str) -> char { // trailing
    let _ = "one \
        two // not a comment
        three";
    let _ = (r#"raw "quoted" text"#, br"bytes", "escaped \" quote", "");
    let r#type = '"';
    ['\'', '\\', '\u{22}']
} // last"##;
    let found: Vec<(usize, Kind, String)> =
        texts(source).into_iter().map(|text| (text.line, text.kind, text.content)).collect();
    let expected = [
        (1, Kind::Doc, "A module."),
        (2, Kind::Doc, "A function."),
        (3, Kind::Comment, "trailing"),
        (4, Kind::Literal, "one"),
        (5, Kind::Literal, "two // not a comment"),
        (6, Kind::Literal, "three"),
        (7, Kind::Literal, "raw \"quoted\" text"),
        (7, Kind::Literal, "bytes"),
        (7, Kind::Literal, "escaped \" quote"),
        (7, Kind::Literal, ""),
        (10, Kind::Comment, "last"),
    ];
    let expected: Vec<(usize, Kind, String)> =
        expected.into_iter().map(|(line, kind, text)| (line, kind, text.to_owned())).collect();
    assert_eq!(found, expected);
}
