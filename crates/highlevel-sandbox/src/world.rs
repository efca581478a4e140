//! What exists in the sandbox: locations, their contacts, conversations and conversation providers, and messages.
//!
//! Everything here is a [`Record`], and changes by being put in place of the one with the same id.

mod message;
mod record;
mod seed;

use std::collections::{BTreeMap, HashMap};

pub use message::{Direction, Message, StatusChange};
pub(crate) use message::{is_call, is_email, is_phone, is_voicemail};
pub(crate) use record::Record;
pub use record::{Contact, Conversation, ConversationProvider, Location, Snapshot};
pub(crate) use seed::{
    APP_ID, COMPANY_ID, CONTACT_ID, CONVERSATION_ID, CONVERSATION_PROVIDER_ID, LOCATION_ID, seed,
};

/// All that exists, by id.
#[derive(Debug, Default)]
pub(crate) struct World {
    locations: BTreeMap<String, Location>,
    contacts: BTreeMap<String, Contact>,
    conversations: BTreeMap<String, Conversation>,
    providers: BTreeMap<String, ConversationProvider>,
    /// In the order in which they were stored, by a number that grows.
    messages: BTreeMap<u64, Message>,
    next_message: u64,
    message_numbers: HashMap<String, u64>,
    /// The conversation with each contact.
    conversation_of: HashMap<String, String>,
    /// The message that each email is.
    emails: HashMap<String, u64>,
}

impl World {
    /// Puts a record in place of the one with the same id, or adds it.
    pub(crate) fn put(&mut self, record: Record) {
        match record {
            Record::Location(location) => {
                self.locations.insert(location.id.clone(), location);
            }
            Record::Contact(contact) => {
                self.contacts.insert(contact.id.clone(), contact);
            }
            Record::Conversation(conversation) => {
                self.conversation_of.insert(conversation.contact_id.clone(), conversation.id.clone());
                self.conversations.insert(conversation.id.clone(), conversation);
            }
            Record::Provider(provider) => {
                self.providers.insert(provider.id.clone(), provider);
            }
            Record::Message(message) => self.put_message(message),
        }
    }

    fn put_message(&mut self, message: Message) {
        let number = *self.message_numbers.entry(message.id.clone()).or_insert_with(|| {
            let number = self.next_message;
            self.next_message += 1;
            number
        });
        if let Some(email) = &message.email_message_id {
            self.emails.insert(email.clone(), number);
        }
        self.messages.insert(number, message);
    }

    pub(crate) fn location(&self, id: &str) -> Option<&Location> {
        self.locations.get(id)
    }

    pub(crate) fn contact(&self, id: &str) -> Option<&Contact> {
        self.contacts.get(id)
    }

    pub(crate) fn conversation(&self, id: &str) -> Option<&Conversation> {
        self.conversations.get(id)
    }

    /// The conversation with a contact. There is at most one.
    pub(crate) fn conversation_with(&self, contact_id: &str) -> Option<&str> {
        self.conversation_of.get(contact_id).map(String::as_str)
    }

    pub(crate) fn provider(&self, id: &str) -> Option<&ConversationProvider> {
        self.providers.get(id)
    }

    pub(crate) fn message(&self, id: &str) -> Option<&Message> {
        self.messages.get(self.message_numbers.get(id)?)
    }

    /// The thread of an email that was stored before.
    pub(crate) fn thread_of(&self, email_message_id: &str) -> Option<&str> {
        self.messages.get(self.emails.get(email_message_id)?)?.thread_id.as_deref()
    }

    pub(crate) fn locations(&self) -> impl Iterator<Item = &Location> {
        self.locations.values()
    }

    pub(crate) fn contacts(&self) -> impl Iterator<Item = &Contact> {
        self.contacts.values()
    }

    pub(crate) fn conversations(&self) -> impl Iterator<Item = &Conversation> {
        self.conversations.values()
    }

    pub(crate) fn providers(&self) -> impl Iterator<Item = &ConversationProvider> {
        self.providers.values()
    }

    /// Messages and calls, oldest first.
    pub(crate) fn messages(&self) -> impl DoubleEndedIterator<Item = &Message> {
        self.messages.values()
    }

    /// All of it, in the form of a seed file.
    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot {
            locations: self.locations().cloned().collect(),
            contacts: self.contacts().cloned().collect(),
            conversations: self.conversations().cloned().collect(),
            providers: self.providers().cloned().collect(),
            messages: self.messages().cloned().collect(),
        }
    }
}

impl From<Snapshot> for World {
    fn from(snapshot: Snapshot) -> Self {
        let mut world = Self::default();
        for record in snapshot.into_records() {
            world.put(record);
        }
        world
    }
}
