//! The stored messages and their indexes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use chrono::DateTime;

use super::message::{Message, StoredMessage};
use super::shared_text::{SharedText, TextPool};

/// Limits of the stored messages. When one is exceeded, the oldest messages are evicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// The maximum number of messages.
    pub(crate) messages: usize,
    /// The maximum memory usage of messages, in bytes.
    pub(crate) message_bytes: usize,
}

/// The stored messages, in insertion order, with their indexes.
#[derive(Clone, Debug, Default)]
pub(super) struct MessageStore {
    /// Messages by sequence number.
    messages: BTreeMap<u64, Arc<StoredMessage>>,
    next: u64,
    numbers: HashMap<SharedText, u64>,
    /// The messages of each contact. Contacts without messages have no entry.
    of_contact: HashMap<SharedText, Numbers>,
    /// The sequence number of the message of each email, by email message ID.
    emails: HashMap<SharedText, u64>,
    /// The texts that messages have in common.
    texts: TextPool,
    /// The messages that the clock changes, by their time in seconds since 1970, and sequence number.
    scheduled: BTreeSet<(i64, u64)>,
    /// The memory usage, in bytes.
    bytes: usize,
}

/// Sequence numbers of messages.
#[derive(Clone, Debug, Default)]
struct Numbers {
    all: BTreeSet<u64>,
    /// By the time of the message, in milliseconds since 1970.
    by_date: BTreeSet<(i64, u64)>,
}

impl MessageStore {
    /// Returns a message as it is stored, sharing its texts with earlier ones.
    pub(super) fn with_shared_texts(&mut self, message: &Message) -> StoredMessage {
        message.to_stored_with(|text| self.texts.get(text))
    }

    /// Lets a message from elsewhere share its texts with earlier ones.
    fn share_texts(&mut self, message: &mut Arc<StoredMessage>) {
        let texts = &mut self.texts;
        if message.has_common_texts(|text| texts.has(text)) {
            return;
        }
        for text in Arc::make_mut(message).common_texts() {
            *text = texts.get(text);
        }
    }

    /// Adds a message, or replaces the one with the same ID, which retains its place in the order.
    pub(super) fn set(&mut self, mut message: Arc<StoredMessage>) {
        self.share_texts(&mut message);
        let number = if let Some(number) = self.numbers.get(&message.id).copied() {
            self.take(number);
            number
        } else {
            self.next += 1;
            self.next
        };
        self.bytes += message.weight();
        self.numbers.insert(message.id.clone(), number);
        if let Some(email) = &message.email_message_id {
            self.emails.insert(email.clone(), number);
        }
        if let Some(time) = message.due() {
            self.scheduled.insert((time, number));
        }
        let numbers = self.of_contact.entry(message.contact_id.clone()).or_default();
        numbers.all.insert(number);
        numbers.by_date.insert((milliseconds(&message), number));
        self.messages.insert(number, message);
    }

    pub(super) fn remove(&mut self, id: &str) {
        if let Some(number) = self.numbers.remove(id) {
            self.take(number);
        }
    }

    /// Removes a message from everything but `numbers`.
    fn take(&mut self, number: u64) {
        let Some(message) = self.messages.remove(&number) else { return };
        self.bytes -= message.weight();
        if let Some(email) = &message.email_message_id {
            self.emails.remove(email);
        }
        if let Some(time) = message.due() {
            self.scheduled.remove(&(time, number));
        }
        if let Some(numbers) = self.of_contact.get_mut(&message.contact_id) {
            numbers.all.remove(&number);
            numbers.by_date.remove(&(milliseconds(&message), number));
            if numbers.all.is_empty() {
                self.of_contact.remove(&message.contact_id);
            }
        }
    }

    /// Evicts the oldest messages beyond the bounds, and returns their IDs. Never evicts the newest message.
    pub(super) fn evict(&mut self, bounds: Bounds) -> Vec<String> {
        let mut evicted = Vec::new();
        while (self.messages.len() > bounds.messages || self.bytes > bounds.message_bytes)
            && self.messages.len() > 1
            && let Some((_, oldest)) = self.messages.first_key_value()
        {
            let id = oldest.id.clone();
            self.remove(&id);
            evicted.push(id.into());
        }
        evicted
    }

    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    /// Returns the memory usage, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn get(&self, id: &str) -> Option<&Arc<StoredMessage>> {
        self.messages.get(self.numbers.get(id)?)
    }

    /// Returns the sequence number of a message.
    pub(super) fn number(&self, id: &str) -> Option<u64> {
        self.numbers.get(id).copied()
    }

    pub(super) fn by_email(&self, email_message_id: &str) -> Option<&Arc<StoredMessage>> {
        self.messages.get(self.emails.get(email_message_id)?)
    }

    /// Returns messages and calls, oldest first.
    pub(super) fn all(&self) -> impl DoubleEndedIterator<Item = &Arc<StoredMessage>> {
        self.messages.values()
    }

    /// Returns the messages from a sequence number on, oldest first.
    pub(super) fn from(&self, number: u64) -> impl Iterator<Item = &Arc<StoredMessage>> {
        self.messages.range(number..).map(|(_, message)| message)
    }

    /// Returns the messages before a sequence number, newest first.
    pub(super) fn before(&self, number: u64) -> impl Iterator<Item = &Arc<StoredMessage>> {
        self.messages.range(..number).rev().map(|(_, message)| message)
    }

    /// Returns the messages with a contact, oldest first.
    pub(super) fn with(&self, contact_id: &str) -> impl DoubleEndedIterator<Item = &Arc<StoredMessage>> {
        let numbers = self.of_contact.get(contact_id);
        numbers.into_iter().flat_map(|numbers| &numbers.all).filter_map(|number| self.messages.get(number))
    }

    /// Returns the messages with a contact, the latest first, from the one after `after` on. `None` if that one is not a
    /// message with the contact.
    pub(super) fn latest_with(
        &self,
        contact_id: &str,
        after: Option<&str>,
    ) -> Option<impl Iterator<Item = &Arc<StoredMessage>>> {
        let end = match after {
            Some(id) => {
                let message = self.get(id).filter(|message| message.contact_id == contact_id)?;
                (milliseconds(message), self.number(id)?)
            }
            None => (i64::MAX, u64::MAX),
        };
        let numbers = self.of_contact.get(contact_id);
        let dates = numbers.into_iter().flat_map(move |numbers| numbers.by_date.range(..end).rev());
        Some(dates.filter_map(|(_, number)| self.messages.get(number)))
    }

    pub(super) fn count_with(&self, contact_id: &str) -> usize {
        self.of_contact.get(contact_id).map_or(0, |numbers| numbers.all.len())
    }

    /// Returns the newest message with each contact, newest first.
    pub(super) fn newest(&self) -> impl Iterator<Item = &Arc<StoredMessage>> {
        let newest = self.of_contact.values().filter_map(|numbers| numbers.all.last());
        let mut newest: Vec<u64> = newest.copied().collect();
        newest.sort_unstable_by(|left, right| right.cmp(left));
        newest.into_iter().filter_map(|number| self.messages.get(&number))
    }

    /// Returns the first message that the clock changes, with its time in seconds since 1970.
    pub(super) fn first_scheduled(&self) -> Option<(i64, &Arc<StoredMessage>)> {
        let (time, number) = self.scheduled.first()?;
        Some((*time, self.messages.get(number)?))
    }
}

/// Returns the time of a message, in milliseconds since 1970.
fn milliseconds(message: &StoredMessage) -> i64 {
    DateTime::parse_from_rfc3339(&message.date_added).map_or(0, |time| time.timestamp_millis())
}
