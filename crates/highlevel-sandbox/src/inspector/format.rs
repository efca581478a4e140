//! Formatting of times, durations, numbers and excerpts.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

/// A time in RFC 3339 format.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Time(pub(super) String);

impl Time {
    /// Returns the time of day.
    pub(super) fn clock(&self) -> &str {
        self.0.get(11..19).unwrap_or(&self.0)
    }

    /// Returns the date.
    pub(super) fn day(&self) -> &str {
        self.0.get(..10).unwrap_or(&self.0)
    }
}

impl Display for Time {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl From<String> for Time {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// Formats a duration.
pub(super) fn took(duration: Duration) -> String {
    let milliseconds = duration.as_secs_f64() * 1000.0;
    if milliseconds < 10.0 {
        format!("{milliseconds:.1} ms")
    } else if milliseconds < 1000.0 {
        format!("{milliseconds:.0} ms")
    } else {
        format!("{:.1} s", duration.as_secs_f64())
    }
}

/// Formats seconds in their two largest units. The script of the page uses the same format.
pub(super) fn span(seconds: u64) -> String {
    let parts = [
        (seconds / 86_400, "d"),
        (seconds / 3_600 % 24, "h"),
        (seconds / 60 % 60, "min"),
        (seconds % 60, "s"),
    ];
    let words = parts.iter().skip_while(|(count, _)| *count == 0).take(2).filter(|(count, _)| *count > 0);
    words.map(|(count, unit)| format!("{count} {unit}")).collect::<Vec<_>>().join(" ")
}

/// Formats a number with thousands separators: `200,000`.
pub(super) fn thousands(number: impl Display) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Returns at most `most` characters of a text, on one line.
pub(super) fn start(text: &str, most: usize) -> String {
    let words = text.split_whitespace().enumerate();
    let mut letters =
        words.flat_map(|(place, word)| (place > 0).then_some(' ').into_iter().chain(word.chars()));
    let mut line: String = letters.by_ref().take(most).collect();
    if letters.next().is_some() {
        line.push('…');
    }
    line
}

/// Returns the longest beginning of a text that has at most `most` bytes.
pub(super) fn beginning(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    &text[..end.unwrap_or_default()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_two_or_three_digits() {
        let cases = [(0, "0.0 ms"), (1_234, "1.2 ms"), (56_789, "57 ms"), (1_500_000, "1.5 s")];
        for (microseconds, expected) in cases {
            assert_eq!(took(Duration::from_micros(microseconds)), expected);
        }
    }

    #[test]
    fn a_span_has_its_two_largest_parts() {
        let cases = [
            (5, "5 s"),
            (60, "1 min"),
            (125, "2 min 5 s"),
            (7_200, "2 h"),
            (7_325, "2 h 2 min"),
            (86_400 + 59, "1 d"),
            (90_000, "1 d 1 h"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(span(seconds), expected, "{seconds}");
        }
    }

    #[test]
    fn numbers_have_commas() {
        let cases =
            [(0, "0"), (999, "999"), (1_000, "1,000"), (200_000, "200,000"), (1_234_567, "1,234,567")];
        for (number, expected) in cases {
            assert_eq!(thousands(number), expected);
        }
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        for (text, expected) in [("a\n b", "a b"), ("äöüß", "äöü…"), ("äöü", "äöü"), ("", "")]
        {
            assert_eq!(start(text, 3), expected);
        }
        for (most, expected) in [(0, ""), (1, "a"), (2, "a"), (3, "aä"), (4, "aäb"), (9, "aäb")] {
            assert_eq!(beginning("aäb", most), expected, "{most}");
        }
    }
}
