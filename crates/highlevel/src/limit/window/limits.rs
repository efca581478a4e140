//! The configured limits, and units of time.

/// Milliseconds since a moment that the owner of a window has chosen.
pub(in crate::limit) type Millis = u64;

pub(super) const MINUTE: Millis = 60 * 1000;
pub(super) const HOUR: Millis = 60 * MINUTE;
pub(super) const DAY: Millis = 24 * HOUR;
/// The longest interval that can be configured: times in the log are stored in 32 bits, of which an interval takes 30.
pub(super) const MAX_INTERVAL: u32 = 7 * 24 * 60 * 60 * 1000;

/// The limits that are never exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::limit) struct Limits {
    /// Requests in one interval.
    pub(in crate::limit) burst: u32,
    /// The length of the interval.
    pub(in crate::limit) interval: u32,
    /// The time for which a request counts at least, in addition to the interval: for its way to the server, and for the
    /// server's clock. A request that takes longer counts until one interval after its response.
    pub(in crate::limit) margin: u32,
    /// Requests in a day, which starts with its first request.
    pub(in crate::limit) daily: u32,
}

impl Default for Limits {
    /// The documented limits: 100 in 10 seconds and 200,000 in a day.
    fn default() -> Self {
        Self { burst: 100, interval: 10_000, margin: 250, daily: 200_000 }
    }
}

impl Limits {
    /// Returns limits that every calculation can represent.
    pub(super) fn clamped(self) -> Self {
        Self {
            burst: self.burst.max(1),
            interval: self.interval.min(MAX_INTERVAL),
            margin: self.margin.min(MAX_INTERVAL),
            ..self
        }
    }

    /// Returns the time between a request and the one `burst` places later, if its response arrives within the margin.
    pub(super) fn period(&self) -> Millis {
        u64::from(self.interval) + u64::from(self.margin)
    }
}
