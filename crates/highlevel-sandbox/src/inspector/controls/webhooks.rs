//! Webhook URL, retry schedule, tamper modes and signing keys.

use std::time::Duration;

use super::form::{Choice, number};
use crate::api_error::ApiError;
use crate::engine::Engine;
use crate::inspector::route::PageRequest;
use crate::webhook::{RetryKind, RetrySchedule, TamperConfig, TamperMode, WebhookKey};

pub(super) struct WebhookSettings {
    pub(super) url: String,
    pub(super) schedules: Vec<Choice>,
    /// The delays of a custom schedule, in seconds.
    pub(super) delays: String,
    pub(super) standing: Option<TamperMode>,
    pub(super) next: Vec<(TamperMode, u32)>,
    pub(super) modes: Vec<Choice>,
    pub(super) keys: Vec<WebhookKey>,
}

impl WebhookSettings {
    pub(super) fn of(state: &Engine) -> Self {
        let retries = state.outbox.retries();
        let TamperConfig { standing, next } = state.outbox.tamper_config();
        let modes = TamperMode::ALL
            .map(|mode| Choice::new(mode.as_str(), format!("{mode}: {}", mode.description()), false));
        let mut keys = state.outbox.keys();
        // The current key first.
        keys.sort_by_key(|key| !key.current);
        Self {
            url: state.outbox.url().unwrap_or_default(),
            schedules: schedules(&retries),
            delays: delays_text(&retries),
            standing,
            next: next.into_iter().collect(),
            modes: modes.into(),
            keys,
        }
    }
}

fn schedules(now: &RetrySchedule) -> Vec<Choice> {
    let choice = |kind: RetryKind| {
        let label = kind.fixed().as_ref().map_or_else(|| "Custom delays".to_owned(), schedule_label);
        Choice::new(kind.as_str(), label, kind == now.kind())
    };
    RetryKind::ALL.map(choice).into()
}

pub(super) fn schedule_label(schedule: &RetrySchedule) -> String {
    match schedule {
        RetrySchedule::Documented => "Documented: 12 retries, 1 s to 2,048 s (exponential)".to_owned(),
        RetrySchedule::OnlyOn429 => "Only on 429: 6 retries, 10 min apart".to_owned(),
        RetrySchedule::None => "Never".to_owned(),
        RetrySchedule::Custom(waits) if waits.is_empty() => "Never".to_owned(),
        custom @ RetrySchedule::Custom(_) => format!("After {} s", delays_text(custom)),
    }
}

fn delays_text(schedule: &RetrySchedule) -> String {
    let RetrySchedule::Custom(waits) = schedule else { return String::new() };
    waits.iter().map(|wait| wait.as_secs_f64().to_string()).collect::<Vec<_>>().join(", ")
}

/// Sets the URL, or removes it if the field is empty.
pub(super) fn set_url(state: &Engine, page_request: &PageRequest) -> Result<(), ApiError> {
    let url = page_request.field("url");
    Ok(state.set_webhook_url(url.as_deref().map(str::trim))?)
}

/// Sets the retry schedule.
pub(super) fn set_retries(state: &Engine, page_request: &PageRequest) -> Result<(), ApiError> {
    let name = page_request.field("retries").unwrap_or_default();
    let kind: RetryKind = name.parse().map_err(ApiError::bad_request)?;
    let schedule = match kind.fixed() {
        Some(schedule) => schedule,
        None => RetrySchedule::custom(delays(&page_request.field("delays").unwrap_or_default())?)
            .map_err(|error| ApiError::bad_request(format!("Retry delays: {error}")))?,
    };
    state.set_retry_schedule(schedule);
    Ok(())
}

/// Parses seconds separated by commas or white space.
fn delays(text: &str) -> Result<Vec<Duration>, ApiError> {
    let parts = text.split([',', ' ', '\n', '\t', '\r']).filter(|part| !part.is_empty());
    let waits: Result<Vec<Duration>, ApiError> = parts
        .map(|part| {
            let wait = part.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
            wait.ok_or_else(|| {
                ApiError::bad_request(format!(
                    "Retry delays: \"{part}\" is not a number of seconds; for example 1, 5, 30"
                ))
            })
        })
        .collect();
    match waits {
        Ok(waits) if waits.is_empty() => Err(ApiError::bad_request(
            "Retry delays are required, for example 1, 5, 30; for no retries select Never",
        )),
        waits => waits,
    }
}

/// Tampers with all or the next attempts, or stops tampering.
pub(super) fn set_tampering(state: &Engine, page_request: &PageRequest) -> Result<(), ApiError> {
    let how = page_request.field("how").unwrap_or_default();
    if how == "off" {
        state.change_tamper_config(|tamper_config| *tamper_config = TamperConfig::default());
        return Ok(());
    }
    let Some(mode) = page_request.field("mode") else {
        return Err(ApiError::bad_request("select a mode"));
    };
    let mode: TamperMode = mode.parse().map_err(ApiError::bad_request)?;
    if how == "standing" {
        state.change_tamper_config(|tamper_config| tamper_config.standing = Some(mode));
        return Ok(());
    }
    let attempts: u32 = number(page_request, "attempts", "N")?;
    if attempts == 0 {
        return Err(ApiError::bad_request("N must be at least 1"));
    }
    state.change_tamper_config(|tamper_config| tamper_config.next.push_back((mode, attempts)));
    Ok(())
}

/// Rotates the signing key.
pub(super) fn rotate(state: &Engine) -> Result<(), ApiError> {
    Ok(state.rotate_webhook_key()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_delays_are_parsed_as_seconds() {
        let cases = [
            ("1, 5,30", Some("1, 5, 30")),
            ("0.25 0", Some("0.25, 0")),
            ("1\r\n2", Some("1, 2")),
            ("", None),
            (" , ", None),
            ("-1", None),
            ("1 s", None),
            ("NaN", None),
        ];
        for (text, expected) in cases {
            let read = delays(text).ok().map(|delays| delays_text(&RetrySchedule::Custom(delays)));
            assert_eq!(read.as_deref(), expected, "{text}");
        }
    }
}
