//! The form in which a fingerprint is stored.

use std::time::SystemTime;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::content::RequestContent;
use super::date::Dated;
use super::fingerprint::Fingerprint;
use super::hash::Hash;
use super::text::Text;
use crate::{AltId, ContactId, ConversationId, ConversationProviderId, Direction};

/// The serialized form of a fingerprint.
#[derive(Clone, Serialize, Deserialize)]
struct Stored {
    /// Version 1 had neither this field nor those with a default.
    #[serde(default = "first_version")]
    version: u32,
    contact: Option<ContactId>,
    conversation: Option<ConversationId>,
    #[serde(default)]
    provider: Option<ConversationProviderId>,
    #[serde(default)]
    alt_id: Option<AltId>,
    channel: String,
    #[serde(default)]
    direction: Option<Direction>,
    time: SystemTime,
    #[serde(default = "at_once")]
    dated: Dated,
    content: StoredContent,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(untagged)]
enum StoredContent {
    Current(RequestContent),
    Version1(Option<String>),
}

const VERSION: u32 = 2;

fn first_version() -> u32 {
    1
}

fn at_once() -> Dated {
    Dated::AtOnce
}

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Stored::from(self.clone()).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Stored::deserialize(deserializer)?.try_into().map_err(de::Error::custom)
    }
}

impl From<Fingerprint> for Stored {
    fn from(fingerprint: Fingerprint) -> Self {
        Self {
            version: VERSION,
            contact: fingerprint.contact,
            conversation: fingerprint.conversation,
            provider: fingerprint.provider,
            alt_id: fingerprint.alt_id,
            channel: fingerprint.channel,
            direction: fingerprint.direction,
            time: fingerprint.attempted,
            dated: fingerprint.dated,
            content: StoredContent::Current(fingerprint.content),
        }
    }
}

impl TryFrom<Stored> for Fingerprint {
    type Error = String;

    fn try_from(stored: Stored) -> Result<Self, String> {
        if stored.version > VERSION {
            // A newer version may compare more properties. Without them, a different message could be reported as sent.
            return Err(format!(
                "fingerprint version {} is newer than {VERSION}, the newest that this library reads; update it",
                stored.version
            ));
        }
        let content = match stored.content {
            StoredContent::Current(content) => content,
            StoredContent::Version1(text) => RequestContent {
                texts: text
                    .map(|hex| Text { exact: Hash::from_stored(hex), visible: None })
                    .into_iter()
                    .collect(),
                ..RequestContent::default()
            },
        };
        Ok(Self {
            contact: stored.contact,
            conversation: stored.conversation,
            provider: stored.provider,
            alt_id: stored.alt_id,
            channel: stored.channel,
            direction: stored.direction,
            attempted: stored.time,
            dated: stored.dated,
            content,
        })
    }
}
