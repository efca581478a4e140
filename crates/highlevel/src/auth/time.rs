//! Moments by two clocks, and deadlines that callers extend.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crate::time::now;

/// A moment by the wall clock and by the monotonic clock. Where they disagree about the time that has passed, the longer one
/// counts: a clock that was put back must not make an old moment recent.
#[derive(Clone, Copy)]
pub(super) struct ClockReading {
    pub(super) wall: SystemTime,
    pub(super) steady: Instant,
}

impl ClockReading {
    /// Returns the time since an earlier moment.
    pub(super) fn since(self, earlier: Self) -> Duration {
        let steady = self.steady.saturating_duration_since(earlier.steady);
        self.wall.duration_since(earlier.wall).unwrap_or_default().max(steady)
    }
}

/// The deadline of a refresh: that of the last call that waits for it. Clones share it.
#[derive(Clone)]
pub(super) struct Deadline(Arc<Mutex<Instant>>);

impl Deadline {
    pub(super) fn new(at: Instant) -> Self {
        Self(Arc::new(Mutex::new(at)))
    }

    pub(super) fn at(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the time until the deadline.
    pub(super) fn left(&self) -> Duration {
        self.at().saturating_duration_since(now())
    }

    /// Postpones the deadline for another call. It is never brought forward.
    pub(super) fn extend(&self, to: Instant) {
        let mut at = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *at = to.max(*at);
    }
}
