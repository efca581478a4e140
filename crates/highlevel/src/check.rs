//! What is wrong with a request before it is sent.
//!
//! Only what HighLevel would refuse, or accept and drop: each check says what is missing and how to add it.

use highlevel_wire::types::{
    InboundMessageRequest, InboundMessageType, OutboundCallRequest, SendMessageRequest, SendMessageType,
};

/// The first number of seconds that can only be milliseconds: the year 5138.
const MILLISECONDS: i64 = 100_000_000_000;

/// Checks a message to send.
pub(crate) fn send(request: &SendMessageRequest) -> Result<(), String> {
    if blank(&request.contact_id) {
        return Err(
            "the contact id is empty: a message is sent to a contact, and the id of a conversation does not \
                    take its place; use the contactId of the conversation"
                .to_owned(),
        );
    }
    let content = filled(request.message.as_deref())
        || filled(request.html.as_deref())
        || !request.attachments.is_empty()
        || request.template_id.is_some()
        || request.forward.is_some();
    if !content {
        let add = if request.type_ == SendMessageType::Email {
            "`.html(…)`, `.text(…)`, `.attachment(…)` or `.template(…)`"
        } else {
            "`.text(…)`, `.attachment(…)` or `.template(…)`"
        };
        return Err(format!("the {} has no content: add {add}", request.type_));
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
    addressed(request.contact_id.as_deref(), request.conversation_id.as_deref())?;
    let has_default_provider = matches!(request.type_, InboundMessageType::Sms | InboundMessageType::Email);
    if !has_default_provider && !filled(request.conversation_provider_id.as_deref().map(String::as_str)) {
        return Err(format!(
            "an inbound {} needs a conversation provider: without one HighLevel answers with a success and stores \
             nothing; set conversationProviderId",
            request.type_
        ));
    }
    let is_call = matches!(
        request.type_,
        InboundMessageType::Call
            | InboundMessageType::IvrCall
            | InboundMessageType::CampaignCall
            | InboundMessageType::CampaignVoiceMail
    );
    let content = filled(request.message.as_deref())
        || filled(request.html.as_deref())
        || !request.attachments.is_empty()
        || request.call.is_some();
    if !is_call && !content {
        return Err(format!(
            "the inbound {} has no content: add `.text(…)` or `.attachment(…)`",
            request.type_
        ));
    }
    Ok(())
}

/// Checks an outbound call to add.
pub(crate) fn outbound_call(request: &OutboundCallRequest) -> Result<(), String> {
    addressed(request.contact_id.as_deref(), request.conversation_id.as_deref())?;
    if blank(&request.conversation_provider_id) {
        return Err(
            "the conversation provider id is empty: give the id of the call provider of your app".to_owned()
        );
    }
    Ok(())
}

fn addressed(contact: Option<&String>, conversation: Option<&String>) -> Result<(), String> {
    let given = |id: Option<&String>| id.is_some_and(|id| !blank(id));
    if given(contact) || given(conversation) {
        Ok(())
    } else {
        Err("neither a contact nor a conversation is given: set contactId or conversationId".to_owned())
    }
}

fn filled(text: Option<&str>) -> bool {
    text.is_some_and(|text| !blank(text))
}

fn blank(text: &str) -> bool {
    text.trim().is_empty()
}
