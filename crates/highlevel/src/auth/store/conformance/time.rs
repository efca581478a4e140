//! The clock of the store that is checked.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::samples::at;

/// 14 November 2023, in milliseconds since 1970.
const START: u64 = 1_700_000_000_000;

/// The clock of the store.
#[derive(Clone)]
pub(super) enum StoreClock {
    /// It cannot be set: the checks wait.
    Real,
    /// It is set by the checks, and stands still otherwise.
    Settable { set: Arc<dyn Fn(SystemTime) + Send + Sync>, now: Arc<Mutex<SystemTime>> },
}

/// A point in time, from which elapsed time is measured.
#[derive(Clone, Copy)]
pub(super) enum StoreTime {
    Real(Instant),
    Settable(SystemTime),
}

impl StoreClock {
    pub(super) fn settable(set: impl Fn(SystemTime) + Send + Sync + 'static) -> Self {
        set(at(START));
        Self::Settable { set: Arc::new(set), now: Arc::new(Mutex::new(at(START))) }
    }

    pub(super) fn now(&self) -> StoreTime {
        match self {
            Self::Real => StoreTime::Real(Instant::now()),
            Self::Settable { now, .. } => {
                StoreTime::Settable(*now.lock().unwrap_or_else(PoisonError::into_inner))
            }
        }
    }

    /// Returns the time since a moment: 0 if the clock was put back since.
    pub(super) fn since(&self, moment: StoreTime) -> Duration {
        match (self.now(), moment) {
            (StoreTime::Real(now), StoreTime::Real(then)) => now.saturating_duration_since(then),
            (StoreTime::Settable(now), StoreTime::Settable(then)) => {
                now.duration_since(then).unwrap_or_default()
            }
            (StoreTime::Real(_) | StoreTime::Settable(_), _) => Duration::ZERO,
        }
    }

    /// Sets the clock, if it can be set.
    pub(super) fn set(&self, to: SystemTime) {
        if let Self::Settable { set, now } = self {
            *now.lock().unwrap_or_else(PoisonError::into_inner) = to;
            set(to);
        }
    }

    /// A length of time that [`pass`](Self::pass) need not wait long for.
    pub(super) fn short(&self) -> Duration {
        match self {
            Self::Real => Duration::from_millis(300),
            Self::Settable { .. } => Duration::from_secs(20),
        }
    }

    /// Lets time pass.
    pub(super) async fn pass(&self, length: Duration) {
        match self.now() {
            StoreTime::Settable(now) => self.set(now + length),
            StoreTime::Real(start) => {
                // Timers can be paused; the clock of the store cannot.
                while start.elapsed() < length {
                    tokio::time::sleep(length.saturating_sub(start.elapsed())).await;
                }
            }
        }
    }
}
