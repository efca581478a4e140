//! The limits of each location.

use std::time::Duration;

use crate::time::milliseconds;

/// The limits of each location.
///
/// Defaults to the documented 100 requests in 10 seconds and 200,000 in a day, with a margin of 500 ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Requests in one interval.
    pub burst: u32,
    /// The length of the interval.
    pub interval: Duration,
    /// Added to the interval. A permit can be used for half of this time; the other half is for the way to the server.
    pub margin: Duration,
    /// Requests in a day, which begins with its first request.
    pub daily: u32,
}

impl Limits {
    /// Creates limits with the default margin of 500 ms.
    pub fn new(burst: u32, interval: Duration, daily: u32) -> Self {
        Self { burst, interval, daily, ..Self::default() }
    }

    /// Sets the margin.
    pub fn margin(mut self, margin: Duration) -> Self {
        self.margin = margin;
        self
    }

    /// The time for which a permit can be used, counted from before the database was asked for it.
    pub(crate) fn validity(&self) -> Duration {
        self.margin / 2
    }

    /// As `take_v1` expects them.
    pub(crate) fn parameter(&self) -> Vec<i64> {
        vec![
            self.burst.max(1).into(),
            milliseconds(self.interval).max(1),
            milliseconds(self.margin),
            self.daily.max(1).into(),
        ]
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            burst: 100,
            interval: Duration::from_secs(10),
            margin: Duration::from_millis(500),
            daily: 200_000,
        }
    }
}
