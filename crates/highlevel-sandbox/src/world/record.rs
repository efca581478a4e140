//! The kinds of things that exist.

use serde::{Deserialize, Serialize};

use super::message::Message;
use super::seed::{COMPANY_ID, LOCATION_ID};

/// A location (sub-account).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct Location {
    /// Its id.
    pub id: String,
    /// The company (agency) that it belongs to.
    #[serde(default = "company")]
    pub company_id: String,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl Location {
    /// A location of the sandbox's own company.
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), company_id: company(), name: None }
    }

    /// Sets the company that it belongs to.
    pub fn company(mut self, id: impl Into<String>) -> Self {
        self.company_id = id.into();
        self
    }

    /// Sets what people call it.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }
}

/// A contact of a location.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct Contact {
    /// The id that requests name.
    pub id: String,
    /// The location that it belongs to.
    #[serde(default = "location")]
    pub location_id: String,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where emails go that name no address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Phone number, E.164.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
}

impl Contact {
    /// A contact of the sandbox's own location, of which only the id is known.
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), location_id: location(), name: None, email: None, phone: None }
    }

    /// Sets the location that it belongs to.
    pub fn location(mut self, id: impl Into<String>) -> Self {
        self.location_id = id.into();
        self
    }

    /// Sets what people call it.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets the primary email address.
    pub fn email(mut self, email: impl Into<String>) -> Self {
        self.email = Some(email.into());
        self
    }

    /// Sets the phone number.
    pub fn phone(mut self, phone: impl Into<String>) -> Self {
        self.phone = Some(phone.into());
        self
    }
}

/// The conversation with a contact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct Conversation {
    /// The id that requests name.
    pub id: String,
    /// The location that it belongs to.
    #[serde(default = "location")]
    pub location_id: String,
    /// Whom it is with.
    pub contact_id: String,
}

impl Conversation {
    /// A conversation with a contact of the sandbox's own location.
    pub fn new(id: impl Into<String>, contact_id: impl Into<String>) -> Self {
        Self { id: id.into(), location_id: location(), contact_id: contact_id.into() }
    }

    /// Sets the location that it belongs to.
    pub fn location(mut self, id: impl Into<String>) -> Self {
        self.location_id = id.into();
        self
    }
}

/// A conversation provider: the channel that an app adds to a location.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct ConversationProvider {
    /// The id that requests name.
    pub id: String,
    /// The location that it belongs to.
    #[serde(default = "location")]
    pub location_id: String,
    /// Where it is told to deliver what is sent through it: a plain `http` URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery_url: Option<String>,
}

impl ConversationProvider {
    /// A provider of the sandbox's own location.
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), location_id: location(), delivery_url: None }
    }

    /// Sets the location that it belongs to.
    pub fn location(mut self, id: impl Into<String>) -> Self {
        self.location_id = id.into();
        self
    }

    /// Sets where it is told to deliver what is sent through it.
    pub fn delivery_url(mut self, url: impl Into<String>) -> Self {
        self.delivery_url = Some(url.into());
        self
    }
}

/// Anything that exists.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Record {
    Location(Location),
    Contact(Contact),
    Conversation(Conversation),
    Provider(ConversationProvider),
    Message(Message),
}

/// All that exists, as a seed file has it. What it lacks is empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Snapshot {
    /// The locations.
    pub locations: Vec<Location>,
    /// Their contacts.
    pub contacts: Vec<Contact>,
    /// The conversations with the contacts.
    pub conversations: Vec<Conversation>,
    /// The conversation providers.
    pub providers: Vec<ConversationProvider>,
    /// Messages and calls, oldest first.
    pub messages: Vec<Message>,
}

impl Snapshot {
    /// Its records, each after those that it names.
    pub(crate) fn into_records(self) -> impl Iterator<Item = Record> {
        let Self { locations, contacts, conversations, providers, messages } = self;
        (locations.into_iter().map(Record::Location))
            .chain(contacts.into_iter().map(Record::Contact))
            .chain(conversations.into_iter().map(Record::Conversation))
            .chain(providers.into_iter().map(Record::Provider))
            .chain(messages.into_iter().map(Record::Message))
    }
}

fn location() -> String {
    LOCATION_ID.to_owned()
}

fn company() -> String {
    COMPANY_ID.to_owned()
}
