//! The sandbox's clock.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use http::Method;
use serde::Deserialize;
use serde_json::json;

use super::{Input, Output, Problem, Route};
use crate::server::State;

pub(super) const ROUTES: &[Route] = &[
    Route { method: Method::GET, path: "clock", handler: |state, _| Ok(show(state)) },
    Route { method: Method::PATCH, path: "clock", handler: change },
];

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
    if let Some(now) = now {
        state.clock.set(now);
    }
    if let Some(milliseconds) = advance_ms {
        state.clock.advance(Duration::from_millis(milliseconds));
    }
    if let Some(speed) = speed {
        state.clock.set_speed(speed);
    }
    Ok(show(state))
}
