//! A period of sandbox time.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, TimeDelta, Utc};

use crate::webhook::time_text;

/// The periods until now: the name in the URL, the label, and the length.
pub(in crate::inspector) const LAST: [(&str, &str, TimeDelta); 3] = [
    ("15m", "Last 15 min", TimeDelta::minutes(15)),
    ("1h", "Last hour", TimeDelta::hours(1)),
    ("24h", "Last 24 h", TimeDelta::hours(24)),
];

/// The period of a filter. Both ends are included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::inspector) struct Period {
    /// Times as the ledger has them, which are in order as texts.
    from: Option<String>,
    to: Option<String>,
}

impl Period {
    /// Returns the period of the fields of a filter at the sandbox time `now`.
    pub(super) fn new(last: &str, from: &str, to: &str, now: DateTime<Utc>) -> Self {
        let length = LAST.iter().find(|(name, ..)| *name == last).map(|(.., length)| *length);
        let since = length.map(|length| now.checked_sub_signed(length).unwrap_or(DateTime::<Utc>::MIN_UTC));
        let from = parse(from).map(|from| from.and_utc());
        Self {
            from: since.max(from).map(|from| time_text(from.max(DateTime::UNIX_EPOCH))),
            to: parse(to).map(|to| time_text(to.and_utc())),
        }
    }

    /// Returns `true` if a time is in the period.
    pub(in crate::inspector) fn contains(&self, time: &str) -> bool {
        self.from.as_deref().is_none_or(|from| from <= time) && self.to.as_deref().is_none_or(|to| time <= to)
    }
}

/// Returns a time in the form of a field for date and time; empty if it is invalid.
pub(super) fn moment(text: &str) -> String {
    parse(text).map(|time| time.format("%Y-%m-%dT%H:%M:%S").to_string()).unwrap_or_default()
}

fn parse(text: &str) -> Option<NaiveDateTime> {
    let text = text.trim_end_matches('Z');
    let time = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S%.f"]
        .into_iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
        .or_else(|| text.parse::<NaiveDate>().ok()?.and_hms_opt(0, 0, 0))?;
    (1970..=9999).contains(&time.year()).then_some(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_in_the_form_of_a_field() {
        let cases = [
            ("2026-03-14T09:30", "2026-03-14T09:30:00"),
            ("2026-03-14T09:30:05", "2026-03-14T09:30:05"),
            ("2026-03-14T09:30:05.250Z", "2026-03-14T09:30:05"),
            ("2026-03-14", "2026-03-14T00:00:00"),
            ("1969-12-31", ""),
            ("+262142-01-01", ""),
            ("2026-02-30", ""),
            ("<b>", ""),
            ("", ""),
        ];
        for (text, expected) in cases {
            assert_eq!(moment(text), expected, "{text}");
        }
    }

    #[test]
    fn a_period_has_both_ends() {
        let now = "2026-03-14T09:30:00Z".parse().unwrap();
        let cases = [
            ("", "1970-01-01T00:00:00.000Z", true),
            ("last=15m", "2026-03-14T09:15:00.000Z", true),
            ("last=15m", "2026-03-14T09:14:59.999Z", false),
            ("last=1h", "2026-03-14T08:30:00.000Z", true),
            ("last=24h", "2026-03-13T09:29:59.999Z", false),
            ("from=2026-03-14T09:30", "2026-03-14T09:30:00.000Z", true),
            ("from=2026-03-14T09:30", "2026-03-14T09:29:59.999Z", false),
            ("to=2026-03-14T09:30", "2026-03-14T09:30:00.000Z", true),
            ("to=2026-03-14T09:30", "2026-03-14T09:30:00.001Z", false),
            ("last=24h&from=2026-03-14", "2026-03-13T12:00:00.000Z", false),
            ("last=15m&from=2026-03-01", "2026-03-13T12:00:00.000Z", false),
        ];
        for (query, time, expected) in cases {
            let field = |name| query.split('&').find_map(|pair| pair.strip_prefix(name)).unwrap_or_default();
            let period = Period::new(field("last="), field("from="), field("to="), now);
            assert_eq!(period.contains(time), expected, "{query} {time}");
        }
    }
}
