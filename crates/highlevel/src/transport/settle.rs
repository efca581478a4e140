//! Lets the runtime look at its sockets before a request is put on one of them.
//!
//! While a process is stopped, its machine suspended or its runtime not driven, a server may close the connections in the
//! pool. The runtime learns of that in the next turn of its I/O driver. A request that is sent before this turn is written
//! to a closed connection, and its outcome stays unknown.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::runtime::{Handle, Id};

/// The age of a turn up to which nothing is done: a server does not close a connection so soon after a response.
const FRESH: Duration = Duration::from_millis(5);

/// The age of a turn up to which giving way to the runtime is enough. Requests that are in progress at the same time keep it
/// below this, so a busy client does not wait for timers.
const RECENT: Duration = Duration::from_millis(100);

/// The shortest sleep. It ends in a turn of the driver, which looks at the sockets before the timers.
const TURN: Duration = Duration::from_micros(1);

/// Knows when the driver of a runtime has had its last turn at the latest.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    last: Mutex<Option<Turn>>,
}

#[derive(Debug, Clone, Copy)]
struct Turn {
    runtime: Option<Id>,
    at: ClockReading,
}

/// One point in time by both clocks: the monotonic one stands still while a machine is suspended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClockReading {
    monotonic: Instant,
    wall: SystemTime,
}

impl ClockReading {
    pub(crate) fn now() -> Self {
        Self { monotonic: Instant::now(), wall: SystemTime::now() }
    }

    /// Returns the time since an earlier moment, by the clock by which more time has passed.
    fn since(self, earlier: Self) -> Duration {
        let monotonic = self.monotonic.saturating_duration_since(earlier.monotonic);
        self.wall.duration_since(earlier.wall).unwrap_or_default().max(monotonic)
    }
}

impl Settled {
    /// Waits until the driver of this runtime has looked at all sockets, unless it has just done so. Returns a moment before
    /// a request that is sent now.
    pub(crate) async fn settle(&self) -> ClockReading {
        let now = ClockReading::now();
        match self.age(now) {
            Some(age) if age <= FRESH => return now,
            // A current-thread runtime has a turn of its driver before it polls this again; another one may have.
            Some(age) if age <= RECENT => {
                tokio::task::yield_now().await;
                return ClockReading::now();
            }
            _ => {}
        }
        // The turn that ends the first sleep may have begun before this call, and seen sockets as they were then. The turn
        // that ends the second one has not.
        tokio::time::sleep(TURN).await;
        let between = ClockReading::now();
        tokio::time::sleep(TURN).await;
        self.had_turn_since(between);
        ClockReading::now()
    }

    /// Notes that the driver has had a turn after this moment: it has read the response to a request that was sent then.
    pub(crate) fn had_turn_since(&self, at: ClockReading) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = Turn { runtime: runtime(), at };
        if last.is_none_or(|last| last.runtime != turn.runtime || last.at.monotonic < at.monotonic) {
            *last = Some(turn);
        }
    }

    /// Returns the age of the last turn that is known, if there is one of this runtime.
    fn age(&self, now: ClockReading) -> Option<Duration> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.filter(|last| last.runtime == runtime()).map(|last| now.since(last.at))
    }
}

/// Returns the id of the current runtime: each has a driver.
fn runtime() -> Option<Id> {
    Handle::try_current().ok().map(|handle| handle.id())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn later(moment: ClockReading, monotonic: Duration, wall: Duration) -> ClockReading {
        ClockReading { monotonic: moment.monotonic + monotonic, wall: moment.wall + wall }
    }

    #[tokio::test]
    async fn the_age_of_a_turn_is_that_of_the_clock_by_which_more_time_has_passed() {
        struct Row {
            name: &'static str,
            monotonic: Duration,
            wall: Duration,
            age: Duration,
        }

        let settled = Settled::default();
        let start = ClockReading::now();
        assert_eq!(settled.age(start), None, "nothing is known at first");
        settled.had_turn_since(start);
        for Row { name, monotonic, wall, age } in [
            Row { name: "at once", monotonic: Duration::ZERO, wall: Duration::ZERO, age: Duration::ZERO },
            Row { name: "later", monotonic: FRESH, wall: FRESH, age: FRESH },
            Row { name: "suspended", monotonic: Duration::ZERO, wall: RECENT, age: RECENT },
            Row { name: "wall clock stands still", monotonic: RECENT, wall: Duration::ZERO, age: RECENT },
        ] {
            assert_eq!(settled.age(later(start, monotonic, wall)), Some(age), "{name}");
        }
    }

    #[tokio::test]
    async fn an_earlier_turn_does_not_replace_a_later_one() {
        let settled = Settled::default();
        let start = ClockReading::now();
        let end = later(start, FRESH, FRESH);
        settled.had_turn_since(end);
        settled.had_turn_since(start);
        assert_eq!(settled.age(end), Some(Duration::ZERO));
    }

    #[test]
    fn each_runtime_has_a_driver() {
        let settled = Settled::default();
        let runtime =
            || tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (first, second) = (runtime(), runtime());
        let turn = ClockReading::now();
        first.block_on(async { settled.had_turn_since(turn) });
        assert_eq!(first.block_on(async { settled.age(turn) }), Some(Duration::ZERO));
        assert_eq!(second.block_on(async { settled.age(turn) }), None);
    }

    #[tokio::test]
    async fn settling_is_noted_and_not_repeated_at_once() {
        let settled = Settled::default();
        let start = ClockReading::now();
        settled.settle().await;
        let age = settled.age(ClockReading::now()).expect("a turn");
        assert!(age <= ClockReading::now().since(start), "{age:?}");
    }
}
