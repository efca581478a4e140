//! The entries that are retained, and the order in which they are dropped.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::LedgerEvent;
use super::acceptances::Acceptances;

/// The memory that all entries but those of [`MAX_UNAUTHENTICATED`] may take, in bytes.
pub(crate) const MAX_BYTES: usize = 64 * 1024 * 1024;
/// The maximum of retained requests without valid credentials.
pub(crate) const MAX_UNAUTHENTICATED: usize = 1_000;
/// The memory that those may take, in bytes.
pub(crate) const MAX_UNAUTHENTICATED_BYTES: usize = 4 * 1024 * 1024;
/// The maximum of entries of all kinds, as a multiple of the maximum of requests.
pub(super) const ENTRIES_PER_REQUEST: usize = 4;

/// Counts of the retained entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Retained {
    /// Requests with and without valid credentials.
    pub(crate) requests: usize,
    /// Entries of all kinds, except those of `unauthenticated`.
    pub(crate) own: Share,
    /// Requests without valid credentials.
    pub(crate) unauthenticated: Share,
}

/// A part of the ledger with separate bounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) count: usize,
    /// The memory that its entries take.
    pub(crate) bytes: usize,
    /// The number of entries that were dropped for newer ones.
    pub(crate) dropped: u64,
}

/// Entries by number, with counts of what was dropped.
///
/// Requests without valid credentials have a small separate share: any client can send them, and they must not
/// displace the requests that a developer's tests look for.
#[derive(Debug)]
pub(super) struct Log {
    entries: BTreeMap<u64, LedgerEvent>,
    /// The number of the next entry.
    next: u64,
    max_requests: usize,
    /// Requests with valid credentials among `entries`.
    requests: usize,
    /// All entries but requests without valid credentials.
    own: Share,
    unauthenticated: Share,
    /// The numbers of the requests in that share, oldest first.
    unauthenticated_numbers: VecDeque<u64>,
    /// Responses since the start, including those of requests that were dropped.
    pub(super) by_status: BTreeMap<u16, usize>,
    /// Failed entries since the start, including those that were dropped. Never decreases.
    pub(super) failures: u64,
    pub(super) acceptances: Acceptances,
}

impl Log {
    pub(super) fn new(max_requests: usize) -> Self {
        Self {
            entries: BTreeMap::new(),
            next: 0,
            max_requests,
            requests: 0,
            own: Share::default(),
            unauthenticated: Share::default(),
            unauthenticated_numbers: VecDeque::new(),
            by_status: BTreeMap::new(),
            failures: 0,
            acceptances: Acceptances::default(),
        }
    }

    /// The number of the next entry.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// The number of the oldest entry, or of the next one if there is none.
    pub(super) fn first(&self) -> u64 {
        self.entries.first_key_value().map_or(self.next, |(number, _)| *number)
    }

    pub(super) fn clear(&mut self) {
        let dropped = (self.own.dropped, self.unauthenticated.dropped);
        *self = Self { next: self.next, failures: self.failures, ..Self::new(self.max_requests) };
        (self.own.dropped, self.unauthenticated.dropped) = dropped;
    }

    /// All entries, oldest first.
    pub(super) fn entries(&self) -> impl Iterator<Item = &LedgerEvent> {
        self.entries.values()
    }

    /// The entry with this number; the number of the next one that is retained if it was dropped; `None` if it has not
    /// been recorded yet.
    pub(super) fn entry(&self, number: u64) -> Option<Result<LedgerEvent, u64>> {
        match self.entries.range(number..).next() {
            Some((found, entry)) if *found == number => Some(Ok(entry.clone())),
            Some((later, _)) => Some(Err(*later)),
            None => (number < self.next).then_some(Err(self.next)),
        }
    }

    /// Up to `limit` entries with a smaller number, newest first, and the number of the last of them.
    pub(super) fn before(&self, number: u64, limit: usize) -> (Vec<LedgerEvent>, u64) {
        let entries = self.entries.range(..number).rev().take(limit);
        let mut last = number;
        let chunk = entries.map(|(number, entry)| {
            last = *number;
            entry.clone()
        });
        (chunk.collect(), last)
    }

    /// The names of all entries from a number on, with `missed` if some were dropped, and the number after the last one.
    pub(super) fn names(&self, from: u64) -> (BTreeSet<&'static str>, u64) {
        let mut count = 0;
        let entries = self.entries.range(from..).inspect(|_| count += 1);
        let mut names: BTreeSet<_> = entries.map(|(_, entry)| entry.name()).collect();
        let next = self.next.max(from);
        if count < next - from {
            names.insert("missed");
        }
        (names, next)
    }

    /// Returns counts of the retained entries.
    pub(super) fn retained(&self) -> Retained {
        Retained {
            requests: self.requests + self.unauthenticated.count,
            own: self.own,
            unauthenticated: self.unauthenticated,
        }
    }

    pub(super) fn push(&mut self, entry: LedgerEvent) {
        let number = self.next;
        self.next += 1;
        self.failures += u64::from(entry.is_failure());
        self.count(&entry).add(entry.weight());
        if is_unauthenticated(&entry) {
            self.unauthenticated_numbers.push_back(number);
        } else {
            self.requests += usize::from(entry.request().is_some());
        }
        self.entries.insert(number, entry);
        self.evict();
    }

    fn evict(&mut self) {
        while self.unauthenticated.count > MAX_UNAUTHENTICATED
            || (self.unauthenticated.bytes > MAX_UNAUTHENTICATED_BYTES && self.unauthenticated.count > 1)
        {
            let Some(number) = self.unauthenticated_numbers.front().copied() else { break };
            self.drop_entry(number);
        }
        while self.requests > self.max_requests
            || self.own.count > self.max_requests.saturating_mul(ENTRIES_PER_REQUEST)
            || (self.own.bytes > MAX_BYTES && self.own.count > 1)
        {
            let Some((number, _)) = self.entries.first_key_value() else { break };
            self.drop_entry(*number);
        }
    }

    /// Drops an entry, which is the oldest one of its share.
    fn drop_entry(&mut self, number: u64) {
        let Some(entry) = self.entries.remove(&number) else { return };
        self.count(&entry).drop_one(entry.weight());
        if is_unauthenticated(&entry) {
            self.unauthenticated_numbers.pop_front();
        } else {
            self.requests -= usize::from(entry.request().is_some());
        }
    }

    /// The share in which an entry counts.
    fn count(&mut self, entry: &LedgerEvent) -> &mut Share {
        if is_unauthenticated(entry) { &mut self.unauthenticated } else { &mut self.own }
    }
}

impl Share {
    fn add(&mut self, bytes: usize) {
        self.count += 1;
        self.bytes += bytes;
    }

    fn drop_one(&mut self, bytes: usize) {
        self.count -= 1;
        self.bytes -= bytes;
        self.dropped += 1;
    }
}

fn is_unauthenticated(entry: &LedgerEvent) -> bool {
    entry.request().map(Arc::as_ref).is_some_and(|request| !request.authenticated)
}

#[cfg(test)]
mod tests {
    use super::super::RecordedRequest;
    use super::*;

    fn request(authenticated: bool, body: usize) -> LedgerEvent {
        let request = RecordedRequest { authenticated, body: vec![0; body], ..RecordedRequest::default() };
        LedgerEvent::Request(Arc::new(request))
    }

    #[test]
    fn requests_without_credentials_displace_only_each_other() {
        let mut log = Log::new(10);
        for _ in 0..3 {
            log.push(request(true, 10));
        }
        for _ in 0..2 * MAX_UNAUTHENTICATED {
            log.push(request(false, 10));
        }
        let retained = log.retained();
        assert_eq!((retained.own.count, retained.own.dropped), (3, 0));
        assert_eq!(retained.unauthenticated.count, MAX_UNAUTHENTICATED);
        assert_eq!(retained.unauthenticated.dropped, MAX_UNAUTHENTICATED as u64);
        for _ in 0..100 {
            log.push(request(false, MAX_UNAUTHENTICATED_BYTES / 10));
        }
        let retained = log.retained();
        assert_eq!(retained.own.count, 3);
        assert!(retained.unauthenticated.bytes <= MAX_UNAUTHENTICATED_BYTES, "{retained:?}");
        assert_eq!(retained.unauthenticated.count, 9);
        assert_eq!(log.entry(0).and_then(Result::ok).map(|entry| entry.name()), Some("request"));
        // The numbers of the requests that were dropped are a gap.
        assert_eq!(log.entry(3).and_then(Result::err), Some(log.next() - 9));
        assert_eq!(log.names(3).0.into_iter().collect::<Vec<_>>(), ["missed", "request"]);
    }

    #[test]
    fn requests_with_credentials_displace_all_older_entries() {
        let mut log = Log::new(3);
        for _ in 0..5 {
            log.push(request(false, 10));
        }
        for _ in 0..4 {
            log.push(request(true, 10));
        }
        let retained = log.retained();
        assert_eq!((retained.own.count, retained.unauthenticated.count), (3, 0));
        log.push(request(false, 10));
        log.push(LedgerEvent::Changed("clock"));
        assert_eq!(log.retained().requests, 4);
        assert_eq!(log.first(), 6);
    }
}
