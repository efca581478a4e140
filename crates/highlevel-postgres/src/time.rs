//! Times as the database takes them, and the variation of pauses.

use std::time::Duration;

/// A year. Longer times count as this.
const MAX_MILLISECONDS: i64 = 365 * 24 * 60 * 60 * 1000;

/// Returns a time in whole milliseconds.
pub(crate) fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX).min(MAX_MILLISECONDS)
}

/// Returns a time in milliseconds, to be multiplied by an interval.
#[allow(clippy::cast_precision_loss, reason = "milliseconds of at most a year are exact")]
pub(crate) fn as_float(time: Duration) -> f64 {
    milliseconds(time) as f64
}

/// Varies a pause, so that several processes do not ask at the same time.
pub(crate) fn jitter(pause: Duration) -> Duration {
    pause.mul_f64(0.75 + 0.5 * fastrand::f64())
}
