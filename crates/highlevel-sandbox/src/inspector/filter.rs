//! The filter of a list, stored in the URL so that it can be shared and survives navigation.

use crate::Spec;
use crate::search_term::MAX_CHARS;

/// The default and the maximum number of rows.
const ROWS: usize = 50;
const MOST_ROWS: usize = 500;

/// The schemas that define message channels.
pub(super) const CHANNELS: [&str; 2] = ["SendMessageType", "InboundMessageType"];

/// The criteria of a search. Empty criteria match everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Filter {
    /// Text to search for, case-insensitive.
    pub(super) text: String,
    /// The ID of a contact, or a part of its name.
    pub(super) contact: String,
    /// The `type` of messages, for example `SMS`.
    pub(super) channel: String,
    /// A status, or the beginning of a numeric one.
    pub(super) status: String,
    /// `true` to show failures only.
    pub(super) failures: bool,
    /// The number of rows.
    pub(super) rows: usize,
}

impl Filter {
    /// Returns the filter of a query. Invalid values are ignored.
    pub(super) fn of(query: &[(String, String)]) -> Self {
        let mut filter = Self::default();
        for (name, value) in query {
            let value: String = value.trim().chars().take(MAX_CHARS).collect();
            match name.as_str() {
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

    /// Parses a query without its question mark.
    #[cfg(test)]
    pub(super) fn parse(query: &str) -> Self {
        let query: Vec<_> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        Self::of(&query)
    }

    /// Returns the query including the question mark; empty if no criteria are set.
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

    /// Returns the filter with more rows, unless the maximum is reached.
    pub(super) fn longer(&self) -> Option<Self> {
        let rows = (self.rows + 2 * ROWS).min(MOST_ROWS);
        (rows > self.rows).then(|| Self { rows, ..self.clone() })
    }

    /// Returns `true` if the filter matches everything.
    pub(super) fn is_open(&self) -> bool {
        Self { rows: ROWS, ..self.clone() } == Self::default()
    }

    /// Returns `true` if a status matches: `failed`, `404`, or `4` for all that start with it.
    pub(super) fn has_status(&self, status: &str) -> bool {
        let wanted = self.status.trim_end_matches(['x', 'X']);
        status.get(..wanted.len()).is_some_and(|start| start.eq_ignore_ascii_case(wanted))
    }
}

/// Returns the options of a selection field, including the selected value even if it is unknown.
pub(super) fn with_chosen<'a, T: AsRef<str> + From<&'a str>>(mut values: Vec<T>, chosen: &'a str) -> Vec<T> {
    if !chosen.is_empty() && !values.iter().any(|value| value.as_ref() == chosen) {
        values.push(chosen.into());
    }
    values
}

/// Returns the values of these schemas without duplicates.
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
            assert_eq!(Filter::parse(filter.query().trim_start_matches('?')), filter, "{}", filter.query());
        }
        assert_eq!(Filter::default().query(), "");
        let long = Filter::parse(&format!("text={}&contact={}", "ä".repeat(30_000), "b".repeat(30_000)));
        assert_eq!((long.text.chars().count(), long.contact.len()), (MAX_CHARS, MAX_CHARS));
        assert_eq!(Filter::parse("rows=1000000").rows, MOST_ROWS);
        assert_eq!(Filter::parse("rows=0&other=1&text=%ff").rows, ROWS);
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
