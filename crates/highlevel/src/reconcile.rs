//! Finding out what became of a request whose outcome is unknown.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use highlevel_wire::Timestamp;
use highlevel_wire::types::{
    InboundMessage, InboundMessageRequest, OutboundCallRequest, OutboundMessage, SendMessageRequest,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{ContactId, ConversationId, MessageId};

/// How much earlier than the request its message may be dated: two clocks are never the same.
const EARLIER: Duration = Duration::from_secs(2 * 60);
/// How much later than the request its message may be dated.
const LATER: Duration = Duration::from_secs(15 * 60);

/// What was sent, as far as it can be recognised again.
///
/// It can be stored, so that a program that was restarted can still reconcile. The content is not in it, only its
/// hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Fingerprint {
    /// The contact, if the request named one.
    pub contact: Option<ContactId>,
    /// The conversation, if the request named one.
    pub conversation: Option<ConversationId>,
    /// The channel as the request named it, like `SMS`.
    pub channel: String,
    /// SHA-256 of the content in hexadecimal, white space made even; `None` for a request without text.
    pub content: Option<String>,
    /// When the request was begun, or when the message was to be sent or is dated, if the request says so.
    pub time: SystemTime,
}

/// Something that was seen to exist: a webhook event, or a message that was read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedMessage {
    message: Option<MessageId>,
    contact: Option<ContactId>,
    conversation: Option<ConversationId>,
    channel: Option<String>,
    content: Option<String>,
    time: Option<SystemTime>,
}

/// What evidence says about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reconciliation {
    /// It was done: this is its message.
    Sent(MessageId),
    /// No message fits. It may still arrive: an event can take minutes.
    NotFound,
    /// More than one message fits, or one whose id is not known. These are the ids that are.
    Ambiguous(Vec<MessageId>),
}

impl Fingerprint {
    pub(crate) fn of_message(request: &SendMessageRequest, now: SystemTime) -> Self {
        let scheduled = request.scheduled_timestamp.and_then(|seconds| u64::try_from(seconds).ok());
        Self {
            contact: Some(request.contact_id.clone()),
            conversation: None,
            channel: request.type_.to_string(),
            content: hash(request.html.as_deref().or(request.message.as_deref())),
            time: scheduled.map_or(now, |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)),
        }
    }

    pub(crate) fn of_inbound(request: &InboundMessageRequest, now: SystemTime) -> Self {
        Self {
            contact: request.contact_id.clone(),
            conversation: request.conversation_id.clone(),
            channel: request.type_.to_string(),
            content: hash(request.html.as_deref().or(request.message.as_deref())),
            time: request.date.as_ref().and_then(Timestamp::to_system_time).unwrap_or(now),
        }
    }

    pub(crate) fn of_call(request: &OutboundCallRequest, now: SystemTime) -> Self {
        Self {
            contact: request.contact_id.clone(),
            conversation: request.conversation_id.clone(),
            channel: request.type_.to_string(),
            content: None,
            time: request.date.as_ref().and_then(Timestamp::to_system_time).unwrap_or(now),
        }
    }

    /// Looks for the message among what was seen: events of webhooks, or messages that were read back.
    ///
    /// A message fits if it is the same contact or conversation, the same channel and the same content, and is dated
    /// from 2 minutes before to 15 minutes after the request. What evidence does not say does not speak against it,
    /// except that it has to name the contact or the conversation, and the content if there was one.
    ///
    /// ```
    /// # fn example(error: highlevel::Error, events: Vec<highlevel::wire::types::OutboundMessage>) {
    /// use highlevel::Reconciliation;
    ///
    /// if let Some(fingerprint) = error.fingerprint() {
    ///     match fingerprint.reconcile(&events) {
    ///         Reconciliation::Sent(id) => println!("it was sent: {id}"),
    ///         Reconciliation::NotFound => println!("no sign of it yet"),
    ///         Reconciliation::Ambiguous(ids) => println!("a person has to look: {ids:?}"),
    ///     }
    /// }
    /// # }
    /// ```
    pub fn reconcile(
        &self,
        evidence: impl IntoIterator<Item = impl Into<ObservedMessage>>,
    ) -> Reconciliation {
        let mut ids = BTreeSet::new();
        let mut without_id = false;
        for evidence in evidence.into_iter().map(Into::into).filter(|evidence| self.fits(evidence)) {
            match evidence.message {
                Some(id) => {
                    ids.insert(id);
                }
                None => without_id = true,
            }
        }
        let mut ids = Vec::from_iter(ids);
        match (ids.len(), without_id) {
            (0, false) => Reconciliation::NotFound,
            (1, false) => Reconciliation::Sent(ids.remove(0)),
            _ => Reconciliation::Ambiguous(ids),
        }
    }

    fn fits(&self, evidence: &ObservedMessage) -> bool {
        // What both sides name has to be equal, and there has to be something that both name.
        let contact = same(self.contact.as_ref(), evidence.contact.as_ref());
        let conversation = same(self.conversation.as_ref(), evidence.conversation.as_ref());
        let addressed = match (contact, conversation) {
            (Some(false), _) | (_, Some(false)) | (None, None) => false,
            (Some(true), _) | (_, Some(true)) => true,
        };
        let channel =
            evidence.channel.as_deref().is_none_or(|channel| plain(channel) == plain(&self.channel));
        let in_time = evidence.time.is_none_or(|time| match time.duration_since(self.time) {
            Ok(later) => later <= LATER,
            Err(earlier) => earlier.duration() <= EARLIER,
        });
        addressed && channel && in_time && (self.content.is_none() || self.content == evidence.content)
    }
}

fn same<T: PartialEq>(ours: Option<&T>, theirs: Option<&T>) -> Option<bool> {
    Some(ours? == theirs?)
}

/// A channel without the differences between requests (`Call`), events (`CALL`) and messages (`TYPE_CALL`).
fn plain(channel: &str) -> String {
    let channel = channel.strip_prefix("TYPE_").unwrap_or(channel);
    channel.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase()
}

fn hash(content: Option<&str>) -> Option<String> {
    let content = content?.split_whitespace().collect::<Vec<_>>().join(" ");
    Some(Sha256::digest(content).iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}")))
}

macro_rules! evidence_from_event {
    ($event:ident) => {
        impl From<&$event> for ObservedMessage {
            fn from(event: &$event) -> Self {
                Self {
                    message: event.message_id.clone(),
                    contact: event.contact_id.clone(),
                    conversation: event.conversation_id.clone(),
                    channel: event.message_type.as_ref().map(ToString::to_string),
                    content: hash(event.body.as_deref()),
                    time: event.date_added.as_ref().and_then(Timestamp::to_system_time),
                }
            }
        }
    };
}

evidence_from_event!(OutboundMessage);
evidence_from_event!(InboundMessage);

impl From<&Value> for ObservedMessage {
    /// A message as HighLevel's API gives it back, with `id` or `messageId`.
    fn from(message: &Value) -> Self {
        let text = |name: &str| message[name].as_str();
        Self {
            message: text("id").or(text("messageId")).map(MessageId::from),
            contact: text("contactId").map(ContactId::from),
            conversation: text("conversationId").map(ConversationId::from),
            channel: text("messageType").map(str::to_owned),
            content: hash(text("body")),
            time: text("dateAdded").and_then(|date| date.parse::<Timestamp>().ok()?.to_system_time()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{OutboundCall, Sms};

    /// 2024-05-08T12:00:00Z
    const SENT_AT: Duration = Duration::from_secs(1_715_169_600);

    fn sms() -> Fingerprint {
        let request = Sms::to("contact").text("Your table  is\r\nready ").into();
        Fingerprint::of_message(&request, SystemTime::UNIX_EPOCH + SENT_AT)
    }

    /// The message that fits, with some fields changed; `null` removes one.
    fn message(changes: &Value) -> Value {
        let mut message = json!({
            "id": "m1", "contactId": "contact", "conversationId": "conversation", "messageType": "TYPE_SMS",
            "body": "Your table is ready", "dateAdded": "2024-05-08T12:00:03.000Z", "direction": "outbound",
        });
        for (name, value) in changes.as_object().expect("an object") {
            message[name] = value.clone();
        }
        message
    }

    #[test]
    fn evidence_is_weighed() {
        let sent = |id: &str| Reconciliation::Sent(MessageId::from(id));
        let ambiguous =
            |ids: &[&str]| Reconciliation::Ambiguous(ids.iter().map(|id| MessageId::from(*id)).collect());
        for (name, messages, expected) in [
            ("nothing was seen", vec![], Reconciliation::NotFound),
            ("it is there", vec![json!({})], sent("m1")),
            ("the same one twice", vec![json!({}), json!({})], sent("m1")),
            ("two that fit", vec![json!({}), json!({ "id": "m2" })], ambiguous(&["m1", "m2"])),
            ("one without an id", vec![json!({ "id": null })], ambiguous(&[])),
            ("one of them without an id", vec![json!({}), json!({ "id": null })], ambiguous(&["m1"])),
            ("another contact", vec![json!({ "contactId": "other" })], Reconciliation::NotFound),
            ("no contact named", vec![json!({ "contactId": null })], Reconciliation::NotFound),
            ("another text", vec![json!({ "body": "Your table is taken" })], Reconciliation::NotFound),
            ("no text", vec![json!({ "body": null })], Reconciliation::NotFound),
            ("another channel", vec![json!({ "messageType": "TYPE_EMAIL" })], Reconciliation::NotFound),
            ("the channel of an event", vec![json!({ "messageType": "SMS" })], sent("m1")),
            ("no channel named", vec![json!({ "messageType": null })], sent("m1")),
            ("no date", vec![json!({ "dateAdded": null })], sent("m1")),
            ("two minutes before", vec![json!({ "dateAdded": "2024-05-08T11:58:00Z" })], sent("m1")),
            ("earlier", vec![json!({ "dateAdded": "2024-05-08T11:57:59Z" })], Reconciliation::NotFound),
            ("a quarter of an hour after", vec![json!({ "dateAdded": "2024-05-08T12:15:00Z" })], sent("m1")),
            ("later", vec![json!({ "dateAdded": "2024-05-08T12:15:01Z" })], Reconciliation::NotFound),
            ("among others", vec![json!({ "id": "m0", "contactId": "other" }), json!({})], sent("m1")),
        ] {
            let messages: Vec<Value> = messages.iter().map(message).collect();
            assert_eq!(sms().reconcile(&messages), expected, "{name}");
        }
    }

    #[test]
    fn a_call_is_recognised_without_content() {
        let call = OutboundCall::in_conversation("conversation", "provider").into();
        let call = Fingerprint::of_call(&call, SystemTime::UNIX_EPOCH + SENT_AT);
        let seen = message(&json!({ "messageType": "TYPE_CALL", "body": null }));
        assert_eq!(call.reconcile([&seen]), Reconciliation::Sent(MessageId::from("m1")));
        let other = message(&json!({ "messageType": "TYPE_CALL", "conversationId": "other" }));
        assert_eq!(call.reconcile([&other]), Reconciliation::NotFound);
    }

    #[test]
    fn a_scheduled_message_is_expected_at_its_time() {
        let at = SystemTime::UNIX_EPOCH + SENT_AT + Duration::from_secs(24 * 60 * 60);
        let request = Sms::to("contact").text("Your table is ready").at(at).into();
        let scheduled = Fingerprint::of_message(&request, SystemTime::UNIX_EPOCH + SENT_AT);
        assert_eq!(scheduled.reconcile([&message(&json!({}))]), Reconciliation::NotFound);
        let next_day = message(&json!({ "dateAdded": "2024-05-09T12:00:05Z" }));
        assert_eq!(scheduled.reconcile([&next_day]), Reconciliation::Sent(MessageId::from("m1")));
    }

    /// The value is of `printf 'Your table is ready' | sha256sum`.
    #[test]
    fn the_content_is_hashed_and_survives_storing() {
        let expected = "251051f31917870dcfbc57ea9c254283a310ab6799dad13d9e48b43e86a40b3c";
        let fingerprint = sms();
        assert_eq!(fingerprint.content.as_deref(), Some(expected));
        let stored = serde_json::to_string(&fingerprint).expect("JSON");
        assert!(!stored.contains("table"));
        assert_eq!(serde_json::from_str::<Fingerprint>(&stored).expect("JSON"), fingerprint);
    }
}
