//! The envelope of an event: the fields by which it is checked and identified.

use std::borrow::Cow;

use serde_json::{Map, Value};

/// A field of the envelope.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Field<'a> {
    #[default]
    Missing,
    Null,
    Text(Cow<'a, str>),
    /// Neither a string nor null.
    Other,
}

impl Field<'_> {
    /// Returns the text of the field. `None` if it is not a string.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Missing | Self::Null | Self::Other => None,
        }
    }
}

impl From<&Value> for Field<'_> {
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::String(text) => Self::Text(Cow::Owned(text.clone())),
            Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => Self::Other,
        }
    }
}

/// The fields by which an event is checked and identified.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Envelope<'a> {
    /// `type`: the name of the event, or the channel of a `ProviderOutboundMessage`.
    pub(super) name: Field<'a>,
    pub(super) app_id: Field<'a>,
    pub(super) location_id: Field<'a>,
    pub(super) timestamp: Field<'a>,
    pub(super) webhook_id: Field<'a>,
    pub(super) message_id: Field<'a>,
    pub(super) email_message_id: Field<'a>,
    pub(super) date_added: Field<'a>,
}

impl<'a> Envelope<'a> {
    pub(super) fn of(json: &Map<String, Value>) -> Self {
        let mut envelope = Self::default();
        for (key, value) in json {
            if let Some(field) = envelope.field_mut(key) {
                *field = value.into();
            }
        }
        envelope
    }

    /// Returns the field with this key. `None` for all keys that are not part of the envelope.
    pub(super) fn field_mut(&mut self, key: &str) -> Option<&mut Field<'a>> {
        Some(match key {
            "type" => &mut self.name,
            "appId" => &mut self.app_id,
            "locationId" => &mut self.location_id,
            "timestamp" => &mut self.timestamp,
            "webhookId" => &mut self.webhook_id,
            "messageId" => &mut self.message_id,
            "emailMessageId" => &mut self.email_message_id,
            "dateAdded" => &mut self.date_added,
            _ => return None,
        })
    }
}
