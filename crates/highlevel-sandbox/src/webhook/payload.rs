//! Payloads of events about messages.

use serde_json::{Map, Value, json};

use crate::model::{Contact, Message, MessageDirection, Model, is_call, is_email, is_phone, is_voicemail};
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
    if !sent || !spec.allowed_values("ProviderChannel").contains(&message.channel.as_str()) {
        return None;
    }
    let contact = model.contact(&message.contact_id);
    let mut payload = Payload(Map::new());
    payload.set("type", message.channel.as_str());
    payload.set("contactId", message.contact_id.as_str());
    payload.set("locationId", message.location_id.as_str());
    payload.set("messageId", message.id.as_str());
    payload.set("attachments", message.request.get("attachments").cloned().unwrap_or_else(|| json!([])));
    payload.set("message", message.text());
    payload.set("userId", message.field("userId"));
    let replied_to = message.field("replyMessageId").and_then(|id| model.message(id));
    let replied_to = replied_to.map(|message| message.parsed());
    payload.set("replyToAltId", replied_to.as_ref().and_then(|message| message.field("altId")));
    if is_email(&message.channel) {
        let address = message.field("emailTo").or(contact.and_then(|contact| contact.email.as_deref()));
        payload.set("emailMessageId", message.email_message_id.as_deref());
        payload.set("emailTo", address.map(|address| json!([address])));
        payload.set("emailFrom", message.field("emailFrom"));
        payload.set("html", message.field("html"));
        payload.set("subject", message.field("subject"));
    } else {
        let phone = message.field("toNumber").or(contact.and_then(|contact| contact.phone.as_deref()));
        payload.set("phone", phone);
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
pub(crate) fn event_payload(
    spec: &Spec,
    message: &Message,
    contact: Option<&Contact>,
    envelope: &Envelope,
) -> Value {
    let mut payload = Payload(Map::new());
    payload.set("type", event_name(message));
    payload.set("locationId", message.location_id.as_str());
    payload.set("attachments", message.request.get("attachments").cloned().unwrap_or_else(|| json!([])));
    payload.set("contactId", message.contact_id.as_str());
    payload.set("conversationId", message.conversation_id.as_str());
    payload.set("dateAdded", message.date_added.as_str());
    payload.set("direction", message.direction.as_str());
    payload.set("messageId", message.id.as_str());
    payload.set("messageType", message_type(spec, &message.channel));
    payload.set("messageTypeString", message_type_string(&message.channel));
    payload.set("conversationProviderId", message.conversation_provider_id.as_deref());
    payload.set("userId", message.field("userId"));
    // `source` is set for messages sent through the API, except calls.
    let made_here = message.direction == MessageDirection::Outbound && !is_phone(&message.channel);
    payload.set("source", made_here.then_some("app"));
    if is_phone(&message.channel) {
        describe_call(&mut payload, message);
    } else if is_email(&message.channel) {
        describe_email(&mut payload, message, contact);
    } else {
        describe_text(&mut payload, message);
    }
    payload.set("timestamp", envelope.timestamp.as_str());
    payload.set("webhookId", envelope.webhook_id.as_str());
    payload.set("appId", envelope.app_id.as_str());
    payload.set("versionId", envelope.version_id.as_str());
    Value::Object(payload.0)
}

fn describe_text(payload: &mut Payload, message: &Message) {
    payload.set("body", message.text().or(message.field("html")).unwrap_or_default());
    payload.set("contentType", "text/plain");
    payload.set("status", message.status.as_str());
}

fn describe_email(payload: &mut Payload, message: &Message, contact: Option<&Contact>) {
    let html = message.field("html");
    payload.set("body", html.or(message.text()).unwrap_or_default());
    payload.set("plainText", html.and(message.text()));
    payload.set("subject", message.field("subject"));
    payload.set("emailMessageId", message.email_message_id.as_deref());
    payload.set("threadId", message.thread_id.as_deref());
    payload.set("status", message.status.as_str());

    // An omitted address on the contact's side defaults to the contact's own.
    let contact_address = contact.and_then(|contact| contact.email.as_deref());
    let (default_from, default_to) = match message.direction {
        MessageDirection::Inbound => (contact_address, None),
        MessageDirection::Outbound => (None, contact_address),
    };
    payload.set("from", message.field("emailFrom").or(default_from));
    payload.set("to", message.field("emailTo").or(default_to).map(|address| json!([address])));
    for (copies, fields) in [("emailCc", ["cc", "ccList"]), ("emailBcc", ["bcc", "bccList"])] {
        for field in fields {
            payload.set(field, message.request.get(copies).cloned());
        }
    }
}

fn describe_call(payload: &mut Payload, message: &Message) {
    let requested = message.request.pointer("/call/status").and_then(Value::as_str);
    payload.set("callStatus", message.call_status.as_deref().or(requested));
    payload.set("status", message.status.as_str());
    for end in ["from", "to"] {
        payload.set(end, message.request.pointer(&format!("/call/{end}")).cloned());
    }
    if is_call(&message.channel) {
        // Only simulated calls have a duration; API requests have none.
        let duration = message.request.pointer("/call/duration").and_then(Value::as_u64);
        payload.set("callDuration", duration.unwrap_or_default());
    }
}

/// Returns the text form of the number of a channel, which differs from the name in requests. `None` if it is unknown.
fn message_type_string(channel: &str) -> Option<&'static str> {
    Some(match channel {
        "SMS" => "TYPE_SMS",
        "Email" => "TYPE_EMAIL",
        "WhatsApp" => "TYPE_WHATSAPP",
        "IG" => "TYPE_INSTAGRAM",
        "FB" => "TYPE_FACEBOOK",
        "Custom" => "TYPE_CUSTOM_SMS",
        "Live_Chat" => "TYPE_LIVE_CHAT",
        "RCS" => "TYPE_RCS",
        "TIKTOK" => "TYPE_TIKTOK",
        "InternalComment" => "TYPE_INTERNAL_COMMENT",
        "GMB" => "TYPE_GMB",
        "WebChat" => "TYPE_WEBCHAT",
        "Call" => "TYPE_CALL",
        "IVR_Call" => "TYPE_IVR_CALL",
        "Campaign_Call" => "TYPE_CAMPAIGN_CALL",
        "Campaign_VoiceMail" => "TYPE_CAMPAIGN_VOICEMAIL",
        "FORM_SUBMISSION" => "TYPE_FORM_SUBMISSION",
        _ => return None,
    })
}

/// Returns the name of a channel in events, or `None` if the spec has no name for it.
fn message_type<'a>(spec: &Spec, channel: &'a str) -> Option<&'a str> {
    let name = match channel {
        _ if is_call(channel) => "CALL",
        _ if is_voicemail(channel) => "VoiceMail",
        other => other,
    };
    spec.allowed_values("EventMessageType").contains(&name).then_some(name)
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
}
