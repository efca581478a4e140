//! The rate limits.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::response::Output;
use super::route::{Input, Route};
use crate::api_error::ApiError;
use crate::engine::Engine;
use crate::rate_limit::{Account, BurstWindow, RateLimit};
use crate::sync::lock;

pub(super) const ROUTES: &[Route] = &[
    Route { method: Method::GET, path: "rate-limit", handler: |state, _| Ok(show(state)) },
    Route { method: Method::PUT, path: "rate-limit", handler: |state, input| change(state, input) },
    Route { method: Method::POST, path: "rate-limit/use", handler: |state, input| take(state, input) },
];

/// The rate limits. Omitted fields get their documented values.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Limits {
    enforced: bool,
    window: BurstWindow,
    burst: usize,
    interval_ms: u64,
    daily: usize,
    retry_after: bool,
}

/// Simulated requests.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Used {
    requests: usize,
    app_id: Option<String>,
    location_id: Option<String>,
}

impl Default for Limits {
    fn default() -> Self {
        Self::new(RateLimit::documented(), true)
    }
}

impl Limits {
    fn new(limit: RateLimit, enforced: bool) -> Self {
        let RateLimit { window, burst, interval, daily, retry_after } = limit;
        let interval_ms = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX);
        Self { enforced, window, burst, interval_ms, daily, retry_after }
    }
}

fn show(state: &Engine) -> Output {
    let now = state.clock.now();
    let mut limiter = lock(&state.limiter);
    let limits = limiter.limits();
    let mut shown = json!(Limits::new(limits.unwrap_or_else(RateLimit::documented), limits.is_some()));
    let accounts: Vec<Value> = limiter
        .tallies(now)
        .map(|(account, tally)| {
            json!({
                "appId": account.app_id,
                "locationId": account.location_id,
                "burstRemaining": tally.burst_remaining,
                "dailyRemaining": tally.daily_remaining,
                "dailyResetMs": tally.daily_reset_ms,
            })
        })
        .collect();
    shown["accounts"] = accounts.into();
    Output::ok(shown)
}

fn change(state: &Engine, input: &Input<'_>) -> Result<Output, ApiError> {
    let Limits { enforced, window, burst, interval_ms, daily, retry_after } = input.json()?;
    let limit = RateLimit::documented()
        .window(window)
        .burst(burst)
        .interval(Duration::from_millis(interval_ms))
        .daily(daily)
        .retry_after(retry_after);
    state.set_rate_limit(enforced.then_some(limit)).map_err(ApiError::bad_request)?;
    Ok(show(state))
}

fn take(state: &Engine, input: &Input<'_>) -> Result<Output, ApiError> {
    let Used { requests, app_id, location_id } = input.json()?;
    let account = Account {
        app_id: app_id.unwrap_or_else(|| state.account.app_id.clone()),
        location_id: location_id.unwrap_or_else(|| state.account.location_id.clone()),
    };
    state.use_rate_limit(&Arc::new(account), requests);
    Ok(show(state))
}
