//! Each event once: what is being handled and what has been handled is remembered.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::event::Kind;

/// Remembers which events are being handled and which have been.
///
/// The receiver asks it last, when everything else about an event is right. [`InMemory`] is the default; a store that
/// several processes share implements this trait. Its calls block the thread they are made on, so a store behind a
/// network is better asked in the handler, in the transaction that does the work, by
/// [`Verified::id`](super::Verified::id).
///
/// # For a store that outlives the process
///
/// A process that is killed calls neither `commit` nor `abort`. So a claim has to end by itself some time after its
/// `now`, later than any handler takes; otherwise the event is [`Claimed::InProgress`] for ever, and lost. And because
/// a claim can end while its handler still runs, `commit` and `abort` may touch only the claim that they belong to:
/// keep beside each claim who made it, for example a random name of the process and the `now`, and leave alone what
/// somebody else has claimed since.
pub trait Deduplicate: fmt::Debug + Send + Sync {
    /// Claims an event, unless it is claimed or done. Of callers at the same time exactly one may get
    /// [`Claimed::First`]. A claim that somebody else left behind ends some time after the `now` that it was made at.
    fn begin(&self, id: &EventId, now: SystemTime) -> Claimed;

    /// The event was handled: from now on it is [`Claimed::Done`].
    ///
    /// For each [`Claimed::First`] it or `abort` is called, unless the process dies before. When it panics, `abort`
    /// follows.
    fn commit(&self, id: &EventId);

    /// The event was not handled, or cannot be told from the next of its kind
    /// ([`EventId::is_unique`]): the next delivery is [`Claimed::First`] again. A panic in here is logged and goes no
    /// further.
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
/// - A `ProviderOutboundMessage` without: its channel, `locationId`, `messageId` and `emailMessageId`, if it has one of
///   the last two, because the provider is to deliver a message once.
/// - Any other event without: the SHA-256 of its body, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId {
    text: Arc<str>,
    is_unique: bool,
}

impl EventId {
    /// Longer ids are replaced by their SHA-256, so that nobody can fill the memory with them.
    const LONGEST: usize = 256;

    pub(super) fn of(json: &Map<String, Value>, kind: &Kind, body: &Bytes) -> Self {
        let field = |name: &str| json.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let any = |names: &[&str]| names.iter().any(|name| field(name).is_some());
        let mut is_unique = true;
        // Written as JSON, so that no two lists of parts become the same text.
        let text = if let Some(id) = field("webhookId") {
            json_text(&("webhook", id, field("appId")))
        } else if *kind == Kind::ProviderOutboundMessage && any(&["messageId", "emailMessageId"]) {
            let [channel, location, message, email] =
                ["type", "locationId", "messageId", "emailMessageId"].map(field);
            json_text(&("provider", channel, location, message, email))
        } else {
            // The ids and times of other events are of their subject, which has many events.
            let is_message = matches!(kind, Kind::OutboundMessage | Kind::InboundMessage);
            is_unique =
                any(&["timestamp"]) || is_message && any(&["messageId", "emailMessageId", "dateAdded"]);
            json_text(&("body", sha256(body)))
        };
        let text =
            if text.len() > Self::LONGEST { json_text(&("sha256", sha256(text.as_bytes()))) } else { text };
        Self { text: text.into(), is_unique }
    }

    /// The id as text: at most 256 bytes, fit for a column with a unique index if [`is_unique`](Self::is_unique).
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether no other event has this id.
    ///
    /// False for an event without anything of its own: neither a `webhookId` nor a timestamp, nor the id or the time of
    /// a message. An `UNINSTALL` as it is documented is one: the second `UNINSTALL` of a location, a week after the first,
    /// is the same to the byte. Such an event is excluded while it is being handled, and is not remembered after that:
    /// delivered again, it is handled again.
    pub fn is_unique(&self) -> bool {
        self.is_unique
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

/// Texts and lists of texts can always be written.
fn json_text(parts: &impl Serialize) -> String {
    serde_json::to_string(parts).unwrap_or_default()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut text, byte| {
        for digit in [byte >> 4, byte & 0xf] {
            text.push(char::from_digit(digit.into(), 16).unwrap_or_default());
        }
        text
    })
}

/// A bounded memory of this process, for 24 hours and 100,000 events unless told otherwise. The memory that a receiver
/// has when it is given none lasts as long as the receiver's window, if that is more.
///
/// What is being handled is never forgotten: when all places are taken by it, further events are
/// [`Claimed::Unavailable`]. Otherwise a new event takes the place of the one that was done first. A restart forgets all.
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
    /// How long an event is remembered unless told otherwise.
    pub(super) const RETENTION: Duration = Duration::from_secs(24 * 60 * 60);

    /// A memory of its default size.
    pub fn new() -> Self {
        Self { capacity: 100_000, retention: Self::RETENTION, memory: Mutex::new(Memory::default()) }
    }

    /// How many events are remembered, 100,000 by default. An event takes about 250 bytes, and 500 if its
    /// id is as long as an id can be.
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

impl fmt::Debug for InMemory {
    /// Without the events: there can be many.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InMemory")
            .field("capacity", &self.capacity)
            .field("retention", &self.retention)
            .finish_non_exhaustive()
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
            if self.id.is_unique() {
                self.store.commit(&self.id);
            } else {
                self.store.abort(&self.id);
            }
            *committed = true;
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !*self.committed.get_mut().unwrap_or_else(PoisonError::into_inner) {
            // It may be a panic that drops this, and a second one would end the process.
            if catch_unwind(AssertUnwindSafe(|| self.store.abort(&self.id))).is_err() {
                tracing::error!(id = %self.id, "the memory of events panicked when an event was given up");
            }
        }
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Claim").field(&self.id).finish()
    }
}
