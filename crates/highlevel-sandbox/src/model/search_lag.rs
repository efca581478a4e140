//! The previous versions of recently changed records, which a search index with a delay still has.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::{Contact, Conversation, Kind, Model, Record};

/// The maximum number and memory of the stored versions. Beyond it, the oldest changes are searchable earlier.
const MAX_CHANGES: usize = 10_000;
const MAX_BYTES: usize = 8 * 1024 * 1024;

/// The changes that a search index with a delay does not have yet.
#[derive(Debug, Default)]
pub(crate) struct SearchLag {
    /// `None` if searches are not delayed.
    delay: Option<TimeDelta>,
    /// Oldest first.
    changes: VecDeque<RecordChange>,
    bytes: usize,
}

/// A change of a contact or a conversation, or a new message.
#[derive(Debug)]
struct RecordChange {
    at: DateTime<Utc>,
    kind: Kind,
    id: String,
    /// The version before the change. `None` if the record is new.
    before: Option<Record>,
}

/// The differences between the model and a search index with a delay.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unindexed {
    /// The version in the index by ID; `None` if the index does not have it.
    pub(crate) contacts: BTreeMap<String, Option<Contact>>,
    pub(crate) conversations: BTreeMap<String, Option<Conversation>>,
    /// The messages that the index does not have.
    pub(crate) messages: BTreeSet<String>,
}

impl Unindexed {
    /// The differences of an index without a delay.
    pub(crate) const NONE: Self =
        Self { contacts: BTreeMap::new(), conversations: BTreeMap::new(), messages: BTreeSet::new() };

    pub(crate) fn is_empty(&self) -> bool {
        self.contacts.is_empty() && self.conversations.is_empty() && self.messages.is_empty()
    }
}

impl RecordChange {
    fn weight(&self) -> usize {
        let before = match &self.before {
            Some(before) => before.weight(),
            None => 0,
        };
        size_of::<Self>() + self.id.len() + before
    }
}

impl SearchLag {
    pub(crate) fn new(delay: Option<Duration>) -> Self {
        let mut lag = Self::default();
        lag.set_delay(delay);
        lag
    }

    /// Sets the delay. Without one, all changes are searchable at once.
    pub(crate) fn set_delay(&mut self, delay: Option<Duration>) {
        self.delay = delay.map(|delay| TimeDelta::from_std(delay).unwrap_or(TimeDelta::MAX));
        if self.delay.is_none() {
            self.clear();
        }
    }

    /// Makes all changes searchable.
    pub(crate) fn clear(&mut self) {
        self.changes = VecDeque::new();
        self.bytes = 0;
    }

    /// Returns the changes that records are about to make, if searches are delayed.
    pub(crate) fn changes(&self, model: &Model, records: &[Record], now: DateTime<Utc>) -> NewChanges {
        let change = |record: &Record| {
            let (kind, id) = (record.kind(), record.id());
            if !matches!(kind, Kind::Contact | Kind::Conversation | Kind::Message) {
                return None;
            }
            let before = model.get(kind, id);
            // Searches return no fields of messages that change later.
            let is_visible = kind != Kind::Message || before.is_none();
            is_visible.then(|| RecordChange { at: now, kind, id: id.to_owned(), before })
        };
        let records = if self.delay.is_some() { records } else { &[] };
        NewChanges(records.iter().filter_map(change).collect())
    }

    /// Stores changes that were made.
    pub(crate) fn add(&mut self, changes: NewChanges) {
        let Some(now) = changes.0.last().map(|change| change.at) else { return };
        while self.changes.front().is_some_and(|change| !self.is_pending(change, now)) {
            self.drop_oldest();
        }
        for change in changes.0 {
            self.bytes += change.weight();
            self.changes.push_back(change);
        }
        while self.changes.len() > MAX_CHANGES || self.bytes > MAX_BYTES {
            self.drop_oldest();
        }
    }

    /// Returns the differences at a time.
    pub(crate) fn unindexed(&self, now: DateTime<Utc>) -> Unindexed {
        let mut unindexed = Unindexed::default();
        // The oldest version within the delay is the one in the index.
        for change in self.changes.iter().filter(|change| self.is_pending(change, now)) {
            let id = || change.id.clone();
            match (change.kind, &change.before) {
                (Kind::Contact, Some(Record::Contact(before))) => {
                    unindexed.contacts.entry(id()).or_insert_with(|| Some(Contact::clone(before)));
                }
                (Kind::Contact, _) => {
                    unindexed.contacts.entry(id()).or_insert(None);
                }
                (Kind::Conversation, Some(Record::Conversation(before))) => {
                    unindexed.conversations.entry(id()).or_insert_with(|| Some(before.clone()));
                }
                (Kind::Conversation, _) => {
                    unindexed.conversations.entry(id()).or_insert(None);
                }
                _ => {
                    unindexed.messages.insert(id());
                }
            }
        }
        unindexed
    }

    /// Returns `true` if the index does not have a change yet. Changes in the future were made before the clock was set back.
    fn is_pending(&self, change: &RecordChange, now: DateTime<Utc>) -> bool {
        let age = now - change.at;
        self.delay.is_some_and(|delay| age >= TimeDelta::zero() && age < delay)
    }

    fn drop_oldest(&mut self) {
        if let Some(change) = self.changes.pop_front() {
            self.bytes -= change.weight();
        }
    }
}

/// Changes that are about to be made.
pub(crate) struct NewChanges(Vec<RecordChange>);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::seed;

    fn at(milliseconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::milliseconds(milliseconds)
    }

    fn put(lag: &mut SearchLag, model: &mut Model, contact: Contact, now: i64) {
        let records = [Record::from(contact)];
        let changes = lag.changes(model, &records, at(now));
        model.put(records).unwrap();
        lag.add(changes);
    }

    #[test]
    fn a_change_is_indexed_after_the_delay() {
        let mut model = Model::try_from(seed()).unwrap();
        let mut lag = SearchLag::new(Some(Duration::from_secs(1)));
        put(&mut lag, &mut model, Contact::new("a").name("first"), 1_000);
        put(&mut lag, &mut model, Contact::new("a").name("second"), 1_500);
        put(&mut lag, &mut model, Contact::new("a").name("third"), 1_600);
        let indexed = |lag: &SearchLag, now: i64| {
            let version = lag.unindexed(at(now)).contacts.remove("a");
            version.map(|version| version.map(|contact| contact.name.unwrap()))
        };
        let name = |name: &str| Some(Some(name.to_owned()));
        // The clock may be set back.
        for (now, expected) in [
            (999, None),
            (1_600, Some(None)),
            (1_999, Some(None)),
            (2_000, name("first")),
            (2_500, name("second")),
            (2_600, None),
        ] {
            assert_eq!(indexed(&lag, now), expected, "{now}");
        }
        lag.set_delay(None);
        assert!(lag.unindexed(at(1_600)).is_empty() && lag.bytes == 0);
        put(&mut lag, &mut model, Contact::new("b"), 1_600);
        assert!(lag.changes.is_empty());
    }

    #[test]
    fn versions_are_bounded_and_old_ones_are_dropped() {
        let mut model = Model::try_from(seed()).unwrap();
        let mut lag = SearchLag::new(Some(Duration::from_secs(1)));
        for number in 0..MAX_CHANGES + 10 {
            put(&mut lag, &mut model, Contact::new(format!("{}", number % 5)), 0);
        }
        assert_eq!(lag.changes.len(), MAX_CHANGES);
        put(&mut lag, &mut model, Contact::new("last"), 1_000);
        assert_eq!(lag.changes.len(), 1);
        for _ in 0..10 {
            put(&mut lag, &mut model, Contact::new("large").name("x".repeat(MAX_BYTES / 3)), 1_000);
        }
        assert!(lag.changes.len() <= 4 && lag.bytes <= MAX_BYTES, "{} bytes", lag.bytes);
        assert_eq!(lag.bytes, lag.changes.iter().map(RecordChange::weight).sum::<usize>());
    }
}
