//! Observations of a process, until the database knows them.

use std::time::{Duration, Instant};

use highlevel::RateLimitHeaders;
use highlevel::limit::RateLimited;
use serde_json::{Value, json};

use crate::limits::Limits;
use crate::time::milliseconds;

const HOUR: Duration = Duration::from_secs(60 * 60);
/// No limit lasts longer.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// A spent day whose end is not reported is looked at again after this time.
const DAY_PROBE: Duration = Duration::from_secs(10 * 60);

/// The observations of one location.
#[derive(Debug, Default)]
pub(crate) struct Observed {
    burst: Option<u32>,
    interval_ms: Option<i64>,
    remaining: Option<(u64, Instant)>,
    left_today: Option<u32>,
    blocked_until: Option<Instant>,
    day_blocked_until: Option<Instant>,
    /// Counts the changes, so that none is dropped that was made while others were written.
    changes: u64,
    written: u64,
}

impl Observed {
    /// Records the limits that a response reports. Returns `true` if other processes should know at once.
    pub(crate) fn observe(
        &mut self,
        configured: &Limits,
        headers: &RateLimitHeaders,
        rate_limited: Option<RateLimited>,
        now: Instant,
    ) -> bool {
        if let Some(limited) = rate_limited {
            let wait = limited.retry_after.unwrap_or(configured.interval).min(DAY);
            self.blocked_until = self.blocked_until.max(now.checked_add(wait));
            self.changes += 1;
        }
        if let Some(limit) = headers.burst_limit {
            let limit = u32::try_from(limit).unwrap_or(u32::MAX).max(1);
            if limit < configured.burst && self.burst.is_none_or(|known| limit < known) {
                self.burst = Some(limit);
                self.changes += 1;
            }
            self.observe_remaining(configured, headers.burst_remaining, now);
        }
        if let Some(interval) = headers.interval_ms.map(Duration::from_millis) {
            let interval = milliseconds(interval.min(HOUR));
            if interval > milliseconds(configured.interval) && self.interval_ms.is_none_or(|it| interval > it)
            {
                self.interval_ms = Some(interval);
                self.changes += 1;
            }
        }
        self.observe_day(headers, now);
        rate_limited.is_some()
    }

    /// Remaining requests matter if there are fewer than the configured limit could leave.
    fn observe_remaining(&mut self, configured: &Limits, remaining: Option<u64>, now: Instant) {
        let Some(remaining) = remaining.filter(|remaining| *remaining < configured.burst.into()) else {
            return;
        };
        let fresh =
            self.remaining.filter(|(_, at)| now.saturating_duration_since(*at) < configured.interval / 4);
        if fresh.is_none_or(|(known, _)| remaining <= known) {
            self.remaining = Some((remaining, now));
            self.changes += 1;
        }
    }

    fn observe_day(&mut self, headers: &RateLimitHeaders, now: Instant) {
        let (Some(_), Some(left)) = (headers.daily_limit, headers.daily_remaining) else { return };
        if left == 0 {
            let wait = headers.daily_reset_ms.map_or(DAY_PROBE, Duration::from_millis).min(DAY);
            self.day_blocked_until = now.checked_add(wait);
            self.changes += 1;
        } else {
            let left = u32::try_from(left).unwrap_or(u32::MAX);
            // Written with the next change: a count that is too high is corrected before it is spent.
            self.left_today = Some(self.left_today.map_or(left, |known| known.min(left)));
            if left < 1_000 {
                self.changes += 1;
            }
        }
    }

    /// Returns the time until the location is no longer blocked.
    pub(crate) fn blocked_for(&self, now: Instant) -> Option<Duration> {
        let until = self.blocked_until?;
        Some(until.saturating_duration_since(now)).filter(|wait| !wait.is_zero())
    }

    /// Returns the time until the end of a spent day.
    pub(crate) fn day_blocked_for(&self, now: Instant) -> Option<Duration> {
        let until = self.day_blocked_until?;
        Some(until.saturating_duration_since(now)).filter(|wait| !wait.is_zero())
    }

    /// Returns the observations that the database lacks, as `take_v1` expects them, and a number for [`wrote`](Self::wrote).
    pub(crate) fn unwritten(&self, now: Instant) -> (Option<Value>, u64) {
        if self.changes == self.written {
            return (None, self.changes);
        }
        let remaining = self.remaining.map(|(remaining, _)| remaining);
        let age = self.remaining.map(|(_, at)| milliseconds(now.saturating_duration_since(at)));
        let value = json!({
            "burst": self.burst,
            "interval_ms": self.interval_ms,
            "block_ms": self.blocked_for(now).map(milliseconds),
            "day_block_ms": self.day_blocked_for(now).map(milliseconds),
            "left_today": self.left_today,
            "remaining": remaining,
            "age_ms": age,
        });
        (Some(value), self.changes)
    }

    /// Records that the database knows everything up to this number.
    pub(crate) fn wrote(&mut self, changes: u64) {
        self.written = changes;
        if self.changes == changes {
            (self.burst, self.interval_ms, self.remaining, self.left_today) = (None, None, None, None);
        }
    }

    /// Returns `true` if nothing would be lost with this value.
    pub(crate) fn is_idle(&self, now: Instant) -> bool {
        self.changes == self.written && self.blocked_for(now).is_none() && self.day_blocked_for(now).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(limit: u64, remaining: u64) -> RateLimitHeaders {
        let mut headers = RateLimitHeaders::default();
        (headers.burst_limit, headers.burst_remaining) = (Some(limit), Some(remaining));
        headers
    }

    #[test]
    fn usual_responses_cause_no_write() {
        let (mut observed, now) = (Observed::default(), Instant::now());
        observed.observe(&Limits::default(), &headers(100, 100), None, now);
        observed.observe(&Limits::default(), &headers(200, 150), None, now);
        assert_eq!(observed.unwritten(now), (None, 0));
    }

    #[test]
    fn a_change_during_a_write_is_written_as_well() {
        let (mut observed, now) = (Observed::default(), Instant::now());
        observed.observe(&Limits::default(), &headers(50, 60), None, now);
        let (first, number) = observed.unwritten(now);
        assert_eq!(first.expect("a lower limit")["burst"], 50);
        observed.observe(&Limits::default(), &headers(40, 60), None, now);
        observed.wrote(number);
        let (second, number) = observed.unwritten(now);
        assert_eq!(second.expect("another one")["burst"], 40);
        observed.wrote(number);
        assert!(observed.unwritten(now).0.is_none());
    }

    #[test]
    fn no_block_lasts_longer_than_a_day() {
        let (mut observed, now) = (Observed::default(), Instant::now());
        observed.observe(
            &Limits::default(),
            &RateLimitHeaders::default(),
            Some(RateLimited::new(Some(Duration::MAX))),
            now,
        );
        assert_eq!(observed.blocked_for(now), Some(DAY));
    }
}
