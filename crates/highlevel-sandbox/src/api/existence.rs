//! Resolves the contact and the conversation that a request refers to.

use serde_json::{Value, json};

use super::ErrorResponse;
use crate::fidelity::{Refusal, Settings};
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
    settings: &Settings,
    model: &Model,
    location: &str,
    body: &Value,
) -> Result<Parties, ErrorResponse> {
    let named = |field: &str| body.get(field).and_then(Value::as_str);
    let contact = named("contactId");
    // Messages are sent to a contact. The schema has no `conversationId` for them, so one in the body is ignored.
    let conversation = named("conversationId").filter(|_| operation != Operation::SendMessage);

    if operation == Operation::SendMessage
        && contact.is_none_or(|id| id.trim().is_empty())
        && settings.refuses(Refusal::MissingContact)
    {
        return Err(ErrorResponse::refused(Refusal::MissingContact, ""));
    }
    if let Some(id) = contact
        && model.contact(id).is_none_or(|contact| contact.location_id != location)
    {
        let known = model.contacts().filter(|each| each.location_id == location).map(|each| &*each.id);
        let not_found = not_found("contactId", "contact", id, location, known);
        return Err(if settings.refuses(Refusal::UnknownContact) {
            ErrorResponse::refused(Refusal::UnknownContact, id).note(not_found)
        } else {
            ErrorResponse::bad_request(&not_found)
        });
    }
    let owner = match conversation {
        Some(id) => {
            let Some(conversation) = model.conversation(id).filter(|each| each.location_id == location)
            else {
                let known = model.conversations().filter(|each| each.location_id == location);
                let known = known.map(|each| &*each.id);
                let not_found = not_found("conversationId", "conversation", id, location, known);
                return Err(ErrorResponse::bad_request(&not_found));
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

/// Returns the message about an unknown ID, with the first IDs that exist.
pub(super) fn not_found<'a>(
    field: &str,
    kind: &str,
    id: &str,
    location: &str,
    known: impl Iterator<Item = &'a str>,
) -> String {
    const LISTED: usize = 5;
    let mut known: Vec<&str> = known.collect();
    let more = known.len().saturating_sub(LISTED);
    known.truncate(LISTED);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    format!("{field}: {kind} {} does not exist in location {location}; existing: {known}{more}", json!(id))
}
