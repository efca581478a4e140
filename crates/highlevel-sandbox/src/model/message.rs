//! Messages and calls.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::raw_json::RawJson;
use crate::weight;

/// A stored message or call. `R` is the type of its request: parsed JSON, or text inside the sandbox.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    rename_all = "camelCase",
    deny_unknown_fields,
    bound(serialize = "R: Serialize", deserialize = "R: Deserialize<'de> + Default")
)]
#[non_exhaustive]
pub struct Message<R = Value> {
    /// The message ID, as returned in the response.
    pub id: String,
    /// The ID of an email within its thread; `None` for other channels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email_message_id: Option<String>,
    /// The thread ID of an email; `None` for other channels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread_id: Option<String>,
    /// The ID of the location whose token was used.
    #[serde(default = "super::seed::location")]
    pub location_id: String,
    /// The ID of the contact.
    pub contact_id: String,
    /// The ID of the conversation.
    pub conversation_id: String,
    /// The ID of the conversation provider in the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation_provider_id: Option<String>,
    /// The direction of the message.
    pub direction: MessageDirection,
    /// The origin of the message.
    #[serde(default)]
    pub source: MessageSource,
    /// The `type` of the request, for example `SMS` or `Live_Chat`.
    pub channel: String,
    /// The time of the message, RFC 3339: the `date` of the request. Defaults to the time of acceptance.
    pub date_added: String,
    /// The current status: `pending`, `delivered`, `failed`, …
    pub status: String,
    /// The result of a call: `completed`, `busy`, `voicemail`, …; `None` for other channels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_status: Option<String>,
    /// All statuses including the initial one, oldest first.
    #[serde(default)]
    pub history: Vec<StatusChange>,
    /// The accepted request body.
    #[serde(default)]
    pub request: R,
}

/// A message whose request is stored as text.
pub(crate) type StoredMessage = Message<RawJson>;

/// A status change of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct StatusChange {
    /// The new status.
    pub status: String,
    /// The time of the change, RFC 3339.
    pub at: String,
    /// The reason of a failure, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Message {
    /// Returns the text of the message, if it has one.
    pub fn text(&self) -> Option<&str> {
        self.field("message")
    }

    /// Returns a string field of the request.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.request.get(name)?.as_str()
    }

    /// Returns the message with its request as text.
    pub(crate) fn to_stored(&self) -> StoredMessage {
        self.with_request(RawJson::from(&self.request))
    }
}

impl Message<RawJson> {
    /// Returns the message with its request parsed.
    pub(crate) fn parsed(&self) -> Message {
        self.with_request(self.request.to_value())
    }

    /// Returns the memory usage in bytes, including the index entries.
    pub(crate) fn weight(&self) -> usize {
        /// The index entries, and the counts of the `Arc`.
        const INDEX_ENTRIES: usize = 300;
        let Self {
            id,
            email_message_id,
            thread_id,
            location_id,
            contact_id,
            conversation_id,
            conversation_provider_id,
            direction: _,
            source: _,
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
            + INDEX_ENTRIES
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
            source: self.source,
            channel: self.channel.clone(),
            date_added: self.date_added.clone(),
            status: self.status.clone(),
            call_status: self.call_status.clone(),
            history: self.history.clone(),
            request,
        }
    }
}

/// The direction of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MessageDirection {
    /// From the contact.
    Inbound,
    /// To the contact.
    Outbound,
}

impl MessageDirection {
    /// Returns the JSON representation.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
        }
    }
}

/// The status of a message that is sent later.
pub(crate) const SCHEDULED: &str = "scheduled";

/// Returns the time at which a request asks to send its message, in seconds since 1970. Fractions are dropped.
pub(crate) fn scheduled_time(request: &Value) -> Option<i64> {
    let time = request.get("scheduledTimestamp")?;
    let fractional = || Duration::try_from_secs_f64(time.as_f64()?).ok()?.as_secs().try_into().ok();
    time.as_i64().or_else(fractional)
}

/// The origin of a message, as in the `source` of its events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum MessageSource {
    /// A request to the API.
    #[default]
    Api,
    /// A person: a user in the app, or a contact. The message was simulated.
    App,
}

impl MessageSource {
    /// Returns the JSON representation.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::App => "app",
        }
    }
}
