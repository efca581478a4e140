//! A store for codes or tokens, with limits on their number and memory.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use crate::weight;

/// The maximum number of usable credentials.
const MAX_USABLE: usize = 10_000;
/// The maximum number of unusable credentials. They are retained so that error messages and counts are precise, and that the
/// response of a refresh is repeated, also if thousands of locations refresh within the seconds in which HighLevel does so.
const MAX_SPENT: usize = 5_000;
/// The maximum memory of all credentials, in bytes.
pub(crate) const MAX_BYTES: usize = 12 * 1024 * 1024;

/// A code or a token.
pub(crate) trait Credential {
    fn expires_at(&self) -> DateTime<Utc>;

    /// Returns `true` if it was used or revoked, regardless of its expiry.
    fn is_spent(&self) -> bool;

    /// Returns the memory that the fields own, in bytes.
    fn weight(&self) -> usize;
}

/// A store for credentials of one kind. All operations take logarithmic time.
#[derive(Clone, Debug)]
pub(crate) struct CredentialStore<T> {
    entries: BTreeMap<String, T>,
    /// The credentials that were usable at the last eviction, ordered by expiry. All others are in `spent`.
    usable: BTreeSet<(DateTime<Utc>, String)>,
    spent: BTreeSet<(DateTime<Utc>, String)>,
    bytes: usize,
}

impl<T> Default for CredentialStore<T> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), usable: BTreeSet::new(), spent: BTreeSet::new(), bytes: 0 }
    }
}

impl<T: Credential> CredentialStore<T> {
    pub(crate) fn get(&self, name: &str) -> Option<&T> {
        self.entries.get(name)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&String, &T)> {
        self.entries.iter()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns the memory of all credentials, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn insert(&mut self, name: String, credential: T) {
        self.remove(&name);
        self.bytes += weight_of(&name, &credential);
        let index = if credential.is_spent() { &mut self.spent } else { &mut self.usable };
        index.insert((credential.expires_at(), name.clone()));
        self.entries.insert(name, credential);
    }

    pub(crate) fn remove(&mut self, name: &str) -> Option<T> {
        let (name, credential) = self.entries.remove_entry(name)?;
        self.bytes -= weight_of(&name, &credential);
        let key = (credential.expires_at(), name);
        if !self.usable.remove(&key) {
            self.spent.remove(&key);
        }
        Some(credential)
    }

    /// Changes a credential and returns the result of `change`, or `None` if the credential does not exist.
    pub(crate) fn update<R>(&mut self, name: &str, change: impl FnOnce(&mut T) -> R) -> Option<R> {
        let mut credential = self.remove(name)?;
        let result = change(&mut credential);
        self.insert(name.to_owned(), credential);
        Some(result)
    }

    /// Evicts credentials above the limits and returns their names. Unusable credentials are evicted first, then those that
    /// expire first.
    pub(crate) fn evict(&mut self, now: DateTime<Utc>) -> Vec<String> {
        while self.usable.first().is_some_and(|(end, _)| *end <= now)
            && let Some(expired) = self.usable.pop_first()
        {
            self.spent.insert(expired);
        }
        let mut evicted = Vec::new();
        loop {
            let is_large = self.bytes > MAX_BYTES;
            let oldest = if self.spent.len() > MAX_SPENT || (is_large && !self.spent.is_empty()) {
                self.spent.first()
            } else if self.usable.len() > MAX_USABLE || (is_large && self.usable.len() > 1) {
                self.usable.first()
            } else {
                return evicted;
            };
            let Some((_, name)) = oldest.cloned() else { return evicted };
            self.remove(&name);
            evicted.push(name);
        }
    }
}

fn weight_of<T: Credential>(name: &str, credential: &T) -> usize {
    /// The memory of the entries in the two tables.
    const TABLES: usize = 100;
    TABLES + size_of::<T>() + 2 * weight::text(name) + credential.weight()
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[derive(Clone, Debug, PartialEq)]
    struct TestCredential {
        end: i64,
        is_spent: bool,
        bytes: usize,
    }

    impl Credential for TestCredential {
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

    fn credential(end: i64) -> TestCredential {
        TestCredential { end, is_spent: false, bytes: 0 }
    }

    #[test]
    fn unusable_credentials_are_evicted_first_and_then_the_earliest_to_expire() {
        let mut store = CredentialStore::default();
        for (end, number) in (1..).zip(0..=MAX_USABLE) {
            store.insert(format!("{number}"), credential(end));
        }
        assert_eq!(store.evict(time(0)), ["0"]);
        assert_eq!(store.evict(time(500)), Vec::<String>::new());
        assert_eq!(store.evict(time(5_002)), ["1"], "5,001 have expired");
        store.update("9999", |credential| credential.is_spent = true);
        assert_eq!(store.evict(time(5_002)), ["2"]);
        let large = TestCredential { bytes: MAX_BYTES, ..credential(20_000) };
        store.insert("large".to_owned(), large.clone());
        assert_eq!(store.evict(time(5_002)).len(), MAX_USABLE - 2);
        assert_eq!(store.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["large"]);
        assert!(store.bytes() > MAX_BYTES);
        assert_eq!((store.remove("large"), store.bytes()), (Some(large), 0));
        assert!(store.usable.is_empty() && store.spent.is_empty());
    }
}
