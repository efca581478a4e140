//! The date that the message of a request is expected to have.

use std::time::{Duration, SystemTime};

use highlevel_wire::Timestamp;
use highlevel_wire::types::{OptimizationPeriod, SendMessageRequest};
use serde::{Deserialize, Serialize};

use super::matching::Match;

/// The longest time by which a message may be dated before its request: clocks differ.
const EARLIER: Duration = Duration::from_secs(2 * 60);
/// The longest time by which a message may be dated after its request.
const LATER: Duration = Duration::from_secs(15 * 60);
/// The precision to which HighLevel has to store a date that the request gave it.
const SAME_DATE: Duration = Duration::from_secs(1);

/// The date that the message of a request is expected to have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Dated {
    /// The time of the request.
    AtOnce,
    /// The time at which it is scheduled.
    Scheduled(SystemTime),
    /// Any time within this span, chosen by HighLevel.
    Within(Duration),
    /// The date that the request gives it.
    Given(SystemTime),
}

impl Dated {
    /// Returns the expected date of a message that is sent.
    pub(super) fn of_message(request: &SendMessageRequest) -> Self {
        if request.uses_native_scheduling_ai == Some(true) || request.optimization_period.is_some() {
            return Self::Within(longest(request.optimization_period.as_ref()));
        }
        let scheduled = request.scheduled_timestamp.and_then(|seconds| u64::try_from(seconds).ok());
        scheduled
            .and_then(|seconds| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)))
            .map_or(Self::AtOnce, Self::Scheduled)
    }

    /// Returns the expected date of a message or call that is added, possibly with a date.
    pub(super) fn of_record(date: Option<&Timestamp>) -> Self {
        date.and_then(Timestamp::to_system_time).map_or(Self::AtOnce, Self::Given)
    }

    /// Returns the earliest date that a message can have. `attempted` is the time of the request.
    pub(super) fn earliest(&self, attempted: SystemTime) -> SystemTime {
        let expected = match *self {
            Self::Given(date) => date.min(attempted),
            Self::AtOnce | Self::Scheduled(_) | Self::Within(_) => attempted,
        };
        expected.checked_sub(EARLIER).unwrap_or(SystemTime::UNIX_EPOCH)
    }

    /// Compares the expected date with the date of a message. `attempted` is the time of the request.
    pub(super) fn compare(&self, attempted: SystemTime, observed: Option<SystemTime>) -> Match {
        let Some(observed) = observed else { return Match::Undecided };
        let agrees = match *self {
            Self::AtOnce => within(observed, attempted, LATER),
            // A message that is scheduled for a time in the past is sent at once.
            Self::Scheduled(time) => within(observed, time.max(attempted), LATER),
            Self::Within(span) => within(observed, attempted, span.saturating_add(LATER)),
            Self::Given(date) => distance(observed, date) < SAME_DATE,
        };
        if agrees {
            return Match::Agrees;
        }
        // A scheduled message may be dated when it is created, and a date may be ignored.
        let expected = match *self {
            Self::Scheduled(time) | Self::Given(time) => time,
            Self::AtOnce | Self::Within(_) => attempted,
        };
        let possible = [expected, attempted].into_iter().any(|time| {
            within(observed, time, LATER)
                || time.duration_since(observed).is_ok_and(|earlier| earlier <= EARLIER)
        });
        if possible { Match::Undecided } else { Match::Contradicts }
    }
}

/// Returns `true` for a date that is not before the start, to the precision of the date, and not after its end.
fn within(date: SystemTime, start: SystemTime, length: Duration) -> bool {
    let since_1970 = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let nanos = since_1970(date).subsec_nanos();
    let precision = match nanos {
        0 => Duration::from_secs(1),
        _ if nanos % 1_000_000 == 0 => Duration::from_millis(1),
        _ => Duration::ZERO,
    };
    match start.duration_since(date) {
        Ok(early) => early < precision || early.is_zero(),
        Err(late) => late.duration() <= length,
    }
}

fn distance(a: SystemTime, b: SystemTime) -> Duration {
    a.duration_since(b).unwrap_or_else(|error| error.duration())
}

/// The longest span in which HighLevel may send a message at the moment of its choice.
fn longest(period: Option<&OptimizationPeriod>) -> Duration {
    const HOUR: u64 = 60 * 60;
    let hours = period.and_then(|period| period.as_str().strip_suffix('h')?.parse::<u32>().ok());
    Duration::from_secs(u64::from(hours.unwrap_or(72)) * HOUR)
}
