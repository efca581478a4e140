//! Detects that the clock of the database was set forward.

use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::sync::lock;

/// A jump forward of more than this is detected between two readings.
const TOLERANCE: Duration = Duration::from_millis(250);
/// Clocks drift by less than one part of this.
const DRIFT: u32 = 1_000;
/// Readings that are further apart are not compared.
const COMPARABLE: Duration = Duration::from_secs(60 * 60);
/// A process without a comparable reading expects the clocks of the database and of its host to agree this well.
const AGREEMENT: Duration = Duration::from_secs(1);

/// Compares the clock of the database with those of this process.
#[derive(Debug, Default)]
pub(crate) struct JumpDetector {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last: Option<Reading>,
    held_until: Option<Instant>,
}

/// The clock of the database, read at some moment after `asked`.
#[derive(Debug, Clone, Copy)]
struct Reading {
    database_ms: i64,
    asked: Instant,
    received: Instant,
}

/// The result of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClockCheck {
    Consistent,
    /// The clock of the database has advanced by more than was possible since the last reading.
    Forward,
    /// The clock of the database has advanced by less than the time since the last reading.
    Back,
    /// There is no reading to compare with, and the wall clocks differ: the clock of the database may have been set forward
    /// before this process started.
    Unverified,
}

impl JumpDetector {
    /// Records a reading that was asked for and received at these times, and compares it. If it is unverified, this process
    /// holds its permits for `hold`.
    pub(crate) fn check(
        &self,
        database_ms: i64,
        asked: Instant,
        received: Instant,
        wall: SystemTime,
        hold: Duration,
    ) -> ClockCheck {
        let mut state = lock(&self.state);
        let comparable =
            state.last.filter(|last| received.saturating_duration_since(last.asked) <= COMPARABLE);
        let check = match comparable {
            Some(last) if has_jumped(last, database_ms, received) => ClockCheck::Forward,
            Some(last) if was_set_back(last, database_ms, asked) => ClockCheck::Back,
            None if differs(database_ms, wall) => ClockCheck::Unverified,
            _ => ClockCheck::Consistent,
        };
        if check == ClockCheck::Unverified {
            state.held_until = received.checked_add(hold);
        }
        // Responses arrive in any order.
        if state.last.is_none_or(|last| last.asked <= asked) {
            state.last = Some(Reading { database_ms, asked, received });
        }
        check
    }

    /// Returns the time for which this process uses no permits.
    pub(crate) fn held_for(&self, now: Instant) -> Option<Duration> {
        let until = lock(&self.state).held_until?;
        Some(until.saturating_duration_since(now)).filter(|wait| !wait.is_zero())
    }
}

fn has_jumped(last: Reading, database_ms: i64, received: Instant) -> bool {
    let most = received.saturating_duration_since(last.asked);
    let Ok(advanced) = u64::try_from(database_ms.saturating_sub(last.database_ms)) else { return false };
    Duration::from_millis(advanced) > most + most / DRIFT + TOLERANCE
}

fn was_set_back(last: Reading, database_ms: i64, asked: Instant) -> bool {
    let least = asked.saturating_duration_since(last.received);
    let tolerance = least / DRIFT + TOLERANCE;
    let ms = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    database_ms.saturating_sub(last.database_ms) < ms(least) - ms(tolerance)
}

fn differs(database_ms: i64, wall: SystemTime) -> bool {
    let database = Duration::from_millis(u64::try_from(database_ms).unwrap_or_default());
    wall.duration_since(UNIX_EPOCH).unwrap_or_default().abs_diff(database) > AGREEMENT
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOLD: Duration = Duration::from_secs(10);

    #[test]
    fn jumps_are_detected() {
        struct Row {
            name: &'static str,
            database_ms: i64,
            received_ms: u64,
            check: ClockCheck,
        }
        let row = |name, database_ms, received_ms, check| Row { name, database_ms, received_ms, check };
        let (same, forward, back) = (ClockCheck::Consistent, ClockCheck::Forward, ClockCheck::Back);
        let rows = [
            row("both advanced by a second", 1_000, 1_000, same),
            row("a slow response", 10, 5_000, same),
            row("within the tolerance", 1_250, 1_000, same),
            row("a second ahead", 2_000, 1_000, forward),
            row("set back by an hour", -3_600_000, 1_000, back),
            row("set back by less than the tolerance", -200, 100, same),
            row("ten minutes with drift", 600_600, 600_000, same),
            row("ten minutes, and a jump of two seconds", 602_000, 600_000, forward),
            row("ten minutes, and a jump of an hour", 4_200_000, 600_000, forward),
        ];
        for Row { name, database_ms, received_ms, check } in rows {
            let (start, wall) = (Instant::now(), UNIX_EPOCH);
            let after = |ms| start + Duration::from_millis(ms);
            let detector = JumpDetector::default();
            assert_eq!(detector.check(0, start, after(0), wall, HOLD), same, "{name}");
            assert_eq!(
                detector.check(database_ms, after(0), after(received_ms), wall, HOLD),
                check,
                "{name}"
            );
        }
    }

    #[test]
    fn a_jump_is_reported_once() {
        let detector = JumpDetector::default();
        let start = Instant::now();
        let check = |ms| detector.check(ms, start, start, UNIX_EPOCH, HOLD);
        assert_eq!(check(0), ClockCheck::Consistent);
        assert_eq!(check(3_600_000), ClockCheck::Forward);
        assert_eq!(check(3_600_000), ClockCheck::Consistent);
    }

    #[test]
    fn a_process_without_readings_uses_no_permits_if_the_wall_clocks_differ() {
        let start = Instant::now();
        for (name, database_ms, held) in
            [("they agree", 900, None), ("the database is an hour ahead", 3_600_000, Some(HOLD))]
        {
            let detector = JumpDetector::default();
            detector.check(database_ms, start, start, UNIX_EPOCH, HOLD);
            assert_eq!(detector.held_for(start), held, "{name}");
            assert_eq!(detector.held_for(start + HOLD), None, "{name}");
        }
        let detector = JumpDetector::default();
        detector.check(0, start, start, UNIX_EPOCH, HOLD);
        let later = start + 2 * COMPARABLE;
        assert_eq!(detector.check(0, later, later, UNIX_EPOCH + HOLD, HOLD), ClockCheck::Unverified);
    }
}
