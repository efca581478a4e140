//! Messages that exist: events of webhooks, and messages that were read back.

use std::time::{Duration, SystemTime};

use highlevel_wire::Timestamp;
use highlevel_wire::types::{EventName, InboundMessage, OneOrManyAddresses, OutboundMessage};
use serde_json::Value;

use super::channel::ObservedChannel;
use crate::{AltId, ContactId, ConversationId, ConversationProviderId, Direction, MessageId};

/// A message that exists: a webhook event, or a message that was read back from HighLevel.
///
/// Convert it from the event, or from the JSON of a message.
#[derive(Debug, Clone, PartialEq)]
pub struct ObservedMessage {
    pub(super) message: Option<MessageId>,
    pub(super) contact: Option<ContactId>,
    pub(super) conversation: Option<ConversationId>,
    pub(super) provider: Option<ConversationProviderId>,
    pub(super) alt_id: Option<AltId>,
    pub(super) direction: Option<Direction>,
    pub(super) channel: ObservedChannel,
    pub(super) time: Option<SystemTime>,
    /// The origin of the message: `app`, `api`, `workflow`, `bulk_actions`, `campaign`.
    pub(super) source: Option<String>,
    /// The body, and the plain text of an email.
    pub(super) texts: Vec<String>,
    pub(super) subject: Option<String>,
    pub(super) attachments: Vec<String>,
    pub(super) from: Option<String>,
    pub(super) to: Vec<String>,
    pub(super) cc: Vec<String>,
    pub(super) cc_list: Vec<String>,
    pub(super) bcc: Vec<String>,
    pub(super) bcc_list: Vec<String>,
}

impl ObservedMessage {
    /// Returns the id of the message, if it is known.
    pub fn message_id(&self) -> Option<&MessageId> {
        self.message.as_ref()
    }

    pub(crate) fn contact_id(&self) -> Option<&ContactId> {
        self.contact.as_ref()
    }

    pub(crate) fn conversation_id(&self) -> Option<&ConversationId> {
        self.conversation.as_ref()
    }
}

macro_rules! observed_from_event {
    ($event:ident) => {
        impl From<&$event> for ObservedMessage {
            fn from(event: &$event) -> Self {
                let mut channel = ObservedChannel::default();
                let kind = event.message_type.as_ref().map(AsRef::as_ref);
                let type_string = event.message_type_string.as_ref().map(AsRef::as_ref);
                for name in kind.into_iter().chain(type_string) {
                    channel.add_name(name);
                }
                if let Some(number) = event.message_type_id {
                    channel.add_number(number);
                }
                let addresses = |field: &Option<OneOrManyAddresses>| match field {
                    Some(OneOrManyAddresses::One(address)) => vec![address.clone()],
                    Some(OneOrManyAddresses::Many(addresses)) => addresses.clone(),
                    _ => Vec::new(),
                };
                Self {
                    message: event.message_id.clone().and_then(filled),
                    contact: event.contact_id.clone().and_then(filled),
                    conversation: event.conversation_id.clone().and_then(filled),
                    provider: event.conversation_provider_id.clone().and_then(filled),
                    alt_id: event
                        .extra
                        .get("altId")
                        .and_then(Value::as_str)
                        .map(AltId::from)
                        .and_then(filled),
                    direction: direction(
                        event.direction.as_ref().map(AsRef::as_ref),
                        Some(event.type_.as_ref()),
                    ),
                    channel,
                    time: event.date_added.as_ref().and_then(Timestamp::to_system_time),
                    source: event.source.as_ref().map(ToString::to_string),
                    texts: event.body.iter().chain(&event.plain_text).cloned().collect(),
                    subject: event.subject.clone(),
                    attachments: match (&event.attachments, event.extra.get("attachments")) {
                        (Some(urls), _) => urls.clone(),
                        // Some of them are objects.
                        (None, others) => others.map(texts).unwrap_or_default(),
                    },
                    from: event.from.clone(),
                    to: addresses(&event.to),
                    cc: addresses(&event.cc),
                    cc_list: event.cc_list.clone().unwrap_or_default(),
                    bcc: addresses(&event.bcc),
                    bcc_list: event.bcc_list.clone().unwrap_or_default(),
                }
            }
        }
    };
}

observed_from_event!(OutboundMessage);
observed_from_event!(InboundMessage);

impl From<&Value> for ObservedMessage {
    /// Converts the JSON of a message or of an event, alone or as `{"message": {…}}`.
    fn from(json: &Value) -> Self {
        let json = json.get("message").filter(|message| message.is_object()).unwrap_or(json);
        let text = |name: &str| json[name].as_str().filter(|text| !text.trim().is_empty());
        let owned = |name: &str| text(name).map(str::to_owned);
        let mut channel = ObservedChannel::default();
        for name in ["messageType", "messageTypeString", "type"].into_iter().filter_map(text) {
            channel.add_name(name);
        }
        for number in ["messageTypeId", "type"].into_iter().filter_map(|name| json[name].as_f64()) {
            channel.add_number(number);
        }
        Self {
            message: text("id").or(text("messageId")).map(MessageId::from),
            contact: text("contactId").map(ContactId::from),
            conversation: text("conversationId").map(ConversationId::from),
            provider: text("conversationProviderId").map(ConversationProviderId::from),
            alt_id: text("altId").map(AltId::from),
            direction: direction(text("direction"), text("type")),
            channel,
            time: time(&json["dateAdded"]),
            source: owned("source"),
            texts: ["body", "plainText"].into_iter().filter_map(owned).collect(),
            subject: owned("subject"),
            attachments: texts(&json["attachments"]),
            from: owned("from"),
            to: texts(&json["to"]),
            cc: texts(&json["cc"]),
            cc_list: texts(&json["ccList"]),
            bcc: texts(&json["bcc"]),
            bcc_list: texts(&json["bccList"]),
        }
    }
}

/// Returns the direction of a message. The field takes precedence over the name of the event: HighLevel sends inbound
/// messages under the name `OutboundMessage`.
fn direction(field: Option<&str>, event: Option<&str>) -> Option<Direction> {
    match field.map(Direction::from) {
        Some(Direction::Unknown(_)) | None => {}
        known => return known,
    }
    match event.map(EventName::from) {
        Some(EventName::OutboundMessage) => Some(Direction::Outbound),
        Some(EventName::InboundMessage) => Some(Direction::Inbound),
        _ => None,
    }
}

fn time(date: &Value) -> Option<SystemTime> {
    match date {
        Value::String(text) => text.parse::<Timestamp>().ok()?.to_system_time(),
        // Some endpoints write milliseconds since 1970.
        Value::Number(number) => SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(number.as_u64()?)),
        _ => None,
    }
}

/// Returns the texts of a field that is a text or a list. Attachments may be objects with a `url`.
fn texts(field: &Value) -> Vec<String> {
    match field {
        Value::Array(entries) => entries.iter().flat_map(texts).collect(),
        Value::Object(entry) => entry.get("url").map(texts).unwrap_or_default(),
        Value::String(text) if !text.trim().is_empty() => vec![text.clone()],
        _ => Vec::new(),
    }
}

/// Returns `None` for an empty id: HighLevel writes some missing ids that way.
fn filled<T: std::fmt::Display>(id: T) -> Option<T> {
    let empty = id.to_string().trim().is_empty();
    (!empty).then_some(id)
}
