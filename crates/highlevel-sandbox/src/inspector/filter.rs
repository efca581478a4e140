//! The filter of a list, stored in the URL so that it can be shared and survives navigation.

mod period;

use chrono::{DateTime, Utc};

use crate::Spec;
use crate::search_term::MAX_CHARS;
use period::moment;
pub(super) use period::{LAST, Period};

/// The default and the maximum number of rows.
const ROWS: usize = 50;
const MOST_ROWS: usize = 500;

/// The schemas that define message channels.
pub(super) const CHANNELS: [&str; 2] = ["SendMessageType", "InboundMessageType"];

/// The views with the criteria that they share with others. A status has another meaning in each view.
const SHARED: [(&str, &[&str]); 4] = [
    ("conversations", &["text", "contact", "channel", "failures"]),
    ("contacts", &["text"]),
    ("requests", &["text", "contact", "channel", "failures"]),
    ("deliveries", &["text", "contact", "channel", "failures"]),
];

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
    /// The HTTP method.
    pub(super) method: String,
    /// The ID of the operation.
    pub(super) operation: String,
    /// The minimum duration in milliseconds.
    pub(super) slower: Option<u32>,
    /// A name of [`LAST`], the time until now.
    pub(super) last: String,
    /// The first and the last time in UTC, as in a field for date and time. Empty if unlimited.
    pub(super) from: String,
    pub(super) to: String,
    /// `true` to show failures only.
    pub(super) failures: bool,
    /// The number of rows.
    pub(super) rows: usize,
}

impl Filter {
    /// Returns the period of the times that the filter selects, at the sandbox time `now`.
    pub(super) fn period(&self, now: DateTime<Utc>) -> Period {
        Period::new(&self.last, &self.from, &self.to, now)
    }

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
                "method" => filter.method = value,
                "operation" => filter.operation = value,
                "slower" => filter.slower = value.parse().ok().filter(|milliseconds| *milliseconds > 0),
                "last" if LAST.iter().any(|(name, ..)| *name == value) => filter.last = value,
                "from" => filter.from = moment(&value),
                "to" => filter.to = moment(&value),
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
        query.extend_pairs(self.criteria());
        if self.rows != ROWS {
            query.append_pair("rows", &self.rows.to_string());
        }
        let query = query.finish();
        if query.is_empty() { query } else { format!("?{query}") }
    }

    /// Returns the names and values of the criteria that are set.
    fn criteria(&self) -> Vec<(&'static str, String)> {
        let all = [
            ("text", self.text.clone()),
            ("contact", self.contact.clone()),
            ("channel", self.channel.clone()),
            ("status", self.status.clone()),
            ("method", self.method.clone()),
            ("operation", self.operation.clone()),
            ("slower", self.slower.map(|milliseconds| milliseconds.to_string()).unwrap_or_default()),
            ("last", self.last.clone()),
            ("from", self.from.clone()),
            ("to", self.to.clone()),
            ("failures", if self.failures { "1".to_owned() } else { String::new() }),
        ];
        all.into_iter().filter(|(_, value)| !value.is_empty()).collect()
    }

    /// Returns the filter with those criteria that another view has too.
    pub(super) fn for_view(&self, view: &str) -> Self {
        let shared = SHARED.iter().find(|(name, _)| *name == view).map_or(&[][..], |(_, shared)| shared);
        let criteria = self.criteria().into_iter().filter(|(name, _)| shared.contains(name));
        let criteria: Vec<_> = criteria.map(|(name, value)| (name.to_owned(), value)).collect();
        Self::of(&criteria)
    }

    /// Returns `true` if a criterion is set that only some views have.
    pub(super) fn has_more(&self) -> bool {
        const COMMON: [&str; 5] = ["text", "contact", "channel", "status", "failures"];
        self.criteria().iter().any(|(name, _)| !COMMON.contains(name))
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
            method: nothing(),
            operation: nothing(),
            slower: None,
            last: nothing(),
            from: nothing(),
            to: nothing(),
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
            Filter { method: "PUT".to_owned(), operation: "sendMessage".to_owned(), ..Filter::default() },
            Filter { slower: Some(250), last: "15m".to_owned(), ..Filter::default() },
            Filter {
                from: "2026-03-14T09:30:00".to_owned(),
                to: "2026-03-15T00:00:00".to_owned(),
                ..Filter::default()
            },
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
    fn other_views_get_the_criteria_that_they_have() {
        let query = "text=a&contact=b&channel=SMS&status=4xx&method=PUT&last=1h&slower=5&failures=1&rows=150";
        let filter = Filter::parse(query);
        let cases = [
            ("conversations", "?text=a&contact=b&channel=SMS&failures=1"),
            ("contacts", "?text=a"),
            ("deliveries", "?text=a&contact=b&channel=SMS&failures=1"),
            ("controls", ""),
        ];
        for (view, expected) in cases {
            assert_eq!(filter.for_view(view).query(), expected, "{view}");
        }
        let has_more = ["text=a&failures=1", "last=1h", "slower=5", "slower=0", "last=2y", "from=x"];
        let has_more = has_more.map(|query| Filter::parse(query).has_more());
        assert_eq!(has_more, [false, true, true, false, false, false]);
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
