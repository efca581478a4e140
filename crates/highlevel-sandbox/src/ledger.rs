//! A log of requests with their responses, stored messages and webhook attempts, in order.
//!
//! Only the newest entries are retained. The number of times each message was accepted is retained longer, see `acceptances`.

mod acceptances;
mod entry;
mod fingerprint;
mod follow;
mod json;
mod log;
mod search;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::watch;

use crate::sync::lock;

pub(crate) use acceptances::Times;
pub use entry::{Entry, RecordedRequest};
pub(crate) use entry::{LedgerEvent, MAX_RECORDED_FORM};
pub use fingerprint::{ParseFingerprintError, RequestFingerprint};
pub use follow::Entries;
use log::Log;
pub(crate) use log::{MAX_BYTES, MAX_UNAUTHENTICATED_BYTES, Retained, Share};
pub(crate) use search::Filter;

/// The default maximum of retained requests with valid credentials.
pub(crate) const MAX_REQUESTS: usize = 10_000;
/// The memory at which a page of requests ends, in bytes.
const PAGE_BYTES: usize = 4 * 1024 * 1024;

/// An append-only log that drops its oldest entries. It can be read at any time, and followed.
#[derive(Debug)]
pub(crate) struct Ledger {
    log: Mutex<Log>,
    /// The number of the next entry.
    next: watch::Sender<u64>,
}

/// The decision of a filter on one request.
enum Selected<T> {
    No,
    Yes(T),
    /// Ends the selection; more requests may match.
    Enough,
}

impl Ledger {
    pub(crate) fn new(max_requests: usize) -> Self {
        Self { log: Mutex::new(Log::new(max_requests)), next: watch::Sender::new(0) }
    }

    /// Adds an entry. Sets the number of a request, and how often an equal request was accepted before.
    pub(crate) fn record(&self, mut entry: LedgerEvent) {
        let next = {
            let mut log = self.log();
            if let LedgerEvent::Request(request) = &mut entry {
                let request = Arc::make_mut(request);
                request.number = log.next();
                *log.by_status.entry(request.status).or_default() += 1;
                if let Some(fingerprint) = request.fingerprint {
                    request.accepted_before = log.acceptances.of(fingerprint).accepted;
                    if request.accepted {
                        log.acceptances.add(fingerprint, request.message_id.is_some());
                    }
                }
            }
            log.push(entry);
            log.next()
        };
        self.next.send_replace(next);
    }

    /// Drops all entries. Their numbers are not used again.
    pub(crate) fn clear(&self) {
        self.log().clear();
    }

    /// Returns the retained requests, oldest first.
    pub(crate) fn requests(&self) -> Vec<RecordedRequest> {
        let requests: Vec<_> = self.log().entries().filter_map(LedgerEvent::request).cloned().collect();
        requests.into_iter().map(Arc::unwrap_or_clone).collect()
    }

    /// Returns a page of matching requests, newest first, and the number before which the next page starts, if there is one.
    /// A page ends early if its requests are large.
    pub(crate) fn find(&self, filter: &Filter, limit: usize) -> (Vec<Arc<RecordedRequest>>, Option<u64>) {
        let mut bytes: usize = 0;
        let (page, more) = self.select(filter.before.unwrap_or(u64::MAX), limit, |request| {
            if !filter.matches(request) {
                return Selected::No;
            }
            if bytes > PAGE_BYTES {
                return Selected::Enough;
            }
            bytes += request.weight();
            Selected::Yes(Arc::clone(request))
        });
        let before = page.last().filter(|_| more).map(|last| last.number);
        (page, before)
    }

    /// Returns all retained requests that match, newest first.
    pub(crate) fn find_all(&self, filter: &Filter) -> Vec<Arc<RecordedRequest>> {
        let all = self.select(filter.before.unwrap_or(u64::MAX), usize::MAX, |request| {
            if filter.matches(request) { Selected::Yes(Arc::clone(request)) } else { Selected::No }
        });
        all.0
    }

    /// Maps retained requests, newest first, until `limit` values are collected. Returns them, and `true` if there are more.
    /// Requests are not copied, and new ones can be recorded meanwhile.
    pub(crate) fn collect<T>(
        &self,
        limit: usize,
        mut take: impl FnMut(&RecordedRequest) -> Option<T>,
    ) -> (Vec<T>, bool) {
        self.select(u64::MAX, limit, |request| take(request).map_or(Selected::No, Selected::Yes))
    }

    fn select<T>(
        &self,
        mut before: u64,
        limit: usize,
        mut select: impl FnMut(&Arc<RecordedRequest>) -> Selected<T>,
    ) -> (Vec<T>, bool) {
        /// The number of entries that are read under one lock.
        const CHUNK: usize = 256;
        let mut taken = Vec::new();
        loop {
            let (chunk, first) = self.log().before(before, CHUNK);
            before = first;
            if chunk.is_empty() {
                return (taken, false);
            }
            for request in chunk.iter().filter_map(LedgerEvent::request) {
                match select(request) {
                    Selected::No => {}
                    Selected::Yes(_) if taken.len() == limit => return (taken, true),
                    Selected::Yes(each) => taken.push(each),
                    Selected::Enough => return (taken, true),
                }
            }
        }
    }

    /// Returns a retained request by its id.
    pub(crate) fn request(&self, id: &str) -> Option<Arc<RecordedRequest>> {
        let is_it = |request: &Arc<RecordedRequest>| {
            if request.id == id { Selected::Yes(Arc::clone(request)) } else { Selected::No }
        };
        self.select(u64::MAX, 1, is_it).0.pop()
    }

    /// Returns how often requests with this fingerprint were accepted.
    pub(crate) fn times(&self, fingerprint: RequestFingerprint) -> Times {
        self.log().acceptances.of(fingerprint)
    }

    /// Returns the number of responses with a status, including those that were dropped.
    pub(crate) fn count_by_status(&self, status: u16) -> usize {
        self.log().by_status.get(&status).copied().unwrap_or_default()
    }

    /// Returns the number of failed requests and webhook attempts since the start, including those that were dropped.
    pub(crate) fn failures(&self) -> u64 {
        self.log().failures
    }

    /// Returns the number of responses by status, including those that were dropped, and counts of the retained entries.
    pub(crate) fn totals(&self) -> (BTreeMap<u16, usize>, Retained) {
        let log = self.log();
        (log.by_status.clone(), log.retained())
    }

    /// Returns the entry with this number; see [`Log::entry`].
    fn entry(&self, number: u64) -> Option<Result<LedgerEvent, u64>> {
        self.log().entry(number)
    }

    /// Returns the names of all entries from a number on; see [`Log::names`].
    fn names(&self, from: u64) -> (BTreeSet<&'static str>, u64) {
        self.log().names(from)
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        lock(&self.log)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(body: usize) -> LedgerEvent {
        let request = RecordedRequest {
            authenticated: true,
            body: vec![0; body],
            status: 201,
            ..RecordedRequest::default()
        };
        LedgerEvent::Request(Arc::new(request))
    }

    #[test]
    fn only_the_newest_entries_are_retained() {
        let ledger = Ledger::new(3);
        for size in 0..5 {
            ledger.record(request(size));
        }
        let sizes: Vec<_> = ledger.requests().iter().map(|each| each.body.len()).collect();
        assert_eq!(sizes, [2, 3, 4]);
        assert_eq!(ledger.count_by_status(201), 5);
        for _ in 0..100 {
            ledger.record(LedgerEvent::Missed(1));
        }
        assert_eq!(ledger.totals().1.own.count, 3 * log::ENTRIES_PER_REQUEST);
    }

    #[test]
    fn large_bodies_push_out_older_requests() {
        let ledger = Ledger::new(1_000);
        for _ in 0..100 {
            ledger.record(request(1024 * 1024));
        }
        assert!(ledger.totals().1.own.bytes <= MAX_BYTES);
        assert_eq!(ledger.requests().len(), 63);
        assert_eq!(ledger.totals().1.own.dropped, 37);
        ledger.record(request(2 * MAX_BYTES));
        assert_eq!(ledger.requests().len(), 1);
    }

    #[test]
    fn everything_of_an_entry_counts() {
        let long = || "x".repeat(1_000_000);
        let violation = crate::spec::Violation::new("/a", "type", "is wrong");
        let cases = [
            RecordedRequest { path: long(), ..RecordedRequest::default() },
            RecordedRequest { unknown_fields: vec![long()], ..RecordedRequest::default() },
            RecordedRequest { unknown_fields: vec![String::new(); 50_000], ..RecordedRequest::default() },
            RecordedRequest { violations: vec![violation; 10_000], ..RecordedRequest::default() },
            RecordedRequest {
                response_headers: [(long(), "")].into_iter().collect(),
                ..RecordedRequest::default()
            },
            RecordedRequest {
                headers: vec![("x-header", "the value of a header"); 40_000].into_iter().collect(),
                ..RecordedRequest::default()
            },
            RecordedRequest { response: vec![0; 1_000_000], ..RecordedRequest::default() },
        ];
        for request in cases {
            let weight = LedgerEvent::Request(Arc::new(request)).weight();
            assert!((1_000_000..4_000_000).contains(&weight), "{weight}");
        }
        let mut message: crate::model::StoredMessage = serde_json::from_value(serde_json::json!({
            "id": "m", "contactId": "c", "conversationId": "v", "direction": "inbound", "channel": "SMS",
            "dateAdded": "2026-01-31T09:30:00Z", "status": "pending", "request": {"message": long()},
        }))
        .unwrap();
        let ledger = Ledger::new(1_000);
        for number in 0..100 {
            message.status = number.to_string().into();
            ledger.record(LedgerEvent::Message(Arc::new(message.clone())));
        }
        let kept = ledger.totals().1.own;
        assert!(kept.bytes <= MAX_BYTES && kept.count < 70, "{kept:?}");
    }

    #[test]
    fn a_page_of_large_requests_is_short() {
        let ledger = Ledger::new(100);
        for _ in 0..50 {
            ledger.record(request(1_000_000));
        }
        let mut filter = Filter::default();
        let mut pages = Vec::new();
        loop {
            let (page, before) = ledger.find(&filter, 1_000);
            pages.push(page.len());
            filter.before = before;
            if before.is_none() {
                break;
            }
        }
        assert_eq!(pages, [5; 10]);
    }

    #[test]
    fn pages_follow_each_other() {
        let ledger = Ledger::new(100);
        for size in 0..5 {
            ledger.record(request(size));
        }
        let mut filter = Filter::default();
        let mut found = Vec::new();
        loop {
            let (page, before) = ledger.find(&filter, 2);
            found.push(page.iter().map(|each| each.body.len()).collect::<Vec<_>>());
            filter.before = before;
            if before.is_none() {
                break;
            }
        }
        assert_eq!(found, [vec![4, 3], vec![2, 1], vec![0]]);
        assert_eq!(ledger.find(&Filter::default(), 5).1, None);
    }

    #[test]
    fn the_newest_that_fit_are_taken() {
        let ledger = Ledger::new(1_000);
        for size in 0..1_000 {
            ledger.record(request(size));
            ledger.record(LedgerEvent::Changed("clock"));
        }
        let even = |request: &RecordedRequest| {
            let size = request.body.len();
            size.is_multiple_of(2).then_some(size)
        };
        assert_eq!(ledger.collect(3, even), (vec![998, 996, 994], true));
        assert_eq!(ledger.collect(500, even), ((0..500).rev().map(|half| half * 2).collect(), false));
        assert_eq!(ledger.collect(499, even).0.last(), Some(&2));
        ledger.clear();
        assert_eq!(ledger.collect(3, even), (vec![], false));
        ledger.record(request(6));
        assert_eq!(ledger.collect(3, even), (vec![6], false));
    }

    #[tokio::test]
    async fn a_reader_of_requests_skips_changes() {
        let ledger = Arc::new(Ledger::new(10));
        ledger.record(LedgerEvent::Changed("clock"));
        for size in [1, 2] {
            ledger.record(request(size));
            ledger.record(LedgerEvent::Changed("contact"));
        }
        let mut entries = ledger.follow().requests_and_deliveries();
        for size in [1, 2] {
            assert!(matches!(entries.next().await, Entry::Request(request) if request.body.len() == size));
        }
        assert_eq!(entries.position(), 4);
    }

    #[tokio::test]
    async fn a_reader_that_is_too_slow_is_told_how_much_it_missed() {
        let ledger = Arc::new(Ledger::new(2));
        let mut entries = ledger.follow();
        ledger.record(request(0));
        assert!(matches!(entries.next().await, Entry::Request(_)));
        for size in 1..6 {
            ledger.record(request(size));
        }
        assert!(matches!(entries.next().await, Entry::Missed(3)));
        for size in [4, 5] {
            assert!(matches!(entries.next().await, Entry::Request(request) if request.body.len() == size));
        }
        ledger.record(request(9));
        ledger.clear();
        assert!(matches!(entries.next().await, Entry::Missed(1)));
        ledger.record(request(7));
        assert!(matches!(entries.next().await, Entry::Request(request) if request.body.len() == 7));
    }
}
