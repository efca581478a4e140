//! What is looked for in many texts.

/// A text, prepared to be looked for whatever the case of its letters. Nothing is copied for it, so megabytes take
/// milliseconds.
#[derive(Debug)]
pub(super) enum Needle {
    Ascii(Vec<u8>),
    Other(Vec<char>),
}

impl Needle {
    pub(super) fn new(text: &str) -> Self {
        let folded: String = folded(text).collect();
        if folded.is_ascii() {
            Self::Ascii(folded.into_bytes())
        } else {
            Self::Other(folded.chars().collect())
        }
    }

    /// Whether there is nothing to look for: then it is in every text.
    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::Ascii(needle) if needle.is_empty())
    }

    pub(super) fn is_in(&self, text: &str) -> bool {
        self.is_in_bytes(text.as_bytes())
    }

    /// Bytes that are no text hide only themselves.
    pub(super) fn is_in_bytes(&self, text: &[u8]) -> bool {
        match self {
            Self::Ascii(needle) => has_ascii(text, needle),
            Self::Other(needle) => text.utf8_chunks().any(|chunk| has_letters(chunk.valid(), needle)),
        }
    }
}

fn has_ascii(text: &[u8], needle: &[u8]) -> bool {
    let Some((first, rest)) = needle.split_first() else { return true };
    let first = [*first, first.to_ascii_uppercase()];
    let Some(last) = text.len().checked_sub(needle.len()) else { return false };
    let mut at = 0;
    while at <= last {
        let Some(next) = text[at..=last].iter().position(|byte| first.contains(byte)) else { return false };
        at += next + 1;
        if text[at..at + rest.len()].eq_ignore_ascii_case(rest) {
            return true;
        }
    }
    false
}

fn has_letters(text: &str, needle: &[char]) -> bool {
    let Some(first) = needle.first() else { return true };
    // Most texts need no further look, and most letters neither.
    if text.is_ascii() {
        return false;
    }
    let may_start = |letter: char| !letter.is_ascii() || letter.to_ascii_lowercase() == *first;
    let starts = |at: usize| folded(&text[at..]).take(needle.len()).eq(needle.iter().copied());
    text.char_indices().any(|(at, letter)| may_start(letter) && starts(at))
}

/// The letters as small ones. The sigma that ends a word is one like any other.
fn folded(text: &str) -> impl Iterator<Item = char> {
    let small = text.chars().flat_map(char::to_lowercase);
    small.map(|letter| if letter == 'ς' { 'σ' } else { letter })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_found_wherever_it_is() {
        let cases = [
            ("", "", true),
            ("abc", "", true),
            ("", "a", false),
            ("abc", "abcd", false),
            ("abc", "C", true),
            ("aab", "ab", true),
            ("aAaAb", "aaab", true),
            ("abababc", "ABABC", true),
            ("abab", "abc", false),
            ("Grüße", "RÜß", true),
            ("Grüße", "üsse", false),
            ("üüä", "ÜÄ", true),
            ("Grü", "rüß", false),
            ("ΟΔΟΣ", "οδος", true),
            ("a", "ä", false),
            ("ä\u{212a}", "k", false),
            ("10 k", "\u{212a}", true),
        ];
        for (text, needle, expected) in cases {
            assert_eq!(Needle::new(needle).is_in(text), expected, "{needle} in {text}");
        }
        assert!(Needle::new("é").is_in_bytes(b"\xff\xc3\x89\xff"));
        assert!(Needle::new("").is_empty() && !Needle::new("é").is_empty());
    }
}
