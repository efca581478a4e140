//! Counting requests the way the rate-limit headers report them. Counting only: nothing is refused.

use std::collections::VecDeque;

use chrono::{DateTime, TimeDelta, Utc};

/// Requests allowed in one burst window.
const BURST_LIMIT: usize = 100;
/// Length of the burst window, in milliseconds.
const BURST_WINDOW_MS: i64 = 10_000;
/// Requests allowed per day.
const DAILY_LIMIT: u64 = 200_000;

/// The requests of one app on one location.
///
/// Whether the live API's burst window slides is not known. This one does, which is the stricter of the two.
#[derive(Debug, Default)]
pub(crate) struct RequestCounter {
    /// When the last requests came, at most as many as the burst limit.
    burst: VecDeque<DateTime<Utc>>,
    day: i64,
    used_today: u64,
}

/// What one answer says about the limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RateLimit {
    burst_remaining: usize,
    daily_remaining: u64,
    daily_reset_ms: i64,
}

impl RequestCounter {
    /// Counts a request that came at `now`.
    pub(crate) fn count(&mut self, now: DateTime<Utc>) -> RateLimit {
        let window_start = now - TimeDelta::milliseconds(BURST_WINDOW_MS);
        self.burst.retain(|moment| *moment > window_start);
        if self.burst.len() == BURST_LIMIT {
            self.burst.pop_front();
        }
        self.burst.push_back(now);

        let (day, into_day_ms) = day_of(now);
        if day != self.day {
            self.day = day;
            self.used_today = 0;
        }
        self.used_today += 1;

        RateLimit {
            burst_remaining: BURST_LIMIT - self.burst.len(),
            daily_remaining: DAILY_LIMIT.saturating_sub(self.used_today),
            daily_reset_ms: DAY_MS - into_day_ms,
        }
    }
}

impl RateLimit {
    /// The headers that `HighLevel` documents, with their values.
    pub(crate) fn headers(self) -> [(&'static str, String); 6] {
        [
            ("x-ratelimit-limit-daily", DAILY_LIMIT.to_string()),
            ("x-ratelimit-daily-remaining", self.daily_remaining.to_string()),
            ("x-ratelimit-daily-reset", self.daily_reset_ms.to_string()),
            ("x-ratelimit-interval-milliseconds", BURST_WINDOW_MS.to_string()),
            ("x-ratelimit-max", BURST_LIMIT.to_string()),
            ("x-ratelimit-remaining", self.burst_remaining.to_string()),
        ]
    }
}

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// The number of the UTC day, and how far into it `now` is.
fn day_of(now: DateTime<Utc>) -> (i64, i64) {
    let ms = now.timestamp_millis();
    (ms.div_euclid(DAY_MS), ms.rem_euclid(DAY_MS))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(ms).unwrap()
    }

    #[test]
    fn the_burst_window_slides_and_the_day_starts_anew() {
        let mut counter = RequestCounter::default();
        let midnight = 20_000 * DAY_MS;
        let cases = [
            // (when, burst remaining, daily remaining, reset)
            (midnight, 99, 199_999, DAY_MS),
            (midnight + 5_000, 98, 199_998, DAY_MS - 5_000),
            (midnight + 9_999, 97, 199_997, DAY_MS - 9_999),
            (midnight + 10_000, 97, 199_996, DAY_MS - 10_000),
            (midnight + 14_999, 96, 199_995, DAY_MS - 14_999),
            (midnight + DAY_MS - 1, 99, 199_994, 1),
            (midnight + DAY_MS, 98, 199_999, DAY_MS),
        ];
        for (when, burst_remaining, daily_remaining, daily_reset_ms) in cases {
            let expected = RateLimit { burst_remaining, daily_remaining, daily_reset_ms };
            assert_eq!(counter.count(at(when)), expected, "{when}");
        }
    }

    #[test]
    fn nothing_is_left_after_the_last_request() {
        let mut counter = RequestCounter::default();
        let left: Vec<usize> = (0..102).map(|_| counter.count(at(0)).burst_remaining).collect();
        assert_eq!(left[98..], [1, 0, 0, 0]);
    }
}
