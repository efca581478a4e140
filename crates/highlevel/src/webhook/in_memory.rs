//! A deduplicator in the memory of one process.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use super::EventId;
use super::deduplicator::{Claim, ClaimToken, CommitResult, Deduplicator, DeduplicatorFuture};

/// Records events in the memory of this process.
///
/// - **Bounded.** Holds at most [`capacity`](Self::capacity) events: 500,000 by default, about 100 bytes each.
/// - **No silent eviction.** Committed events are retained for 24 hours while there is capacity, and in any case for
///   the receiver's window (or [`retention`](Self::retention), if that is longer). If the deduplicator is full of
///   events that may not be evicted yet, new events are rejected with `Unavailable` (429), so that HighLevel redelivers
///   them. [`on_full`](Self::on_full) can choose to evict instead.
/// - **Events in progress are never evicted**, and their claims have no timeout: they end when the event is committed,
///   aborted or dropped, also by a panic.
/// - **Process-local.** A restart drops everything. Several processes need a shared [`Deduplicator`].
pub struct InMemoryDeduplicator {
    on_full: OnFull,
    hash: KeyedHash,
    memory: Mutex<ClaimTable>,
}

/// The behaviour of an [`InMemoryDeduplicator`] when a new event arrives and none of the held ones may be evicted yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum OnFull {
    /// Rejects the new event with `Unavailable` (429), so that HighLevel redelivers it. This is the default.
    #[default]
    RejectNew,
    /// Evicts the committed event that is the oldest, and logs a warning for the first and every 1,000th eviction. A
    /// redelivery of an evicted event is handled a second time.
    EvictOldest,
}

impl InMemoryDeduplicator {
    /// The default capacity.
    const CAPACITY: usize = 500_000;
    /// The number of evictions per logged warning.
    const EVICTIONS_PER_WARNING: u64 = 1_000;

    /// Creates an empty deduplicator.
    pub fn new() -> Self {
        Self {
            on_full: OnFull::default(),
            hash: KeyedHash::default(),
            memory: Mutex::new(ClaimTable::new(Self::CAPACITY)),
        }
    }

    /// Sets how many events are held, at least 1. Defaults to 500,000.
    ///
    /// An event takes about 100 bytes, independent of the length of its id: 50 MB for the default capacity, if it is
    /// reached. To hold all events of a receiver's default window (2 hours and 5 minutes), 500,000 events are enough
    /// for 66 events per second.
    pub fn capacity(mut self, events: usize) -> Self {
        self.memory_mut().capacity = events.max(1);
        self
    }

    /// Sets for how long a committed event is never evicted. Defaults to the window of the receiver, and is never
    /// shorter: the receiver [widens](Deduplicator::retain_at_least) it.
    pub fn retention(mut self, retention: Duration) -> Self {
        self.memory_mut().retain_at_least(retention);
        self
    }

    /// Sets the behaviour when the deduplicator is full. Defaults to [`OnFull::RejectNew`].
    pub fn on_full(mut self, on_full: OnFull) -> Self {
        self.on_full = on_full;
        self
    }

    // No code under the lock can panic halfway, so a poisoned lock protects consistent data.
    fn lock(&self) -> MutexGuard<'_, ClaimTable> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn memory_mut(&mut self) -> &mut ClaimTable {
        self.memory.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for InMemoryDeduplicator {
    /// Without the events: there can be many.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let memory = self.lock();
        f.debug_struct("InMemoryDeduplicator")
            .field("events", &memory.events.len())
            .field("capacity", &memory.capacity)
            .field("retention", &memory.retention)
            .field("on_full", &self.on_full)
            .finish_non_exhaustive()
    }
}

impl Default for InMemoryDeduplicator {
    fn default() -> Self {
        Self::new()
    }
}

impl Deduplicator for InMemoryDeduplicator {
    fn begin<'a>(&'a self, id: &'a EventId, now: SystemTime) -> DeduplicatorFuture<'a, Claim> {
        Box::pin(async move {
            let key = self.hash.key(id);
            let (result, evicted) = {
                let mut memory = self.lock();
                let before = memory.evicted_early;
                let result = memory.begin(key, now, self.on_full);
                (result, (memory.evicted_early > before).then_some(memory.evicted_early))
            };
            if let Some(evicted) = evicted
                && evicted % Self::EVICTIONS_PER_WARNING == 1
            {
                tracing::warn!(
                    evicted,
                    "the deduplicator is full and evicts events that can still be redelivered; raise `.capacity(..)`"
                );
            }
            Ok(result?)
        })
    }

    fn commit<'a>(&'a self, id: &'a EventId, token: ClaimToken) -> DeduplicatorFuture<'a, CommitResult> {
        Box::pin(async move {
            let key = self.hash.key(id);
            Ok(self.lock().commit(key, token))
        })
    }

    fn abort<'a>(&'a self, id: &'a EventId, token: ClaimToken) -> DeduplicatorFuture<'a, ()> {
        Box::pin(async move {
            let key = self.hash.key(id);
            self.lock().abort(key, token);
            Ok(())
        })
    }

    fn retain_at_least(&self, window: Duration) {
        self.lock().retain_at_least(window);
    }
}

/// The 128-bit hash of an id: ids of any length take the same space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Key([u8; 16]);

impl Key {
    fn of(halves: [u64; 2]) -> Self {
        let [first, second] = halves.map(u128::from);
        Self((first << 64 | second).to_ne_bytes())
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let half = self.0.first_chunk().copied().unwrap_or_default();
        state.write_u64(u64::from_ne_bytes(half));
    }
}

/// The hash of a [`Key`], which is the output of a keyed hash already: hashing it again would take as long.
#[derive(Default)]
struct HashOfKey(u64);

impl Hasher for HashOfKey {
    fn write_u64(&mut self, half: u64) {
        self.0 = half;
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// A hash function with a random key. Without the key, ids with equal hashes cannot be constructed; the probability
/// that any two of 500,000 events have equal hashes is below 2⁻⁸⁸.
#[derive(Default)]
struct KeyedHash(RandomState);

impl KeyedHash {
    fn key(&self, id: &EventId) -> Key {
        Key::of([0_u8, 1].map(|number| self.0.hash_one((number, id.as_str()))))
    }
}

/// The state, as pure functions: the time is an argument.
struct ClaimTable {
    capacity: usize,
    /// For how long a committed event may not be evicted.
    retention: Duration,
    events: HashMap<Key, ClaimState, BuildHasherDefault<HashOfKey>>,
    /// The committed events in the order of their commits, with their times.
    committed: VecDeque<(Key, Duration)>,
    timeline: Timeline,
    last_token: u64,
    /// The number of events that were evicted before the end of their retention.
    evicted_early: u64,
}

#[derive(Clone, Copy)]
enum ClaimState {
    InProgress(u64),
    Committed(u64),
}

impl ClaimTable {
    /// The time for which a committed event is held while there is capacity.
    const HELD: Duration = Duration::from_secs(24 * 60 * 60);
    /// The number of expired events that a new one evicts. More than one, so that the memory shrinks; few, so that a
    /// clock that jumps ahead for a moment does not empty it.
    const EVICTED_AT_ONCE: usize = 2;

    fn new(capacity: usize) -> Self {
        Self {
            capacity,
            retention: Duration::ZERO,
            events: HashMap::default(),
            committed: VecDeque::new(),
            timeline: Timeline::default(),
            last_token: 0,
            evicted_early: 0,
        }
    }

    fn retain_at_least(&mut self, retention: Duration) {
        self.retention = self.retention.max(retention);
    }

    fn begin(&mut self, key: Key, now: SystemTime, on_full: OnFull) -> Result<Claim, Full> {
        self.timeline.advance(now);
        match self.events.get(&key) {
            Some(ClaimState::InProgress(_)) => return Ok(Claim::InProgress),
            Some(ClaimState::Committed(_)) => return Ok(Claim::Handled),
            None => {}
        }
        let held = self.retention.max(Self::HELD);
        for _ in 0..Self::EVICTED_AT_ONCE {
            self.evict_older_than(held);
        }
        if self.events.len() >= self.capacity && !self.evict_older_than(self.retention) {
            if on_full == OnFull::RejectNew || !self.evict() {
                return Err(self.full());
            }
            self.evicted_early += 1;
        }
        self.last_token += 1;
        self.events.insert(key, ClaimState::InProgress(self.last_token));
        Ok(Claim::Granted(ClaimToken::from_u128(self.last_token.into())))
    }

    fn commit(&mut self, key: Key, token: ClaimToken) -> CommitResult {
        match self.events.get_mut(&key) {
            Some(entry @ ClaimState::InProgress(_)) if entry.has(token) => {
                *entry = ClaimState::Committed(entry.token());
                self.committed.push_back((key, self.timeline.elapsed));
                CommitResult::Committed
            }
            Some(entry @ ClaimState::Committed(_)) if entry.has(token) => CommitResult::Committed,
            _ => CommitResult::ClaimLost,
        }
    }

    fn abort(&mut self, key: Key, token: ClaimToken) {
        if let Some(entry @ ClaimState::InProgress(_)) = self.events.get(&key)
            && entry.has(token)
        {
            self.events.remove(&key);
        }
    }

    /// Evicts the committed event that is the oldest, if it is older than this.
    fn evict_older_than(&mut self, age: Duration) -> bool {
        let is_older = |(_, at): &(Key, Duration)| self.timeline.elapsed.saturating_sub(*at) > age;
        self.committed.front().is_some_and(is_older) && self.evict()
    }

    /// Evicts the committed event that is the oldest.
    fn evict(&mut self) -> bool {
        let Some((key, _)) = self.committed.pop_front() else { return false };
        self.events.remove(&key);
        true
    }

    fn full(&self) -> Full {
        Full {
            events: self.events.len(),
            in_progress: self.events.len() - self.committed.len(),
            retention: self.retention,
        }
    }
}

impl ClaimState {
    fn token(self) -> u64 {
        match self {
            Self::InProgress(token) | Self::Committed(token) => token,
        }
    }

    fn has(self, token: ClaimToken) -> bool {
        u128::from(self.token()) == token.as_u128()
    }
}

/// Turns readings of a clock that can be set into a time that only grows.
#[derive(Default)]
struct Timeline {
    latest: Option<SystemTime>,
    elapsed: Duration,
}

impl Timeline {
    /// Threads read the clock before they take the lock, so readings are out of order by as long as a thread waits. A
    /// reading that is earlier by more than this means that the clock was set back.
    const OUT_OF_ORDER: Duration = Duration::from_secs(60);

    fn advance(&mut self, now: SystemTime) {
        match self.latest.map(|latest| now.duration_since(latest)) {
            Some(Ok(step)) => self.elapsed = self.elapsed.saturating_add(step),
            Some(Err(back)) if back.duration() <= Self::OUT_OF_ORDER => return,
            // The clock was set back: time continues from here. Otherwise nothing would expire until the clock is back
            // where it was.
            Some(Err(_)) | None => {}
        }
        self.latest = Some(now);
    }
}

/// An error that the deduplicator cannot hold another event.
#[derive(Debug)]
struct Full {
    events: usize,
    in_progress: usize,
    retention: Duration,
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { events, in_progress, retention } = self;
        write!(
            f,
            "the deduplicator is full: {events} events are in progress ({in_progress}) or younger than {} s; raise \
             `.capacity(..)`, or choose `.on_full(OnFull::EvictOldest)`",
            retention.as_secs()
        )
    }
}

impl std::error::Error for Full {}

#[cfg(test)]
mod tests {
    use super::*;

    /// The documented size: about 100 bytes for an event, whatever the length of its id.
    #[test]
    fn an_event_takes_about_100_bytes() {
        let hash = KeyedHash::default();
        let mut memory = ClaimTable::new(InMemoryDeduplicator::CAPACITY);
        let now = SystemTime::UNIX_EPOCH;
        for number in 0..InMemoryDeduplicator::CAPACITY {
            let key = hash.key(&EventId::from_text(&format!("[\"webhook\",\"{number:0>200}\",null]")));
            match memory.begin(key, now, OnFull::RejectNew) {
                Ok(Claim::Granted(token)) => assert_eq!(memory.commit(key, token), CommitResult::Committed),
                other => panic!("{number}: {other:?}"),
            }
        }
        assert!(memory.begin(Key([0; 16]), now, OnFull::RejectNew).is_err(), "full");
        // Of its buckets, a table fills at most seven eighths; each has a byte of metadata.
        let buckets = memory.events.capacity() * 8 / 7;
        let table = buckets * (size_of::<(Key, ClaimState)>() + 1);
        let queue = memory.committed.capacity() * size_of::<(Key, Duration)>();
        let bytes = (table + queue) / InMemoryDeduplicator::CAPACITY;
        assert!((50..=110).contains(&bytes), "{bytes} bytes for an event");
    }
}
