//! Case-insensitive search for a term in many texts.

use std::ops::Range;

use memchr::memmem::Finder;

/// The maximum length of a search term, in characters. Longer terms are truncated.
pub(crate) const MAX_CHARS: usize = 200;
/// The size of the blocks in which a text is folded and searched, in bytes.
const BLOCK: usize = 16 * 1024;

/// A search term that matches regardless of case.
///
/// A text is folded block by block and searched with [`memchr::memmem`]. The cost is linear in the length of the text for
/// any term, and only one block is held in memory.
#[derive(Clone, Debug)]
pub(crate) struct SearchTerm {
    finder: Finder<'static>,
    is_ascii: bool,
}

impl SearchTerm {
    pub(crate) fn new(text: &str) -> Self {
        let term: String = text.chars().take(MAX_CHARS).flat_map(folded).collect();
        Self { is_ascii: term.is_ascii(), finder: Finder::new(&term).into_owned() }
    }

    /// Returns `true` if the term is empty, which matches all texts.
    pub(crate) fn is_empty(&self) -> bool {
        self.finder.needle().is_empty()
    }

    pub(crate) fn is_in(&self, text: &str) -> bool {
        self.is_in_bytes(text.as_bytes())
    }

    /// Returns `true` if the term is in `text`. Bytes that are not UTF-8 never match.
    pub(crate) fn is_in_bytes(&self, text: &[u8]) -> bool {
        self.is_empty() || self.blocks(text, &mut |block| self.finder.find(block).is_some())
    }

    /// Returns the byte ranges of a short text that match, in order and without overlaps. An empty term has none.
    pub(crate) fn matches(&self, text: &str) -> Vec<Range<usize>> {
        if self.is_empty() {
            return Vec::new();
        }
        let mut block = String::with_capacity(text.len());
        // For each byte of the folded text, the range of the original letter.
        let mut letters: Vec<Range<usize>> = Vec::with_capacity(text.len());
        for (start, letter) in text.char_indices() {
            block.extend(folded(letter));
            letters.resize(block.len(), start..start + letter.len_utf8());
        }
        let length = self.finder.needle().len();
        let mut ranges: Vec<Range<usize>> = Vec::new();
        for at in self.finder.find_iter(block.as_bytes()) {
            let (first, last) = (&letters[at], &letters[at + length - 1]);
            // A letter that is folded to several can be a part of two matches.
            let start = ranges.last().map_or(first.start, |before| first.start.max(before.end));
            if start < last.end {
                ranges.push(start..last.end);
            }
        }
        ranges
    }

    /// Passes folded blocks of a text to `is_found` until it returns `true`. Blocks overlap by the length of the term.
    fn blocks(&self, text: &[u8], is_found: &mut impl FnMut(&[u8]) -> bool) -> bool {
        let overlap = self.finder.needle().len() - 1;
        if self.is_ascii {
            let mut block = Vec::with_capacity(text.len().min(BLOCK + overlap));
            return (0..text.len()).step_by(BLOCK).any(|start| {
                let end = text.len().min(start + BLOCK + overlap);
                block.clear();
                block.extend(text[start..end].iter().map(u8::to_ascii_lowercase));
                is_found(&block)
            });
        }
        text.utf8_chunks().map(|chunk| chunk.valid()).filter(|valid| !valid.is_ascii()).any(|valid| {
            let mut block = Vec::with_capacity(valid.len().min(BLOCK) + 2 * overlap);
            let mut encoded = [0; 4];
            for letter in valid.chars().flat_map(folded) {
                block.extend_from_slice(letter.encode_utf8(&mut encoded).as_bytes());
                if block.len() >= BLOCK + overlap {
                    if is_found(&block) {
                        return true;
                    }
                    block.drain(..block.len() - overlap);
                }
            }
            is_found(&block)
        })
    }
}

/// Folds the case of a letter. The final sigma is folded to the regular one.
fn folded(letter: char) -> impl Iterator<Item = char> {
    letter.to_lowercase().map(|letter| if letter == 'ς' { 'σ' } else { letter })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_found_at_any_position() {
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
        for (text, term, expected) in cases {
            assert_eq!(SearchTerm::new(term).is_in(text), expected, "{term} in {text}");
        }
        assert!(SearchTerm::new("é").is_in_bytes(b"\xff\xc3\x89\xff"));
        assert!(SearchTerm::new("").is_empty() && !SearchTerm::new("é").is_empty());
    }

    #[test]
    fn matches_are_ranges_of_the_original_text() {
        let cases: [(&str, &str, &[&str]); 8] = [
            ("Hello hello", "HELLO", &["Hello", "hello"]),
            ("Grüße GRÜ", "grü", &["Grü", "GRÜ"]),
            ("aaaa", "aa", &["aa", "aa"]),
            ("İi", "i", &["İ", "i"]),
            ("a\u{212a}b", "kb", &["\u{212a}b"]),
            ("ΟΔΟΣ", "δος", &["ΔΟΣ"]),
            ("abc", "", &[]),
            ("", "a", &[]),
        ];
        for (text, term, expected) in cases {
            let ranges = SearchTerm::new(term).matches(text);
            let found: Vec<&str> = ranges.into_iter().map(|range| &text[range]).collect();
            assert_eq!(found, expected, "{term} in {text}");
        }
    }

    #[test]
    fn terms_are_found_across_block_boundaries() {
        for word in ["needle", "nädel"] {
            let term = SearchTerm::new(&word.to_uppercase());
            for before in BLOCK - 10..BLOCK + 10 {
                let text = format!("{}{word}{}", "é".repeat(before / 2), "x".repeat(before % 2 + BLOCK));
                assert!(term.is_in(&text), "{word} after {before} bytes");
            }
            assert!(!term.is_in(&"nädneedl".repeat(BLOCK)));
        }
    }

    /// Counts the bytes passed to `memchr::memmem`, whose cost is linear in them.
    #[test]
    fn the_cost_of_a_search_does_not_depend_on_the_term() {
        for (letter, end) in [("a", "b"), ("ä", "b")] {
            let text = letter.repeat(1024 * 1024);
            for length in [1, 10, MAX_CHARS, 100_000] {
                let term = SearchTerm::new(&(letter.repeat(length) + end));
                let (mut bytes, mut blocks) = (0, 0);
                let found = term.blocks(text.as_bytes(), &mut |block| {
                    (bytes, blocks) = (bytes + block.len(), blocks + 1);
                    term.finder.find(block).is_some()
                });
                assert_eq!(found, length >= MAX_CHARS, "longer terms are truncated");
                assert!(bytes <= text.len() + blocks * 2 * MAX_CHARS, "{length}: {bytes} bytes");
                assert!(blocks <= text.len() / BLOCK + 1, "{length}: {blocks} blocks");
            }
        }
    }
}
