//! The data model: locations with contacts, conversations, conversation providers, messages and files.
//!
//! All of them are [`Record`]s. A record is changed by replacing it with another one that has the same ID.

pub(crate) mod address;
mod address_index;
mod channel;
mod check;
mod conflict;
mod contact;
mod due;
mod file;
mod file_store;
mod list;
mod message;
mod message_store;
mod provider;
mod raw_json;
mod record;
mod search_lag;
mod seed;
mod shared_text;
mod status;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use address_index::AddressIndex;
pub(crate) use channel::{
    Channel, EventType, Family, VOICEMAIL, channel_of, event_types, is_call, is_email, is_phone, is_voicemail,
};
pub use conflict::Conflict;
pub use contact::{Contact, DndChannel, Note};
pub(crate) use due::TEXT_REQUIRED;
pub use file::StoredFile;
pub(crate) use file::{MAX_FILE, MAX_FILE_NAME, file_extensions, file_type};
pub(crate) use file_store::MAX_FILE_BYTES;
use file_store::UploadStore;
pub(crate) use list::{MessageFilter, Order, Page};
pub use message::{Message, MessageDirection, MessageSource, StatusChange};
pub(crate) use message::{SCHEDULED, StoredMessage, scheduled_time};
pub(crate) use message_store::Bounds;
use message_store::MessageStore;
pub use provider::{ConversationProvider, ProviderKind};
pub use record::{Conversation, Location};
pub(crate) use record::{Kind, Record};
pub(crate) use search_lag::{SearchLag, Unindexed};
pub(crate) use seed::{
    APP_ID, CALL_PROVIDER_ID, COMPANY_ID, CONTACT_ID, CONVERSATION_ID, CUSTOM_PROVIDER_ID, EMAIL_PROVIDER_ID,
    LOCATION_ID, REFERENCE_PROVIDER_IDS, SMS_PROVIDER_ID,
};
pub use status::StatusUpdate;
pub(crate) use status::{next_statuses, status_of_call};

/// The maximum memory usage of all records except messages and files, in bytes.
pub(crate) const RECORD_BYTES: usize = 32 * 1024 * 1024;

/// All records, by ID. Clones share the messages and files.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    locations: BTreeMap<String, Location>,
    contacts: BTreeMap<String, Contact>,
    addresses: AddressIndex,
    conversations: BTreeMap<String, Conversation>,
    providers: BTreeMap<String, ConversationProvider>,
    messages: MessageStore,
    files: UploadStore,
    /// The conversation of each contact, by contact ID.
    conversation_of: HashMap<String, String>,
    /// The memory usage of all other records, in bytes.
    record_bytes: usize,
}

impl Model {
    /// Adds records, replacing those with the same IDs.
    ///
    /// # Errors
    ///
    /// Returns [`Conflict`] if a record contradicts an existing one. Then no record is changed.
    pub(crate) fn put(&mut self, records: impl IntoIterator<Item = Record>) -> Result<(), Conflict> {
        let mut before: Vec<(Kind, String, Option<Record>)> = Vec::new();
        let mut records = records.into_iter().peekable();
        while let Some(record) = records.next() {
            if let Err(conflict) = self.validate(&record) {
                for (kind, id, record) in before.into_iter().rev() {
                    match record {
                        Some(record) => self.set(record),
                        None => self.remove(kind, &id),
                    }
                }
                return Err(conflict);
            }
            // Nothing rolls back the last record.
            if records.peek().is_some() {
                let (kind, id) = (record.kind(), record.id().to_owned());
                let replaced = self.get(kind, &id);
                before.push((kind, id, replaced));
            }
            self.set(record);
        }
        Ok(())
    }

    fn set(&mut self, record: Record) {
        let record = match record {
            Record::Message(message) => return self.messages.set(message),
            Record::File(file) => return self.files.set(file),
            other => other,
        };
        if let Some(before) = self.get(record.kind(), record.id()) {
            self.record_bytes -= before.weight();
        }
        self.record_bytes += record.weight();
        match record {
            Record::Location(location) => {
                self.locations.insert(location.id.clone(), location);
            }
            Record::Contact(contact) => {
                if let Some(before) = self.contacts.get(&contact.id) {
                    self.addresses.remove(before);
                }
                self.addresses.insert(&contact);
                self.contacts.insert(contact.id.clone(), *contact);
            }
            Record::Conversation(conversation) => {
                self.conversation_of.insert(conversation.contact_id.clone(), conversation.id.clone());
                self.conversations.insert(conversation.id.clone(), conversation);
            }
            Record::Provider(provider) => {
                self.providers.insert(provider.id.clone(), provider);
            }
            Record::Message(_) | Record::File(_) => {}
        }
    }

    /// Removes a record, but not the records that depend on it.
    fn remove(&mut self, kind: Kind, id: &str) {
        match kind {
            Kind::Message => return self.messages.remove(id),
            Kind::File => return self.files.remove(id),
            _ => {}
        }
        if let Some(removed) = self.get(kind, id) {
            self.record_bytes -= removed.weight();
        }
        match kind {
            Kind::Location => drop(self.locations.remove(id)),
            Kind::Contact => {
                if let Some(contact) = self.contacts.remove(id) {
                    self.addresses.remove(&contact);
                }
            }
            Kind::Conversation => {
                if let Some(conversation) = self.conversations.remove(id) {
                    self.conversation_of.remove(&conversation.contact_id);
                }
            }
            Kind::Provider => drop(self.providers.remove(id)),
            Kind::Message | Kind::File => {}
        }
    }

    /// Deletes a record and all records that depend on it. Returns the deleted records, or none if there is no such record.
    pub(crate) fn delete(&mut self, kind: Kind, id: &str) -> Vec<(Kind, String)> {
        if self.get(kind, id).is_none() {
            return Vec::new();
        }
        let mut deleted = vec![(kind, id.to_owned())];
        if kind == Kind::Contact
            && let Some(conversation) = self.conversation_with(id).map(str::to_owned)
        {
            deleted.extend(self.delete(Kind::Conversation, &conversation));
        }
        if kind == Kind::Conversation {
            let messages = self.messages().filter(|message| message.conversation_id == id);
            deleted.extend(messages.map(|message| (Kind::Message, message.id.to_string())));
        }
        for (kind, id) in &deleted {
            self.remove(*kind, id);
        }
        deleted
    }

    /// Returns a message as it is stored, sharing its texts with the stored ones.
    pub(crate) fn with_shared_texts(&mut self, message: &Message) -> StoredMessage {
        self.messages.with_shared_texts(message)
    }

    /// Evicts the oldest messages beyond the bounds, and returns their IDs. Never evicts the newest message.
    pub(crate) fn evict_messages(&mut self, bounds: Bounds) -> Vec<String> {
        self.messages.evict(bounds)
    }

    /// Evicts the oldest files beyond the bounds, and returns their IDs.
    pub(crate) fn evict_files(&mut self) -> Vec<String> {
        self.files.evict()
    }

    /// Returns the number of records except messages and files.
    pub(crate) fn record_count(&self) -> usize {
        self.locations.len() + self.contacts.len() + self.conversations.len() + self.providers.len()
    }

    /// Returns the number of messages, and the memory usage in bytes of messages and of all other records.
    pub(crate) fn weights(&self) -> (usize, usize, usize) {
        (self.messages.len(), self.messages.bytes(), self.record_bytes)
    }

    /// Returns the number of files, and their memory usage in bytes.
    pub(crate) fn file_weights(&self) -> (usize, usize) {
        (self.files.len(), self.files.bytes())
    }

    pub(crate) fn get(&self, kind: Kind, id: &str) -> Option<Record> {
        match kind {
            Kind::Location => self.location(id).cloned().map(Record::Location),
            Kind::Contact => self.contact(id).cloned().map(Record::from),
            Kind::Conversation => self.conversation(id).cloned().map(Record::Conversation),
            Kind::Provider => self.provider(id).cloned().map(Record::Provider),
            Kind::Message => self.message(id).cloned().map(Record::Message),
            Kind::File => self.file(id).cloned().map(Record::File),
        }
    }

    pub(crate) fn location(&self, id: &str) -> Option<&Location> {
        self.locations.get(id)
    }

    pub(crate) fn contact(&self, id: &str) -> Option<&Contact> {
        self.contacts.get(id)
    }

    /// Returns the contacts of a location with a normalized phone number or email address.
    pub(crate) fn contacts_with(&self, location: &str, address: &str) -> impl Iterator<Item = &Contact> {
        self.addresses.with(location, address).filter_map(|id| self.contact(id))
    }

    pub(crate) fn conversation(&self, id: &str) -> Option<&Conversation> {
        self.conversations.get(id)
    }

    /// Returns the ID of the conversation with a contact. There is at most one.
    pub(crate) fn conversation_with(&self, contact_id: &str) -> Option<&str> {
        self.conversation_of.get(contact_id).map(String::as_str)
    }

    pub(crate) fn provider(&self, id: &str) -> Option<&ConversationProvider> {
        self.providers.get(id)
    }

    pub(crate) fn message(&self, id: &str) -> Option<&Arc<StoredMessage>> {
        self.messages.get(id)
    }

    pub(crate) fn file(&self, id: &str) -> Option<&Arc<StoredFile>> {
        self.files.get(id)
    }

    /// Returns the files, oldest first.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Arc<StoredFile>> {
        self.files.all()
    }

    /// Returns the message of an email.
    pub(crate) fn email(&self, email_message_id: &str) -> Option<&Arc<StoredMessage>> {
        self.messages.by_email(email_message_id)
    }

    /// Returns the thread ID of a stored email.
    pub(crate) fn thread_of(&self, email_message_id: &str) -> Option<&str> {
        self.email(email_message_id)?.thread_id.as_deref()
    }

    /// Returns the first scheduled message with its time in seconds since 1970.
    pub(crate) fn first_scheduled(&self) -> Option<(i64, &Arc<StoredMessage>)> {
        self.messages.first_scheduled()
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

    /// Returns messages and calls, oldest first.
    pub(crate) fn messages(&self) -> impl DoubleEndedIterator<Item = &Arc<StoredMessage>> {
        self.messages.all()
    }

    /// Returns the messages with a contact, oldest first.
    pub(crate) fn messages_with(
        &self,
        contact_id: &str,
    ) -> impl DoubleEndedIterator<Item = &Arc<StoredMessage>> {
        self.messages.with(contact_id)
    }

    /// Returns the messages with a contact, the latest first, from the one after `after` on. `None` if that one is not a
    /// message with the contact.
    pub(crate) fn latest_with(
        &self,
        contact_id: &str,
        after: Option<&str>,
    ) -> Option<impl Iterator<Item = &Arc<StoredMessage>>> {
        self.messages.latest_with(contact_id, after)
    }

    /// Returns all messages, the newest first, from the one after `after` on. `None` if there is no such message.
    pub(crate) fn newest_after(
        &self,
        after: Option<&str>,
    ) -> Option<impl Iterator<Item = &Arc<StoredMessage>>> {
        let end = match after {
            Some(id) => self.messages.number(id)?,
            None => u64::MAX,
        };
        Some(self.messages.before(end))
    }

    /// Returns the number of messages with a contact.
    pub(crate) fn count_with(&self, contact_id: &str) -> usize {
        self.messages.count_with(contact_id)
    }

    /// Returns the contacts that have messages, each with its newest one, sorted by the newest message first.
    pub(crate) fn newest_by_contact(&self) -> impl Iterator<Item = (&Contact, &Arc<StoredMessage>)> {
        let newest = self.messages.newest();
        newest.filter_map(|message| Some((self.contact(&message.contact_id)?, message)))
    }

    /// Returns all records. Each one comes after the records that it references.
    pub(crate) fn records(&self) -> impl Iterator<Item = Record> {
        (self.locations().cloned().map(Record::Location))
            .chain(self.contacts().cloned().map(Record::from))
            .chain(self.conversations().cloned().map(Record::Conversation))
            .chain(self.providers().cloned().map(Record::Provider))
            .chain(self.messages().cloned().map(Record::Message))
            .chain(self.files().cloned().map(Record::File))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::snapshot::seed;

    fn message(id: &str, contact: &str, conversation: &str, status: &str) -> Record {
        let message = json!({
            "id": id, "contactId": contact, "conversationId": conversation, "direction": "outbound",
            "channel": "SMS", "dateAdded": "2026-01-31T09:30:00Z", "status": status, "request": {},
        });
        Record::from(serde_json::from_value::<StoredMessage>(message).unwrap())
    }

    #[test]
    fn messages_are_indexed_by_contact() {
        let (ada, grace) = (CONTACT_ID, "ve9EPM428h8vShlRW1KT");
        let of_ada = |id, status| message(id, ada, CONVERSATION_ID, status);
        let mut model = Model::try_from(seed()).unwrap();
        let check = |model: &Model, newest: &str, messages: &str| {
            let found: Vec<_> = model.newest_by_contact().map(|(_, message)| &*message.id).collect();
            assert_eq!(found.join(" "), newest);
            let found: Vec<_> = model.messages_with(ada).map(|message| &*message.id).collect();
            assert_eq!(found.join(" "), messages);
            assert_eq!(model.count_with(ada), found.len());
        };
        check(&model, "", "");
        let put = [of_ada("a", "failed"), message("b", grace, grace, "pending"), of_ada("c", "pending")];
        model.put(put).unwrap();
        check(&model, "c b", "a c");
        model.put([of_ada("a", "delivered")]).unwrap();
        check(&model, "c b", "a c");
        // A conflict rolls back the records before it.
        model.put([of_ada("d", "failed"), message("e", "unknown", CONVERSATION_ID, "pending")]).unwrap_err();
        check(&model, "c b", "a c");
        model.put([of_ada("c", "failed")]).unwrap();
        model.evict_messages(Bounds { messages: 1, message_bytes: usize::MAX });
        check(&model, "c", "c");
        model.delete(Kind::Contact, ada);
        check(&model, "", "");
    }

    #[test]
    fn memory_usage_follows_each_change() {
        let mut model = Model::try_from(seed()).unwrap();
        let (_, none, records) = model.weights();
        assert!(none == 0 && records > 0);
        let texts: Vec<String> = [10, 100_000, 1_000].map(|length| "x".repeat(length)).to_vec();
        for (number, text) in texts.iter().enumerate() {
            let mut stored = message(&number.to_string(), CONTACT_ID, CONVERSATION_ID, "pending").to_value();
            stored["request"] = json!({ "message": text });
            model.put([Record::from_value(Kind::Message, stored).unwrap()]).unwrap();
        }
        let (count, bytes, _) = model.weights();
        assert!(count == 3 && (101_010..110_000).contains(&bytes), "{bytes}");
        let status = message("1", CONTACT_ID, CONVERSATION_ID, "failed");
        model.put([status]).unwrap();
        let (_, smaller, _) = model.weights();
        assert!((1_010..10_000).contains(&smaller), "{smaller}");
        let evicted = model.evict_messages(Bounds { messages: 10, message_bytes: smaller - 1 });
        assert_eq!(evicted, ["0"]);
        model.put([Record::from(Contact::new("new").name("y".repeat(5_000)))]).unwrap();
        assert!(model.weights().2 > records + 5_000);
        for id in ["new", CONTACT_ID] {
            model.delete(Kind::Contact, id);
        }
        assert!(model.weights().1 == 0 && model.weights().2 < records);
    }

    #[test]
    fn records_beyond_the_memory_limit_are_rejected() {
        let mut model = Model::try_from(seed()).unwrap();
        let contact =
            |number: usize| Record::from(Contact::new(number.to_string()).name("x".repeat(1024 * 1024)));
        let (count, conflict) =
            (0..).find_map(|number| Some((number, model.put([contact(number)]).err()?))).unwrap();
        assert!((25..32).contains(&count), "{count}");
        assert!(conflict.to_string().contains("33554432 bytes"), "{conflict}");
        model.put([contact(0)]).unwrap();
        model.delete(Kind::Contact, "0");
        model.put([contact(count)]).unwrap();
    }
}
