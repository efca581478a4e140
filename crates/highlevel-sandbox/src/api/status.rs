//! Status updates, which a conversation provider sends for the messages that it delivers.

use chrono::{DateTime, TimeDelta};
use serde_json::{Value, json};

use super::{Annotations, ErrorResponse, Generated};
use crate::fidelity::{EARLY, Quirk, Settings};
use crate::model::{Model, StatusUpdate, StoredMessage};

/// Returns the message with the status of a valid body.
pub(super) fn update(
    model: &Model,
    location: &str,
    id: &str,
    body: &Value,
    settings: &Settings,
    generated: &Generated,
    annotations: &mut Annotations,
) -> Result<StoredMessage, ErrorResponse> {
    let message = model.message(id).filter(|message| message.location_id == location).ok_or_else(|| {
        ErrorResponse::bad_request(&format!("message {} does not exist in location {location}", json!(id)))
    })?;
    if settings.has(Quirk::EarlyStatus403) && is_young(message, generated) {
        annotations.quirk = Some(Quirk::EarlyStatus403.name());
        return Err(ErrorResponse::forbidden(&format!(
            "message {id} was sent less than {EARLY} seconds ago; its status cannot be changed yet"
        )));
    }
    let mut update = StatusUpdate::new(body.get("status").and_then(Value::as_str).unwrap_or_default());
    if let Some(error) = body.pointer("/error/message").and_then(Value::as_str) {
        update = update.error(error);
    }
    StoredMessage::clone(message)
        .with_status(update, generated.now.clone())
        .map_err(|problem| ErrorResponse::bad_request(&problem))
}

fn is_young(message: &StoredMessage, generated: &Generated) -> bool {
    let read = |time: &str| DateTime::parse_from_rfc3339(time).ok();
    let stored = message.history.first().and_then(|first| read(&first.at));
    match (stored, read(&generated.now)) {
        (Some(stored), Some(now)) => now - stored < TimeDelta::seconds(EARLY),
        _ => false,
    }
}
