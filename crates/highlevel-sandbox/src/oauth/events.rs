//! The events that notify an app when it is installed or uninstalled.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Map, Value, json};

use super::registry::Installation;
use super::resource::TokenResource;
use super::token_response::{PLAN_ID, USER_ID};

pub(crate) const INSTALL: &str = "INSTALL";
pub(crate) const UNINSTALL: &str = "UNINSTALL";

/// The name of the company, and of the agency in the spec's example.
const COMPANY_NAME: &str = "Example Company";
/// The length of a trial, in days.
pub(crate) const TRIAL_DAYS: u32 = 10;

/// The metadata of an event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EventMetadata<'a> {
    pub(crate) app_id: &'a str,
    pub(crate) webhook_id: &'a str,
    pub(crate) timestamp: DateTime<Utc>,
}

/// Returns the payload of an `INSTALL` event. That of a location that was created after the installation on its company
/// names neither the company nor a user.
pub(crate) fn install(install: &Installation, metadata: EventMetadata<'_>) -> Value {
    let choice = &install.choice;
    let mut payload = envelope(INSTALL, metadata);
    payload.insert("installType".to_owned(), json!(choice.resource.user_type()));
    if let TokenResource::Location(id) = &choice.resource {
        payload.insert("locationId".to_owned(), json!(id));
    }
    if install.is_future_location {
        return Value::Object(payload);
    }
    if !choice.locations.is_empty() {
        payload.insert("locationIds".to_owned(), json!(choice.locations));
    }
    payload.insert("companyId".to_owned(), json!(choice.company_id));
    payload.insert("userId".to_owned(), json!(USER_ID));
    payload.insert("companyName".to_owned(), json!(COMPANY_NAME));
    payload.insert("isWhitelabelCompany".to_owned(), json!(false));
    payload.insert("planId".to_owned(), json!(PLAN_ID));
    let started = text(install.installed_at);
    let trial = json!({ "onTrial": true, "trialDuration": TRIAL_DAYS, "trialStartDate": started });
    payload.insert("trial".to_owned(), trial);
    Value::Object(payload)
}

/// Returns the payload of an `UNINSTALL` event. It has either a location ID or a company ID, and may have a reason.
pub(crate) fn uninstall(
    resource: &TokenResource,
    reason: Option<&str>,
    metadata: EventMetadata<'_>,
) -> Value {
    let mut payload = envelope(UNINSTALL, metadata);
    let (name, id) = match resource {
        TokenResource::Location(id) => ("locationId", id),
        TokenResource::Company(id) => ("companyId", id),
    };
    payload.insert(name.to_owned(), json!(id));
    if let Some(reason) = reason {
        payload.insert("reason".to_owned(), json!(reason));
    }
    Value::Object(payload)
}

/// Returns the time at which an event is due.
pub(crate) fn due(now: DateTime<Utc>, delay_ms: u64) -> DateTime<Utc> {
    let delay = i64::try_from(delay_ms).ok().and_then(TimeDelta::try_milliseconds).unwrap_or(TimeDelta::MAX);
    now.checked_add_signed(delay).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

fn envelope(event: &str, metadata: EventMetadata<'_>) -> Map<String, Value> {
    let fields = [
        ("type", event),
        ("appId", metadata.app_id),
        ("versionId", metadata.app_id),
        ("timestamp", &text(metadata.timestamp)),
        ("webhookId", metadata.webhook_id),
    ];
    fields.into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect()
}

fn text(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}
