//! Messages and calls.

use std::ops::Deref;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::raw_json::RawJson;
use super::shared_text::SharedText;
use crate::weight;

/// A stored message or call. `R` is the type of its request and `S` that of its texts. Inside the sandbox, the request is a
/// text, and messages share equal texts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    rename_all = "camelCase",
    deny_unknown_fields,
    bound(
        serialize = "R: Serialize, S: Serialize",
        deserialize = "R: Deserialize<'de> + Default, S: Deserialize<'de> + From<String>"
    )
)]
#[non_exhaustive]
pub struct Message<R = Value, S = String> {
    /// The message ID, as returned in the response.
    pub id: S,
    /// The ID of an email within its thread; `None` for other channels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email_message_id: Option<S>,
    /// The thread ID of an email; `None` for other channels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread_id: Option<S>,
    /// The ID of the location whose token was used.
    #[serde(default = "super::seed::location_text")]
    pub location_id: S,
    /// The ID of the contact.
    pub contact_id: S,
    /// The ID of the conversation.
    pub conversation_id: S,
    /// The ID of the conversation provider in the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation_provider_id: Option<S>,
    /// The direction of the message.
    pub direction: MessageDirection,
    /// The origin of the message.
    #[serde(default)]
    pub source: MessageSource,
    /// The `type` of the request, for example `SMS` or `Live_Chat`.
    pub channel: S,
    /// The time of the message, RFC 3339: the `date` of the request. Defaults to the time of acceptance.
    pub date_added: S,
    /// The current status: `pending`, `delivered`, `failed`, …
    pub status: S,
    /// The result of a call: `completed`, `busy`, `voicemail`, …; `None` for other channels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_status: Option<S>,
    /// All statuses including the initial one, oldest first.
    #[serde(default)]
    pub history: Vec<StatusChange<S>>,
    /// The accepted request body.
    #[serde(default)]
    pub request: R,
}

/// A message whose request is stored as text.
pub(crate) type StoredMessage = Message<RawJson, SharedText>;

/// A status change of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    rename_all = "camelCase",
    deny_unknown_fields,
    bound(serialize = "S: Serialize", deserialize = "S: Deserialize<'de>")
)]
#[non_exhaustive]
pub struct StatusChange<S = String> {
    /// The new status.
    pub status: S,
    /// The time of the change, RFC 3339.
    pub at: S,
    /// The reason of a failure, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<S>,
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

    /// Returns the message as it is stored.
    pub(crate) fn to_stored(&self) -> StoredMessage {
        self.to_stored_with(SharedText::new)
    }

    /// Returns the message as it is stored. `share` returns the texts that it may have in common with other messages.
    pub(super) fn to_stored_with(&self, mut share: impl FnMut(&str) -> SharedText) -> StoredMessage {
        let date_added = SharedText::from(&*self.date_added);
        let history = self.history.iter().map(|change| StatusChange {
            status: share(&change.status),
            at: if change.at == *date_added { date_added.clone() } else { SharedText::from(&*change.at) },
            error: change.error.as_deref().map(SharedText::from),
        });
        Message {
            id: SharedText::from(&*self.id),
            email_message_id: self.email_message_id.as_deref().map(SharedText::from),
            thread_id: self.thread_id.as_deref().map(SharedText::from),
            history: history.collect(),
            location_id: share(&self.location_id),
            contact_id: share(&self.contact_id),
            conversation_id: share(&self.conversation_id),
            conversation_provider_id: self.conversation_provider_id.as_deref().map(&mut share),
            direction: self.direction,
            source: self.source,
            channel: share(&self.channel),
            date_added,
            status: share(&self.status),
            call_status: self.call_status.as_deref().map(share),
            request: RawJson::from(&self.request),
        }
    }
}

impl StoredMessage {
    /// Returns the message with its request parsed.
    pub(crate) fn parsed(&self) -> Message {
        let own = |text: &SharedText| str::to_owned(text);
        let history = self.history.iter().map(|change| StatusChange {
            status: own(&change.status),
            at: own(&change.at),
            error: change.error.as_ref().map(own),
        });
        Message {
            id: own(&self.id),
            email_message_id: self.email_message_id.as_ref().map(own),
            thread_id: self.thread_id.as_ref().map(own),
            location_id: own(&self.location_id),
            contact_id: own(&self.contact_id),
            conversation_id: own(&self.conversation_id),
            conversation_provider_id: self.conversation_provider_id.as_ref().map(own),
            direction: self.direction,
            source: self.source,
            channel: own(&self.channel),
            date_added: own(&self.date_added),
            status: own(&self.status),
            call_status: self.call_status.as_ref().map(own),
            history: history.collect(),
            request: self.request.to_value(),
        }
    }

    /// Returns `true` if a condition holds for all texts that the message may have in common with other ones.
    pub(super) fn has_common_texts(&self, is_common: impl Fn(&SharedText) -> bool) -> bool {
        let Self { location_id, contact_id, conversation_id, channel, status, .. } = self;
        let options = [&self.conversation_provider_id, &self.call_status];
        [location_id, contact_id, conversation_id, channel, status]
            .into_iter()
            .chain(options.into_iter().flatten())
            .chain(self.history.iter().map(|change| &change.status))
            .all(is_common)
    }

    /// Returns the texts that the message may have in common with other ones.
    pub(super) fn common_texts(&mut self) -> impl Iterator<Item = &mut SharedText> {
        let Self { location_id, contact_id, conversation_id, channel, status, .. } = self;
        let options = [&mut self.conversation_provider_id, &mut self.call_status];
        let statuses = self.history.iter_mut().map(|change| &mut change.status);
        [location_id, contact_id, conversation_id, channel, status]
            .into_iter()
            .chain(options.into_iter().flatten())
            .chain(statuses)
    }

    /// Returns the memory usage in bytes, including the index entries.
    pub(crate) fn weight(&self) -> usize {
        /// The index entries, the counts of the `Arc`, and the share of the common texts.
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
        let common = [location_id, contact_id, conversation_id, channel, status];
        let common_options = [conversation_provider_id, call_status];
        let options = [email_message_id, thread_id];
        let change = |change: &StatusChange<SharedText>| {
            change.status.common_weight()
                + if change.at == *date_added { 0 } else { change.at.weight() }
                + change.error.as_ref().map_or(0, SharedText::weight)
        };
        weight::block(size_of::<Self>())
            + INDEX_ENTRIES
            + id.weight()
            + date_added.weight()
            + options.into_iter().flatten().map(SharedText::weight).sum::<usize>()
            + common.into_iter().map(SharedText::common_weight).sum::<usize>()
            + common_options.into_iter().flatten().map(SharedText::common_weight).sum::<usize>()
            + weight::block(history.capacity() * size_of::<StatusChange<SharedText>>())
            + history.iter().map(change).sum::<usize>()
            + weight::text(request.as_str())
    }
}

impl<R, S: Deref<Target = str>> Message<R, S> {
    pub(crate) fn has_failed(&self) -> bool {
        &*self.status == "failed"
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
