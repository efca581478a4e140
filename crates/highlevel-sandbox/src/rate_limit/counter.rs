//! Counts the requests of one app on one location. Callers supply the time.

use std::fmt::{Display, Formatter};
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::RateLimit;
use super::burst::BurstCounter;

/// One day, in microseconds.
const DAY: i64 = 24 * 60 * 60 * 1_000_000;

/// Counts requests in constant time and memory per request.
#[derive(Debug)]
pub(crate) struct RequestCounter {
    limits: RateLimit,
    enforced: bool,
    /// The latest time of any call, in microseconds. Threads may arrive in another order than they read the clock, and the
    /// clock can be set back; an earlier time is treated as this one.
    latest: i64,
    burst: BurstCounter,
    /// The number of the day, counted from 1970.
    day: i64,
    used_today: usize,
}

/// The remaining requests of both limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(super) limits: RateLimit,
    pub(crate) burst_remaining: usize,
    pub(crate) daily_remaining: usize,
    pub(crate) daily_reset_ms: u64,
}

/// An exceeded limit, with the time until the next request is allowed. Displays the message of the 429 response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spent {
    limits: RateLimit,
    exhausted: Exhausted,
    /// The time until a request is allowed, if no other is sent before it.
    pub(super) wait: Duration,
}

/// The exceeded limit. If both are, the one with the longer wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exhausted {
    Burst,
    Daily,
}

impl RequestCounter {
    pub(crate) fn new(limits: RateLimit, enforced: bool) -> Self {
        let burst = BurstCounter::new(limits);
        Self { limits, enforced, latest: i64::MIN, burst, day: i64::MIN, used_today: 0 }
    }

    /// Counts a request at `now`, or returns the exceeded limit.
    pub(crate) fn admit(&mut self, now: DateTime<Utc>) -> Result<(), Spent> {
        let now = self.advance(now);
        match self.spent(now) {
            Some(spent) if self.enforced => Err(spent),
            _ => {
                self.add(now, 1);
                Ok(())
            }
        }
    }

    /// Counts requests of another program. Those that would be rejected do not count.
    pub(crate) fn take(&mut self, now: DateTime<Utc>, count: usize) {
        let now = self.advance(now);
        let allowed = if self.enforced {
            count.min(self.burst.left(now)).min(self.limits.daily.saturating_sub(self.used_today))
        } else {
            count
        };
        self.add(now, allowed);
    }

    /// Returns the remaining requests at `now`.
    pub(crate) fn tally(&mut self, now: DateTime<Utc>) -> Tally {
        let now = self.advance(now);
        Tally {
            limits: self.limits,
            burst_remaining: self.burst.left(now),
            daily_remaining: self.limits.daily.saturating_sub(self.used_today),
            daily_reset_ms: u64::try_from(until_next_day(now)).unwrap_or_default().div_ceil(1000),
        }
    }

    fn advance(&mut self, now: DateTime<Utc>) -> i64 {
        self.latest = self.latest.max(now.timestamp_micros());
        let day = self.latest.div_euclid(DAY);
        if day != self.day {
            (self.day, self.used_today) = (day, 0);
        }
        self.latest
    }

    fn add(&mut self, now: i64, count: usize) {
        self.burst.add(now, count);
        self.used_today = self.used_today.saturating_add(count);
    }

    fn spent(&mut self, now: i64) -> Option<Spent> {
        let burst = self.burst.wait(now);
        let daily = if self.used_today < self.limits.daily { 0 } else { until_next_day(now) };
        let (exhausted, wait) =
            if burst > daily { (Exhausted::Burst, burst) } else { (Exhausted::Daily, daily) };
        let wait = Duration::from_micros(u64::try_from(wait).unwrap_or_default());
        (!wait.is_zero()).then_some(Spent { limits: self.limits, exhausted, wait })
    }
}

impl Tally {
    /// Returns the headers that `HighLevel` documents, with their values.
    pub(crate) fn headers(&self) -> [(&'static str, String); 6] {
        let limits = &self.limits;
        [
            ("x-ratelimit-limit-daily", limits.daily.to_string()),
            ("x-ratelimit-daily-remaining", self.daily_remaining.to_string()),
            ("x-ratelimit-daily-reset", self.daily_reset_ms.to_string()),
            ("x-ratelimit-interval-milliseconds", limits.interval.as_millis().to_string()),
            ("x-ratelimit-max", limits.burst.to_string()),
            ("x-ratelimit-remaining", self.burst_remaining.to_string()),
        ]
    }
}

impl Spent {
    /// Returns the value of the `Retry-After` header, if it is enabled.
    pub(crate) fn retry_after(&self) -> Option<String> {
        let seconds = self.wait.as_micros().div_ceil(1_000_000);
        self.limits.retry_after.then(|| seconds.to_string())
    }
}

impl Display for Spent {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        let RateLimit { burst, interval, daily, .. } = self.limits;
        let wait =
            Duration::from_millis(u64::try_from(self.wait.as_micros().div_ceil(1000)).unwrap_or(u64::MAX));
        formatter.write_str("too many requests: ")?;
        match self.exhausted {
            Exhausted::Burst => write!(
                formatter,
                "the burst limit of {burst} in {interval:?} for this app and location is exceeded; \
                 retry in {wait:?}"
            ),
            Exhausted::Daily => write!(
                formatter,
                "the daily limit of {daily} for this app and location is exceeded; \
                 retry in {wait:?}, when the next day starts (UTC)"
            ),
        }
    }
}

/// Returns the microseconds until the next day, at least one.
fn until_next_day(now: i64) -> i64 {
    DAY - now.rem_euclid(DAY)
}

#[cfg(test)]
mod tests {
    use super::super::BurstWindow;
    use super::*;

    /// Midnight of a day, in milliseconds.
    const MIDNIGHT: i64 = 1_728_000_000_000;
    const DAY_MS: i64 = DAY / 1000;

    fn at(ms: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(MIDNIGHT + ms).unwrap()
    }

    /// Sends requests at these milliseconds after midnight. A step has the time, the wait of a rejection in milliseconds,
    /// the remaining burst and daily requests, and the milliseconds until the next day.
    fn check(limits: RateLimit, enforced: bool, steps: &[(i64, Option<u64>, usize, usize, i64)]) {
        let mut counter = RequestCounter::new(limits, enforced);
        for &(ms, wait, burst_remaining, daily_remaining, reset) in steps {
            let refused = counter.admit(at(ms)).err().map(|spent| spent.wait);
            assert_eq!(refused, wait.map(Duration::from_millis), "{limits:?} at {ms}");
            let daily_reset_ms = u64::try_from(reset).unwrap();
            let expected = Tally { limits, burst_remaining, daily_remaining, daily_reset_ms };
            assert_eq!(counter.tally(at(ms)), expected, "at {ms}");
        }
    }

    #[test]
    fn a_sliding_window_covers_the_last_interval() {
        let steps = [
            (0, None, 1, 9, DAY_MS),
            (5_000, None, 0, 8, DAY_MS - 5_000),
            (9_999, Some(1), 0, 8, DAY_MS - 9_999),
            (10_000, None, 0, 7, DAY_MS - 10_000),
            (10_000, Some(5_000), 0, 7, DAY_MS - 10_000),
            (15_000, None, 0, 6, DAY_MS - 15_000),
            (DAY_MS - 1, None, 1, 5, 1),
            (DAY_MS, None, 0, 9, DAY_MS),
            // The window spans midnight, and the clock was set back.
            (DAY_MS - 5, Some(9_999), 0, 9, DAY_MS),
        ];
        check(RateLimit::documented().burst(2).daily(10), true, &steps);
    }

    #[test]
    fn a_fixed_window_starts_at_multiples_of_the_interval() {
        let steps = [
            (8_000, None, 1, 9, DAY_MS - 8_000),
            (9_999, None, 0, 8, DAY_MS - 9_999),
            (9_999, Some(1), 0, 8, DAY_MS - 9_999),
            (10_000, None, 1, 7, DAY_MS - 10_000),
            (10_001, None, 0, 6, DAY_MS - 10_001),
            (12_500, Some(7_500), 0, 6, DAY_MS - 12_500),
            (9_000, Some(7_500), 0, 6, DAY_MS - 12_500),
            (40_000, None, 1, 5, DAY_MS - 40_000),
        ];
        check(RateLimit::documented().window(BurstWindow::Fixed).burst(2).daily(10), true, &steps);
    }

    #[test]
    fn an_exceeded_daily_limit_lasts_until_midnight() {
        let limits = RateLimit::documented().burst(2).daily(3);
        let steps = [
            (0, None, 1, 2, DAY_MS),
            (20_000, None, 1, 1, DAY_MS - 20_000),
            (DAY_MS - 9_000, None, 1, 0, 9_000),
            (DAY_MS - 8_000, Some(8_000), 1, 0, 8_000),
            (DAY_MS - 1, Some(1), 1, 0, 1),
            (DAY_MS + 2_000, None, 1, 2, DAY_MS - 2_000),
        ];
        for window in [BurstWindow::Fixed, BurstWindow::Sliding] {
            check(limits.window(window), true, &steps);
        }
    }

    #[test]
    fn without_enforcement_requests_are_counted_but_not_rejected() {
        let limits = RateLimit::documented().burst(2).daily(3);
        let steps = [
            (0, None, 1, 2, DAY_MS),
            (1, None, 0, 1, DAY_MS - 1),
            (2, None, 0, 0, DAY_MS - 2),
            (3, None, 0, 0, DAY_MS - 3),
        ];
        for window in [BurstWindow::Fixed, BurstWindow::Sliding] {
            check(limits.window(window), false, &steps);
        }
        // A sliding window stores the latest requests.
        check(limits, false, &[steps.as_slice(), &[(10_002, None, 0, 0, DAY_MS - 10_002)]].concat());
    }

    #[test]
    fn requests_of_other_programs_count_up_to_the_limits() {
        for window in [BurstWindow::Fixed, BurstWindow::Sliding] {
            let limits = RateLimit::documented().window(window);
            // (burst, daily, enforced, taken, remaining burst, remaining of the day)
            let cases = [
                (10, 100, true, 4, 6, 96),
                (10, 100, true, usize::MAX, 0, 90),
                (10, 7, true, 9, 3, 0),
                (10, 100, false, 40, 0, 60),
                (10, 100, false, usize::MAX, 0, 0),
            ];
            for (burst, daily, enforced, taken, burst_remaining, daily_remaining) in cases {
                let mut counter = RequestCounter::new(limits.burst(burst).daily(daily), enforced);
                counter.take(at(0), taken);
                counter.take(at(0), 0);
                let tally = counter.tally(at(0));
                assert_eq!(
                    (tally.burst_remaining, tally.daily_remaining),
                    (burst_remaining, daily_remaining)
                );
            }
        }
    }

    #[test]
    fn a_rejection_names_the_limit_and_the_wait() {
        let limits = RateLimit::documented().burst(2).daily(3).retry_after(true);
        let (mut burst, mut daily) =
            (RequestCounter::new(limits, true), RequestCounter::new(limits.burst(9), true));
        burst.take(at(0), 2);
        daily.take(at(0), 3);
        let late = DateTime::from_timestamp_micros((MIDNIGHT + 2_500) * 1000 + 1).unwrap();
        let cases = [
            (
                burst.admit(late).unwrap_err(),
                "too many requests: the burst limit of 2 in 10s for this app and location is exceeded; \
                 retry in 7.5s",
                "8",
            ),
            (
                daily.admit(at(DAY_MS - 12_345)).unwrap_err(),
                "too many requests: the daily limit of 3 for this app and location is exceeded; \
                 retry in 12.345s, when the next day starts (UTC)",
                "13",
            ),
            (
                daily.admit(at(DAY_MS - 1_000)).unwrap_err(),
                "too many requests: the daily limit of 3 for this app and location is exceeded; \
                 retry in 1s, when the next day starts (UTC)",
                "1",
            ),
        ];
        for (spent, words, seconds) in cases {
            assert_eq!(spent.to_string(), words);
            assert_eq!(spent.retry_after().as_deref(), Some(seconds));
        }
        let mut silent = RequestCounter::new(limits.retry_after(false), true);
        silent.take(at(0), 2);
        assert_eq!(silent.admit(at(0)).unwrap_err().retry_after(), None);
    }
}
