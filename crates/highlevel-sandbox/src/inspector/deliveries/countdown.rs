//! The countdown to the next attempt.

use chrono::TimeDelta;

use crate::inspector::format::{self, Time};

/// A scheduled time. The script of the page formats the countdown in the same way.
pub(super) struct Next {
    pub(super) at: Time,
    pub(super) countdown: String,
}

impl Next {
    pub(super) fn new(at: String, remaining: TimeDelta) -> Self {
        Self { at: at.into(), countdown: countdown(remaining) }
    }
}

/// Formats the two largest units, with seconds rounded up.
fn countdown(remaining: TimeDelta) -> String {
    let seconds = (remaining + TimeDelta::milliseconds(999)).num_seconds();
    if seconds <= 0 {
        return "now".to_owned();
    }
    format!("in {}", format::span(seconds.unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_countdown_has_two_units() {
        let cases = [
            (-5_000, "now"),
            (0, "now"),
            (1, "in 1 s"),
            (1_000, "in 1 s"),
            (59_001, "in 1 min"),
            (125_000, "in 2 min 5 s"),
            (3_600_000, "in 1 h"),
            (3_605_000, "in 1 h"),
            (4_080_000, "in 1 h 8 min"),
            (90_000_000, "in 1 d 1 h"),
        ];
        for (milliseconds, expected) in cases {
            assert_eq!(countdown(TimeDelta::milliseconds(milliseconds)), expected, "{milliseconds}");
        }
    }
}
