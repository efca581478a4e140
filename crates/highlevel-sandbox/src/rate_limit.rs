//! How many requests are allowed, and what becomes of one too many.

mod burst;
mod counter;
mod limiter;
#[cfg(test)]
mod oracle;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub(crate) use counter::Spent;
pub(crate) use limiter::{Account, RateLimiter, Verdict};

/// The largest burst: a sliding window remembers when each of its requests came.
const LARGEST_BURST: usize = 1_000_000;

/// Limits to enforce, given to [`SandboxBuilder::rate_limit`](crate::SandboxBuilder::rate_limit) or, while it runs, to
/// [`Sandbox::set_rate_limit`](crate::Sandbox::set_rate_limit).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
///
/// use highlevel_sandbox::{RateLimit, Sandbox, Window};
///
/// // The documented limits with a window twenty times as short, so that a test need not wait.
/// let limit = RateLimit::documented().window(Window::Fixed).interval(Duration::from_millis(500));
/// let sandbox = Sandbox::builder().rate_limit(limit).start().await?;
/// assert_eq!(sandbox.rate_limited(), 0);
/// # Ok(())
/// # }
/// ```
///
/// Documented are the numbers, that they count per app and location, and the `X-RateLimit-…` headers. The rest is not,
/// and is chosen here:
///
/// - A request that is refused for its rate does not count.
/// - A request without the right token does not count and is not refused for its rate, for it names no app and no
///   location. Its answer shows the counts of the sandbox's own. Every other request counts, whatever its answer.
/// - A request over a limit is refused before its path, version, size or body is looked at.
/// - The day is the day in UTC.
/// - Time is that of the sandbox's clock, which can be moved and run at another speed. When it is set back, counting
///   begins anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    pub(crate) window: Window,
    pub(crate) burst: usize,
    pub(crate) interval: Duration,
    pub(crate) daily: usize,
    pub(crate) retry_after: bool,
}

/// Which requests count against the burst limit. The documentation does not say which of the two it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Window {
    /// Those since the last multiple of the interval, counted from the beginning of 1970 in UTC.
    Fixed,
    /// Those in the last interval, whenever it is. The stricter of the two.
    #[default]
    Sliding,
}

impl RateLimit {
    /// What `HighLevel` documents: 100 requests in 10 seconds, and 200,000 in a day.
    pub fn documented() -> Self {
        Self {
            window: Window::default(),
            burst: 100,
            interval: Duration::from_secs(10),
            daily: 200_000,
            retry_after: false,
        }
    }

    /// How requests are counted against the burst limit. The default is a sliding window.
    pub fn window(mut self, window: Window) -> Self {
        self.window = window;
        self
    }

    /// Requests allowed in one interval, from 1 to 1,000,000.
    pub fn burst(mut self, requests: usize) -> Self {
        self.burst = requests;
        self
    }

    /// The length of the burst window: whole milliseconds, at least one.
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Requests allowed in one day in UTC, at least 1.
    pub fn daily(mut self, requests: usize) -> Self {
        self.daily = requests;
        self
    }

    /// Whether a refusal says in a `Retry-After` header when to try again, in seconds, rounded up. The default is not
    /// to: the header is not documented.
    pub fn retry_after(mut self, sent: bool) -> Self {
        self.retry_after = sent;
        self
    }

    /// The limits, if they make sense; otherwise what is wrong.
    pub(crate) fn checked(self) -> Result<Self, &'static str> {
        if self.burst == 0 || self.daily == 0 {
            return Err("a rate limit that allows no request cannot be used; allow at least 1");
        }
        if self.burst > LARGEST_BURST {
            return Err(
                "a burst has at most 1,000,000 requests, for the time of each is remembered; allow fewer",
            );
        }
        if self.interval.is_zero() || !self.interval.subsec_nanos().is_multiple_of(1_000_000) {
            return Err(
                "the interval of a rate limit is told in whole milliseconds, and has to be at least one",
            );
        }
        if i64::try_from(self.interval.as_micros()).is_err() {
            return Err("the interval of a rate limit is too long; 100 years are possible");
        }
        Ok(self)
    }

    /// The interval in microseconds, which is what the counting goes by.
    fn interval_us(self) -> i64 {
        i64::try_from(self.interval.as_micros()).unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_that_make_no_sense_are_told_apart() {
        let documented = RateLimit::documented();
        let cases = [
            (documented, None),
            (documented.interval(Duration::from_millis(1)), None),
            (documented.interval(Duration::from_secs(100 * 365 * 24 * 60 * 60)), None),
            (documented.burst(0), Some("allows no request")),
            (documented.daily(0), Some("allows no request")),
            (documented.burst(1_000_000).daily(usize::MAX), None),
            (documented.burst(1_000_001), Some("at most 1,000,000")),
            (documented.burst(usize::MAX), Some("at most 1,000,000")),
            (documented.interval(Duration::ZERO), Some("at least one")),
            (documented.interval(Duration::from_micros(1_500)), Some("whole milliseconds")),
            (documented.interval(Duration::from_secs(u64::MAX)), Some("too long")),
        ];
        for (limits, fault) in cases {
            match (limits.checked(), fault) {
                (Ok(checked), None) => assert_eq!(checked, limits),
                (Err(words), Some(fault)) => assert!(words.contains(fault), "{limits:?}: {words}"),
                other => panic!("{limits:?}: {other:?}"),
            }
        }
    }
}
