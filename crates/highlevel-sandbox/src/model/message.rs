//! A message that the sandbox accepted.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::raw_json::RawJson;
use crate::weight;

/// A message or call that was accepted and stored. `R` is the form of its request: parsed, except inside the sandbox.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    rename_all = "camelCase",
    deny_unknown_fields,
    bound(serialize = "R: Serialize", deserialize = "R: Deserialize<'de> + Default")
)]
#[non_exhaustive]
pub struct Message<R = Value> {
    /// The id that the answer gave it.
    pub id: String,
    /// The id of the email inside its thread; of emails only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email_message_id: Option<String>,
    /// The email thread; of emails only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread_id: Option<String>,
    /// The location whose token was used.
    #[serde(default = "super::seed::location")]
    pub location_id: String,
    /// The contact at the other end.
    pub contact_id: String,
    /// The conversation it was filed under.
    pub conversation_id: String,
    /// The conversation provider that the request named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation_provider_id: Option<String>,
    /// Whether it went to the contact or came from the contact.
    pub direction: MessageDirection,
    /// The `type` of the request, for example `SMS` or `Live_Chat`.
    pub channel: String,
    /// When it was sent, received or made, RFC 3339: the request's `date`, otherwise when it was accepted.
    pub date_added: String,
    /// How far it has come: `pending`, `delivered`, `failed`, …
    pub status: String,
    /// How a call went: `completed`, `busy`, `voicemail`, …; of calls only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_status: Option<String>,
    /// The statuses that it has had, the first one included, oldest first.
    #[serde(default)]
    pub history: Vec<StatusChange>,
    /// The body of the request, as it was accepted.
    #[serde(default)]
    pub request: R,
}

/// A message as the sandbox keeps it.
pub(crate) type StoredMessage = Message<RawJson>;

/// A status that a message got.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct StatusChange {
    /// The status.
    pub status: String,
    /// When it got it, RFC 3339.
    pub at: String,
    /// The reason of a failure, if one was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Message {
    /// The text of the message, or `None` when it has none.
    pub fn text(&self) -> Option<&str> {
        self.field("message")
    }

    /// A field of the request that is a string.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.request.get(name)?.as_str()
    }

    /// The message as the sandbox keeps it.
    pub(crate) fn to_stored(&self) -> StoredMessage {
        self.with_request(RawJson::from(&self.request))
    }
}

impl Message<RawJson> {
    /// The message with its request parsed.
    pub(crate) fn parsed(&self) -> Message {
        self.with_request(self.request.to_value())
    }

    /// The memory that it takes, the tables in which it is looked up included.
    pub(crate) fn weight(&self) -> usize {
        /// Of the entries in the tables, and the counts beside what is shared.
        const TABLES: usize = 250;
        let Self {
            id,
            email_message_id,
            thread_id,
            location_id,
            contact_id,
            conversation_id,
            conversation_provider_id,
            direction: _,
            channel,
            date_added,
            status,
            call_status,
            history,
            request,
        } = self;
        let texts = [location_id, contact_id, conversation_id, channel, date_added, status];
        let options = [thread_id, conversation_provider_id, call_status];
        let change = |change: &StatusChange| {
            weight::text(&change.status) + weight::text(&change.at) + weight::option(change.error.as_ref())
        };
        weight::block(size_of::<Self>())
            + TABLES
            + 2 * (weight::text(id) + weight::option(email_message_id.as_ref()))
            + texts.into_iter().map(|text| weight::text(text)).sum::<usize>()
            + options.into_iter().map(|option| weight::option(option.as_ref())).sum::<usize>()
            + weight::block(history.capacity() * size_of::<StatusChange>())
            + history.iter().map(change).sum::<usize>()
            + weight::text(request.as_str())
    }
}

impl<R> Message<R> {
    pub(crate) fn has_failed(&self) -> bool {
        self.status == "failed"
    }

    fn with_request<S>(&self, request: S) -> Message<S> {
        Message {
            id: self.id.clone(),
            email_message_id: self.email_message_id.clone(),
            thread_id: self.thread_id.clone(),
            location_id: self.location_id.clone(),
            contact_id: self.contact_id.clone(),
            conversation_id: self.conversation_id.clone(),
            conversation_provider_id: self.conversation_provider_id.clone(),
            direction: self.direction,
            channel: self.channel.clone(),
            date_added: self.date_added.clone(),
            status: self.status.clone(),
            call_status: self.call_status.clone(),
            history: self.history.clone(),
            request,
        }
    }
}

/// Whether a message went to the contact or came from the contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MessageDirection {
    /// From the contact.
    Inbound,
    /// To the contact.
    Outbound,
}

impl MessageDirection {
    /// As it is written in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
        }
    }
}

pub(crate) fn is_email(channel: &str) -> bool {
    channel == "Email"
}

/// `Call`, `IVR_Call` and `Campaign_Call`.
pub(crate) fn is_call(channel: &str) -> bool {
    channel == "Call" || channel.ends_with("_Call")
}

/// What ends in `_VoiceMail`.
pub(crate) fn is_voicemail(channel: &str) -> bool {
    channel.ends_with("_VoiceMail")
}

/// Calls and voicemail.
pub(crate) fn is_phone(channel: &str) -> bool {
    is_call(channel) || is_voicemail(channel)
}
