//! The limits of the checks.

use std::time::Duration;

/// The limits that the limiter under test is configured with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Requests in one interval. From 2 to 9.
    pub burst: u32,
    /// The length of the interval.
    pub interval: Duration,
    /// Requests in a day. At least seven times the burst limit; a check uses all of them.
    pub daily: u32,
    /// `true` if permits that are dropped unused are given back, `false` if they lapse. Defaults to `true`.
    pub gives_back: bool,
}

impl Limits {
    /// Limits for a limiter that takes back unused permits.
    pub fn new(burst: u32, interval: Duration, daily: u32) -> Self {
        Self { burst, interval, daily, gives_back: true }
    }

    /// Sets whether the limiter takes back unused permits.
    pub fn gives_back(mut self, gives_back: bool) -> Self {
        self.gives_back = gives_back;
        self
    }
}
