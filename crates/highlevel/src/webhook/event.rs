//! Typed events.

use highlevel_wire::types::{
    AppUpdate, ContactDndUpdate, ConversationUnreadUpdate, ConversationUpdate, InboundMessage, Install,
    LcEmailStats, OutboundMessage, ProviderOutboundMessage, Uninstall, VoiceAiCallEnd,
};
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
    /// A live chat was merged into another conversation. Messages that you store under the old id belong to the new one.
    ConversationUpdate(Box<ConversationUpdate>),
    /// The unread count of a conversation has changed.
    ConversationUnreadUpdate(Box<ConversationUnreadUpdate>),
    /// The email service of HighLevel reports the progress of an email.
    LcEmailStats(Box<LcEmailStats>),
    /// The do-not-disturb settings of a contact have changed.
    ContactDndUpdate(Box<ContactDndUpdate>),
    /// A call with a Voice AI agent has ended. Its body has no `type`, and is recognized by its `id` and `agentId`.
    VoiceAiCallEnd(Box<VoiceAiCallEnd>),
    /// The app was installed.
    Install(Box<Install>),
    /// The app was uninstalled.
    Uninstall(Box<Uninstall>),
    /// The app was updated to a new version. On the wire, the event is named `UPDATE`.
    AppUpdate(Box<AppUpdate>),
    /// An event that this version of the crate does not know.
    Unknown {
        /// The name of the event, its `type`.
        name: String,
        /// The whole event.
        json: Map<String, Value>,
    },
}

impl Event {
    /// Returns the name of the event. On the wire, two events have no name: the `type` of a `ProviderOutboundMessage` is the
    /// channel, and a `VoiceAiCallEnd` has none.
    pub fn name(&self) -> &str {
        match self {
            Self::OutboundMessage(_) => "OutboundMessage",
            Self::InboundMessage(_) => "InboundMessage",
            Self::ProviderOutboundMessage(_) => "ProviderOutboundMessage",
            Self::ConversationUpdate(_) => "ConversationUpdate",
            Self::ConversationUnreadUpdate(_) => "ConversationUnreadUpdate",
            Self::LcEmailStats(_) => "LCEmailStats",
            Self::ContactDndUpdate(_) => "ContactDndUpdate",
            Self::VoiceAiCallEnd(_) => "VoiceAiCallEnd",
            Self::Install(_) => "INSTALL",
            Self::Uninstall(_) => "UNINSTALL",
            Self::AppUpdate(_) => "UPDATE",
            Self::Unknown { name, .. } => name,
        }
    }

    /// Returns the content of the message. `None` for events that are not about a message.
    pub fn content(&self) -> Option<Content<'_>> {
        match self {
            Self::OutboundMessage(message) => Some(message.content()),
            Self::InboundMessage(message) => Some(message.content()),
            Self::ProviderOutboundMessage(message) => Some(message.content()),
            _ => None,
        }
    }
}
