//! The time until which a permit may be used, on two clocks.

use std::time::{Duration, Instant, SystemTime};

use crate::time::{MAX_DURATION, add, now};

/// The time before which a request has to be started.
///
/// It is compared with both clocks, and has passed if it has passed on one of them: the monotonic clock stops while a
/// machine is suspended, and the wall clock can be set back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expiry {
    monotonic: Instant,
    wall: SystemTime,
}

impl Expiry {
    /// Expires when this time has passed from now. Times longer than a year count as a year.
    pub fn after(time: Duration) -> Self {
        Self::after_at(time, now(), SystemTime::now())
    }

    /// Expires when this time has passed after the given time of both clocks, for limiters that count from the moment
    /// at which they asked their store.
    pub fn after_at(time: Duration, monotonic: Instant, wall: SystemTime) -> Self {
        Self {
            monotonic: add(monotonic, time),
            wall: wall.checked_add(time.min(MAX_DURATION)).unwrap_or(wall),
        }
    }

    /// The expiry on the monotonic clock.
    pub fn monotonic(&self) -> Instant {
        self.monotonic
    }

    /// The expiry on the wall clock.
    pub fn wall(&self) -> SystemTime {
        self.wall
    }

    /// Returns `true` if it has passed by now.
    pub fn has_passed(&self) -> bool {
        self.has_passed_at(now(), SystemTime::now())
    }

    /// Returns `true` if it has passed on either clock.
    pub fn has_passed_at(&self, monotonic: Instant, wall: SystemTime) -> bool {
        monotonic >= self.monotonic || wall >= self.wall
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiry_passes_on_either_clock() {
        struct Row {
            name: &'static str,
            monotonic: Duration,
            system: Duration,
            passed: bool,
        }

        let (instant, wall) = (Instant::now(), SystemTime::now());
        let second = Duration::from_secs(1);
        let expiry = Expiry::after_at(second, instant, wall);
        let almost = Duration::from_millis(999);
        for Row { name, monotonic, system, passed } in [
            Row { name: "before it", monotonic: almost, system: almost, passed: false },
            Row { name: "both clocks have reached it", monotonic: second, system: second, passed: true },
            Row {
                name: "the machine was suspended",
                monotonic: Duration::ZERO,
                system: second,
                passed: true,
            },
            Row {
                name: "the wall clock was set back",
                monotonic: second,
                system: Duration::ZERO,
                passed: true,
            },
        ] {
            assert_eq!(expiry.has_passed_at(instant + monotonic, wall + system), passed, "{name}");
        }
    }

    #[test]
    fn times_of_any_length_are_clamped() {
        assert!(!Expiry::after(Duration::MAX).has_passed());
        assert!(Expiry::after(Duration::ZERO).has_passed());
    }
}
