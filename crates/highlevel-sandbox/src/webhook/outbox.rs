//! Pending events, with the settings of their delivery: target URL, key, tampering, retry schedule.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::{Notify, watch};

use super::delivery_store::{DeliveryFilter, DeliveryStore, OutgoingEvent, Summary, text};
use super::keyring::{WebhookKey, WebhookKeys};
use super::record::{AttemptCause, DeliveryAttempt, DeliveryOutcome, WebhookDelivery};
use super::replay::Replay;
use super::schedule::RetrySchedule;
use super::tamper::{self, TamperConfig, TamperMode, WebhookRequest};
use crate::identifiers::Identifiers;
use crate::sync::lock;

/// The maximum number of waiting resends and replays, and of the bytes of replayed bodies.
const WAITING_EXTRAS: usize = 1_000;
const WAITING_EXTRA_BYTES: usize = 16 * 1024 * 1024;
/// The number of deliveries that a search examines under one lock.
const SEARCHED_AT_ONCE: usize = 512;

/// Pending and completed deliveries. The [dispatcher](super::dispatcher) takes the pending ones.
pub(crate) struct Outbox {
    /// The initial keys, for a reset.
    first_keys: WebhookKeys,
    inner: Mutex<Inner>,
    /// Notified when there may be a job to take.
    wake: Notify,
    progress: watch::Sender<Progress>,
}

struct Inner {
    url: Option<String>,
    retries: RetrySchedule,
    keyring: WebhookKeys,
    tamper_config: TamperConfig,
    store: DeliveryStore,
    jobs: VecDeque<Job>,
    /// The number of resends and replays that have not started, and the bytes of replayed bodies.
    extras: usize,
    extra_bytes: usize,
}

/// Counts of completed attempts and deliveries since the start.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Progress {
    pub(crate) attempts: usize,
    /// Deliveries with at least one completed attempt.
    pub(crate) deliveries: usize,
}

/// An attempt to make.
#[derive(Debug)]
pub(super) struct Job {
    delivery: u64,
    work: Work,
    /// `true` if it was held back already.
    held: bool,
}

#[derive(Debug)]
enum Work {
    Scheduled,
    Resend(Option<TamperMode>),
    Replay(WebhookRequest),
    Duplicate(WebhookRequest),
}

/// The decision on a job.
pub(super) enum JobDecision {
    /// The delivery was evicted or has succeeded in the meantime.
    Nothing,
    /// It is held back until the next one has completed.
    Hold(Job),
    Send(Box<Sending>),
}

/// An attempt in progress.
pub(super) struct Sending {
    delivery: u64,
    number: u32,
    cause: AttemptCause,
    mode: Option<TamperMode>,
    event: Arc<OutgoingEvent>,
    began: DateTime<Utc>,
    pub(super) request: Result<WebhookRequest, String>,
}

impl Job {
    /// Returns `true` for resends and replays.
    fn is_extra(&self) -> bool {
        matches!(self.work, Work::Resend(_) | Work::Replay(_))
    }

    /// Returns the bytes of its replayed body.
    fn extra_bytes(&self) -> usize {
        match &self.work {
            Work::Replay(request) => request.body.len(),
            _ => 0,
        }
    }
}

impl Inner {
    /// Releases the capacity of a resend or replay that no longer waits.
    fn release_extra(&mut self, job: &Job) {
        self.extras = self.extras.saturating_sub(usize::from(job.is_extra()));
        self.extra_bytes = self.extra_bytes.saturating_sub(job.extra_bytes());
    }
}

impl Sending {
    pub(super) fn url(&self) -> &str {
        &self.event.url
    }
}

impl Outbox {
    pub(crate) fn new(url: Option<String>, retries: RetrySchedule, keyring: WebhookKeys) -> Self {
        Self {
            first_keys: keyring.clone(),
            inner: Mutex::new(Inner {
                url,
                retries,
                keyring,
                tamper_config: TamperConfig::default(),
                store: DeliveryStore::new(),
                jobs: VecDeque::new(),
                extras: 0,
                extra_bytes: 0,
            }),
            wake: Notify::new(),
            progress: watch::Sender::new(Progress::default()),
        }
    }

    /// Returns the webhook URL of the app.
    pub(crate) fn url(&self) -> Option<String> {
        self.inner().url.clone()
    }

    pub(crate) fn set_url(&self, url: Option<String>) {
        self.inner().url = url;
    }

    pub(crate) fn retries(&self) -> RetrySchedule {
        self.inner().retries.clone()
    }

    pub(crate) fn set_retries(&self, retries: RetrySchedule) {
        self.inner().retries = retries;
    }

    pub(crate) fn tamper_config(&self) -> TamperConfig {
        self.inner().tamper_config.clone()
    }

    pub(crate) fn change_tamper_config(&self, change: impl FnOnce(&mut TamperConfig)) -> TamperConfig {
        let mut inner = self.inner();
        change(&mut inner.tamper_config);
        inner.tamper_config.next.retain(|(_, attempts)| *attempts > 0);
        inner.tamper_config.clone()
    }

    pub(crate) fn keys(&self) -> Vec<WebhookKey> {
        self.inner().keyring.published()
    }

    /// Returns the public key of the current signing key.
    pub(crate) fn public_key(&self) -> String {
        self.inner().keyring.current().signer.public_key()
    }

    pub(crate) fn rotate_key(&self, identifiers: &Identifiers) -> io::Result<()> {
        self.inner().keyring.rotate(identifiers)
    }

    /// Restores the initial keys.
    pub(crate) fn reset_keys(&self) {
        self.inner().keyring = self.first_keys.clone();
    }

    /// Drops all deliveries. Attempts in progress still complete.
    pub(crate) fn clear(&self) {
        let mut inner = self.inner();
        inner.store.clear();
        inner.jobs.clear();
        (inner.extras, inner.extra_bytes) = (0, 0);
        inner.tamper_config = TamperConfig::default();
    }

    /// Queues an event for delivery and returns its id.
    pub(crate) fn send(&self, event: OutgoingEvent, now: DateTime<Utc>) -> u64 {
        let mut inner = self.inner();
        let delivery = inner.store.add(event, now);
        inner.jobs.push_back(Job { delivery, work: Work::Scheduled, held: false });
        drop(inner);
        self.wake.notify_one();
        delivery
    }

    /// Resends an event in addition to the schedule, with the same payload, `webhookId` and timestamp.
    pub(crate) fn resend(&self, id: u64, mode: Option<TamperMode>) -> io::Result<WebhookDelivery> {
        self.extra(id, |_| Ok(Work::Resend(mode)))
    }

    /// Replays the request of an attempt in addition to the schedule.
    pub(crate) fn replay(&self, id: u64, replay: Replay, now: DateTime<Utc>) -> io::Result<WebhookDelivery> {
        self.extra(id, |inner| {
            let Some(delivery) = inner.store.delivery(id) else { return Err(unknown(id)) };
            let mut attempts = delivery.attempts.iter().rev();
            let attempt = match replay.attempt {
                Some(number) => attempts.find(|attempt| attempt.number == number),
                None => attempts.next(),
            };
            let Some(attempt) = attempt else {
                let which = replay
                    .attempt
                    .map_or_else(|| "no attempt".to_owned(), |number| format!("no attempt {number}"));
                let message =
                    format!("delivery {id} has {which} that is completed; there is nothing to replay");
                return Err(io::Error::new(ErrorKind::NotFound, message));
            };
            let body = replay.body.map_or_else(|| attempt.body.clone(), Into::into);
            Ok(Work::Replay(if replay.signed {
                tamper::request(&body, None, &inner.keyring, now, 0).map_err(io::Error::other)?
            } else {
                WebhookRequest { headers: attempt.headers.clone(), body, key_id: attempt.key_id.clone() }
            }))
        })
    }

    fn extra(&self, id: u64, work: impl FnOnce(&Inner) -> io::Result<Work>) -> io::Result<WebhookDelivery> {
        let mut inner = self.inner();
        let delivery = inner.store.delivery(id).ok_or_else(|| unknown(id))?;
        if inner.extras >= WAITING_EXTRAS {
            let message =
                format!("{WAITING_EXTRAS} resends and replays are queued; retry when some have completed");
            return Err(io::Error::new(ErrorKind::QuotaExceeded, message));
        }
        let work = work(&inner)?;
        let job = Job { delivery: id, work, held: false };
        if inner.extra_bytes + job.extra_bytes() > WAITING_EXTRA_BYTES {
            let message = "the bodies of queued replays are too large; retry when some have completed";
            return Err(io::Error::new(ErrorKind::QuotaExceeded, message));
        }
        inner.extras += 1;
        inner.extra_bytes += job.extra_bytes();
        inner.jobs.push_back(job);
        inner.store.expect(id);
        drop(inner);
        self.wake.notify_one();
        Ok(delivery)
    }

    pub(crate) fn delivery(&self, id: u64) -> Option<WebhookDelivery> {
        self.inner().store.delivery(id)
    }

    /// Returns all stored deliveries, oldest first.
    pub(crate) fn deliveries(&self) -> Vec<WebhookDelivery> {
        self.inner().store.deliveries().collect()
    }

    /// Returns the newest matching deliveries, newest first.
    pub(crate) fn newest(&self, filter: &DeliveryFilter, limit: usize) -> Vec<WebhookDelivery> {
        self.inner().store.newest(filter, limit)
    }

    /// Returns the number of stored deliveries, their memory in bytes, and the number of evicted ones.
    pub(crate) fn retained(&self) -> (usize, usize, u64) {
        self.inner().store.retained()
    }

    /// Returns the number of deliveries with a scheduled attempt, and the earliest due time.
    pub(crate) fn waiting(&self) -> (usize, Option<DateTime<Utc>>) {
        let inner = self.inner();
        (inner.store.waiting(), inner.store.next_due())
    }

    /// Returns the newest matching summaries, newest first, and `true` if there are more than `limit`.
    pub(crate) fn search(&self, limit: usize, matches: impl Fn(&Summary) -> bool) -> (Vec<Summary>, bool) {
        let mut found = Vec::new();
        let mut before = u64::MAX;
        while found.len() <= limit {
            // Match outside the lock: a text search must not delay events.
            let older = self.inner().store.summaries(before, SEARCHED_AT_ONCE);
            let Some(oldest) = older.last() else { break };
            before = oldest.id;
            found.extend(older.into_iter().filter(&matches).take(limit + 1 - found.len()));
        }
        let more = found.len() > limit;
        found.truncate(limit);
        (found, more)
    }

    pub(crate) fn summary(&self, id: u64) -> Option<Summary> {
        self.inner().store.summary(id)
    }

    /// Returns the keys, to find the one of a signature.
    pub(crate) fn keyring(&self) -> WebhookKeys {
        self.inner().keyring.clone()
    }

    pub(crate) fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// Waits until there may be a job to take.
    pub(super) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Takes the jobs that are due, with their targets. Also returns `true` if one of them is a retry, and the time at which
    /// the next job is due.
    pub(super) fn take(&self, now: DateTime<Utc>) -> (Vec<(String, Job)>, bool, Option<DateTime<Utc>>) {
        let mut guard = self.inner();
        let inner = &mut *guard;
        let due = inner.store.take_due(now);
        let again = !due.is_empty();
        for delivery in due {
            inner.jobs.push_back(Job { delivery, work: Work::Scheduled, held: false });
        }
        let jobs = std::mem::take(&mut inner.jobs);
        let mut with_targets = Vec::with_capacity(jobs.len());
        for job in jobs {
            match inner.store.event(job.delivery) {
                Some(event) => with_targets.push((event.url.clone(), job)),
                None => inner.release_extra(&job),
            }
        }
        (with_targets, again, inner.store.next_due())
    }

    /// Returns `true` if the delivery of the job is still stored.
    pub(super) fn remembers(&self, job: &Job) -> bool {
        let mut inner = self.inner();
        let remembered = inner.store.event(job.delivery).is_some();
        if !remembered {
            inner.release_extra(job);
        }
        remembered
    }

    /// Starts a job: decides on tampering and builds the request.
    pub(super) fn begin(&self, job: Job, may_hold: bool, now: DateTime<Utc>) -> JobDecision {
        let mut guard = self.inner();
        let inner = &mut *guard;
        let chosen = match (&job.work, job.held) {
            (_, true) => Some(TamperMode::Reordered),
            (Work::Resend(Some(mode)), _) => Some(*mode),
            (Work::Scheduled | Work::Resend(None), _) => inner.tamper_config.take(may_hold),
            (Work::Replay(_) | Work::Duplicate(_), _) => None,
        };
        if chosen == Some(TamperMode::Reordered) && !job.held && may_hold {
            return JobDecision::Hold(Job { held: true, ..job });
        }
        inner.release_extra(&job);
        let Job { delivery, work, .. } = job;
        let cause = match work {
            Work::Scheduled => AttemptCause::Scheduled,
            Work::Resend(_) => AttemptCause::Resend,
            Work::Replay(_) => AttemptCause::Replay,
            Work::Duplicate(_) => AttemptCause::Duplicate,
        };
        let (Some(number), Some(event)) =
            (inner.store.begin(delivery, cause), inner.store.event(delivery).cloned())
        else {
            return JobDecision::Nothing;
        };
        let request = match work {
            Work::Replay(request) | Work::Duplicate(request) => Ok(request),
            Work::Scheduled | Work::Resend(_) => {
                let seed = delivery.wrapping_mul(64).wrapping_add(number.into());
                tamper::request(&event.body, chosen, &inner.keyring, now, seed)
            }
        };
        JobDecision::Send(Box::new(Sending {
            delivery,
            number,
            cause,
            mode: chosen,
            event,
            began: now,
            request,
        }))
    }

    /// Stores the outcome of an attempt.
    pub(super) fn end(
        &self,
        sending: Sending,
        outcome: DeliveryOutcome,
        latency: Duration,
        record: impl FnOnce(Arc<DeliveryAttempt>),
    ) {
        let Sending { delivery, number, cause, mode, event, began, request } = sending;
        let again = (mode == Some(TamperMode::Duplicate)).then(|| request.clone().ok()).flatten();
        let request = request.unwrap_or_else(|_| WebhookRequest {
            headers: Vec::new(),
            body: event.body.clone(),
            key_id: None,
        });
        let attempt = DeliveryAttempt {
            delivery_id: delivery,
            number,
            cause,
            tamper_mode: mode,
            webhook_id: event.webhook_id.clone(),
            event: event.name.clone(),
            message_id: event.message_id.clone(),
            url: event.url.clone(),
            started_at: text(began),
            latency,
            key_id: request.key_id,
            headers: request.headers,
            body: request.body,
            outcome,
            next_attempt_at: None,
        };
        let mut guard = self.inner();
        let inner = &mut *guard;
        if let Some(request) = again {
            inner.jobs.push_back(Job { delivery, work: Work::Duplicate(request), held: false });
            inner.store.expect(delivery);
        }
        let (attempt, first) = inner.store.file(attempt, &inner.retries);
        drop(guard);
        tracing::debug!(
            delivery,
            number,
            event = attempt.event,
            status = attempt.status(),
            "webhook attempt completed"
        );
        record(attempt);
        self.progress.send_modify(|progress| {
            progress.attempts += 1;
            progress.deliveries += usize::from(first);
        });
        self.wake.notify_one();
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        lock(&self.inner)
    }
}

impl std::fmt::Debug for Outbox {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Outbox").field("url", &self.url()).finish_non_exhaustive()
    }
}

fn unknown(id: u64) -> io::Error {
    let message = format!("delivery {id} does not exist or was dropped; GET /_sandbox/deliveries lists all");
    io::Error::new(ErrorKind::NotFound, message)
}
