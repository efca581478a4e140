//! Validates requests before they are sent.
//!
//! Rejects only requests that HighLevel would reject, or accept and drop. Each message names the violation and the fix.

use highlevel_wire::types::{
    ContactRequest, Forward, InboundMessageRequest, InboundMessageType, OutboundCallRequest,
    SendMessageRequest, SendMessageType, UpdateContactRequest, WhatsAppContent, WhatsAppContentType,
};

use crate::path::check_segment;
use crate::{ContactId, ConversationId, PhoneNumber, mention};

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
    if let Some(content) = &request.whatsapp {
        whatsapp(content)?;
    }
    let content = filled(request.message.as_ref())
        || filled(request.html.as_ref())
        || !request.attachments.is_empty()
        || filled(request.template_id.as_ref())
        || request.whatsapp.is_some()
        || request.forward.is_some();
    if !content {
        let add = match request.type_ {
            SendMessageType::Email => "`.html(…)`, `.text_as_html(…)`, `.attachment(…)` or `.template(…)`",
            SendMessageType::InternalComment => "`.text(…)` or `.attachment(…)`",
            SendMessageType::WhatsApp => "`.text(…)`, `.image(…)`, `.document(…)` or `.template(…)`",
            _ => "`.text(…)`, `.attachment(…)` or `.template(…)`",
        };
        return Err(format!("the {} message has no content: add {add}", request.type_));
    }
    match request.type_ {
        SendMessageType::Email => email(request)?,
        SendMessageType::InternalComment => mentions(request)?,
        _ => {}
    }
    request.forward.as_ref().map_or(Ok(()), forward)?;
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
    let is_call = matches!(
        request.type_,
        InboundMessageType::Call
            | InboundMessageType::IvrCall
            | InboundMessageType::CampaignCall
            | InboundMessageType::CampaignVoiceMail
    );
    if (is_call || request.type_ == InboundMessageType::Custom) && !filled(provider) {
        return Err(format!(
            "an inbound {} message needs a conversation provider: HighLevel rejects it without one, or drops it; set \
             conversationProviderId",
            request.type_
        ));
    }
    id("conversation provider", provider)?;
    attachments(&request.attachments)?;
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
    attachments(&request.attachments)?;
    if !filled(request.call.as_ref().and_then(|call| call.to.as_ref())) {
        return Err("the call has no number of the called party, which HighLevel requires: add `.to(…)` with a number of the \
                    contact"
            .to_owned());
    }
    Ok(())
}

/// Rejects an email whose text would be lost: HighLevel sends only the HTML.
fn email(request: &SendMessageRequest) -> Result<(), String> {
    let has_html = filled(request.html.as_ref()) || filled(request.template_id.as_ref());
    if filled(request.message.as_ref()) && !has_html {
        return Err("the Email message has a text and no HTML, which HighLevel requires: use `.text_as_html(…)` to send the \
                    text as HTML too, or add `.html(…)`"
            .to_owned());
    }
    Ok(())
}

/// Rejects an internal comment whose tags and mentioned users differ: HighLevel needs both.
fn mentions(request: &SendMessageRequest) -> Result<(), String> {
    let tagged = mention::tagged(request.message.as_deref().unwrap_or_default());
    for user in &request.mentions {
        id("mentioned user", Some(user))?;
        if !tagged.contains(&user.as_str()) {
            return Err(format!(
                "the comment mentions the user {user}, but its text has no tag of the user: add \
                 `@name<userId>{user}</userId>` to the text, or use `InternalComment::mention`"
            ));
        }
    }
    match tagged.iter().find(|user| !request.mentions.iter().any(|mentioned| mentioned.as_str() == **user)) {
        Some(user) => Err(format!(
            "the text of the comment has a tag of the user {user}, who is not in `mentions`: add the id there"
        )),
        None => Ok(()),
    }
}

fn forward(forward: &Forward) -> Result<(), String> {
    if forward.is_forwarded == Some(false) {
        return Ok(());
    }
    if !filled(forward.to_email.as_ref()) && !filled(forward.recipient_contact_id.as_ref()) {
        return Err("the forward has no recipient: set the email address to forward to".to_owned());
    }
    if !filled(forward.message_id.as_ref()) {
        return Err(
            "the forward does not name its thread: set the id of the message that holds the thread in \
                    `forward.messageId`"
                .to_owned(),
        );
    }
    if forward.forward_whole_thread != Some(true) && !filled(forward.email_message_id.as_ref()) {
        return Err("the forward names no email: set `forward.emailMessageId`, or `forward.forwardWholeThread` for the whole \
                    thread"
            .to_owned());
    }
    Ok(())
}

fn whatsapp(content: &WhatsAppContent) -> Result<(), String> {
    let is_media = content.type_ == WhatsAppContentType::Media;
    match &content.media {
        Some(media) if blank(&media.url) => {
            Err("the WhatsApp media has no URL: set the one that the upload endpoint returned".to_owned())
        }
        None if is_media => Err("the WhatsApp content has no media: add `whatsapp.media`".to_owned()),
        Some(_) | None => Ok(()),
    }
}

/// Validates a contact to create or update, and writes its phone number in E.164 format.
pub(crate) fn upsert(request: &mut ContactRequest) -> Result<(), String> {
    if !filled(request.phone.as_ref()) && !filled(request.email.as_ref()) {
        return Err("the contact has neither a phone number nor an email, and HighLevel would create another one each time: add \
                    one of them, or use `create`"
            .to_owned());
    }
    contact(request)
}

/// Validates a contact to create, and writes its phone number in E.164 format.
pub(crate) fn contact(request: &mut ContactRequest) -> Result<(), String> {
    reachable(request.phone.as_mut(), request.email.as_deref())
}

/// Validates changes of a contact, and writes its phone number in E.164 format.
pub(crate) fn contact_update(request: &mut UpdateContactRequest) -> Result<(), String> {
    reachable(request.phone.as_mut(), request.email.as_deref())
}

/// An empty text removes the value.
fn reachable(phone: Option<&mut String>, email: Option<&str>) -> Result<(), String> {
    if let Some(phone) = phone.filter(|phone| !blank(phone)) {
        *phone = phone.parse::<PhoneNumber>().map_err(|error| error.to_string())?.to_string();
    }
    match email.filter(|email| !blank(email)) {
        Some(email) if !email.contains('@') => {
            Err(format!("the email address `{}` has no `@`: check it", email.escape_debug()))
        }
        _ => Ok(()),
    }
}

/// Validates an id that becomes a segment of a path: it must not lead to another path.
pub(crate) fn in_path(what: &str, value: &impl AsRef<str>) -> Result<(), String> {
    id(what, Some(value))?;
    check_segment(value.as_ref())
        .map_err(|reason| format!("the {what} id cannot be part of a path: {reason}"))
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

fn filled(text: Option<&impl AsRef<str>>) -> bool {
    text.is_some_and(|text| !blank(text.as_ref()))
}

fn blank(text: &str) -> bool {
    text.trim().is_empty()
}
