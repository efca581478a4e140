//! The clock of a sandbox, which can be set, stopped and run at a different speed.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::watch;
use tokio::time::Instant;

/// The last time in RFC 3339 with milliseconds, 9999-12-31T23:59:59.999Z, where a clock stops.
const LAST: DateTime<Utc> = match DateTime::from_timestamp_millis(253_402_300_799_999) {
    Some(time) => time,
    None => DateTime::<Utc>::MAX_UTC,
};

/// The clock of one sandbox. Changing it wakes the tasks that sleep until a time.
#[derive(Debug)]
pub(crate) struct Clock {
    course: watch::Sender<Course>,
}

/// The mapping from system time to sandbox time.
#[derive(Clone, Copy, Debug)]
struct Course {
    /// The system time at which the mapping starts.
    began: Instant,
    /// The sandbox time at `began`.
    time: DateTime<Utc>,
    /// Sandbox seconds per real second; 0 stops the clock.
    speed: f64,
}

impl Course {
    fn at(&self, moment: Instant) -> DateTime<Utc> {
        let elapsed = moment.saturating_duration_since(self.began);
        let elapsed =
            Duration::try_from_secs_f64(elapsed.as_secs_f64() * self.speed).unwrap_or(Duration::MAX);
        TimeDelta::from_std(elapsed)
            .ok()
            .and_then(|elapsed| self.time.checked_add_signed(elapsed))
            .map_or(LAST, |time| time.min(LAST))
    }

    /// Returns the real duration until a sandbox time, or `None` if the clock never reaches it.
    fn until(&self, time: DateTime<Utc>, moment: Instant) -> Option<Duration> {
        let remaining = (time - self.at(moment)).to_std().unwrap_or(Duration::ZERO);
        if remaining.is_zero() {
            return Some(Duration::ZERO);
        }
        if time > LAST {
            return None;
        }
        Duration::try_from_secs_f64(remaining.as_secs_f64() / self.speed).ok()
    }
}

impl Clock {
    /// Creates a clock that follows the system clock.
    pub(crate) fn new() -> Self {
        Self { course: watch::Sender::new(Course { began: Instant::now(), time: Utc::now(), speed: 1.0 }) }
    }

    /// Returns the time of the system clock.
    pub(crate) fn machine() -> DateTime<Utc> {
        Utc::now()
    }

    /// Returns the offset from the system clock, negative if this clock is behind.
    pub(crate) fn ahead(&self) -> TimeDelta {
        self.now() - Self::machine()
    }

    /// Returns the current sandbox time.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.course.borrow().at(Instant::now())
    }

    /// Returns the speed, in sandbox seconds per real second.
    pub(crate) fn speed(&self) -> f64 {
        self.course.borrow().speed
    }

    /// Sets the time, clamped to the years 1970 to 9999. The clock continues from there.
    pub(crate) fn set(&self, time: DateTime<Utc>) {
        self.course.send_modify(|course| {
            course.began = Instant::now();
            course.time = time.clamp(DateTime::UNIX_EPOCH, LAST);
        });
    }

    /// Advances the clock.
    pub(crate) fn advance(&self, by: Duration) {
        self.course.send_modify(|course| {
            let now = Instant::now();
            let by = TimeDelta::from_std(by).unwrap_or(TimeDelta::MAX);
            course.time = course.at(now).checked_add_signed(by).map_or(LAST, |time| time.min(LAST));
            course.began = now;
        });
    }

    /// Sets the speed: at 60 a minute passes in each real second, 0 stops the clock.
    pub(crate) fn set_speed(&self, speed: f64) {
        self.course.send_modify(|course| {
            let now = Instant::now();
            course.time = course.at(now);
            course.began = now;
            course.speed = speed.max(0.0);
        });
    }

    /// Resolves when the clock reaches a time. Changes of the clock in the meantime are taken into account.
    pub(crate) async fn sleep_until(&self, time: DateTime<Utc>) {
        let mut course = self.course.subscribe();
        loop {
            let remaining = course.borrow_and_update().until(time, Instant::now());
            let wait = async {
                match remaining {
                    Some(remaining) => tokio::time::sleep(remaining).await,
                    None => std::future::pending().await,
                }
            };
            if remaining == Some(Duration::ZERO) {
                return;
            }
            tokio::select! {
                () = wait => {}
                // The sender is in `self`, so it cannot be dropped meanwhile.
                _ = course.changed() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn course(speed: f64) -> Course {
        Course { began: Instant::now(), time: DateTime::UNIX_EPOCH, speed }
    }

    #[test]
    fn the_time_follows_the_speed() {
        let cases = [(1.0, 10), (60.0, 600), (0.5, 5), (0.0, 0)];
        for (speed, seconds) in cases {
            let course = course(speed);
            let time = course.at(course.began + Duration::from_secs(10));
            assert_eq!(time - DateTime::UNIX_EPOCH, TimeDelta::seconds(seconds), "{speed}");
        }
    }

    #[test]
    fn the_wait_for_a_time_follows_the_speed() {
        let minute = DateTime::UNIX_EPOCH + TimeDelta::seconds(60);
        let cases = [(1.0, Some(60)), (60.0, Some(1)), (0.0, None)];
        for (speed, seconds) in cases {
            let course = course(speed);
            assert_eq!(course.until(minute, course.began), seconds.map(Duration::from_secs), "{speed}");
        }
        let past = DateTime::UNIX_EPOCH - TimeDelta::seconds(1);
        let course = course(0.0);
        assert_eq!(course.until(past, course.began), Some(Duration::ZERO));
    }

    #[test]
    fn the_time_ends_with_the_year_9999() {
        assert_eq!(LAST.to_rfc3339(), "9999-12-31T23:59:59.999+00:00");
        let course = Course { time: LAST - TimeDelta::seconds(1), ..course(1e6) };
        for seconds in [1, 10, u64::from(u32::MAX)] {
            assert_eq!(course.at(course.began + Duration::from_secs(seconds)), LAST, "{seconds}");
        }
        assert_eq!(course.until(LAST, course.began), Some(Duration::from_micros(1)));
        assert_eq!(course.until(LAST + TimeDelta::milliseconds(1), course.began), None);

        let clock = Clock::new();
        clock.set_speed(0.0);
        for (time, expected) in [
            (DateTime::<Utc>::MIN_UTC, DateTime::UNIX_EPOCH),
            (DateTime::UNIX_EPOCH, DateTime::UNIX_EPOCH),
            (LAST, LAST),
            (DateTime::<Utc>::MAX_UTC, LAST),
        ] {
            clock.set(time);
            assert_eq!(clock.now(), expected, "{time}");
        }
        clock.set(DateTime::UNIX_EPOCH);
        clock.advance(Duration::MAX);
        assert_eq!(clock.now(), LAST);
    }

    #[tokio::test(start_paused = true)]
    async fn sleepers_wake_when_the_clock_is_moved() {
        let clock = Clock::new();
        clock.set_speed(0.0);
        let hour = Duration::from_secs(3600);
        let until = clock.now() + TimeDelta::hours(1);
        let (slept, ()) =
            tokio::join!(tokio::time::timeout(Duration::from_secs(100), clock.sleep_until(until)), async {
                tokio::time::sleep(Duration::from_secs(50)).await;
                clock.advance(hour);
            });
        assert_eq!(slept, Ok(()));
        clock.set(until - TimeDelta::hours(2));
        let slept = tokio::time::timeout(Duration::from_secs(100), clock.sleep_until(until)).await;
        assert!(slept.is_err(), "the clock never reaches this time");
    }
}
