//! Each event once: what is being handled and what has been handled is remembered.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

/// Remembers which events are being handled and which have been.
///
/// The receiver asks it last, when everything else about an event is right. [`InMemory`] is the default; a store that
/// several processes share implements this trait. Its calls block the thread they are made on, so a store behind a
/// network is better asked in the handler, in the transaction that does the work, by
/// [`Verified::id`](super::Verified::id).
pub trait Deduplicate: fmt::Debug + Send + Sync {
    /// Claims an event, unless it is claimed or done. Of callers at the same time exactly one may get
    /// [`Claimed::First`].
    fn begin(&self, id: &EventId, now: SystemTime) -> Claimed;

    /// The event was handled: from now on it is [`Claimed::Done`]. Called once for a [`Claimed::First`], or else `abort` is.
    fn commit(&self, id: &EventId);

    /// The event was not handled: the next delivery is [`Claimed::First`] again.
    fn abort(&self, id: &EventId);
}

/// What became of the attempt to claim an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Claimed {
    /// Nobody had it: it is the caller's now.
    First,
    /// Somebody is handling it. The delivery is answered 429, so that it comes again if that one fails.
    InProgress,
    /// It has been handled. The delivery is answered 200.
    Done,
    /// The store cannot tell now. The delivery is answered 429, so that it comes again.
    Unavailable,
}

/// By what the deliveries of an event are known to be of the same event.
///
/// - With a `webhookId`: it, and the `appId`. A redelivery and a manual resend keep both.
/// - A `ProviderOutboundMessage` without: its channel, `locationId`, `messageId` and `emailMessageId`, because the
///   provider is to deliver a message once.
/// - Any other event without: the SHA-256 of its body, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId(String);

impl EventId {
    /// Longer ids are replaced by their SHA-256, so that nobody can fill the memory with them.
    const LONGEST: usize = 256;

    pub(super) fn of(json: &Map<String, Value>, is_provider_message: bool, body: &Bytes) -> Self {
        let field = |name| json.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        // Written as JSON, so that no two lists of parts become the same text.
        let text = if let Some(id) = field("webhookId") {
            json!(["webhook", id, field("appId")])
        } else if is_provider_message {
            let [channel, location, message, email] =
                ["type", "locationId", "messageId", "emailMessageId"].map(field);
            json!(["provider", channel, location, message, email])
        } else {
            json!(["body", sha256(body)])
        };
        let text = text.to_string();
        Self(if text.len() > Self::LONGEST {
            json!(["sha256", sha256(text.as_bytes())]).to_string()
        } else {
            text
        })
    }

    /// The id as text: at most 256 bytes, fit for a column with a unique index.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut text, byte| {
        for digit in [byte >> 4, byte & 0xf] {
            text.push(char::from_digit(digit.into(), 16).unwrap_or_default());
        }
        text
    })
}

/// A bounded memory of this process, for 24 hours and 100,000 events unless told otherwise.
///
/// What is being handled is never forgotten: when all places are taken by it, further events are
/// [`Claimed::Unavailable`]. Otherwise a new event takes the place of the one that was done first. A restart forgets all.
#[derive(Debug)]
pub struct InMemory {
    capacity: usize,
    retention: Duration,
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    events: HashMap<EventId, State>,
    /// What is done, in the order in which it was done, with the time at which it was begun.
    done: VecDeque<(SystemTime, EventId)>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Begun(SystemTime),
    Done,
}

impl InMemory {
    /// A memory of its default size.
    pub fn new() -> Self {
        Self {
            capacity: 100_000,
            retention: Duration::from_secs(24 * 60 * 60),
            memory: Mutex::new(Memory::default()),
        }
    }

    /// How many events are remembered, 100,000 by default. An event takes about 200 bytes.
    pub fn capacity(mut self, events: usize) -> Self {
        self.capacity = events;
        self
    }

    /// How long an event is remembered after it was received, 24 hours by default. Shorter than the receiver's window,
    /// an old event can be handled twice.
    pub fn retention(mut self, retention: Duration) -> Self {
        self.retention = retention;
        self
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        // Nothing in here panics half-way.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for InMemory {
    fn default() -> Self {
        Self::new()
    }
}

impl Deduplicate for InMemory {
    fn begin(&self, id: &EventId, now: SystemTime) -> Claimed {
        let mut memory = self.lock();
        memory.forget(|begun| now.duration_since(begun).is_ok_and(|age| age > self.retention));
        match memory.events.get(id) {
            Some(State::Begun(_)) => return Claimed::InProgress,
            Some(State::Done) => return Claimed::Done,
            None => {}
        }
        if memory.events.len() >= self.capacity {
            let mut one = true;
            memory.forget(|_| std::mem::take(&mut one));
        }
        if memory.events.len() >= self.capacity {
            return Claimed::Unavailable;
        }
        memory.events.insert(id.clone(), State::Begun(now));
        Claimed::First
    }

    fn commit(&self, id: &EventId) {
        let mut memory = self.lock();
        let Some(state) = memory.events.get_mut(id) else { return };
        if let State::Begun(begun) = std::mem::replace(state, State::Done) {
            memory.done.push_back((begun, id.clone()));
        }
    }

    fn abort(&self, id: &EventId) {
        let mut memory = self.lock();
        if let Some(State::Begun(_)) = memory.events.get(id) {
            memory.events.remove(id);
        }
    }
}

impl Memory {
    /// Forgets what is done, from the first on, while `which` says so of the time at which it was begun.
    fn forget(&mut self, mut which: impl FnMut(SystemTime) -> bool) {
        while self.done.front().is_some_and(|(begun, _)| which(*begun)) {
            if let Some((_, id)) = self.done.pop_front() {
                self.events.remove(&id);
            }
        }
    }
}

/// Remembers nothing: for those who deduplicate by [`Verified::id`](super::Verified::id) themselves.
#[derive(Debug)]
pub(super) struct Elsewhere;

impl Deduplicate for Elsewhere {
    fn begin(&self, _: &EventId, _: SystemTime) -> Claimed {
        Claimed::First
    }

    fn commit(&self, _: &EventId) {}

    fn abort(&self, _: &EventId) {}
}

/// The right to handle an event. Given up when dropped, unless the event was handled.
pub(super) struct Claim {
    id: EventId,
    store: Arc<dyn Deduplicate>,
    committed: Mutex<bool>,
}

impl Claim {
    /// Of an event that the store has just called [`Claimed::First`].
    pub(super) fn new(id: EventId, store: Arc<dyn Deduplicate>) -> Self {
        Self { id, store, committed: Mutex::new(false) }
    }

    pub(super) fn id(&self) -> &EventId {
        &self.id
    }

    pub(super) fn commit(&self) {
        let mut committed = self.committed.lock().unwrap_or_else(PoisonError::into_inner);
        if !*committed {
            self.store.commit(&self.id);
            *committed = true;
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !*self.committed.get_mut().unwrap_or_else(PoisonError::into_inner) {
            self.store.abort(&self.id);
        }
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Claim").field(&self.id).finish()
    }
}
