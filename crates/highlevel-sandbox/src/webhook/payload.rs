//! Payloads of events about messages.

use std::ops::Deref;

use serde_json::{Map, Value, json};

use crate::model::{
    Channel, Contact, EventType, Family, Message, MessageDirection, MessageSource, Model, VOICEMAIL,
    channel_of, is_phone,
};
use crate::spec::Spec;

/// The fields of an event that are not about its message.
#[derive(Clone, Debug)]
pub(crate) struct Envelope {
    pub(crate) timestamp: String,
    pub(crate) webhook_id: String,
    pub(crate) app_id: String,
    pub(crate) version_id: String,
}

/// The name of the event that requests delivery by a conversation provider. On the wire its `type` is the channel.
pub(crate) const PROVIDER_EVENT: &str = "ProviderOutboundMessage";

/// The phone number of a location, for messages that name no other one.
const LOCATION_PHONE: &str = "+15035550100";
/// The email address of a location, for emails that name no other one.
const LOCATION_EMAIL: &str = "location@sandbox.example";

/// Returns the payload of the event that requests delivery by the message's provider, or `None` if the message is not
/// delivered or has no provider. It has no `appId`, like the documented examples.
pub(crate) fn provider_payload(
    spec: &Spec,
    message: &Message,
    model: &Model,
    envelope: &Envelope,
) -> Option<Value> {
    // Recorded messages and calls happened already. Only their requests have a direction or a call.
    let sent = message.direction == MessageDirection::Outbound
        && !is_phone(&message.channel)
        && message.field("direction").is_none();
    let provider = message.conversation_provider_id.as_deref()?;
    let Channel { family, event_type, .. } = channel(message, model)?;
    if !sent || !spec.allowed_values("ProviderChannel").contains(&event_type.name) {
        return None;
    }
    let ends = Ends::of(message, family, model.contact(&message.contact_id));
    let mut payload = Payload(Map::new());
    payload.set("type", event_type.name);
    payload.set("contactId", message.contact_id.as_str());
    payload.set("locationId", message.location_id.as_str());
    payload.set("conversationId", message.conversation_id.as_str());
    payload.set("conversationProviderId", provider);
    payload.set("messageId", message.id.as_str());
    payload.set("attachments", message.request.get("attachments").cloned().unwrap_or_else(|| json!([])));
    payload.set("message", message.text());
    payload.set("userId", message.field("userId"));
    payload.set("customUserId", "");
    payload.set("from", ends.from);
    let replied_to = message.field("replyMessageId").and_then(|id| model.message(id));
    let replied_to = replied_to.map(|message| message.parsed());
    payload.set("replyToAltId", replied_to.as_ref().and_then(|message| message.field("altId")));
    if family == Family::Email {
        payload.set("emailMessageId", message.email_message_id.as_deref());
        payload.set("emailTo", json!([ends.to]));
        payload.set("emailFrom", ends.from);
        payload.set("html", message.field("html"));
        payload.set("subject", message.field("subject"));
    } else {
        payload.set("phone", ends.to);
    }
    payload.set("timestamp", envelope.timestamp.as_str());
    payload.set("webhookId", envelope.webhook_id.as_str());
    Some(Value::Object(payload.0))
}

/// Returns the name of the event about a message.
pub(crate) fn event_name(message: &Message) -> &'static str {
    match message.direction {
        MessageDirection::Inbound => "InboundMessage",
        MessageDirection::Outbound => "OutboundMessage",
    }
}

/// Returns the payload of the event about a message.
pub(crate) fn event_payload(message: &Message, model: &Model, envelope: &Envelope) -> Value {
    let found = channel(message, model);
    let family = found.map_or(Family::Text, |channel| channel.family);
    let mut payload = Payload(Map::new());
    payload.set("type", event_name(message));
    payload.set("locationId", message.location_id.as_str());
    let attachments = message.request.get("attachments").and_then(Value::as_array);
    let attachments = attachments.filter(|urls| !urls.is_empty() && !is_media_of_whatsapp(message));
    payload.set("attachments", attachments.cloned());
    payload.set("contactId", message.contact_id.as_str());
    payload.set("conversationId", message.conversation_id.as_str());
    payload.set("dateAdded", message.date_added.as_str());
    payload.set("direction", message.direction.as_str());
    payload.set("messageId", message.id.as_str());
    payload.set("status", message.status.as_str());
    match event_type(message, model) {
        // A seed can have other channels.
        None => payload.set("messageType", message.channel.as_str()),
        Some(event_type) => payload.set_type(event_type),
    }
    payload.set("conversationProviderId", message.conversation_provider_id.as_deref());
    payload.set("userId", message.field("userId").unwrap_or_default());
    payload.set("source", message.source.as_str());
    let ends = Ends::of(message, family, model.contact(&message.contact_id));
    payload.set("from", ends.from);
    match family {
        Family::Email => payload.set("to", json!([ends.to])),
        _ => payload.set("to", ends.to),
    }
    match family {
        Family::Call | Family::Voicemail => describe_call(&mut payload, message),
        Family::Email => describe_email(&mut payload, message),
        Family::Text | Family::Chat | Family::InternalComment => describe_text(&mut payload, message),
    }
    payload.set("timestamp", envelope.timestamp.as_str());
    payload.set("webhookId", envelope.webhook_id.as_str());
    payload.set("appId", envelope.app_id.as_str());
    payload.set("versionId", envelope.version_id.as_str());
    Value::Object(payload.0)
}

/// Returns the names of the channel of a message. `None` if the channel is not known.
pub(crate) fn event_type<R, S: Deref<Target = str>>(
    message: &Message<R, S>,
    model: &Model,
) -> Option<EventType> {
    let event_type = channel(message, model)?.event_type;
    Some(if is_unanswered_by_the_location(message) { VOICEMAIL } else { event_type })
}

/// Returns the channel of a message, by the provider that it goes through.
fn channel<R, S: Deref<Target = str>>(message: &Message<R, S>, model: &Model) -> Option<Channel> {
    let provider = message.conversation_provider_id.as_deref();
    // The provider may have been deleted since.
    let through = provider.map(|id| model.provider(id).and_then(|provider| provider.kind));
    channel_of(&message.channel, through)
}

/// Returns `true` for a call on the location's own phone that reached its voicemail. It is reported as a voicemail, and
/// without a `callStatus`.
fn is_unanswered_by_the_location<R, S: Deref<Target = str>>(message: &Message<R, S>) -> bool {
    &*message.status == "voicemail" && message.conversation_provider_id.is_none()
}

/// Returns `true` for a message of a contact on WhatsApp. Its event has no files, which can be read with the message later.
/// [live 1]
fn is_media_of_whatsapp(message: &Message) -> bool {
    message.channel == "WhatsApp"
        && message.direction == MessageDirection::Inbound
        && message.source == MessageSource::App
        && message.conversation_provider_id.is_none()
}

fn describe_text(payload: &mut Payload, message: &Message) {
    payload.set("body", message.text().or(message.field("html")).unwrap_or_default());
    payload.set("contentType", "text/plain");
    payload.set("mentions", message.request.get("mentions").cloned());
}

fn describe_email(payload: &mut Payload, message: &Message) {
    let html = message.field("html");
    payload.set("body", html.or(message.text()).unwrap_or_default());
    payload.set("plainText", html.and(message.text()));
    payload.set("subject", message.field("subject"));
    payload.set("emailMessageId", message.email_message_id.as_deref());
    payload.set("threadId", message.thread_id.as_deref());
    for (copies, first, all) in [("emailCc", "cc", "ccList"), ("emailBcc", "bcc", "bccList")] {
        let list = message.request.get(copies).and_then(Value::as_array).filter(|list| !list.is_empty());
        payload.set(first, list.and_then(|list| list.first()).cloned());
        payload.set(all, list.cloned());
    }
}

/// Sets the outcome and the duration. Calls that an app has added through its provider have neither.
fn describe_call(payload: &mut Payload, message: &Message) {
    if message.conversation_provider_id.is_some() || is_unanswered_by_the_location(message) {
        return;
    }
    payload.set("callStatus", message.call_status.as_deref());
    payload.set("callDuration", message.request.pointer("/call/duration").cloned());
}

/// The sender and the recipient of a message. Empty for accounts without an address.
pub(super) struct Ends<'a> {
    pub(super) from: &'a str,
    pub(super) to: &'a str,
}

impl<'a> Ends<'a> {
    pub(super) fn of(message: &'a Message, family: Family, contact: Option<&'a Contact>) -> Self {
        let phone = contact.and_then(|contact| contact.phone.as_deref());
        let email = contact.and_then(|contact| contact.email.as_deref());
        let (contact, location, from, to) = match family {
            Family::Text => (phone, LOCATION_PHONE, "/fromNumber", "/toNumber"),
            Family::Call | Family::Voicemail => (phone, LOCATION_PHONE, "/call/from", "/call/to"),
            Family::Email => (email, LOCATION_EMAIL, "/emailFrom", "/emailTo"),
            Family::Chat | Family::InternalComment => (None, "", "/fromNumber", "/toNumber"),
        };
        let contact = contact.unwrap_or_default();
        let (default_from, default_to) = match message.direction {
            MessageDirection::Inbound => (contact, location),
            MessageDirection::Outbound => (location, contact),
        };
        let requested = |pointer: &str| message.request.pointer(pointer).and_then(Value::as_str);
        Self { from: requested(from).unwrap_or(default_from), to: requested(to).unwrap_or(default_to) }
    }
}

/// A JSON object that omits null values.
struct Payload(Map<String, Value>);

impl Payload {
    fn set(&mut self, field: &str, value: impl Into<Value>) {
        match value.into() {
            Value::Null => {}
            value => {
                self.0.insert(field.to_owned(), value);
            }
        }
    }

    fn set_type(&mut self, EventType { name, id, text }: EventType) {
        self.set("messageType", name);
        self.set("messageTypeId", id);
        self.set("messageTypeString", text);
    }
}
