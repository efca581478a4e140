//! The limits of each location.

use std::time::Duration;

use crate::time::milliseconds;

/// The longest time for which a permit can be used, counted from before the database was asked for it.
const LONGEST_VALIDITY: Duration = Duration::from_secs(2);

/// The limits of each location.
///
/// Defaults to the documented 100 requests in 10 seconds and 200,000 in a day, with a margin of 100 ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Requests in one interval.
    pub burst: u32,
    /// The length of the interval.
    pub interval: Duration,
    /// Added to the interval, because the clock of the server may be slower than that of the database.
    pub margin: Duration,
    /// Requests in a day, which begins with its first request.
    pub daily: u32,
    /// A permit counts until one interval after the response to its request. If its process ends before, it counts as if the
    /// response had arrived so long after it was granted. Defaults to 60 seconds; use more than the timeout of an attempt.
    pub return_timeout: Duration,
}

impl Limits {
    /// Creates limits with the default margin of 100 ms.
    pub fn new(burst: u32, interval: Duration, daily: u32) -> Self {
        Self { burst, interval, daily, ..Self::default() }
    }

    /// Sets the margin.
    pub fn margin(mut self, margin: Duration) -> Self {
        self.margin = margin;
        self
    }

    /// Sets the time after which a permit counts as completed if its process has ended.
    pub fn return_timeout(mut self, timeout: Duration) -> Self {
        self.return_timeout = timeout;
        self
    }

    /// The time for which a permit can be used, counted from before the database was asked for it.
    pub(crate) fn validity(&self) -> Duration {
        LONGEST_VALIDITY.min(self.return_timeout / 4)
    }

    /// As `take_v1` expects them.
    pub(crate) fn parameter(&self) -> Vec<i64> {
        vec![
            self.burst.max(1).into(),
            milliseconds(self.interval).max(1),
            milliseconds(self.margin),
            self.daily.max(1).into(),
            milliseconds(self.validity()),
            milliseconds(self.return_timeout),
        ]
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            burst: 100,
            interval: Duration::from_secs(10),
            margin: Duration::from_millis(100),
            daily: 200_000,
            return_timeout: Duration::from_secs(60),
        }
    }
}
