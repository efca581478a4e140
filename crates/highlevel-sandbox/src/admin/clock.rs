//! The sandbox's clock.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Datelike, SecondsFormat, TimeDelta, Utc};
use http::Method;
use serde::Deserialize;
use serde_json::json;

use super::{Input, Output, Problem, Route};
use crate::server::State;

pub(super) const ROUTES: &[Route] = &[
    Route { method: Method::GET, path: "clock", handler: |state, _| Ok(show(state)) },
    Route { method: Method::PATCH, path: "clock", handler: change },
];

/// RFC 3339 has no later one.
const LAST_YEAR: i32 = 9999;

/// What is to change; the rest stays.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Change {
    now: Option<DateTime<Utc>>,
    advance_ms: Option<u64>,
    speed: Option<f64>,
}

fn show(state: &State) -> Output {
    let now = state.clock.now().to_rfc3339_opts(SecondsFormat::Millis, true);
    Output::ok(json!({ "now": now, "speed": state.clock.speed() }))
}

fn change(state: &Arc<State>, input: &Input<'_>) -> Result<Output, Problem> {
    let Change { now, advance_ms, speed } = input.json()?;
    if let Some(speed) = speed
        && !(0.0..=1e6).contains(&speed)
    {
        return Err(Problem::bad_request(format!("speed: {speed} is not between 0 and 1000000")));
    }
    let then = TimeDelta::try_milliseconds(advance_ms.unwrap_or_default().try_into().unwrap_or(i64::MAX));
    let then = then.and_then(|by| now.unwrap_or_else(|| state.clock.now()).checked_add_signed(by));
    if then.is_none_or(|then| then.year() > LAST_YEAR) {
        return Err(Problem::bad_request(format!("the clock ends with the year {LAST_YEAR}")));
    }
    if let Some(now) = now {
        state.set_clock(now);
    }
    if let Some(milliseconds) = advance_ms {
        state.clock.advance(Duration::from_millis(milliseconds));
    }
    if let Some(speed) = speed {
        state.clock.set_speed(speed);
    }
    Ok(show(state))
}
