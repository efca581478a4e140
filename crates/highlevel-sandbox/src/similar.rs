//! Suggestions for misspelt names.

use strsim::damerau_levenshtein;

/// The maximum length of a name for which suggestions are searched, in bytes.
const MAX_NAME: usize = 100;

/// Returns the candidate that is most similar to a name, if one is similar enough to be meant. Case and separators do not
/// count.
pub(crate) fn closest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = candidates.into_iter().filter_map(|each| Some((edits(name, each)?, each)));
    near.min().map(|(_, each)| each)
}

/// Returns the number of typing errors in a name. `None` if there are too many for the length of the word.
pub(crate) fn edits(name: &str, word: &str) -> Option<usize> {
    if name == word {
        return Some(0);
    }
    let limit = (word.len() / 3).max(1);
    if name.len() > MAX_NAME || name.len().abs_diff(word.len()) > limit + 2 {
        return None;
    }
    let plain = |text: &str| text.to_lowercase().replace(['_', '-', ' '], "");
    let (name, word) = (plain(name), plain(word));
    let edits = damerau_levenshtein(&name, &word);
    (edits <= limit && !name.is_empty()).then_some(edits.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_similar_name_is_suggested() {
        let fields = ["contactId", "conversationId", "html", "message", "subject", "to", "type"];
        let cases = [
            ("mesage", Some("message")),
            ("messgae", Some("message")),
            ("Message", Some("message")),
            ("massages", Some("message")),
            ("contact_id", Some("contactId")),
            ("contactID", Some("contactId")),
            ("conversation-id", Some("conversationId")),
            ("htlm", Some("html")),
            ("body", None),
            ("id", None),
            ("phone", None),
            ("x", None),
            ("", None),
            ("mes", None),
        ];
        for (name, expected) in cases {
            assert_eq!(closest(name, fields), expected, "{name}");
        }
        assert_eq!(closest(&"message".repeat(100_000), fields), None);
    }
}
