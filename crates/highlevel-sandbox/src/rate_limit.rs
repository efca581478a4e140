//! Rate limits: burst and daily limits for each app and location.

mod burst;
mod counter;
mod limiter;
#[cfg(test)]
mod oracle;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub(crate) use counter::Spent;
pub(crate) use limiter::{Account, RateLimitEnforcer, Verdict};

/// The maximum burst. A sliding window stores the time of each request in it.
const LARGEST_BURST: usize = 1_000_000;

/// Limits to enforce, for [`SandboxBuilder::rate_limit`](crate::SandboxBuilder::rate_limit) or, at run time,
/// [`Sandbox::set_rate_limit`](crate::Sandbox::set_rate_limit).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
///
/// use highlevel_sandbox::{BurstWindow, RateLimit, Sandbox};
///
/// // The documented limits with a window of a twentieth, so that tests are fast.
/// let limit = RateLimit::documented().window(BurstWindow::Fixed).interval(Duration::from_millis(500));
/// let sandbox = Sandbox::builder().rate_limit(limit).start().await?;
/// assert_eq!(sandbox.rate_limited(), 0);
/// # Ok(())
/// # }
/// ```
///
/// `HighLevel` documents the numbers, that they apply per app and location, and the `X-RateLimit-…` headers. It does not
/// document the rest, for which the sandbox has these rules:
///
/// - A request that is rejected with 429 does not count.
/// - A request without a valid token identifies no app and no location. It neither counts nor is rejected with 429, and
///   its response has the counts of the sandbox's own app. Every other request counts, whatever its response.
/// - A request over a limit is rejected before its path, version, size or body is checked.
/// - A day is a day in UTC.
/// - Times are those of the sandbox's clock, which can be set and sped up. The counters are reset when it is set back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    pub(crate) window: BurstWindow,
    pub(crate) burst: usize,
    pub(crate) interval: Duration,
    pub(crate) daily: usize,
    pub(crate) retry_after: bool,
}

/// The window of the burst limit. `HighLevel` does not document the kind of its window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BurstWindow {
    /// Counts requests since the last multiple of the interval since 1970-01-01 UTC.
    Fixed,
    /// Counts requests of the last interval at any moment. The stricter of the two.
    #[default]
    Sliding,
}

impl RateLimit {
    /// Returns the limits that `HighLevel` documents: 100 requests in 10 seconds, and 200,000 in a day.
    pub fn documented() -> Self {
        Self {
            window: BurstWindow::default(),
            burst: 100,
            interval: Duration::from_secs(10),
            daily: 200_000,
            retry_after: false,
        }
    }

    /// Sets the window of the burst limit. Defaults to a sliding window.
    pub fn window(mut self, window: BurstWindow) -> Self {
        self.window = window;
        self
    }

    /// Sets the number of requests in one interval, from 1 to 1,000,000.
    pub fn burst(mut self, requests: usize) -> Self {
        self.burst = requests;
        self
    }

    /// Sets the length of the burst window, in whole milliseconds of at least one.
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Sets the number of requests in one day in UTC, at least 1.
    pub fn daily(mut self, requests: usize) -> Self {
        self.daily = requests;
        self
    }

    /// Adds a `Retry-After` header to 429 responses, in seconds, rounded up. Defaults to `false`, because `HighLevel` does
    /// not document the header.
    pub fn retry_after(mut self, sent: bool) -> Self {
        self.retry_after = sent;
        self
    }

    /// Validates the limits.
    ///
    /// # Errors
    ///
    /// Returns the reason if no request could pass or a value is out of range.
    pub(crate) fn checked(self) -> Result<Self, &'static str> {
        if self.burst == 0 || self.daily == 0 {
            return Err("the rate limit allows no requests; allow at least 1");
        }
        if self.burst > LARGEST_BURST {
            return Err("the burst exceeds the maximum of 1,000,000 requests");
        }
        if self.interval.is_zero() || !self.interval.subsec_nanos().is_multiple_of(1_000_000) {
            return Err("the interval must be whole milliseconds, at least one");
        }
        if i64::try_from(self.interval.as_micros()).is_err() {
            return Err("the interval is too long; use at most 100 years");
        }
        Ok(self)
    }

    /// Returns the interval in microseconds, the unit of the counters.
    fn interval_us(self) -> i64 {
        i64::try_from(self.interval.as_micros()).unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_limits_are_rejected_with_their_reason() {
        let documented = RateLimit::documented();
        let cases = [
            (documented, None),
            (documented.interval(Duration::from_millis(1)), None),
            (documented.interval(Duration::from_secs(100 * 365 * 24 * 60 * 60)), None),
            (documented.burst(0), Some("allows no requests")),
            (documented.daily(0), Some("allows no requests")),
            (documented.burst(1_000_000).daily(usize::MAX), None),
            (documented.burst(1_000_001), Some("maximum of 1,000,000")),
            (documented.burst(usize::MAX), Some("maximum of 1,000,000")),
            (documented.interval(Duration::ZERO), Some("at least one")),
            (documented.interval(Duration::from_micros(1_500)), Some("whole milliseconds")),
            (documented.interval(Duration::from_secs(u64::MAX)), Some("too long")),
        ];
        for (limits, fault) in cases {
            match (limits.checked(), fault) {
                (Ok(checked), None) => assert_eq!(checked, limits),
                (Err(error), Some(expected)) => assert!(error.contains(expected), "{limits:?}: {error}"),
                other => panic!("{limits:?}: {other:?}"),
            }
        }
    }
}
