//! The identity of an event.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::event::Kind;

/// Identifies an event: all deliveries of one event have the same id.
///
/// - With a `webhookId`: it, and the `appId`. A redelivery and a manual resend keep both.
/// - A `ProviderOutboundMessage` without: its channel, `locationId`, `messageId` and `emailMessageId`, if it has one of
///   the last two, because the provider is to deliver a message once.
/// - Any other event without: the SHA-256 of its body, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId {
    text: Arc<str>,
    is_unique: bool,
}

impl EventId {
    /// Longer ids are replaced by their SHA-256, so that ids have a bounded length.
    const MAX_LENGTH: usize = 256;

    pub(super) fn of(json: &Map<String, Value>, kind: &Kind, body: &Bytes) -> Self {
        let field = |name: &str| json.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let any = |names: &[&str]| names.iter().any(|name| field(name).is_some());
        let mut is_unique = true;
        // Written as JSON, so that no two lists of parts become the same text.
        let text = if let Some(id) = field("webhookId") {
            json_text(&("webhook", id, field("appId")))
        } else if *kind == Kind::ProviderOutboundMessage && any(&["messageId", "emailMessageId"]) {
            let [channel, location, message, email] =
                ["type", "locationId", "messageId", "emailMessageId"].map(field);
            json_text(&("provider", channel, location, message, email))
        } else {
            // The ids and times of other events are of their subject, which has many events.
            let is_message = matches!(kind, Kind::OutboundMessage | Kind::InboundMessage);
            is_unique =
                any(&["timestamp"]) || is_message && any(&["messageId", "emailMessageId", "dateAdded"]);
            json_text(&("body", sha256(body)))
        };
        let text = if text.len() > Self::MAX_LENGTH {
            json_text(&("sha256", sha256(text.as_bytes())))
        } else {
            text
        };
        Self { text: text.into(), is_unique }
    }

    /// Returns the id as text: at most 256 bytes, suitable for a column with a unique index if
    /// [`is_unique`](Self::is_unique) is `true`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns `true` if no other event has this id.
    ///
    /// `false` for an event that carries nothing of its own: neither a `webhookId` nor a timestamp, nor the id or the
    /// time of a message. The documented `UNINSTALL` is an example: the second `UNINSTALL` of a location, a week after
    /// the first, has the same bytes. Two deliveries of such an event are not handled at the same time, but its id is
    /// not recorded by a commit: a redelivery is handled again.
    pub fn is_unique(&self) -> bool {
        self.is_unique
    }

    #[cfg(any(test, feature = "testing"))]
    pub(super) fn from_text(text: &str) -> Self {
        Self { text: text.into(), is_unique: true }
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

/// Texts and lists of texts can always be written.
fn json_text(parts: &impl Serialize) -> String {
    serde_json::to_string(parts).unwrap_or_default()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut text, byte| {
        for digit in [byte >> 4, byte & 0xf] {
            text.push(char::from_digit(digit.into(), 16).unwrap_or_default());
        }
        text
    })
}
