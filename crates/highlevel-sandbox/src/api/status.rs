//! Status updates, which a conversation provider sends for the messages that it delivers.

use chrono::{DateTime, TimeDelta};
use serde_json::Value;

use super::{Annotations, ApiConfig, ErrorResponse, Generated, provider};
use crate::credentials::Grant;
use crate::fidelity::{EARLY, Quirk, Refusal};
use crate::model::{Model, StatusUpdate, StoredMessage, is_email, is_phone};

/// Returns the message with the status of a valid body.
pub(super) fn update(
    config: &ApiConfig,
    model: &Model,
    grant: &Grant,
    id: &str,
    body: &Value,
    generated: &Generated,
    annotations: &mut Annotations,
) -> Result<StoredMessage, ErrorResponse> {
    let settings = &config.settings;
    let location = &grant.account.location_id;
    let message = model.message(id).filter(|message| message.location_id == *location);
    let is_refused = settings.refuses(Refusal::UnknownMessage);
    let unknown = || ErrorResponse::refused(Refusal::UnknownMessage, id);
    let message = message.ok_or_else(|| {
        let missing = format!("there is no message with this ID in the location {location}");
        if is_refused { unknown().note(missing) } else { ErrorResponse::not_found(&missing) }
    })?;
    if is_refused && is_email(&message.channel) {
        return Err(unknown().note("the message is an email, whose status has another endpoint"));
    }
    if settings.has(Quirk::EarlyStatus403) && is_young(message, generated) {
        annotations.quirk = Some(Quirk::EarlyStatus403.name());
        return Err(ErrorResponse::forbidden(&format!(
            "message {id} was sent less than {EARLY} seconds ago; its status cannot be changed yet"
        )));
    }
    match &message.conversation_provider_id {
        None if settings.refuses(Refusal::MessageWithoutProvider) => {
            return Err(ErrorResponse::refused(Refusal::MessageWithoutProvider, ""));
        }
        // The provider may have been deleted since.
        Some(provider) => {
            model.provider(provider).map_or(Ok(()), |found| provider::check_access(config, grant, found))?;
        }
        None => {}
    }
    let status = match body.get("status").and_then(Value::as_str).unwrap_or_default() {
        // Apps complete a call with the status that the endpoint has for messages.
        "delivered" if is_phone(&message.channel) => "completed",
        status => status,
    };
    let mut update = StatusUpdate::new(status);
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
