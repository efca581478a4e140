//! Events, typed.

use highlevel_wire::types::{
    EventName, InboundMessage, Install, OutboundMessage, ProviderChannel, ProviderOutboundMessage, Uninstall,
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::content::{Content, MessageEvent};
use super::error::{WebhookError, WebhookErrorKind};
use crate::lenient::{self, Read};

/// A webhook event.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A message, call, voicemail or email went to a contact.
    OutboundMessage(Box<OutboundMessage>),
    /// A message, call or email came from a contact.
    InboundMessage(Box<InboundMessage>),
    /// A conversation provider is asked to deliver a message. Goes to its delivery URL.
    ProviderOutboundMessage(Box<ProviderOutboundMessage>),
    /// The app was installed.
    Install(Box<Install>),
    /// The app was removed.
    Uninstall(Box<Uninstall>),
    /// An event that this version does not know.
    Unknown {
        /// The name of the event, its `type`.
        name: String,
        /// The whole event.
        json: Map<String, Value>,
    },
}

impl Event {
    /// The name of the event. `ProviderOutboundMessage` has none of its own on the wire: its `type` is the channel.
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

    /// What the message of the event is, as its channel has it; `None` for events that are not about a message.
    pub fn content(&self) -> Option<Content<'_>> {
        match self {
            Self::OutboundMessage(message) => Some(message.content()),
            Self::InboundMessage(message) => Some(message.content()),
            Self::ProviderOutboundMessage(message) => Some(message.content()),
            Self::Install(_) | Self::Uninstall(_) | Self::Unknown { .. } => None,
        }
    }

    /// Reads an event. A field whose value has an odd type is kept among the unknown fields; an event that lacks what
    /// it cannot do without is an error that names the field.
    ///
    /// `json` is what `body` says, and `kind` what its `type` says.
    pub(super) fn read(kind: Kind, json: Map<String, Value>, body: &[u8]) -> Result<Self, WebhookError> {
        Ok(match kind {
            Kind::OutboundMessage => {
                Self::OutboundMessage(typed(json, body, |event: &mut OutboundMessage| &mut event.extra)?)
            }
            Kind::InboundMessage => {
                Self::InboundMessage(typed(json, body, |event: &mut InboundMessage| &mut event.extra)?)
            }
            Kind::ProviderOutboundMessage => {
                Self::ProviderOutboundMessage(typed(json, body, |event: &mut ProviderOutboundMessage| {
                    &mut event.extra
                })?)
            }
            Kind::Install => Self::Install(typed(json, body, |event: &mut Install| &mut event.extra)?),
            Kind::Uninstall => Self::Uninstall(typed(json, body, |event: &mut Uninstall| &mut event.extra)?),
            Kind::Unknown(name) => Self::Unknown { name, json },
        })
    }
}

/// Which variant an event is of.
#[derive(Debug, PartialEq)]
pub(super) enum Kind {
    OutboundMessage,
    InboundMessage,
    ProviderOutboundMessage,
    Install,
    Uninstall,
    Unknown(String),
}

impl Kind {
    /// By the `type`: the name of the event, or the channel of a `ProviderOutboundMessage`.
    pub(super) fn of(json: &Map<String, Value>) -> Result<Self, WebhookError> {
        let name = match json.get("type") {
            Some(Value::String(name)) => name.as_str(),
            Some(_) => return Err(malformed("/type is not a string")),
            None => return Err(malformed("/type is missing")),
        };
        Ok(match EventName::from(name) {
            EventName::OutboundMessage => Self::OutboundMessage,
            EventName::InboundMessage => Self::InboundMessage,
            EventName::Install => Self::Install,
            EventName::Uninstall => Self::Uninstall,
            _ => match ProviderChannel::from(name) {
                ProviderChannel::Unknown(name) => Self::Unknown(name),
                _ => Self::ProviderOutboundMessage,
            },
        })
    }
}

/// Reads a typed event; fields of an odd type go to the unknown fields.
fn typed<T: DeserializeOwned>(
    json: Map<String, Value>,
    body: &[u8],
    extra: impl FnOnce(&mut T) -> &mut Map<String, Value>,
) -> Result<Box<T>, WebhookError> {
    // Hardly any event has an odd field: its texts are moved, and only one that has is parsed again.
    if let Ok(value) = serde_json::from_value(Value::Object(json)) {
        return Ok(Box::new(value));
    }
    let json = serde_json::from_slice(body).map_err(|error| malformed(&error.to_string()))?;
    let Read { mut value, odd } = lenient::read::<T>(json).map_err(|fault| malformed(&fault.describe()))?;
    extra(&mut value).extend(odd);
    Ok(Box::new(value))
}

fn malformed(what: &str) -> WebhookError {
    WebhookError::new(
        WebhookErrorKind::Malformed,
        format!("the signature is genuine, but the event cannot be read: {what}"),
    )
}
