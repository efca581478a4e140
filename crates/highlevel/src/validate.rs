//! Validates requests before they are sent.
//!
//! Rejects only requests that HighLevel would reject, or accept and drop. Each message names the violation and the fix.

use highlevel_wire::types::{
    Forward, InboundMessageRequest, InboundMessageType, OutboundCallRequest, SendMessageRequest,
    SendMessageType,
};

use crate::{ContactId, ConversationId};

/// The first number of seconds that can only be milliseconds: the year 5138.
const MILLISECONDS: i64 = 100_000_000_000;

/// Validates a message to send.
pub(crate) fn send(request: &SendMessageRequest) -> Result<(), String> {
    if blank(request.contact_id.as_str()) {
        return Err(
            "the contact id is empty: a message is sent to a contact, not to a conversation; use the contactId of the \
             conversation"
                .to_owned(),
        );
    }
    id("contact", Some(&request.contact_id))?;
    id("conversation provider", request.conversation_provider_id.as_ref())?;
    attachments(&request.attachments)?;
    let content = filled(request.message.as_ref())
        || filled(request.html.as_ref())
        || !request.attachments.is_empty()
        || filled(request.template_id.as_ref())
        || request.forward.is_some();
    if !content {
        let add = match request.type_ {
            SendMessageType::Email => "`.html(…)`, `.text(…)`, `.attachment(…)` or `.template(…)`",
            SendMessageType::InternalComment => "`.text(…)` or `.attachment(…)`",
            _ => "`.text(…)`, `.attachment(…)` or `.template(…)`",
        };
        return Err(format!("the {} message has no content: add {add}", request.type_));
    }
    if request.forward.as_ref().is_some_and(has_no_recipient) {
        return Err("the forward has no recipient: set the email address to forward to".to_owned());
    }
    match request.scheduled_timestamp {
        Some(seconds) if seconds >= MILLISECONDS => Err(format!(
            "scheduledTimestamp is {seconds}, which looks like milliseconds: it counts seconds, so divide it by 1000"
        )),
        Some(seconds) if seconds < 0 => {
            Err(format!("scheduledTimestamp is {seconds}, before 1970: set the time of sending"))
        }
        _ => Ok(()),
    }
}

/// Validates an inbound message to add.
pub(crate) fn inbound(request: &InboundMessageRequest) -> Result<(), String> {
    addressed(request.contact_id.as_ref(), request.conversation_id.as_ref())?;
    let provider = request.conversation_provider_id.as_ref();
    let has_default_provider = matches!(request.type_, InboundMessageType::Sms | InboundMessageType::Email);
    if !has_default_provider && !filled(provider) {
        return Err(format!(
            "an inbound {} message needs a conversation provider: without one, HighLevel responds with 2xx and \
             stores nothing; set conversationProviderId",
            request.type_
        ));
    }
    id("conversation provider", provider)?;
    attachments(&request.attachments)?;
    let is_call = matches!(
        request.type_,
        InboundMessageType::Call
            | InboundMessageType::IvrCall
            | InboundMessageType::CampaignCall
            | InboundMessageType::CampaignVoiceMail
    );
    let content = filled(request.message.as_ref())
        || filled(request.html.as_ref())
        || !request.attachments.is_empty()
        || request.call.is_some();
    if !is_call && !content {
        let add = match request.type_ {
            InboundMessageType::Email => "`.html(…)`, `.text(…)` or `.attachment(…)`",
            _ => "`.text(…)` or `.attachment(…)`",
        };
        return Err(format!("the inbound {} message has no content: add {add}", request.type_));
    }
    Ok(())
}

/// Validates an outbound call to add.
pub(crate) fn outbound_call(request: &OutboundCallRequest) -> Result<(), String> {
    addressed(request.contact_id.as_ref(), request.conversation_id.as_ref())?;
    id("conversation provider", Some(&request.conversation_provider_id))?;
    attachments(&request.attachments)
}

fn addressed(contact: Option<&ContactId>, conversation: Option<&ConversationId>) -> Result<(), String> {
    if contact.is_none() && conversation.is_none() {
        return Err("the contact or the conversation is missing: set contactId or conversationId".to_owned());
    }
    id("contact", contact)?;
    id("conversation", conversation)
}

/// Rejects values that cannot be an id. HighLevel decides about all others.
fn id(what: &str, id: Option<&impl AsRef<str>>) -> Result<(), String> {
    let Some(id) = id.map(AsRef::as_ref) else { return Ok(()) };
    if blank(id) {
        return Err(format!("the {what} id is empty: set it, or leave it out where it is optional"));
    }
    if id.contains(char::is_whitespace) {
        return Err(format!("the {what} id contains white space, perhaps the line break of a file: trim it"));
    }
    if id.contains('@') || id.starts_with('+') {
        return Err(format!(
            "the {what} id is an email address or a phone number: look up the id that HighLevel assigned"
        ));
    }
    Ok(())
}

fn attachments(urls: &[String]) -> Result<(), String> {
    if urls.iter().any(|url| blank(url)) {
        return Err("an attachment is empty: set the URL of the file".to_owned());
    }
    Ok(())
}

/// Returns `true` if a forward has neither an address nor a contact.
fn has_no_recipient(forward: &Forward) -> bool {
    forward.is_forwarded != Some(false)
        && !filled(forward.to_email.as_ref())
        && !filled(forward.recipient_contact_id.as_ref())
}

fn filled(text: Option<&impl AsRef<str>>) -> bool {
    text.is_some_and(|text| !blank(text.as_ref()))
}

fn blank(text: &str) -> bool {
    text.trim().is_empty()
}
