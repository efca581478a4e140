//! Words for a POSIX shell. The library and the program have this file both.

/// One word for a POSIX shell, whatever is in it.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn shells_read_a_quoted_word_back() {
        for (text, expected) in [("Bearer a", "'Bearer a'"), ("it's", r"'it'\''s'")] {
            assert_eq!(quoted(text), expected);
        }
    }
}
