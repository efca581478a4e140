//! What exists in the sandbox: contacts, conversations, conversation providers and messages of one location.

mod message;
mod seed;

use std::collections::{BTreeMap, BTreeSet};

pub use message::{Direction, Message};
pub(crate) use message::{is_call, is_email};
pub(crate) use seed::{APP_ID, CONTACT_ID, CONVERSATION_ID, CONVERSATION_PROVIDER_ID, LOCATION_ID, seeded};

/// One location and all that belongs to it.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) location_id: String,
    contacts: BTreeMap<String, Contact>,
    /// The contact of each conversation.
    conversations: BTreeMap<String, String>,
    providers: BTreeSet<String>,
    messages: Vec<Message>,
}

/// A contact of the location.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Contact {
    /// The id that requests name.
    pub id: String,
    /// Where emails go that name no address.
    pub email: Option<String>,
    /// Phone number, E.164.
    pub phone: Option<String>,
}

impl Contact {
    /// A contact of which only the id is known.
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), email: None, phone: None }
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

impl World {
    pub(crate) fn new(location_id: &str) -> Self {
        Self {
            location_id: location_id.to_owned(),
            contacts: BTreeMap::new(),
            conversations: BTreeMap::new(),
            providers: BTreeSet::new(),
            messages: Vec::new(),
        }
    }

    /// Adds a contact, or replaces the one with the same id.
    pub(crate) fn add_contact(&mut self, contact: Contact) {
        self.contacts.insert(contact.id.clone(), contact);
    }

    pub(crate) fn add_conversation(&mut self, id: &str, contact_id: &str) {
        self.conversations.insert(id.to_owned(), contact_id.to_owned());
    }

    pub(crate) fn add_provider(&mut self, id: &str) {
        self.providers.insert(id.to_owned());
    }

    /// Keeps an accepted message, and its conversation if that is new.
    pub(crate) fn store(&mut self, message: Message) {
        self.conversations
            .entry(message.conversation_id.clone())
            .or_insert_with(|| message.contact_id.clone());
        self.messages.push(message);
    }

    pub(crate) fn contact(&self, id: &str) -> Option<&Contact> {
        self.contacts.get(id)
    }

    pub(crate) fn contact_of(&self, conversation_id: &str) -> Option<&str> {
        self.conversations.get(conversation_id).map(String::as_str)
    }

    pub(crate) fn conversation_with(&self, contact_id: &str) -> Option<&str> {
        self.conversations.iter().find(|(_, contact)| *contact == contact_id).map(|(id, _)| id.as_str())
    }

    pub(crate) fn has_provider(&self, id: &str) -> bool {
        self.providers.contains(id)
    }

    /// The thread of an email that was stored before.
    pub(crate) fn thread_of(&self, email_message_id: &str) -> Option<&str> {
        let email =
            self.messages.iter().find(|each| each.email_message_id.as_deref() == Some(email_message_id))?;
        email.thread_id.as_deref()
    }

    pub(crate) fn messages(&self) -> &[Message] {
        &self.messages
    }

    pub(crate) fn contact_ids(&self) -> impl Iterator<Item = &str> {
        self.contacts.keys().map(String::as_str)
    }

    pub(crate) fn conversation_ids(&self) -> impl Iterator<Item = &str> {
        self.conversations.keys().map(String::as_str)
    }

    pub(crate) fn provider_ids(&self) -> impl Iterator<Item = &str> {
        self.providers.iter().map(String::as_str)
    }
}
