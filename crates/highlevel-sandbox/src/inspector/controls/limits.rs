//! The rate limits and the remaining requests.

use std::sync::Arc;
use std::time::Duration;

use super::form::number;
use crate::api_error::ApiError;
use crate::engine::Engine;
use crate::inspector::format::thousands;
use crate::inspector::route::PageRequest;
use crate::rate_limit::{Account, BurstWindow, RateLimit};
use crate::sync::lock;

pub(super) struct RateLimits {
    pub(super) enforced: bool,
    pub(super) limit: RateLimit,
    pub(super) interval_ms: u128,
    pub(super) is_fixed: bool,
    /// The remaining requests by app and location, the default account first.
    pub(super) accounts: Vec<Left>,
}

/// The remaining requests of an app on a location.
pub(super) struct Left {
    pub(super) app_id: String,
    pub(super) location_id: String,
    pub(super) burst: String,
    pub(super) daily: String,
}

impl Left {
    /// Encodes both IDs as one form value.
    pub(super) fn value(&self) -> String {
        let mut value = form_urlencoded::Serializer::new(String::new());
        value.append_pair(&self.app_id, &self.location_id);
        value.finish()
    }
}

impl RateLimits {
    pub(super) fn of(state: &Engine) -> Self {
        let now = state.clock.now();
        let mut limiter = lock(&state.limiter);
        let limits = limiter.limits();
        let mut accounts: Vec<Left> = limiter
            .tallies(now)
            .map(|(account, tally)| Left {
                app_id: account.app_id.clone(),
                location_id: account.location_id.clone(),
                burst: thousands(tally.burst_remaining),
                daily: thousands(tally.daily_remaining),
            })
            .collect();
        drop(limiter);
        let limit = limits.unwrap_or_else(RateLimit::documented);
        let own = |left: &Left| {
            left.app_id == state.account.app_id && left.location_id == state.account.location_id
        };
        if !accounts.iter().any(own) {
            // The account has no requests yet.
            accounts.push(Left {
                app_id: state.account.app_id.clone(),
                location_id: state.account.location_id.clone(),
                burst: thousands(limit.burst),
                daily: thousands(limit.daily),
            });
        }
        accounts.sort_by(|one, other| {
            let key = |left: &Left| (!own(left), left.app_id.clone(), left.location_id.clone());
            key(one).cmp(&key(other))
        });
        Self {
            enforced: limits.is_some(),
            interval_ms: limit.interval.as_millis(),
            is_fixed: limit.window == BurstWindow::Fixed,
            limit,
            accounts,
        }
    }
}

/// Formats the limits.
pub(super) fn words(limit: RateLimit) -> String {
    let (burst, daily) = (thousands(limit.burst), thousands(limit.daily));
    format!("{burst} requests per {} s, {daily} per day", limit.interval.as_secs_f64())
}

/// Sets or disables the limits as the form specifies.
pub(super) fn change(state: &Engine, page_request: &PageRequest) -> Result<(), ApiError> {
    if page_request.field("enforced").as_deref() == Some("0") {
        return state.set_rate_limit(None).map_err(ApiError::bad_request);
    }
    let window = match page_request.field("window").as_deref() {
        Some("fixed") => BurstWindow::Fixed,
        _ => BurstWindow::Sliding,
    };
    let limit = RateLimit::documented()
        .window(window)
        .burst(number(page_request, "burst", "Burst limit")?)
        .interval(Duration::from_millis(number(page_request, "interval", "Window (ms)")?))
        .daily(number(page_request, "daily", "Daily limit")?)
        .retry_after(page_request.field("retryAfter").is_some());
    state.set_rate_limit(Some(limit)).map_err(ApiError::bad_request)
}

/// Counts requests as if another program had sent them.
pub(super) fn take(state: &Engine, page_request: &PageRequest) -> Result<(), ApiError> {
    let requests = number(page_request, "requests", "Number of requests")?;
    let account = page_request.field("account").unwrap_or_default();
    let account = match form_urlencoded::parse(account.as_bytes()).next() {
        Some((app_id, location_id)) => {
            Arc::new(Account { app_id: app_id.into_owned(), location_id: location_id.into_owned() })
        }
        None => Arc::clone(&state.account),
    };
    state.use_rate_limit(&account, requests);
    Ok(())
}
