//! The identity of an event.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::envelope::{Envelope, Field};
use super::event::Event;

/// Identifies an event: all deliveries of one event have the same id.
///
/// - With a `webhookId`: it, and the `appId`. Both are the same in redeliveries and manual resends.
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

    pub(super) fn of(envelope: &Envelope<'_>, event: &Event, body: &[u8]) -> Self {
        let mut is_unique = true;
        // Written as JSON, so that no two lists of parts become the same text.
        let text = if let Some(id) = filled(&envelope.webhook_id) {
            json_text(&("webhook", id, filled(&envelope.app_id)))
        } else if matches!(event, Event::ProviderOutboundMessage(_))
            && any_filled(&[&envelope.message_id, &envelope.email_message_id])
        {
            let [channel, location, message, email] =
                [&envelope.name, &envelope.location_id, &envelope.message_id, &envelope.email_message_id]
                    .map(filled);
            json_text(&("provider", channel, location, message, email))
        } else {
            // The ids and times of all other events are those of their subject, which has many events.
            let is_message = matches!(event, Event::OutboundMessage(_) | Event::InboundMessage(_));
            let of_message = [&envelope.message_id, &envelope.email_message_id, &envelope.date_added];
            // Each call has an id, and ends once.
            let is_call = matches!(event, Event::VoiceAiCallEnd(_));
            is_unique =
                any_filled(&[&envelope.timestamp]) || is_call || is_message && any_filled(&of_message);
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
    /// `false` for an event that carries nothing that identifies it: no `webhookId`, no timestamp, and no id or time of
    /// a message. The documented `UNINSTALL` is an example: the second `UNINSTALL` of a location, a week after the
    /// first, has the same bytes. Two deliveries of such an event are not handled at the same time, but its id is not
    /// recorded by a commit: a redelivery is handled again.
    pub fn is_unique(&self) -> bool {
        self.is_unique
    }

    /// Creates an id from its text, for tests of a [`Deduplicator`](super::Deduplicator).
    #[cfg(any(test, feature = "testing"))]
    pub fn from_text(text: &str) -> Self {
        Self { text: text.into(), is_unique: true }
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

/// Returns the text of a field that is a string and not empty.
fn filled<'e>(field: &'e Field<'_>) -> Option<&'e str> {
    field.text().filter(|text| !text.is_empty())
}

fn any_filled(fields: &[&Field<'_>]) -> bool {
    fields.iter().any(|field| filled(field).is_some())
}

/// Writes parts as JSON, which cannot fail for texts.
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
