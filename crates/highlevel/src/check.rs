//! What is wrong with a request before it is sent.
//!
//! Only what HighLevel would refuse, or accept and drop: each check says what is missing and how to add it.

use highlevel_wire::types::{
    Forward, InboundMessageRequest, InboundMessageType, OutboundCallRequest, SendMessageRequest,
    SendMessageType,
};

use crate::{ContactId, ConversationId};

/// The first number of seconds that can only be milliseconds: the year 5138.
const MILLISECONDS: i64 = 100_000_000_000;

/// Checks a message to send.
pub(crate) fn send(request: &SendMessageRequest) -> Result<(), String> {
    if blank(request.contact_id.as_str()) {
        return Err(
            "the contact id is empty: a message is sent to a contact, and the id of a conversation does \
                    not take its place; use the contactId of the conversation"
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
    if request.forward.as_ref().is_some_and(goes_nowhere) {
        return Err("the forward goes to nobody: give the email address to forward to".to_owned());
    }
    match request.scheduled_timestamp {
        Some(seconds) if seconds >= MILLISECONDS => Err(format!(
            "scheduledTimestamp is {seconds}, which looks like milliseconds: it counts seconds, so divide it by 1000"
        )),
        Some(seconds) if seconds < 0 => {
            Err(format!("scheduledTimestamp is {seconds}, before 1970: give the time at which to send"))
        }
        _ => Ok(()),
    }
}

/// Checks an inbound message to add.
pub(crate) fn inbound(request: &InboundMessageRequest) -> Result<(), String> {
    addressed(request.contact_id.as_ref(), request.conversation_id.as_ref())?;
    let provider = request.conversation_provider_id.as_ref();
    let has_default_provider = matches!(request.type_, InboundMessageType::Sms | InboundMessageType::Email);
    if !has_default_provider && !filled(provider) {
        return Err(format!(
            "an inbound {} message needs a conversation provider: without one HighLevel answers with a success and \
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

/// Checks an outbound call to add.
pub(crate) fn outbound_call(request: &OutboundCallRequest) -> Result<(), String> {
    addressed(request.contact_id.as_ref(), request.conversation_id.as_ref())?;
    id("conversation provider", Some(&request.conversation_provider_id))?;
    attachments(&request.attachments)
}

fn addressed(contact: Option<&ContactId>, conversation: Option<&ConversationId>) -> Result<(), String> {
    if contact.is_none() && conversation.is_none() {
        return Err(
            "neither a contact nor a conversation is given: set contactId or conversationId".to_owned()
        );
    }
    id("contact", contact)?;
    id("conversation", conversation)
}

/// Checks what no id can be. What an id looks like beyond that is HighLevel's business.
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
            "the {what} id is an email address or a phone number: look up the id that HighLevel gave it"
        ));
    }
    Ok(())
}

fn attachments(urls: &[String]) -> Result<(), String> {
    if urls.iter().any(|url| blank(url)) {
        return Err("an attachment is empty: give the URL of the file".to_owned());
    }
    Ok(())
}

/// A forward that names neither an address nor a contact.
fn goes_nowhere(forward: &Forward) -> bool {
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
