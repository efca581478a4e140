//! A bounded store of deliveries.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};

use super::record::{AttemptCause, DeliveryAttempt, DeliveryState, WebhookDelivery};
use super::schedule::RetrySchedule;
use crate::weight;

/// The maximum number of completed deliveries.
const ENDED_KEPT: usize = 10_000;
/// The maximum number of pending deliveries.
pub(super) const MAX_PENDING: usize = 100_000;
/// The maximum memory of all deliveries, in bytes.
pub(crate) const MAX_DELIVERY_BYTES: usize = 64 * 1024 * 1024;
/// The memory at which a page of deliveries ends, in bytes.
const PAGE_BYTES: usize = 4 * 1024 * 1024;
/// The maximum number of stored attempts of one delivery.
const ATTEMPTS_KEPT: usize = 64;

/// An event that is ready to be delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OutgoingEvent {
    pub(crate) name: String,
    pub(crate) webhook_id: String,
    pub(crate) message_id: Option<String>,
    pub(crate) url: String,
    pub(crate) body: Arc<[u8]>,
}

impl OutgoingEvent {
    /// Returns its memory as a delivery without attempts, in bytes.
    fn weight(&self) -> usize {
        /// The memory of its entries in the tables.
        const TABLES: usize = 200;
        let texts = [&self.name, &self.webhook_id, &self.url];
        TABLES
            + weight::block(size_of::<Self>())
            + size_of::<Record>()
            + texts.map(|text| weight::text(text)).iter().sum::<usize>()
            + weight::option(self.message_id.as_ref())
            + weight::block(self.body.len())
    }
}

/// Conditions on deliveries. `None` matches any value.
#[derive(Clone, Debug, Default)]
pub(crate) struct DeliveryFilter {
    /// Deliveries with a smaller id.
    pub(crate) before: Option<u64>,
    pub(crate) event: Option<String>,
    pub(crate) message_id: Option<String>,
    pub(crate) state: Option<DeliveryState>,
}

/// A delivery without its attempts, for lists. Cheap to clone, because it shares its content.
#[derive(Clone, Debug)]
pub(crate) struct Summary {
    pub(crate) id: u64,
    pub(crate) event: Arc<OutgoingEvent>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) state: DeliveryState,
    pub(crate) next: Option<DateTime<Utc>>,
    /// The number of completed attempts, and of those that are queued or in progress.
    pub(crate) ended: u32,
    pub(crate) open: u32,
    pub(crate) last: Option<Arc<DeliveryAttempt>>,
}

/// Deliveries with the times of their next attempts. Each is either pending or completed.
#[derive(Debug)]
pub(crate) struct DeliveryStore {
    records: BTreeMap<u64, Record>,
    pending: BTreeSet<u64>,
    /// The ids of completed deliveries, in the order of their completion.
    ended: VecDeque<u64>,
    due: BTreeSet<(DateTime<Utc>, u64)>,
    bytes: usize,
    /// The number of deliveries that were evicted.
    evicted: u64,
    next: u64,
    bounds: Bounds,
}

#[derive(Clone, Copy, Debug)]
struct Bounds {
    ended: usize,
    pending: usize,
    bytes: usize,
}

#[derive(Debug)]
struct Record {
    event: Arc<OutgoingEvent>,
    created_at: DateTime<Utc>,
    state: DeliveryState,
    /// The due times of the last scheduled attempt and of the next one.
    due: DateTime<Utc>,
    next: Option<DateTime<Utc>>,
    /// The number of scheduled attempts.
    scheduled: u32,
    begun: u32,
    /// The number of completed attempts, and of those that are queued or in progress.
    ended: u32,
    open: u32,
    attempts: VecDeque<Arc<DeliveryAttempt>>,
    bytes: usize,
}

impl DeliveryStore {
    pub(crate) fn new() -> Self {
        Self::within(Bounds { ended: ENDED_KEPT, pending: MAX_PENDING, bytes: MAX_DELIVERY_BYTES })
    }

    fn within(bounds: Bounds) -> Self {
        Self {
            records: BTreeMap::new(),
            pending: BTreeSet::new(),
            ended: VecDeque::new(),
            due: BTreeSet::new(),
            bytes: 0,
            evicted: 0,
            next: 1,
            bounds,
        }
    }

    /// Stores an event and returns its id. The caller starts its first attempt.
    pub(crate) fn add(&mut self, event: OutgoingEvent, now: DateTime<Utc>) -> u64 {
        let id = self.next;
        self.next += 1;
        let bytes = event.weight();
        let record = Record {
            event: Arc::new(event),
            created_at: now,
            state: DeliveryState::Pending,
            due: now,
            next: None,
            scheduled: 0,
            begun: 0,
            ended: 0,
            open: 1,
            attempts: VecDeque::new(),
            bytes,
        };
        self.records.insert(id, record);
        self.pending.insert(id);
        self.bytes += bytes;
        self.trim(id);
        id
    }

    pub(crate) fn event(&self, id: u64) -> Option<&Arc<OutgoingEvent>> {
        self.records.get(&id).map(|record| &record.event)
    }

    /// Registers a queued attempt that is not part of the schedule.
    pub(crate) fn expect(&mut self, id: u64) {
        if let Some(record) = self.records.get_mut(&id) {
            record.open += 1;
        }
    }

    /// Assigns an attempt its number. Returns `None` if the delivery was evicted or no longer needs a scheduled attempt.
    pub(crate) fn begin(&mut self, id: u64, cause: AttemptCause) -> Option<u32> {
        let record = self.records.get_mut(&id)?;
        if cause == AttemptCause::Scheduled {
            if record.state != DeliveryState::Pending {
                record.open = record.open.saturating_sub(1);
                return None;
            }
            record.scheduled += 1;
        }
        record.begun += 1;
        Some(record.begun)
    }

    /// Stores a completed attempt and schedules the next one if needed. Returns the stored attempt, and `true` if it is the
    /// first completed attempt of its delivery.
    pub(crate) fn file(
        &mut self,
        mut attempt: DeliveryAttempt,
        schedule: &RetrySchedule,
    ) -> (Arc<DeliveryAttempt>, bool) {
        let id = attempt.delivery_id;
        let Some(record) = self.records.get_mut(&id) else { return (Arc::new(attempt), false) };
        let was_pending = record.state == DeliveryState::Pending;
        if attempt.status().is_some_and(|status| (200..300).contains(&status)) {
            record.state = DeliveryState::Delivered;
            if let Some(time) = record.next.take() {
                self.due.remove(&(time, id));
            }
        } else if was_pending && attempt.cause == AttemptCause::Scheduled {
            let seed = id.wrapping_mul(64).wrapping_add(record.scheduled.into());
            match schedule.jittered(record.scheduled, attempt.status(), seed) {
                Some(wait) => {
                    // A time beyond the range of the calendar is never due.
                    let due = record.due.checked_add_signed(wait_of(wait));
                    record.due = due.unwrap_or(DateTime::<Utc>::MAX_UTC);
                    record.next = Some(record.due);
                    self.due.insert((record.due, id));
                }
                None => record.state = DeliveryState::GivenUp,
            }
        }
        attempt.next_attempt_at = record.next.map(text);
        let attempt = Arc::new(attempt);
        // Attempts of one delivery can overlap.
        let later = record.attempts.iter().rev().take_while(|each| each.number > attempt.number).count();
        record.ended += 1;
        record.open = record.open.saturating_sub(1);
        let first = record.ended == 1;
        record.attempts.insert(record.attempts.len() - later, Arc::clone(&attempt));
        let size = attempt_size(&record.event, &attempt);
        record.bytes += size;
        self.bytes += size;
        if record.attempts.len() > ATTEMPTS_KEPT
            && let Some(oldest) = record.attempts.pop_front()
        {
            let size = attempt_size(&record.event, &oldest);
            record.bytes -= size;
            self.bytes -= size;
        }
        if was_pending && record.state != DeliveryState::Pending {
            self.pending.remove(&id);
            self.ended.push_back(id);
        }
        self.trim(id);
        (attempt, first)
    }

    /// Removes and returns the deliveries whose next attempt is due.
    pub(crate) fn take_due(&mut self, now: DateTime<Utc>) -> Vec<u64> {
        let mut due = Vec::new();
        while let Some(&(time, id)) = self.due.first()
            && time <= now
        {
            self.due.pop_first();
            if let Some(record) = self.records.get_mut(&id) {
                record.next = None;
                record.open += 1;
                due.push(id);
            }
        }
        due
    }

    /// Returns the time at which the next attempt is due.
    pub(crate) fn next_due(&self) -> Option<DateTime<Utc>> {
        self.due.first().map(|(time, _)| *time)
    }

    /// Returns the number of stored deliveries, their memory in bytes, and the number of evicted ones.
    pub(crate) fn retained(&self) -> (usize, usize, u64) {
        (self.records.len(), self.bytes, self.evicted)
    }

    /// Returns the number of deliveries with a scheduled attempt.
    pub(crate) fn waiting(&self) -> usize {
        self.due.len()
    }

    pub(crate) fn delivery(&self, id: u64) -> Option<WebhookDelivery> {
        self.records.get(&id).map(|record| record.delivery(id))
    }

    /// Returns all stored deliveries, oldest first.
    pub(crate) fn deliveries(&self) -> impl Iterator<Item = WebhookDelivery> {
        self.records.iter().map(|(id, record)| record.delivery(*id))
    }

    /// Returns the newest matching deliveries, newest first.
    pub(crate) fn newest(&self, filter: &DeliveryFilter, limit: usize) -> Vec<WebhookDelivery> {
        let older = self.records.range(..filter.before.unwrap_or(u64::MAX)).rev();
        let fitting = older.filter(|(_, record)| filter.matches(record)).take(limit);
        let mut bytes = 0;
        // A page of large deliveries ends early; the next page starts after its last one.
        let fitting = fitting.take_while(|(_, record)| {
            let is_in = bytes <= PAGE_BYTES;
            bytes += record.bytes + record.attempts.len() * record.event.body.len();
            is_in
        });
        fitting.map(|(id, record)| record.delivery(*id)).collect()
    }

    /// Returns summaries of the newest deliveries with an id below `before`, newest first.
    pub(crate) fn summaries(&self, before: u64, limit: usize) -> Vec<Summary> {
        let older = self.records.range(..before).rev().take(limit);
        older.map(|(id, record)| record.summary(*id)).collect()
    }

    pub(crate) fn summary(&self, id: u64) -> Option<Summary> {
        self.records.get(&id).map(|record| record.summary(id))
    }

    /// Drops all deliveries.
    pub(crate) fn clear(&mut self) {
        let (next, evicted) = (self.next, self.evicted);
        *self = Self { evicted, next, ..Self::within(self.bounds) };
    }

    /// Evicts the oldest deliveries until the bounds hold, but never `kept`. If the memory is exceeded, completed deliveries
    /// are evicted first.
    fn trim(&mut self, kept: u64) {
        while self.ended.len() > self.bounds.ended && self.evict_completed(kept) {}
        while self.pending.len() > self.bounds.pending && self.evict_pending(kept) {}
        while self.bytes > self.bounds.bytes && (self.evict_completed(kept) || self.evict_pending(kept)) {}
    }

    /// Evicts the oldest completed delivery. Returns `false` if there is none.
    fn evict_completed(&mut self, kept: u64) -> bool {
        let oldest = self.ended.iter().position(|id| *id != kept);
        let Some(id) = oldest.and_then(|place| self.ended.remove(place)) else { return false };
        self.evict(id);
        true
    }

    /// Evicts the oldest pending delivery. Returns `false` if there is none.
    fn evict_pending(&mut self, kept: u64) -> bool {
        let Some(id) = self.pending.iter().copied().find(|id| *id != kept) else { return false };
        tracing::warn!(delivery = id, "too many pending webhook deliveries; the oldest is dropped");
        self.pending.remove(&id);
        self.evict(id);
        true
    }

    fn evict(&mut self, id: u64) {
        let Some(record) = self.records.remove(&id) else { return };
        self.evicted += 1;
        self.bytes -= record.bytes;
        if let Some(time) = record.next {
            self.due.remove(&(time, id));
        }
    }
}

impl DeliveryFilter {
    fn matches(&self, record: &Record) -> bool {
        self.event.as_ref().is_none_or(|event| record.event.name == *event)
            && (self.message_id.is_none() || record.event.message_id == self.message_id)
            && self.state.is_none_or(|state| record.state == state)
    }
}

impl Record {
    fn delivery(&self, id: u64) -> WebhookDelivery {
        WebhookDelivery {
            id,
            webhook_id: self.event.webhook_id.clone(),
            event: self.event.name.clone(),
            message_id: self.event.message_id.clone(),
            url: self.event.url.clone(),
            body: Arc::clone(&self.event.body),
            created_at: text(self.created_at),
            state: self.state,
            next_attempt_at: self.next.map(text),
            attempts: self.attempts.iter().cloned().collect(),
        }
    }

    fn summary(&self, id: u64) -> Summary {
        Summary {
            id,
            event: Arc::clone(&self.event),
            created_at: self.created_at,
            state: self.state,
            next: self.next,
            ended: self.ended,
            open: self.open,
            last: self.attempts.back().cloned(),
        }
    }
}

/// Returns the memory that an attempt adds to its delivery, with its body if that differs from the event's.
fn attempt_size(event: &OutgoingEvent, attempt: &DeliveryAttempt) -> usize {
    let body = if Arc::ptr_eq(&event.body, &attempt.body) { 0 } else { attempt.body.len() };
    attempt.weight() + weight::block(body)
}

fn wait_of(wait: std::time::Duration) -> chrono::TimeDelta {
    chrono::TimeDelta::from_std(wait).unwrap_or(chrono::TimeDelta::MAX)
}

/// Formats a time as the API does.
pub(crate) fn text(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests;
