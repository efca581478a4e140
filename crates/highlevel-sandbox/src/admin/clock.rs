//! The sandbox clock.

use std::sync::Arc;

use chrono::SecondsFormat;
use http::Method;
use serde_json::json;

use super::response::Output;
use super::route::{Input, Route};
use crate::api_error::ApiError;
use crate::engine::ClockChange;
use crate::engine::Engine;

pub(super) const ROUTES: &[Route] = &[
    Route { method: Method::GET, path: "clock", handler: |state, _| Ok(show(state)) },
    Route { method: Method::PATCH, path: "clock", handler: change },
];

fn show(state: &Engine) -> Output {
    let now = state.clock.now().to_rfc3339_opts(SecondsFormat::Millis, true);
    Output::ok(json!({ "now": now, "speed": state.clock.speed() }))
}

fn change(state: &Arc<Engine>, input: &Input<'_>) -> Result<Output, ApiError> {
    state.change_clock(input.json::<ClockChange>()?).map_err(ApiError::bad_request)?;
    Ok(show(state))
}
