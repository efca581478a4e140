//! The kinds of typed events.

use highlevel_wire::types::{
    AppUpdate, ContactDndUpdate, ConversationUnreadUpdate, ConversationUpdate, EventName, InboundMessage,
    Install, LcEmailStats, OutboundMessage, ProviderChannel, ProviderOutboundMessage, Uninstall,
    VoiceAiCallEnd,
};
use serde::de::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::event::Event;
use crate::lenient::{self, ReadObject, Unreadable};

/// Defines the kinds: variants of [`Event`] that contain the generated type of the same name.
macro_rules! kinds {
    ($($kind:ident),* $(,)?) => {
        /// The variant of an event, without the one for unknown events.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum EventKind {
            $($kind),*
        }

        impl EventKind {
            /// Decodes an object.
            pub(super) fn decode<'de, D: Deserializer<'de>>(self, object: D) -> Result<Event, D::Error> {
                Ok(match self {
                    $(Self::$kind => Event::$kind(Box::deserialize(object)?),)*
                })
            }

            /// Decodes a JSON object. A field whose value has an unexpected type is moved to the unknown fields.
            pub(super) fn decode_leniently(self, json: Map<String, Value>) -> Result<Event, Unreadable> {
                Ok(match self {
                    $(Self::$kind => {
                        let ReadObject { mut value, mistyped } = lenient::read::<$kind>(json)?;
                        value.extra.extend(mistyped);
                        Event::$kind(Box::new(value))
                    })*
                })
            }
        }

        impl Event {
            /// Adds fields whose value has an unexpected type to the unknown fields.
            pub(super) fn add_mistyped(&mut self, mistyped: Map<String, Value>) {
                match self {
                    $(Self::$kind(event) => event.extra.extend(mistyped),)*
                    Self::Unknown { json, .. } => json.extend(mistyped),
                }
            }
        }
    };
}

kinds!(
    OutboundMessage,
    InboundMessage,
    ProviderOutboundMessage,
    ConversationUpdate,
    ConversationUnreadUpdate,
    LcEmailStats,
    ContactDndUpdate,
    VoiceAiCallEnd,
    Install,
    Uninstall,
    AppUpdate,
);

impl EventKind {
    /// Returns the kind of a `type`, which is the name of the event, or the channel of a `ProviderOutboundMessage`.
    pub(super) fn of(name: &str) -> Option<Self> {
        Some(match EventName::from(name) {
            EventName::OutboundMessage => Self::OutboundMessage,
            EventName::InboundMessage => Self::InboundMessage,
            EventName::ConversationUpdate => Self::ConversationUpdate,
            EventName::ConversationUnreadUpdate => Self::ConversationUnreadUpdate,
            EventName::LCEmailStats => Self::LcEmailStats,
            EventName::ContactDndUpdate => Self::ContactDndUpdate,
            EventName::VoiceAiCallEnd => Self::VoiceAiCallEnd,
            EventName::Install => Self::Install,
            EventName::Uninstall => Self::Uninstall,
            EventName::Update => Self::AppUpdate,
            _ => match ProviderChannel::from(name) {
                ProviderChannel::Unknown(_) => return None,
                _ => Self::ProviderOutboundMessage,
            },
        })
    }
}
