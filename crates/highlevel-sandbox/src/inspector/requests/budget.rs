//! The remaining rate limit at the time of a request, taken from its response headers.

use crate::inspector::format;
use crate::ledger::RecordedRequest;

/// A rate limit.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Meter {
    pub(super) name: &'static str,
    pub(super) left: u64,
    pub(super) limit: u64,
    /// The value as text: `97 of 100 left per 10 s`.
    pub(super) text: String,
}

impl Meter {
    /// Returns the value below which the meter is red.
    pub(super) fn low(&self) -> u64 {
        self.limit / 10
    }

    /// Returns the value above which the meter is green.
    pub(super) fn high(&self) -> u64 {
        self.limit / 3
    }
}

/// Returns the burst and the daily limit, if the response has the headers.
pub(super) fn meters(request: &RecordedRequest) -> Vec<Meter> {
    let number = |name: &str| request.response_header(name)?.parse::<u64>().ok();
    let meter = |name: &'static str, limit: &str, left: &str, when: String| {
        let (limit, left) = (number(limit)?, number(left)?);
        let text = format!("{} of {} left{when}", format::thousands(left), format::thousands(limit));
        Some(Meter { name, left, limit, text })
    };
    let interval = number("x-ratelimit-interval-milliseconds").map(|length| format!(" per {}", span(length)));
    let reset = number("x-ratelimit-daily-reset").map(|length| format!(", resets in {}", span(length)));
    let burst = meter("Burst", "x-ratelimit-max", "x-ratelimit-remaining", interval.unwrap_or_default());
    let daily =
        meter("Daily", "x-ratelimit-limit-daily", "x-ratelimit-daily-remaining", reset.unwrap_or_default());
    burst.into_iter().chain(daily).collect()
}

/// Formats milliseconds; spans below a minute have one decimal.
fn span(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    match seconds {
        0 => format!("{milliseconds} ms"),
        1..60 if milliseconds.is_multiple_of(1000) => format!("{seconds} s"),
        1..60 => format!("{seconds}.{} s", milliseconds % 1000 / 100),
        _ => format::span(seconds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_show_the_remaining_budget() {
        let headers = [
            ("x-ratelimit-limit-daily", "200000"),
            ("x-ratelimit-daily-remaining", "199997"),
            ("x-ratelimit-daily-reset", "5400000"),
            ("x-ratelimit-interval-milliseconds", "10000"),
            ("x-ratelimit-max", "100"),
            ("x-ratelimit-remaining", "97"),
        ];
        let request =
            RecordedRequest { response_headers: headers.into_iter().collect(), ..RecordedRequest::default() };
        let found = meters(&request);
        let found: Vec<_> =
            found.iter().map(|each| (each.name, each.left, each.limit, each.text.as_str())).collect();
        let expected = [
            ("Burst", 97, 100, "97 of 100 left per 10 s"),
            ("Daily", 199_997, 200_000, "199,997 of 200,000 left, resets in 1 h 30 min"),
        ];
        assert_eq!(found, expected);
        assert_eq!(meters(&RecordedRequest::default()), []);
    }

    #[test]
    fn spans_have_two_units() {
        let cases =
            [(0, "0 ms"), (500, "500 ms"), (1_500, "1.5 s"), (90_000, "1 min 30 s"), (59_999, "59.9 s")];
        for (milliseconds, expected) in cases {
            assert_eq!(span(milliseconds), expected);
        }
    }
}
