//! Whether what a request names exists and belongs together.

use serde_json::{Value, json};

use super::Refusal;
use crate::model::Model;
use crate::operation::Operation;

/// The ids of those that a message is between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parties {
    pub(super) contact: String,
    /// `None` when there is no conversation with the contact yet.
    pub(super) conversation: Option<String>,
}

/// Finds contact and conversation of a valid body.
pub(super) fn parties(
    operation: Operation,
    model: &Model,
    location: &str,
    body: &Value,
) -> Result<Parties, Refusal> {
    let named = |field: &str| body.get(field).and_then(Value::as_str);
    let contact = named("contactId");
    // Sending goes to a contact. Its body has no `conversationId`, and one that is sent all the same means nothing.
    let conversation = named("conversationId").filter(|_| operation != Operation::SendMessage);

    if let Some(id) = contact
        && model.contact(id).is_none_or(|contact| contact.location_id != location)
    {
        let known = model.contacts().filter(|each| each.location_id == location).map(|each| &*each.id);
        return Err(unknown("contactId", "contact", id, location, known));
    }
    let owner = match conversation {
        Some(id) => {
            let Some(conversation) = model.conversation(id).filter(|each| each.location_id == location)
            else {
                let known = model.conversations().filter(|each| each.location_id == location);
                let known = known.map(|each| &*each.id);
                return Err(unknown("conversationId", "conversation", id, location, known));
            };
            Some(&*conversation.contact_id)
        }
        None => None,
    };
    if let (Some(conversation), Some(owner), Some(contact)) = (conversation, owner, contact)
        && owner != contact
    {
        return Err(Refusal::bad_request(&format!(
            "conversationId: the conversation {} is with the contact {}, and contactId is {}",
            json!(conversation),
            json!(owner),
            json!(contact)
        )));
    }
    let Some(contact) = contact.or(owner) else {
        return Err(Refusal::bad_request("the request names neither a contact nor a conversation"));
    };
    Ok(Parties {
        contact: contact.to_owned(),
        conversation: conversation.or_else(|| model.conversation_with(contact)).map(str::to_owned),
    })
}

/// Finds the conversation provider of a valid body, if it names one.
pub(super) fn provider(model: &Model, location: &str, body: &Value) -> Result<Option<String>, Refusal> {
    let Some(id) = body.get("conversationProviderId").and_then(Value::as_str) else {
        return Ok(None);
    };
    if model.provider(id).is_none_or(|provider| provider.location_id != location) {
        let known = model.providers().filter(|each| each.location_id == location).map(|each| &*each.id);
        return Err(unknown("conversationProviderId", "conversation provider", id, location, known));
    }
    Ok(Some(id.to_owned()))
}

fn unknown<'a>(
    field: &str,
    kind: &str,
    id: &str,
    location: &str,
    known: impl Iterator<Item = &'a str>,
) -> Refusal {
    const LISTED: usize = 5;
    let mut known: Vec<&str> = known.collect();
    let more = known.len().saturating_sub(LISTED);
    known.truncate(LISTED);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    Refusal::bad_request(&format!(
        "{field}: there is no {kind} {} in the location {location}; there are {known}{more}",
        json!(id)
    ))
}
