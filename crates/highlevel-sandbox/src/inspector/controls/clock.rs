//! The clock: time and speed of the sandbox.

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};

use super::form::number;
use crate::api_error::ApiError;
use crate::engine::ClockChange;
use crate::engine::Engine;
use crate::inspector::format::{self, Time};
use crate::inspector::route::PageRequest;
use crate::webhook::time_text;

/// The largest difference to system time that counts as equal, because system time is adjusted now and then.
const TOLERANCE: TimeDelta = TimeDelta::seconds(2);

/// The label of a button, the milliseconds by which it advances the clock, and its keyboard shortcut.
type Step = (&'static str, u64, &'static str);

const STEPS: [Step; 4] =
    [("+1 min", 60_000, "m"), ("+10 min", 600_000, ""), ("+1 h", 3_600_000, "h"), ("+1 day", 86_400_000, "")];
/// The labels of the buttons and their speeds.
const SPEEDS: [(&str, f64); 3] = [("Paused", 0.0), ("1×", 1.0), ("60×", 60.0)];

pub(super) struct ClockForm {
    pub(super) now: Time,
    /// The difference to system time, as text.
    pub(super) position: String,
    pub(super) pace: String,
    pub(super) is_system: bool,
    pub(super) steps: [Step; 4],
    /// The label of each button, its speed, and `true` for the current speed.
    pub(super) speeds: Vec<(&'static str, f64, bool)>,
    /// The next midnight, in the format of the input field.
    pub(super) midnight: String,
    /// The number of scheduled webhook attempts.
    pub(super) pending: usize,
    pub(super) next: Option<Next>,
}

/// The time of the next attempt.
pub(super) struct Next {
    pub(super) at: Time,
    /// The time rounded up to whole milliseconds, the resolution of the clock's text format.
    pub(super) reached: String,
}

impl ClockForm {
    pub(super) fn of(state: &Engine) -> Self {
        let (now, speed, ahead) = (state.clock.now(), state.clock.speed(), state.clock.ahead());
        let (pending, next) = state.outbox.waiting();
        let midnight = now.date_naive().succ_opt().map(|day| format!("{day}T00:00")).unwrap_or_default();
        Self {
            now: time_text(now).into(),
            position: position(ahead),
            pace: pace(speed),
            is_system: is_system(ahead, speed),
            steps: STEPS,
            speeds: SPEEDS.map(|(words, each)| (words, each, same(each, speed))).into(),
            midnight,
            pending,
            next: next.map(|time| Next {
                at: time_text(time).into(),
                reached: time_text(time.checked_add_signed(TimeDelta::microseconds(999)).unwrap_or(time)),
            }),
        }
    }
}

/// Returns `true` if the clock matches system time.
pub(super) fn is_system(ahead: TimeDelta, speed: f64) -> bool {
    ahead.abs() < TOLERANCE && same(speed, 1.0)
}

pub(super) fn position(ahead: TimeDelta) -> String {
    if ahead.abs() < TOLERANCE {
        "matches system time".to_owned()
    } else if ahead > TimeDelta::zero() {
        format!("{} ahead of system time", span(ahead))
    } else {
        format!("{} behind system time", span(-ahead))
    }
}

pub(super) fn pace(speed: f64) -> String {
    if same(speed, 0.0) {
        "paused".to_owned()
    } else if same(speed, 1.0) {
        "1× speed".to_owned()
    } else {
        format!("{speed}× speed")
    }
}

fn same(one: f64, other: f64) -> bool {
    (one - other).abs() < f64::EPSILON
}

/// Formats a non-negative span, rounded to seconds.
fn span(span: TimeDelta) -> String {
    format::span((span + TimeDelta::milliseconds(500)).num_seconds().unsigned_abs())
}

/// Applies one of the forms of the card.
pub(super) fn change(state: &Engine, page_request: &PageRequest) -> Result<(), ApiError> {
    let mut change = ClockChange::default();
    if page_request.field("advanceMs").is_some() {
        change.advance_ms = Some(number(page_request, "advanceMs", "Milliseconds")?);
    } else if let Some(unit) = page_request.field("unit") {
        change.advance_ms = Some(amount(number(page_request, "amount", "Advance by")?, &unit)?);
    } else if let Some(until) = page_request.field("until") {
        let until = time(&until)?;
        // The time may have passed since the page was rendered; the clock must not be set back.
        if until <= state.clock.now() {
            return Ok(());
        }
        change.now = Some(until);
    } else if page_request.field("speed").is_some() {
        change.speed = Some(number(page_request, "speed", "Speed")?);
    } else {
        change.now = Some(time(&page_request.field("now").unwrap_or_default())?);
    }
    state.change_clock(change).map_err(ApiError::bad_request)
}

/// Resets the clock to system time.
pub(super) fn follow_system(state: &Engine) -> Result<(), ApiError> {
    state.change_clock(ClockChange::to_machine()).map_err(ApiError::bad_request)
}

/// Converts an amount of a unit into milliseconds.
fn amount(count: f64, unit: &str) -> Result<u64, ApiError> {
    let seconds = match unit {
        "seconds" => 1.0,
        "minutes" => 60.0,
        "hours" => 3_600.0,
        "days" => 86_400.0,
        other => return Err(ApiError::bad_request(format!("unknown unit {other:?}"))),
    };
    let message =
        "Advance by: enter a positive amount, up to the year 9999; to go back, set an absolute time";
    let span = std::time::Duration::try_from_secs_f64(count * seconds);
    let span = span.map_err(|_| ApiError::bad_request(message))?;
    u64::try_from(span.as_millis()).map_err(|_| ApiError::bad_request(message))
}

/// Parses the value of a date and time field as UTC, or a time with an offset.
fn time(text: &str) -> Result<DateTime<Utc>, ApiError> {
    let text = text.trim();
    let local = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%.f"];
    let local = local.iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
    let zoned = || DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc());
    local.map(|time| time.and_utc()).or_else(zoned).ok_or_else(|| {
        ApiError::bad_request(format!(
            "Set time: \"{text}\" is not a valid date and time; use 2026-01-31T09:30 (UTC)"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_described_against_the_machines() {
        let cases = [
            (0, 1.0, "matches system time", "1× speed", true),
            (1, 1.0, "matches system time", "1× speed", true),
            (1, 0.0, "matches system time", "paused", false),
            (600, 1.0, "10 min ahead of system time", "1× speed", false),
            (-600, 60.0, "10 min behind system time", "60× speed", false),
        ];
        for (seconds, speed, where_it_is, how_fast, expected) in cases {
            let ahead = TimeDelta::seconds(seconds);
            assert_eq!(position(ahead), where_it_is, "{seconds}");
            assert_eq!(pace(speed), how_fast, "{speed}");
            assert_eq!(is_system(ahead, speed), expected, "{seconds} {speed}");
        }
    }

    #[test]
    fn a_time_is_read_as_utc_unless_it_says_otherwise() {
        let cases = [
            ("2026-01-31T09:30", Some("2026-01-31T09:30:00.000Z")),
            ("2026-01-31T09:30:15", Some("2026-01-31T09:30:15.000Z")),
            (" 2026-01-31T09:30:15.25 ", Some("2026-01-31T09:30:15.250Z")),
            ("2026-01-31T09:30:00.000Z", Some("2026-01-31T09:30:00.000Z")),
            ("2026-01-31T09:30:00+02:00", Some("2026-01-31T07:30:00.000Z")),
            ("2026-01-31", None),
            ("2026-02-31T09:30", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(time(text).ok().map(time_text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn an_amount_is_told_in_milliseconds() {
        let cases = [
            (1.5, "seconds", Some(1_500)),
            (10.0, "minutes", Some(600_000)),
            (0.5, "hours", Some(1_800_000)),
            (2.0, "days", Some(172_800_000)),
            (-1.0, "days", None),
            (f64::NAN, "days", None),
            (f64::INFINITY, "days", None),
            (1e300, "days", None),
            (1.0, "years", None),
        ];
        for (count, unit, expected) in cases {
            assert_eq!(amount(count, unit).ok(), expected, "{count} {unit}");
        }
    }
}
