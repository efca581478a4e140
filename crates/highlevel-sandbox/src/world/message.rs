//! A message that the sandbox accepted.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A message or call that was accepted and stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct Message {
    /// The id that the answer gave it.
    pub id: String,
    /// The id of the email inside its thread; of emails only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email_message_id: Option<String>,
    /// The email thread; of emails only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread_id: Option<String>,
    /// The location whose token was used.
    #[serde(default = "super::record::location")]
    pub location_id: String,
    /// The contact at the other end.
    pub contact_id: String,
    /// The conversation it was filed under.
    pub conversation_id: String,
    /// The conversation provider that the request named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation_provider_id: Option<String>,
    /// Whether it went to the contact or came from the contact.
    pub direction: Direction,
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
    pub request: Value,
}

/// A status that a message got.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct StatusChange {
    /// The status.
    pub status: String,
    /// When it got it, RFC 3339.
    pub at: String,
    /// Why it failed, if it did and somebody said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Message {
    /// The text of the message, or `None` when it has none.
    pub fn text(&self) -> Option<&str> {
        self.field("message")
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.status == "failed"
    }

    /// A field of the request that is a string.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.request.get(name)?.as_str()
    }
}

/// Whether a message went to the contact or came from the contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Direction {
    /// From the contact.
    Inbound,
    /// To the contact.
    Outbound,
}

impl Direction {
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
