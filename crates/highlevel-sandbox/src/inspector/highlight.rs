//! Marks the matches of a search in a text.

use crate::search_term::SearchTerm;

/// A text in pieces, some of which match the search.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Highlighted {
    pub(super) pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) text: String,
    pub(super) is_match: bool,
}

impl Highlighted {
    /// Splits a short text at the matches of a term.
    pub(super) fn new(text: &str, term: &SearchTerm) -> Self {
        let mut pieces = Vec::new();
        let mut end = 0;
        let mut add = |text: &str, is_match| {
            if !text.is_empty() {
                pieces.push(Piece { text: text.to_owned(), is_match });
            }
        };
        for range in term.matches(text) {
            add(&text[end..range.start], false);
            end = range.end;
            add(&text[range], true);
        }
        add(&text[end..], false);
        Self { pieces }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    pub(super) fn has_match(&self) -> bool {
        self.pieces.iter().any(|piece| piece.is_match)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_are_pieces() {
        let cases = [
            ("Hello Grace", "grace", "Hello [Grace]"),
            ("Grace", "grace", "[Grace]"),
            ("Grace", "ada", "Grace"),
            ("Grace", "", "Grace"),
            ("", "a", ""),
            ("aXbxc", "x", "a[X]b[x]c"),
        ];
        for (text, term, expected) in cases {
            let found = Highlighted::new(text, &SearchTerm::new(term));
            let pieces = found.pieces.iter();
            let shown: String = pieces
                .map(|Piece { text, is_match }| if *is_match { format!("[{text}]") } else { text.clone() })
                .collect();
            assert_eq!((shown.as_str(), found.has_match()), (expected, expected.contains('[')), "{term}");
        }
    }
}
