//! The records of the data model.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::contact::Contact;
use super::file::StoredFile;
use super::message::StoredMessage;
use super::provider::ConversationProvider;
use super::seed::{COMPANY_ID, location};
use crate::weight;

/// A location (sub-account).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct Location {
    /// The location ID.
    pub id: String,
    /// The ID of the company (agency) that owns the location.
    #[serde(default = "company")]
    pub company_id: String,
    /// The display name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl Location {
    /// Creates a location of the default company.
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), company_id: company(), name: None }
    }

    /// Sets the company that owns the location.
    pub fn company(mut self, id: impl Into<String>) -> Self {
        self.company_id = id.into();
        self
    }

    /// Sets the display name.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }
}

/// The conversation with a contact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct Conversation {
    /// The ID used in requests.
    pub id: String,
    /// The ID of the location.
    #[serde(default = "location")]
    pub location_id: String,
    /// The ID of the contact.
    pub contact_id: String,
    /// The number of messages of the contact that no user has read.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unread_count: u64,
    /// Set if a user has starred the conversation.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub starred: bool,
    /// The time at which the conversation was created, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date_added: Option<String>,
    /// The time of the last change, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date_updated: Option<String>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Conversation {
    /// Creates a conversation with a contact of the default location.
    pub fn new(id: impl Into<String>, contact_id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            location_id: location(),
            contact_id: contact_id.into(),
            unread_count: 0,
            starred: false,
            date_added: None,
            date_updated: None,
        }
    }

    /// Sets the location.
    pub fn location(mut self, id: impl Into<String>) -> Self {
        self.location_id = id.into();
        self
    }
}

/// A record of any kind.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Record {
    Location(Location),
    Contact(Box<Contact>),
    Conversation(Conversation),
    Provider(ConversationProvider),
    Message(Arc<StoredMessage>),
    File(Arc<StoredFile>),
}

/// The kind of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Location,
    Contact,
    Conversation,
    Provider,
    Message,
    File,
}

impl Kind {
    pub(crate) const ALL: [Self; 6] =
        [Self::Location, Self::Contact, Self::Conversation, Self::Provider, Self::Message, Self::File];

    /// Returns the name of the kind in messages and state files.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Location => "location",
            Self::Contact => "contact",
            Self::Conversation => "conversation",
            Self::Provider => "provider",
            Self::Message => "message",
            Self::File => "file",
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl From<Contact> for Record {
    fn from(contact: Contact) -> Self {
        Self::Contact(Box::new(contact))
    }
}

impl From<StoredMessage> for Record {
    fn from(message: StoredMessage) -> Self {
        Self::Message(Arc::new(message))
    }
}

impl From<StoredFile> for Record {
    fn from(file: StoredFile) -> Self {
        Self::File(Arc::new(file))
    }
}

impl Record {
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Location(_) => Kind::Location,
            Self::Contact(_) => Kind::Contact,
            Self::Conversation(_) => Kind::Conversation,
            Self::Provider(_) => Kind::Provider,
            Self::Message(_) => Kind::Message,
            Self::File(_) => Kind::File,
        }
    }

    pub(crate) fn id(&self) -> &str {
        match self {
            Self::Location(location) => &location.id,
            Self::Contact(contact) => &contact.id,
            Self::Conversation(conversation) => &conversation.id,
            Self::Provider(provider) => &provider.id,
            Self::Message(message) => &message.id,
            Self::File(file) => &file.id,
        }
    }

    /// Returns the record as JSON, in the format of seed files.
    pub(crate) fn to_value(&self) -> serde_json::Value {
        let value = match self {
            Self::Location(location) => serde_json::to_value(location),
            Self::Contact(contact) => serde_json::to_value(contact),
            Self::Conversation(conversation) => serde_json::to_value(conversation),
            Self::Provider(provider) => serde_json::to_value(provider),
            Self::Message(message) => serde_json::to_value(&**message),
            Self::File(file) => serde_json::to_value(&**file),
        };
        // Serializing these structs cannot fail.
        value.unwrap_or_default()
    }

    /// Parses the result of [`to_value`](Self::to_value).
    pub(crate) fn from_value(kind: Kind, value: serde_json::Value) -> serde_json::Result<Self> {
        Ok(match kind {
            Kind::Location => Self::Location(serde_json::from_value(value)?),
            Kind::Contact => Self::from(serde_json::from_value::<Contact>(value)?),
            Kind::Conversation => Self::Conversation(serde_json::from_value(value)?),
            Kind::Provider => Self::Provider(serde_json::from_value(value)?),
            Kind::Message => Self::from(serde_json::from_value::<StoredMessage>(value)?),
            Kind::File => Self::from(serde_json::from_value::<StoredFile>(value)?),
        })
    }

    /// Serializes the record as JSON text.
    pub(crate) fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        match self {
            Self::Location(location) => serde_json::to_vec(location),
            Self::Contact(contact) => serde_json::to_vec(contact),
            Self::Conversation(conversation) => serde_json::to_vec(conversation),
            Self::Provider(provider) => serde_json::to_vec(provider),
            Self::Message(message) => serde_json::to_vec(&**message),
            Self::File(file) => serde_json::to_vec(&**file),
        }
    }

    /// Parses the result of [`to_json`](Self::to_json).
    pub(crate) fn from_json(kind: Kind, json: &[u8]) -> serde_json::Result<Self> {
        Ok(match kind {
            Kind::Location => Self::Location(serde_json::from_slice(json)?),
            Kind::Contact => Self::from(serde_json::from_slice::<Contact>(json)?),
            Kind::Conversation => Self::Conversation(serde_json::from_slice(json)?),
            Kind::Provider => Self::Provider(serde_json::from_slice(json)?),
            Kind::Message => Self::from(serde_json::from_slice::<StoredMessage>(json)?),
            Kind::File => Self::from(serde_json::from_slice::<StoredFile>(json)?),
        })
    }

    /// Returns the memory usage in bytes, including the index entries.
    pub(crate) fn weight(&self) -> usize {
        /// The map entry of a record, without its key.
        const INDEX_ENTRIES: usize = 250;
        let texts = |texts: &[&String], options: &[&Option<String>]| {
            let options = options.iter().map(|option| weight::option(option.as_ref())).sum::<usize>();
            INDEX_ENTRIES
                + 2 * weight::text(self.id())
                + options
                + texts.iter().map(|text| weight::text(text)).sum::<usize>()
        };
        match self {
            Self::Location(Location { id: _, company_id, name }) => texts(&[company_id], &[name]),
            Self::Contact(contact) => texts(&[], &[]) + contact.field_weight(),
            Self::Conversation(Conversation {
                id: _,
                location_id,
                contact_id,
                unread_count: _,
                starred: _,
                date_added,
                date_updated,
            }) => texts(&[location_id, contact_id, contact_id], &[date_added, date_updated]),
            Self::Provider(provider) => texts(&[], &[]) + provider.field_weight(),
            Self::Message(message) => message.weight(),
            Self::File(file) => file.weight(),
        }
    }

    /// Returns the ID of the location that owns the record. A location owns itself.
    pub(crate) fn location_id(&self) -> &str {
        match self {
            Self::Location(location) => &location.id,
            Self::Contact(contact) => &contact.location_id,
            Self::Conversation(conversation) => &conversation.location_id,
            Self::Provider(provider) => &provider.location_id,
            Self::Message(message) => &message.location_id,
            Self::File(file) => &file.location_id,
        }
    }
}

fn company() -> String {
    COMPANY_ID.to_owned()
}
