//! Resolves the contact, conversation and provider that a request refers to.

use serde_json::{Value, json};

use super::ErrorResponse;
use crate::model::Model;
use crate::operation::Operation;

/// The contact and conversation of a message, by ID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parties {
    pub(super) contact: String,
    /// `None` if there is no conversation with the contact yet.
    pub(super) conversation: Option<String>,
}

/// Resolves the contact and conversation of a valid body.
pub(super) fn parties(
    operation: Operation,
    model: &Model,
    location: &str,
    body: &Value,
) -> Result<Parties, ErrorResponse> {
    let named = |field: &str| body.get(field).and_then(Value::as_str);
    let contact = named("contactId");
    // Messages are sent to a contact. The schema has no `conversationId` for them, so one in the body is ignored.
    let conversation = named("conversationId").filter(|_| operation != Operation::SendMessage);

    if let Some(id) = contact
        && model.contact(id).is_none_or(|contact| contact.location_id != location)
    {
        let known = model.contacts().filter(|each| each.location_id == location).map(|each| &*each.id);
        return Err(not_found("contactId", "contact", id, location, known));
    }
    let owner = match conversation {
        Some(id) => {
            let Some(conversation) = model.conversation(id).filter(|each| each.location_id == location)
            else {
                let known = model.conversations().filter(|each| each.location_id == location);
                let known = known.map(|each| &*each.id);
                return Err(not_found("conversationId", "conversation", id, location, known));
            };
            Some(&*conversation.contact_id)
        }
        None => None,
    };
    if let (Some(conversation), Some(owner), Some(contact)) = (conversation, owner, contact)
        && owner != contact
    {
        return Err(ErrorResponse::bad_request(&format!(
            "conversationId: the conversation {} is with the contact {}, but contactId is {}",
            json!(conversation),
            json!(owner),
            json!(contact)
        )));
    }
    let Some(contact) = contact.or(owner) else {
        return Err(ErrorResponse::bad_request(
            "contactId or conversationId is required, but both are missing",
        ));
    };
    Ok(Parties {
        contact: contact.to_owned(),
        conversation: conversation.or_else(|| model.conversation_with(contact)).map(str::to_owned),
    })
}

/// Resolves the conversation provider of a valid body, if it has one.
pub(super) fn provider(model: &Model, location: &str, body: &Value) -> Result<Option<String>, ErrorResponse> {
    let Some(id) = body.get("conversationProviderId").and_then(Value::as_str) else {
        return Ok(None);
    };
    if model.provider(id).is_none_or(|provider| provider.location_id != location) {
        let known = model.providers().filter(|each| each.location_id == location).map(|each| &*each.id);
        return Err(not_found("conversationProviderId", "conversation provider", id, location, known));
    }
    Ok(Some(id.to_owned()))
}

/// Returns the error for an unknown ID, with the first IDs that exist.
fn not_found<'a>(
    field: &str,
    kind: &str,
    id: &str,
    location: &str,
    known: impl Iterator<Item = &'a str>,
) -> ErrorResponse {
    const LISTED: usize = 5;
    let mut known: Vec<&str> = known.collect();
    let more = known.len().saturating_sub(LISTED);
    known.truncate(LISTED);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    ErrorResponse::bad_request(&format!(
        "{field}: {kind} {} does not exist in location {location}; existing: {known}{more}",
        json!(id)
    ))
}
