//! Settings that can be changed at run time.
//!
//! All changes are made here, so that each one is also recorded in the ledger. Fault rules, test events and simulations are
//! in sibling modules.

use std::io;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Datelike, TimeDelta, Utc};
use serde::Deserialize;

use http::Uri;

use super::state::Engine;
use crate::clock::Clock;
use crate::fidelity::Settings;
use crate::rate_limit::{Account, RateLimit, RateLimitEnforcer};
use crate::sync::lock;
use crate::webhook::{Replay, RetrySchedule, TamperConfig, TamperMode, WebhookDelivery};
use crate::webhook_url::parse_webhook_url;

/// The accepted years of the clock: IDs and rate limits count from the first, and RFC 3339 ends with the last.
const YEARS: RangeInclusive<i32> = 1970..=9999;
/// The maximum speed of the clock.
const MAX_SPEED: f64 = 1e6;

/// A change of the clock. Absent fields leave the clock unchanged.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ClockChange {
    pub(crate) now: Option<DateTime<Utc>>,
    /// Milliseconds to advance the clock, after `now` is set.
    pub(crate) advance_ms: Option<u64>,
    /// Sandbox seconds per real second.
    pub(crate) speed: Option<f64>,
}

impl ClockChange {
    /// Returns the change that resets the clock to the system clock.
    pub(crate) fn to_machine() -> Self {
        Self { now: Some(Clock::machine()), advance_ms: None, speed: Some(1.0) }
    }
}

impl Engine {
    /// Changes the clock.
    ///
    /// # Errors
    ///
    /// Returns the reason if a value is out of range. Then the clock is unchanged.
    pub(crate) fn change_clock(&self, change: ClockChange) -> Result<(), String> {
        let ClockChange { now, advance_ms, speed } = change;
        if let Some(speed) = speed
            && !(0.0..=MAX_SPEED).contains(&speed)
        {
            return Err(format!("speed: {speed} is not between 0 and {MAX_SPEED}"));
        }
        let by = TimeDelta::try_milliseconds(advance_ms.unwrap_or_default().try_into().unwrap_or(i64::MAX));
        let then = by.and_then(|by| now.unwrap_or_else(|| self.clock.now()).checked_add_signed(by));
        let is_in = |time: DateTime<Utc>| YEARS.contains(&time.year());
        if !now.is_none_or(is_in) || !then.is_some_and(is_in) {
            let (first, last) = (YEARS.start(), YEARS.end());
            return Err(format!(
                "the clock accepts the years {first} to {last} only; choose a time in this range"
            ));
        }
        if let Some(now) = now {
            self.move_clock(now);
        }
        if let Some(milliseconds) = advance_ms {
            self.clock.advance(Duration::from_millis(milliseconds));
        }
        if let Some(speed) = speed {
            self.clock.set_speed(speed);
        }
        self.changed("clock");
        Ok(())
    }

    /// Sets the clock.
    pub(crate) fn set_clock(&self, time: DateTime<Utc>) {
        self.move_clock(time);
        self.changed("clock");
    }

    /// Advances the clock.
    pub(crate) fn advance_clock(&self, by: Duration) {
        self.clock.advance(by);
        self.changed("clock");
    }

    /// Sets the speed of the clock.
    pub(crate) fn set_clock_speed(&self, speed: f64) {
        self.clock.set_speed(speed);
        self.changed("clock");
    }

    /// Sets the clock. Resets the rate limits if it moves back, because their windows would be in the future.
    fn move_clock(&self, time: DateTime<Utc>) {
        if time < self.clock.now() {
            lock(&self.limiter).reset();
        }
        self.clock.set(time);
    }

    /// Changes the validation settings, which apply to subsequent requests.
    pub(crate) fn change_settings(&self, change: impl FnOnce(&mut Settings)) {
        self.set_settings(change);
        self.changed("settings");
    }

    /// Changes the validation settings without notifying the followers of the ledger.
    pub(super) fn set_settings(&self, change: impl FnOnce(&mut Settings)) {
        let mut settings = lock(&self.settings);
        change(&mut settings);
        lock(&self.search_lag).set_delay(settings.active_search_lag());
    }

    /// Sets or removes the rate limits, and resets their counters.
    pub(crate) fn set_rate_limit(&self, limits: Option<RateLimit>) -> Result<(), &'static str> {
        let limits = limits.map(RateLimit::checked).transpose()?;
        *lock(&self.limiter) = RateLimitEnforcer::new(limits);
        self.changed("rate-limit");
        Ok(())
    }

    /// Counts requests as if another client had sent them.
    pub(crate) fn use_rate_limit(&self, account: &Arc<Account>, count: usize) {
        lock(&self.limiter).take(account, self.clock.now(), count);
        self.changed("rate-limit");
    }

    /// Parses the URL of a webhook target.
    ///
    /// # Errors
    ///
    /// Returns `InvalidInput` if the URL is malformed or not an allowed target.
    pub(crate) fn checked_target(&self, url: &str) -> io::Result<Uri> {
        let url = parse_webhook_url(url)?;
        self.targets.check(&url).map_err(|reason| io::Error::new(io::ErrorKind::InvalidInput, reason))?;
        Ok(url)
    }

    /// Sets or removes the webhook URL of the app.
    pub(crate) fn set_webhook_url(&self, url: Option<&str>) -> io::Result<()> {
        let url = url.map(|url| self.checked_target(url)).transpose()?;
        self.outbox.set_url(url.map(|url| url.to_string()));
        self.changed("webhooks");
        Ok(())
    }

    /// Sets the retry schedule of webhooks, which applies from the next attempt on.
    pub(crate) fn set_retry_schedule(&self, schedule: RetrySchedule) {
        self.outbox.set_retries(schedule);
        self.changed("webhooks");
    }

    /// Changes the active tamper modes and returns them.
    pub(crate) fn change_tamper_config(&self, change: impl FnOnce(&mut TamperConfig)) -> TamperConfig {
        let tamper_config = self.outbox.change_tamper_config(change);
        self.changed("webhooks");
        tamper_config
    }

    /// Resends an event and returns its delivery.
    pub(crate) fn resend(&self, delivery: u64, mode: Option<TamperMode>) -> io::Result<WebhookDelivery> {
        let delivery = self.outbox.resend(delivery, mode)?;
        self.changed("deliveries");
        Ok(delivery)
    }

    /// Replays the request of an attempt and returns its delivery.
    pub(crate) fn replay(&self, delivery: u64, replay: Replay) -> io::Result<WebhookDelivery> {
        let delivery = self.outbox.replay(delivery, replay, self.clock.now())?;
        self.changed("deliveries");
        Ok(delivery)
    }

    /// Replaces the webhook signing key with a new one.
    pub(crate) fn rotate_webhook_key(&self) -> io::Result<()> {
        self.outbox.rotate_key(&self.identifiers)?;
        self.changed("webhooks");
        Ok(())
    }
}
