//! Detects that the clock of the database was set forward.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::sync::lock;

/// A jump forward of more than this is detected.
const TOLERANCE: Duration = Duration::from_millis(250);
/// Readings that are further apart are not compared: clocks drift. Permits of the time before have left all logs.
const COMPARABLE: Duration = Duration::from_secs(60);

/// Compares the clock of the database with the monotonic clock of this process.
#[derive(Debug, Default)]
pub(crate) struct JumpDetector {
    last: Mutex<Option<Reading>>,
}

/// The clock of the database, read at some moment after `asked`.
#[derive(Debug, Clone, Copy)]
struct Reading {
    database_ms: i64,
    asked: Instant,
}

impl JumpDetector {
    /// Records a reading that was asked for and received at these times. Returns `true` if the clock of the database has
    /// advanced by more than was possible since the last reading.
    pub(crate) fn has_jumped(&self, database_ms: i64, asked: Instant, received: Instant) -> bool {
        let mut last = lock(&self.last);
        let jumped = last.is_some_and(|last| jumped(last, database_ms, received));
        // Responses arrive in any order.
        if last.is_none_or(|last| last.asked <= asked) {
            *last = Some(Reading { database_ms, asked });
        }
        jumped
    }
}

fn jumped(last: Reading, database_ms: i64, received: Instant) -> bool {
    let most = received.saturating_duration_since(last.asked);
    let Ok(advanced) = u64::try_from(database_ms.saturating_sub(last.database_ms)) else { return false };
    most <= COMPARABLE && Duration::from_millis(advanced) > most + TOLERANCE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_jumps_forward_are_detected() {
        struct Row {
            name: &'static str,
            database_ms: i64,
            received_ms: u64,
            jumped: bool,
        }
        let start = Instant::now();
        let after = |ms| start + Duration::from_millis(ms);
        let rows = [
            Row { name: "both advanced by a second", database_ms: 1_000, received_ms: 1_000, jumped: false },
            Row { name: "a slow response", database_ms: 10, received_ms: 5_000, jumped: false },
            Row { name: "within the tolerance", database_ms: 1_250, received_ms: 1_000, jumped: false },
            Row { name: "a second ahead", database_ms: 2_000, received_ms: 1_000, jumped: true },
            Row { name: "set back by an hour", database_ms: -3_600_000, received_ms: 1_000, jumped: false },
            Row { name: "after a long pause", database_ms: 200_000, received_ms: 100_000, jumped: false },
        ];
        for Row { name, database_ms, received_ms, jumped } in rows {
            let detector = JumpDetector::default();
            assert!(!detector.has_jumped(0, start, after(0)), "{name}");
            assert_eq!(detector.has_jumped(database_ms, after(0), after(received_ms)), jumped, "{name}");
        }
    }

    #[test]
    fn a_jump_is_reported_once() {
        let detector = JumpDetector::default();
        let start = Instant::now();
        assert!(!detector.has_jumped(0, start, start));
        assert!(detector.has_jumped(3_600_000, start, start));
        assert!(!detector.has_jumped(3_600_000, start, start));
    }
}
