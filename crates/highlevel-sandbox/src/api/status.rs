//! Status updates, which a conversation provider sends for the messages that it delivers.

use chrono::{DateTime, TimeDelta};
use serde_json::{Value, json};

use super::{Fresh, Refusal, Remarks};
use crate::fidelity::{EARLY, Quirk, Settings};
use crate::model::{Model, StatusUpdate, StoredMessage};

/// Returns the message with the status of a valid body.
pub(super) fn update(
    model: &Model,
    location: &str,
    id: &str,
    body: &Value,
    settings: &Settings,
    fresh: &Fresh,
    remarks: &mut Remarks,
) -> Result<StoredMessage, Refusal> {
    let message = model.message(id).filter(|message| message.location_id == location).ok_or_else(|| {
        Refusal::bad_request(&format!("message {} does not exist in location {location}", json!(id)))
    })?;
    if settings.has(Quirk::EarlyStatus403) && is_young(message, fresh) {
        remarks.quirk = Some(Quirk::EarlyStatus403.name());
        return Err(Refusal::forbidden(&format!(
            "message {id} was sent less than {EARLY} seconds ago; its status cannot be changed yet"
        )));
    }
    let mut update = StatusUpdate::new(body.get("status").and_then(Value::as_str).unwrap_or_default());
    if let Some(error) = body.pointer("/error/message").and_then(Value::as_str) {
        update = update.error(error);
    }
    StoredMessage::clone(message)
        .with_status(update, fresh.now.clone())
        .map_err(|problem| Refusal::bad_request(&problem))
}

fn is_young(message: &StoredMessage, fresh: &Fresh) -> bool {
    let read = |time: &str| DateTime::parse_from_rfc3339(time).ok();
    let stored = message.history.first().and_then(|first| read(&first.at));
    match (stored, read(&fresh.now)) {
        (Some(stored), Some(now)) => now - stored < TimeDelta::seconds(EARLY),
        _ => false,
    }
}
