//! Codes or tokens by their text, within bounds of number and memory.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use crate::weight;

/// How many are retained that can still be used.
const MAX_GOOD: usize = 10_000;
/// How many that cannot: they say why they are refused, and for whom.
const MAX_SPENT: usize = 1_000;
/// The memory that all of them may take, in bytes.
pub(crate) const MAX_BYTES: usize = 12 * 1024 * 1024;

/// What a shelf holds.
pub(crate) trait Credential {
    fn expires_at(&self) -> DateTime<Utc>;

    /// Returns `true` if it was used up or revoked, whatever the time is.
    fn is_spent(&self) -> bool;

    /// The memory that it takes beside itself.
    fn weight(&self) -> usize;
}

/// Credentials of one kind. Every operation costs the logarithm of their number.
#[derive(Clone, Debug)]
pub(crate) struct Shelf<T> {
    entries: BTreeMap<String, T>,
    /// Those that could be used when they were last looked at, and the others, by the time at which they expire.
    good: BTreeSet<(DateTime<Utc>, String)>,
    spent: BTreeSet<(DateTime<Utc>, String)>,
    bytes: usize,
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), good: BTreeSet::new(), spent: BTreeSet::new(), bytes: 0 }
    }
}

impl<T: Credential> Shelf<T> {
    pub(crate) fn get(&self, name: &str) -> Option<&T> {
        self.entries.get(name)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&String, &T)> {
        self.entries.iter()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// What all of them weigh.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn insert(&mut self, name: String, credential: T) {
        self.remove(&name);
        self.bytes += weight_of(&name, &credential);
        let index = if credential.is_spent() { &mut self.spent } else { &mut self.good };
        index.insert((credential.expires_at(), name.clone()));
        self.entries.insert(name, credential);
    }

    pub(crate) fn remove(&mut self, name: &str) -> Option<T> {
        let (name, credential) = self.entries.remove_entry(name)?;
        self.bytes -= weight_of(&name, &credential);
        let key = (credential.expires_at(), name);
        if !self.good.remove(&key) {
            self.spent.remove(&key);
        }
        Some(credential)
    }

    /// Changes one, and returns what `change` does; `None` if there is none.
    pub(crate) fn update<R>(&mut self, name: &str, change: impl FnOnce(&mut T) -> R) -> Option<R> {
        let mut credential = self.remove(name)?;
        let result = change(&mut credential);
        self.insert(name.to_owned(), credential);
        Some(result)
    }

    /// Removes what is too much, and returns the names: what cannot be used goes first, then what expires first.
    pub(crate) fn evict(&mut self, now: DateTime<Utc>) -> Vec<String> {
        while self.good.first().is_some_and(|(end, _)| *end <= now)
            && let Some(expired) = self.good.pop_first()
        {
            self.spent.insert(expired);
        }
        let mut gone = Vec::new();
        loop {
            let is_large = self.bytes > MAX_BYTES;
            let oldest = if self.spent.len() > MAX_SPENT || (is_large && !self.spent.is_empty()) {
                self.spent.first()
            } else if self.good.len() > MAX_GOOD || (is_large && self.good.len() > 1) {
                self.good.first()
            } else {
                return gone;
            };
            let Some((_, name)) = oldest.cloned() else { return gone };
            self.remove(&name);
            gone.push(name);
        }
    }
}

fn weight_of<T: Credential>(name: &str, credential: &T) -> usize {
    /// Of the slots in the two tables.
    const TABLES: usize = 100;
    TABLES + size_of::<T>() + 2 * weight::text(name) + credential.weight()
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[derive(Clone, Debug, PartialEq)]
    struct Thing {
        end: i64,
        is_spent: bool,
        bytes: usize,
    }

    impl Credential for Thing {
        fn expires_at(&self) -> DateTime<Utc> {
            time(self.end)
        }

        fn is_spent(&self) -> bool {
            self.is_spent
        }

        fn weight(&self) -> usize {
            self.bytes
        }
    }

    fn time(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    fn thing(end: i64) -> Thing {
        Thing { end, is_spent: false, bytes: 0 }
    }

    #[test]
    fn what_cannot_be_used_goes_first_and_then_what_expires_first() {
        let mut shelf = Shelf::default();
        for (end, number) in (1..).zip(0..=MAX_GOOD) {
            shelf.insert(format!("{number}"), thing(end));
        }
        assert_eq!(shelf.evict(time(0)), ["0"]);
        assert_eq!(shelf.evict(time(500)), Vec::<String>::new());
        assert_eq!(shelf.evict(time(1_002)), ["1"], "1,001 have expired");
        shelf.update("9999", |thing| thing.is_spent = true);
        assert_eq!(shelf.evict(time(1_002)), ["2"]);
        let large = Thing { bytes: MAX_BYTES, ..thing(20_000) };
        shelf.insert("large".to_owned(), large.clone());
        assert_eq!(shelf.evict(time(1_002)).len(), MAX_GOOD - 2);
        assert_eq!(shelf.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["large"]);
        assert!(shelf.bytes() > MAX_BYTES);
        assert_eq!((shelf.remove("large"), shelf.bytes()), (Some(large), 0));
        assert!(shelf.good.is_empty() && shelf.spent.is_empty());
    }
}
