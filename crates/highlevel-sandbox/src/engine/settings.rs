//! Everything that is switched or asked for while a sandbox runs: the one place where it happens, and is told to those who watch.
//! Faults have such a place of their own, [`fault`](crate::fault); events that nothing happened for (`webhook/trigger.rs`)
//! and statuses that are moved on by hand (`webhook/simulate.rs`) tell it themselves.

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
use crate::rate_limit::{Account, RateLimit, RateLimiter};
use crate::sync::lock;
use crate::webhook::{Replay, RetrySchedule, TamperConfig, TamperMode, WebhookDelivery};
use crate::webhook_url::parse_webhook_url;

/// The years that the clock can be in: ids and limits count from the first, and RFC 3339 has none after the last.
const YEARS: RangeInclusive<i32> = 1970..=9999;
/// The fastest that a clock runs.
const FASTEST: f64 = 1e6;

/// What of the clock is to change; the rest stays.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ClockChange {
    pub(crate) now: Option<DateTime<Utc>>,
    /// Forward, after it was set.
    pub(crate) advance_ms: Option<u64>,
    /// Seconds of the sandbox in one second of the machine.
    pub(crate) speed: Option<f64>,
}

impl ClockChange {
    /// To run as the machine's does.
    pub(crate) fn to_machine() -> Self {
        Self { now: Some(Clock::machine()), advance_ms: None, speed: Some(1.0) }
    }
}

impl Engine {
    /// Changes the clock, or says why it cannot be so.
    pub(crate) fn change_clock(&self, change: ClockChange) -> Result<(), String> {
        let ClockChange { now, advance_ms, speed } = change;
        if let Some(speed) = speed
            && !(0.0..=FASTEST).contains(&speed)
        {
            return Err(format!("speed: {speed} is not between 0 and {FASTEST}"));
        }
        let by = TimeDelta::try_milliseconds(advance_ms.unwrap_or_default().try_into().unwrap_or(i64::MAX));
        let then = by.and_then(|by| now.unwrap_or_else(|| self.clock.now()).checked_add_signed(by));
        let is_in = |time: DateTime<Utc>| YEARS.contains(&time.year());
        if !now.is_none_or(is_in) || !then.is_some_and(is_in) {
            let (first, last) = (YEARS.start(), YEARS.end());
            return Err(format!(
                "the clock begins with the year {first} and ends with the year {last}; choose a time between"
            ));
        }
        if let Some(now) = now {
            self.turn_clock(now);
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

    /// Makes it another time.
    pub(crate) fn set_clock(&self, time: DateTime<Utc>) {
        self.turn_clock(time);
        self.changed("clock");
    }

    /// Moves the clock forward.
    pub(crate) fn advance_clock(&self, by: Duration) {
        self.clock.advance(by);
        self.changed("clock");
    }

    /// Lets the clock run at another speed.
    pub(crate) fn set_clock_speed(&self, speed: f64) {
        self.clock.set_speed(speed);
        self.changed("clock");
    }

    fn turn_clock(&self, time: DateTime<Utc>) {
        if time < self.clock.now() {
            lock(&self.limiter).reset();
        }
        self.clock.set(time);
    }

    /// Judges and answers differently from the next request on.
    pub(crate) fn change_settings(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut lock(&self.settings));
        self.changed("settings");
    }

    /// Enforces these limits, or none. The counters are reset.
    pub(crate) fn set_rate_limit(&self, limits: Option<RateLimit>) -> Result<(), &'static str> {
        let limits = limits.map(RateLimit::checked).transpose()?;
        *lock(&self.limiter) = RateLimiter::new(limits);
        self.changed("rate-limit");
        Ok(())
    }

    /// Counts requests of another program.
    pub(crate) fn use_rate_limit(&self, account: &Arc<Account>, count: usize) {
        lock(&self.limiter).take(account, self.clock.now(), count);
        self.changed("rate-limit");
    }

    /// The URL of a webhook target that this sandbox may deliver to.
    pub(crate) fn checked_target(&self, url: &str) -> io::Result<Uri> {
        let url = parse_webhook_url(url)?;
        self.targets.check(&url).map_err(|reason| io::Error::new(io::ErrorKind::InvalidInput, reason))?;
        Ok(url)
    }

    /// Sends the events of the app somewhere else from now on, or nowhere.
    pub(crate) fn set_webhook_url(&self, url: Option<&str>) -> io::Result<()> {
        let url = url.map(|url| self.checked_target(url)).transpose()?;
        self.outbox.set_url(url.map(|url| url.to_string()));
        self.changed("webhooks");
        Ok(())
    }

    /// Delivers again by another schedule, from the next attempt on.
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

    /// Signs with a new key from now on.
    pub(crate) fn rotate_webhook_key(&self) -> io::Result<()> {
        self.outbox.rotate_key(&self.identifiers)?;
        self.changed("webhooks");
        Ok(())
    }
}
