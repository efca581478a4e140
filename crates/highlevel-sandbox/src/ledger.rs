//! What happened, in the order in which it happened: each request with its answer, and each webhook attempt.
//!
//! Only the newest entries are kept. How often each message was accepted is counted for longer, see [`Acceptances`].

mod acceptances;
mod entry;
mod fingerprint;
mod follow;
mod json;
mod search;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use acceptances::Acceptances;
pub(crate) use acceptances::Times;
pub(crate) use entry::Happened;
pub use entry::{Entry, RecordedRequest};
pub use fingerprint::{Fingerprint, NotAFingerprint};
pub use follow::Entries;
pub(crate) use search::Filter;

/// How many requests are kept unless it is said otherwise.
pub(crate) const KEPT_REQUESTS: usize = 10_000;
/// How many entries of all kinds are kept for each request that is.
const ENTRIES_PER_REQUEST: usize = 4;
/// How much memory all entries may take, in bytes.
pub(crate) const KEPT_BYTES: usize = 64 * 1024 * 1024;
/// How much memory the requests of one page may take, in bytes, the last one aside.
const PAGE_BYTES: usize = 4 * 1024 * 1024;

/// A list that grows at one end and forgets at the other, and can be read at any time and followed.
#[derive(Debug)]
pub(crate) struct Ledger {
    log: Mutex<Log>,
    /// The number that the next entry gets.
    next: watch::Sender<u64>,
}

#[derive(Debug)]
struct Log {
    /// The newest entries, oldest first. Their numbers follow each other.
    entries: VecDeque<Happened>,
    /// The number of the first of them.
    first: u64,
    kept_requests: usize,
    /// Of `entries`.
    requests: usize,
    bytes: usize,
    /// How many entries were dropped for those that came later.
    evicted: u64,
    /// Since the start, whether still kept or not.
    by_status: BTreeMap<u16, usize>,
    acceptances: Acceptances,
}

/// What becomes of a request that is looked at.
enum Selected<T> {
    No,
    Yes(T),
    /// Nothing more is to be selected, though there is more.
    Enough,
}

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) requests: usize,
    /// Of all kinds.
    pub(crate) entries: usize,
    /// The memory that they take.
    pub(crate) bytes: usize,
    /// How many entries were dropped for those that came later.
    pub(crate) evicted: u64,
}

impl Ledger {
    pub(crate) fn new(kept_requests: usize) -> Self {
        Self {
            log: Mutex::new(Log {
                entries: VecDeque::new(),
                first: 0,
                kept_requests,
                requests: 0,
                bytes: 0,
                evicted: 0,
                by_status: BTreeMap::new(),
                acceptances: Acceptances::default(),
            }),
            next: watch::Sender::new(0),
        }
    }

    /// Adds an entry. A request gets its number here, and how often its like was accepted before.
    pub(crate) fn record(&self, mut entry: Happened) {
        let next = {
            let mut log = self.log();
            if let Happened::Request(request) = &mut entry {
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

    /// Forgets everything but the numbers that entries have had.
    pub(crate) fn clear(&self) {
        let mut log = self.log();
        log.first = log.next();
        log.entries = VecDeque::new();
        (log.requests, log.bytes) = (0, 0);
        log.by_status.clear();
        log.acceptances = Acceptances::default();
    }

    /// The requests that are kept, oldest first.
    pub(crate) fn requests(&self) -> Vec<RecordedRequest> {
        let entries = self.log().entries.clone();
        let requests = entries.iter().filter_map(Happened::request);
        requests.cloned().map(Arc::unwrap_or_clone).collect()
    }

    /// The newest of the requests that are kept and fit, newest first, and the number to go on with. A page ends early if
    /// its requests are large.
    pub(crate) fn find(&self, filter: &Filter, limit: usize) -> (Vec<Arc<RecordedRequest>>, Option<u64>) {
        let mut bytes: usize = 0;
        let (page, more) = self.select(filter.before.unwrap_or(u64::MAX), limit, |request| {
            if !filter.fits(request) {
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

    /// All requests that are kept and fit, newest first.
    pub(crate) fn find_all(&self, filter: &Filter) -> Vec<Arc<RecordedRequest>> {
        let all = self.select(filter.before.unwrap_or(u64::MAX), usize::MAX, |request| {
            if filter.fits(request) { Selected::Yes(Arc::clone(request)) } else { Selected::No }
        });
        all.0
    }

    /// What `take` makes of the newest of the requests that are kept, newest first, as far as it makes something of them,
    /// and whether there is more. Nothing is copied, and requests go on coming in meanwhile.
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
        let mut taken = Vec::new();
        loop {
            let (chunk, first) = self.before(before);
            before = first;
            if chunk.is_empty() {
                return (taken, false);
            }
            for request in chunk.iter().filter_map(Happened::request) {
                match select(request) {
                    Selected::No => {}
                    Selected::Yes(_) if taken.len() == limit => return (taken, true),
                    Selected::Yes(each) => taken.push(each),
                    Selected::Enough => return (taken, true),
                }
            }
        }
    }

    /// Some of the entries with a smaller number, newest first, and the number of the last of these.
    fn before(&self, number: u64) -> (Vec<Happened>, u64) {
        const CHUNK: usize = 256;
        let log = self.log();
        let end = number.clamp(log.first, log.next());
        let length = usize::try_from(end - log.first).unwrap_or(usize::MAX);
        let begin = length.saturating_sub(CHUNK);
        let chunk = log.entries.range(begin..length).rev().cloned().collect();
        (chunk, log.first.saturating_add(u64::try_from(begin).unwrap_or(u64::MAX)))
    }

    /// A request that is kept, by its id.
    pub(crate) fn request(&self, id: &str) -> Option<Arc<RecordedRequest>> {
        let is_it = |request: &Arc<RecordedRequest>| {
            if request.id == id { Selected::Yes(Arc::clone(request)) } else { Selected::No }
        };
        self.select(u64::MAX, 1, is_it).0.pop()
    }

    /// How often what this fingerprint stands for was accepted.
    pub(crate) fn times(&self, fingerprint: Fingerprint) -> Times {
        self.log().acceptances.of(fingerprint)
    }

    /// How many requests were answered with a status, kept or not.
    pub(crate) fn answered(&self, status: u16) -> usize {
        self.log().by_status.get(&status).copied().unwrap_or_default()
    }

    /// How many requests were answered with each status, kept or not, and what is kept.
    pub(crate) fn totals(&self) -> (BTreeMap<u16, usize>, Kept) {
        let log = self.log();
        let kept = Kept {
            requests: log.requests,
            entries: log.entries.len(),
            bytes: log.bytes,
            evicted: log.evicted,
        };
        (log.by_status.clone(), kept)
    }

    /// From the oldest entry that is kept.
    pub(crate) fn follow(self: &Arc<Self>) -> Entries {
        let first = self.log().first;
        self.follow_from(first)
    }

    /// From the next entry that comes.
    pub(crate) fn follow_new(self: &Arc<Self>) -> Entries {
        let next = self.log().next();
        self.follow_from(next)
    }

    /// From the entry with this number, which may be gone or still to come.
    pub(crate) fn follow_from(self: &Arc<Self>, number: u64) -> Entries {
        Entries::new(Arc::clone(self), self.next.subscribe(), number)
    }

    /// The entry with this number, or the number of the first that is kept if it is gone.
    fn entry(&self, number: u64) -> Option<Result<Happened, u64>> {
        let log = self.log();
        let Some(place) = number.checked_sub(log.first) else {
            return Some(Err(log.first));
        };
        log.entries.get(usize::try_from(place).ok()?).cloned().map(Ok)
    }

    /// The names of all entries from a number on, `missed` among them if some are gone, and the number after the last.
    fn names(&self, from: u64) -> (BTreeSet<&'static str>, u64) {
        let log = self.log();
        let place = from.saturating_sub(log.first);
        let entries = log.entries.iter().skip(usize::try_from(place).unwrap_or(usize::MAX));
        let missed = (from < log.first).then_some("missed");
        (entries.map(Happened::name).chain(missed).collect(), log.next().max(from))
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        // Whoever panicked with the lock did so outside of a change.
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log {
    fn next(&self) -> u64 {
        self.first.saturating_add(u64::try_from(self.entries.len()).unwrap_or(u64::MAX))
    }

    fn push(&mut self, entry: Happened) {
        self.requests += usize::from(entry.request().is_some());
        self.bytes += entry.weight();
        self.entries.push_back(entry);
        while self.requests > self.kept_requests
            || self.entries.len() > self.kept_requests.saturating_mul(ENTRIES_PER_REQUEST)
            || (self.bytes > KEPT_BYTES && self.entries.len() > 1)
        {
            let Some(oldest) = self.entries.pop_front() else { break };
            self.first += 1;
            self.requests -= usize::from(oldest.request().is_some());
            self.bytes -= oldest.weight();
            self.evicted += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(body: usize) -> Happened {
        let request = RecordedRequest { body: vec![0; body], status: 201, ..RecordedRequest::default() };
        Happened::Request(Arc::new(request))
    }

    #[test]
    fn only_the_newest_are_kept() {
        let ledger = Ledger::new(3);
        for size in 0..5 {
            ledger.record(request(size));
        }
        let sizes: Vec<_> = ledger.requests().iter().map(|each| each.body.len()).collect();
        assert_eq!(sizes, [2, 3, 4]);
        assert_eq!(ledger.answered(201), 5);
        for _ in 0..100 {
            ledger.record(Happened::Missed(1));
        }
        assert_eq!(ledger.log().entries.len(), 3 * ENTRIES_PER_REQUEST);
    }

    #[test]
    fn large_bodies_push_out_older_requests() {
        let ledger = Ledger::new(1_000);
        for _ in 0..100 {
            ledger.record(request(1024 * 1024));
        }
        assert!(ledger.log().bytes <= KEPT_BYTES);
        assert_eq!(ledger.requests().len(), 63);
        assert_eq!(ledger.totals().1.evicted, 37);
        ledger.record(request(2 * KEPT_BYTES));
        assert_eq!(ledger.requests().len(), 1);
    }

    #[test]
    fn everything_of_an_entry_counts() {
        let long = || "x".repeat(1_000_000);
        let violation = crate::contract::Violation::new("/a", "type", "is wrong");
        let cases = [
            RecordedRequest { path: long(), ..RecordedRequest::default() },
            RecordedRequest { unknown_fields: vec![long()], ..RecordedRequest::default() },
            RecordedRequest { unknown_fields: vec![String::new(); 50_000], ..RecordedRequest::default() },
            RecordedRequest { violations: vec![violation; 10_000], ..RecordedRequest::default() },
            RecordedRequest { answer_headers: vec![(long(), String::new())], ..RecordedRequest::default() },
            RecordedRequest { headers: vec![Default::default(); 25_000], ..RecordedRequest::default() },
            RecordedRequest { answer: vec![0; 1_000_000], ..RecordedRequest::default() },
        ];
        for request in cases {
            let weight = Happened::Request(Arc::new(request)).weight();
            assert!((1_000_000..4_000_000).contains(&weight), "{weight}");
        }
        let mut message: crate::world::Stored = serde_json::from_value(serde_json::json!({
            "id": "m", "contactId": "c", "conversationId": "v", "direction": "inbound", "channel": "SMS",
            "dateAdded": "2026-01-31T09:30:00Z", "status": "pending", "request": {"message": long()},
        }))
        .unwrap();
        let ledger = Ledger::new(1_000);
        for number in 0..100 {
            message.status = number.to_string();
            ledger.record(Happened::Message(Arc::new(message.clone())));
        }
        let kept = ledger.totals().1;
        assert!(kept.bytes <= KEPT_BYTES && kept.entries < 70, "{kept:?}");
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
            ledger.record(Happened::Changed("clock"));
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
