//! What is to be shown, as it stands in the address: so that it can be shared, and is there after going back.

use crate::Spec;
use crate::search_term::MAX_CHARS;

/// How many rows a list has, and at most.
const ROWS: usize = 50;
const MOST_ROWS: usize = 500;

/// The schemas that have the channels of messages.
pub(super) const CHANNELS: [&str; 2] = ["SendMessageType", "InboundMessageType"];

/// What a search is for. What is empty does not matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Filter {
    /// Text that has to be somewhere, whatever the case of its letters.
    pub(super) text: String,
    /// The id, or a part of the name, of a contact.
    pub(super) contact: String,
    /// The `type` of messages, for example `SMS`.
    pub(super) channel: String,
    /// What a status has to be: a word, or the beginning of a number.
    pub(super) status: String,
    /// Only what went wrong.
    pub(super) failures: bool,
    /// How many rows are shown.
    pub(super) rows: usize,
}

impl Filter {
    /// The filter of a query. What it does not understand it leaves out, for a page is better than a refusal.
    pub(super) fn of(query: &str) -> Self {
        let mut filter = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let value: String = value.trim().chars().take(MAX_CHARS).collect();
            match &*name {
                "text" => filter.text = value,
                "contact" => filter.contact = value,
                "channel" => filter.channel = value,
                "status" => filter.status = value,
                "failures" => filter.failures = value == "1",
                "rows" => filter.rows = value.parse().unwrap_or(ROWS).clamp(ROWS, MOST_ROWS),
                _ => {}
            }
        }
        filter
    }

    /// As a query with its question mark; empty when there is nothing to say.
    pub(super) fn query(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let words = [
            ("text", &self.text),
            ("contact", &self.contact),
            ("channel", &self.channel),
            ("status", &self.status),
        ];
        for (name, value) in words.into_iter().filter(|(_, value)| !value.is_empty()) {
            query.append_pair(name, value);
        }
        if self.failures {
            query.append_pair("failures", "1");
        }
        if self.rows != ROWS {
            query.append_pair("rows", &self.rows.to_string());
        }
        let query = query.finish();
        if query.is_empty() { query } else { format!("?{query}") }
    }

    /// The same with more rows, if there can be more.
    pub(super) fn longer(&self) -> Option<Self> {
        let rows = (self.rows + 2 * ROWS).min(MOST_ROWS);
        (rows > self.rows).then(|| Self { rows, ..self.clone() })
    }

    /// Whether it lets everything through.
    pub(super) fn is_open(&self) -> bool {
        Self { rows: ROWS, ..self.clone() } == Self::default()
    }

    /// Whether a status is one of those that are searched for: `failed`, `404`, or `4` for all that begin so.
    pub(super) fn has_status(&self, status: &str) -> bool {
        let wanted = self.status.trim_end_matches(['x', 'X']);
        status.get(..wanted.len()).is_some_and(|start| start.eq_ignore_ascii_case(wanted))
    }
}

/// The values that can be chosen, with the one of the address, which may be another: what is in force is shown.
pub(super) fn with_chosen<'a, T: AsRef<str> + From<&'a str>>(mut values: Vec<T>, chosen: &'a str) -> Vec<T> {
    if !chosen.is_empty() && !values.iter().any(|value| value.as_ref() == chosen) {
        values.push(chosen.into());
    }
    values
}

/// The words that the specification has under any of these names, each once.
pub(super) fn words_of(spec: &'static Spec, schemas: &[&str]) -> Vec<&'static str> {
    let mut words: Vec<&'static str> = Vec::new();
    for word in schemas.iter().flat_map(|schema| spec.allowed_values(schema)) {
        if !words.contains(&word) {
            words.push(word);
        }
    }
    words
}

impl Default for Filter {
    fn default() -> Self {
        let nothing = String::new;
        Self {
            text: nothing(),
            contact: nothing(),
            channel: nothing(),
            status: nothing(),
            failures: false,
            rows: ROWS,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_as_it_was_written() {
        let filters = [
            Filter::default(),
            Filter { text: "a&b=<ü> +%".to_owned(), failures: true, ..Filter::default() },
            Filter { contact: "Grace".to_owned(), channel: "SMS".to_owned(), ..Filter::default() },
            Filter { status: "4xx".to_owned(), rows: 150, ..Filter::default() },
        ];
        for filter in filters {
            assert_eq!(Filter::of(filter.query().trim_start_matches('?')), filter, "{}", filter.query());
        }
        assert_eq!(Filter::default().query(), "");
        let long = Filter::of(&format!("text={}&contact={}", "ä".repeat(30_000), "b".repeat(30_000)));
        assert_eq!((long.text.chars().count(), long.contact.len()), (MAX_CHARS, MAX_CHARS));
        assert_eq!(Filter::of("rows=1000000").rows, MOST_ROWS);
        assert_eq!(Filter::of("rows=0&other=1&text=%ff").rows, ROWS);
    }

    #[test]
    fn a_status_is_a_word_or_the_beginning_of_a_number() {
        let cases = [
            ("", "404", true),
            ("4", "404", true),
            ("4xx", "404", true),
            ("404", "404", true),
            ("5xx", "404", false),
            ("fail", "failed", true),
            ("Failed", "failed", true),
            ("delivered", "failed", false),
            ("4040", "404", false),
        ];
        for (wanted, status, expected) in cases {
            let filter = Filter { status: wanted.to_owned(), ..Filter::default() };
            assert_eq!(filter.has_status(status), expected, "{wanted} {status}");
        }
    }
}
