//! Typed events.

use highlevel_wire::types::{InboundMessage, Install, OutboundMessage, ProviderOutboundMessage, Uninstall};
use serde_json::{Map, Value};

use super::content::Content;
use super::message_event::MessageEvent;

/// A webhook event.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A message, call, voicemail or email to a contact.
    OutboundMessage(Box<OutboundMessage>),
    /// A message, call or email from a contact.
    InboundMessage(Box<InboundMessage>),
    /// A request that a conversation provider deliver a message, sent to its delivery URL.
    ProviderOutboundMessage(Box<ProviderOutboundMessage>),
    /// The app was installed.
    Install(Box<Install>),
    /// The app was uninstalled.
    Uninstall(Box<Uninstall>),
    /// An event that this version of the crate does not know.
    Unknown {
        /// The name of the event, its `type`.
        name: String,
        /// The whole event.
        json: Map<String, Value>,
    },
}

impl Event {
    /// Returns the name of the event. On the wire, a `ProviderOutboundMessage` has no name: its `type` is the channel.
    pub fn name(&self) -> &str {
        match self {
            Self::OutboundMessage(_) => "OutboundMessage",
            Self::InboundMessage(_) => "InboundMessage",
            Self::ProviderOutboundMessage(_) => "ProviderOutboundMessage",
            Self::Install(_) => "INSTALL",
            Self::Uninstall(_) => "UNINSTALL",
            Self::Unknown { name, .. } => name,
        }
    }

    /// Returns the content of the message. `None` for events that are not about a message.
    pub fn content(&self) -> Option<Content<'_>> {
        match self {
            Self::OutboundMessage(message) => Some(message.content()),
            Self::InboundMessage(message) => Some(message.content()),
            Self::ProviderOutboundMessage(message) => Some(message.content()),
            Self::Install(_) | Self::Uninstall(_) | Self::Unknown { .. } => None,
        }
    }
}
