//! The clock of the runtime, and durations of any length.

use std::time::{Duration, Instant};

/// Longer durations are clamped to a year, which every platform can add to its clocks.
pub(crate) const MAX_DURATION: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Returns the time of the runtime, which tests can pause.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Adds a duration of any length to an instant.
pub(crate) fn add(instant: Instant, duration: Duration) -> Instant {
    instant.checked_add(duration.min(MAX_DURATION)).unwrap_or(instant)
}
