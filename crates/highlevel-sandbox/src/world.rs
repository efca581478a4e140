//! What exists in the sandbox: locations, their contacts, conversations and conversation providers, and messages.
//!
//! Everything here is a [`Record`], and changes by being put in place of the one with the same id.

mod check;
mod list;
mod message;
mod record;
mod seed;
mod status;

use std::collections::{BTreeMap, HashMap};

pub use check::Conflict;
pub(crate) use list::{MessageFilter, Order, Page};
pub use message::{Direction, Message, StatusChange};
pub(crate) use message::{is_call, is_email, is_phone, is_voicemail};
pub use record::{Contact, Conversation, ConversationProvider, Location, Snapshot};
pub(crate) use record::{Kind, Record};
pub(crate) use seed::{
    APP_ID, COMPANY_ID, CONTACT_ID, CONVERSATION_ID, CONVERSATION_PROVIDER_ID, LOCATION_ID, seed,
};
pub use status::StatusUpdate;
pub(crate) use status::{next_statuses, of_call};

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
    /// Puts each record in place of the one with the same id, or adds it. All of them, or none.
    pub(crate) fn put(&mut self, records: impl IntoIterator<Item = Record>) -> Result<(), Conflict> {
        let mut before: Vec<(Kind, String, Option<Record>)> = Vec::new();
        for record in records {
            if let Err(conflict) = self.check(&record) {
                for (kind, id, record) in before.into_iter().rev() {
                    match record {
                        Some(record) => self.set(record),
                        None => self.remove(kind, &id),
                    }
                }
                return Err(conflict);
            }
            let (kind, id) = (record.kind(), record.id().to_owned());
            before.push((kind, id.clone(), self.get(kind, &id)));
            self.set(record);
        }
        Ok(())
    }

    fn set(&mut self, record: Record) {
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
            Record::Message(message) => self.set_message(*message),
        }
    }

    fn set_message(&mut self, message: Message) {
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

    /// Removes a record, and nothing else.
    fn remove(&mut self, kind: Kind, id: &str) {
        match kind {
            Kind::Location => drop(self.locations.remove(id)),
            Kind::Contact => drop(self.contacts.remove(id)),
            Kind::Conversation => {
                if let Some(conversation) = self.conversations.remove(id) {
                    self.conversation_of.remove(&conversation.contact_id);
                }
            }
            Kind::Provider => drop(self.providers.remove(id)),
            Kind::Message => {
                let message =
                    self.message_numbers.remove(id).and_then(|number| self.messages.remove(&number));
                if let Some(email) = message.and_then(|message| message.email_message_id) {
                    self.emails.remove(&email);
                }
            }
        }
    }

    /// Removes a record with all that cannot be without it, and answers what that was; nothing if there was no such
    /// record.
    pub(crate) fn delete(&mut self, kind: Kind, id: &str) -> Vec<(Kind, String)> {
        if self.get(kind, id).is_none() {
            return Vec::new();
        }
        let mut gone = vec![(kind, id.to_owned())];
        if kind == Kind::Contact
            && let Some(conversation) = self.conversation_with(id).map(str::to_owned)
        {
            gone.extend(self.delete(Kind::Conversation, &conversation));
        }
        if kind == Kind::Conversation {
            let of_it = self.messages().filter(|message| message.conversation_id == id);
            gone.extend(of_it.map(|message| (Kind::Message, message.id.clone())).collect::<Vec<_>>());
        }
        for (kind, id) in &gone {
            self.remove(*kind, id);
        }
        gone
    }

    /// Removes the oldest messages that are more than `most`, and answers their ids.
    pub(crate) fn forget_messages(&mut self, most: usize) -> Vec<String> {
        let too_many = self.messages.len().saturating_sub(most);
        let oldest: Vec<String> = self.messages().take(too_many).map(|message| message.id.clone()).collect();
        for id in &oldest {
            self.remove(Kind::Message, id);
        }
        oldest
    }

    pub(crate) fn get(&self, kind: Kind, id: &str) -> Option<Record> {
        match kind {
            Kind::Location => self.location(id).cloned().map(Record::Location),
            Kind::Contact => self.contact(id).cloned().map(Record::Contact),
            Kind::Conversation => self.conversation(id).cloned().map(Record::Conversation),
            Kind::Provider => self.provider(id).cloned().map(Record::Provider),
            Kind::Message => self.message(id).cloned().map(Record::from),
        }
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
            ..Snapshot::default()
        }
    }
}

impl TryFrom<Snapshot> for World {
    type Error = Conflict;

    fn try_from(snapshot: Snapshot) -> Result<Self, Conflict> {
        let mut world = Self::default();
        world.put(snapshot.into_records())?;
        Ok(world)
    }
}
