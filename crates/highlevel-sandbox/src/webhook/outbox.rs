//! The events that wait to be delivered, with all that decides how: where to, with which key, how wrongly, how often.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::{Notify, watch};

use super::delivery_store::{DeliveryFilter, DeliveryStore, Event, Summary, text};
use super::keyring::{Keyring, WebhookKey};
use super::record::{AttemptCause, DeliveryAttempt, DeliveryOutcome, WebhookDelivery};
use super::schedule::RetrySchedule;
use super::tamper::{self, Request, TamperConfig, TamperMode};
use crate::identifiers::Identifiers;
use crate::sync::lock;

/// How many resends and replays may wait, and how many bytes of bodies that replays bring.
const WAITING_EXTRAS: usize = 1_000;
const WAITING_EXTRA_BYTES: usize = 16 * 1024 * 1024;
/// How many deliveries a search looks at before others may go on.
const SEARCHED_AT_ONCE: usize = 512;

/// All that waits, and all that was. The [dispatcher](super::dispatcher) empties it.
pub(crate) struct Outbox {
    /// Those of the start.
    first_keys: Keyring,
    inner: Mutex<Inner>,
    /// Something can be taken.
    wake: Notify,
    progress: watch::Sender<Progress>,
}

struct Inner {
    url: Option<String>,
    retries: RetrySchedule,
    keyring: Keyring,
    tamper_config: TamperConfig,
    store: DeliveryStore,
    jobs: VecDeque<Job>,
    /// How many resends and replays have not begun, and the bytes of bodies that replays bring.
    extras: usize,
    extra_bytes: usize,
}

/// How much has ended since the start.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Progress {
    pub(crate) attempts: usize,
    /// Deliveries of which at least one attempt has ended.
    pub(crate) deliveries: usize,
}

/// An attempt to make.
#[derive(Debug)]
pub(super) struct Job {
    delivery: u64,
    work: Work,
    /// It was held back already.
    held: bool,
}

#[derive(Debug)]
enum Work {
    Scheduled,
    Resend(Option<TamperMode>),
    Replay(Request),
    Duplicate(Request),
}

/// What to do with a job.
pub(super) enum Begun {
    /// The delivery is forgotten, or has been taken in the meantime.
    Nothing,
    /// It goes after the next one.
    Hold(Job),
    Send(Box<Sending>),
}

/// An attempt that is under way.
pub(super) struct Sending {
    delivery: u64,
    number: u32,
    cause: AttemptCause,
    mode: Option<TamperMode>,
    event: Arc<Event>,
    began: DateTime<Utc>,
    pub(super) request: Result<Request, String>,
}

impl Job {
    /// Whether somebody asked for it.
    fn is_extra(&self) -> bool {
        matches!(self.work, Work::Resend(_) | Work::Replay(_))
    }

    /// The bytes that it brings.
    fn extra_bytes(&self) -> usize {
        match &self.work {
            Work::Replay(request) => request.body.len(),
            _ => 0,
        }
    }
}

impl Inner {
    /// Counts a resend or replay that waits no longer.
    fn forget_extra(&mut self, job: &Job) {
        self.extras = self.extras.saturating_sub(usize::from(job.is_extra()));
        self.extra_bytes = self.extra_bytes.saturating_sub(job.extra_bytes());
    }
}

impl Sending {
    pub(super) fn url(&self) -> &str {
        &self.event.url
    }
}

/// A replay of an attempt: the same request again, or with edits.
///
/// ```
/// use highlevel_sandbox::Replay;
///
/// let exactly = Replay::new();
/// let forged = Replay::new().body(r#"{"type":"INSTALL"}"#);
/// let other_event = Replay::new().attempt(1).body(r#"{"type":"INSTALL"}"#).signed();
/// # let _ = (exactly, forged, other_event);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replay {
    attempt: Option<u32>,
    body: Option<Vec<u8>>,
    signed: bool,
}

impl Replay {
    /// The last attempt again, to the byte.
    pub fn new() -> Self {
        Self::default()
    }

    /// The attempt with this number, instead of the last one.
    pub fn attempt(mut self, number: u32) -> Self {
        self.attempt = Some(number);
        self
    }

    /// With another body, under the old signature.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Signed anew, with the current key: a changed body is then a genuine event.
    pub fn signed(mut self) -> Self {
        self.signed = true;
        self
    }
}

impl Outbox {
    pub(crate) fn new(url: Option<String>, retries: RetrySchedule, keyring: Keyring) -> Self {
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

    /// Where the events of the app go.
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

    /// The public half of the key that signs.
    pub(crate) fn public_key(&self) -> String {
        self.inner().keyring.current().signer.public_key()
    }

    pub(crate) fn rotate_key(&self, identifiers: &Identifiers) -> io::Result<()> {
        self.inner().keyring.rotate(identifiers)
    }

    /// Has the keys of the start again.
    pub(crate) fn reset_keys(&self) {
        self.inner().keyring = self.first_keys.clone();
    }

    /// Forgets all deliveries. What is under way comes to its end all the same.
    pub(crate) fn clear(&self) {
        let mut inner = self.inner();
        inner.store.clear();
        inner.jobs.clear();
        (inner.extras, inner.extra_bytes) = (0, 0);
        inner.tamper_config = TamperConfig::default();
    }

    /// Sends an event, and answers by which id it is known.
    pub(crate) fn send(&self, event: Event, now: DateTime<Utc>) -> u64 {
        let mut inner = self.inner();
        let delivery = inner.store.add(event, now);
        inner.jobs.push_back(Job { delivery, work: Work::Scheduled, held: false });
        drop(inner);
        self.wake.notify_one();
        delivery
    }

    /// Delivers an event once more, besides what the schedule does: same payload, same `webhookId` and timestamp.
    pub(crate) fn resend(&self, id: u64, mode: Option<TamperMode>) -> io::Result<WebhookDelivery> {
        self.extra(id, |_| Ok(Work::Resend(mode)))
    }

    /// Makes the request of an attempt once more, besides what the schedule does.
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
                let words =
                    format!("the delivery {id} has {which} that has ended, so there is nothing to replay");
                return Err(io::Error::new(ErrorKind::NotFound, words));
            };
            let body = replay.body.map_or_else(|| attempt.body.clone(), Into::into);
            Ok(Work::Replay(if replay.signed {
                tamper::request(&body, None, &inner.keyring, now, 0).map_err(io::Error::other)?
            } else {
                Request { headers: attempt.headers.clone(), body, key_id: attempt.key_id.clone() }
            }))
        })
    }

    fn extra(&self, id: u64, work: impl FnOnce(&Inner) -> io::Result<Work>) -> io::Result<WebhookDelivery> {
        let mut inner = self.inner();
        let delivery = inner.store.delivery(id).ok_or_else(|| unknown(id))?;
        if inner.extras >= WAITING_EXTRAS {
            let words =
                format!("{WAITING_EXTRAS} resends and replays are waiting: try again when some have ended");
            return Err(io::Error::new(ErrorKind::QuotaExceeded, words));
        }
        let work = work(&inner)?;
        let job = Job { delivery: id, work, held: false };
        if inner.extra_bytes + job.extra_bytes() > WAITING_EXTRA_BYTES {
            let words = "the bodies of the replays that wait are too large: try again when some have ended";
            return Err(io::Error::new(ErrorKind::QuotaExceeded, words));
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

    /// What is remembered and fits, oldest first.
    pub(crate) fn deliveries(&self) -> Vec<WebhookDelivery> {
        self.inner().store.deliveries().collect()
    }

    /// The newest that fit, newest first.
    pub(crate) fn newest(&self, filter: &DeliveryFilter, limit: usize) -> Vec<WebhookDelivery> {
        self.inner().store.newest(filter, limit)
    }

    /// How many deliveries there are, the memory that they take, and how many were dropped for those that came later.
    pub(crate) fn retained(&self) -> (usize, usize, u64) {
        self.inner().store.retained()
    }

    /// How many deliveries wait for their next attempt, and when the first of them is due.
    pub(crate) fn waiting(&self) -> (usize, Option<DateTime<Utc>>) {
        let inner = self.inner();
        (inner.store.waiting(), inner.store.next_due())
    }

    /// The newest that fit, newest first, and whether there are more than `limit`.
    pub(crate) fn search(&self, limit: usize, fits: impl Fn(&Summary) -> bool) -> (Vec<Summary>, bool) {
        let mut found = Vec::new();
        let mut before = u64::MAX;
        while found.len() <= limit {
            // What fits is decided when the lock is free again: a search through texts must not keep events waiting.
            let older = self.inner().store.summaries(before, SEARCHED_AT_ONCE);
            let Some(oldest) = older.last() else { break };
            before = oldest.id;
            found.extend(older.into_iter().filter(&fits).take(limit + 1 - found.len()));
        }
        let more = found.len() > limit;
        found.truncate(limit);
        (found, more)
    }

    pub(crate) fn summary(&self, id: u64) -> Option<Summary> {
        self.inner().store.summary(id)
    }

    /// The keys, to look up which made a signature.
    pub(crate) fn keyring(&self) -> Keyring {
        self.inner().keyring.clone()
    }

    pub(crate) fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// Resolves when there may be something to take.
    pub(super) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// What is to be done now, each with its target; whether something of it comes again; and when there will be more.
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
                None => inner.forget_extra(&job),
            }
        }
        (with_targets, again, inner.store.next_due())
    }

    /// Whether the delivery of a job is remembered. What is forgotten need not wait.
    pub(super) fn remembers(&self, job: &Job) -> bool {
        let mut inner = self.inner();
        let remembered = inner.store.event(job.delivery).is_some();
        if !remembered {
            inner.forget_extra(job);
        }
        remembered
    }

    /// Decides what a job looks like on the wire, now that it may begin.
    pub(super) fn begin(&self, job: Job, may_hold: bool, now: DateTime<Utc>) -> Begun {
        let mut guard = self.inner();
        let inner = &mut *guard;
        let chosen = match (&job.work, job.held) {
            (_, true) => Some(TamperMode::Reordered),
            (Work::Resend(Some(mode)), _) => Some(*mode),
            (Work::Scheduled | Work::Resend(None), _) => inner.tamper_config.take(may_hold),
            (Work::Replay(_) | Work::Duplicate(_), _) => None,
        };
        if chosen == Some(TamperMode::Reordered) && !job.held && may_hold {
            return Begun::Hold(Job { held: true, ..job });
        }
        inner.forget_extra(&job);
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
            return Begun::Nothing;
        };
        let request = match work {
            Work::Replay(request) | Work::Duplicate(request) => Ok(request),
            Work::Scheduled | Work::Resend(_) => {
                let seed = delivery.wrapping_mul(64).wrapping_add(number.into());
                tamper::request(&event.body, chosen, &inner.keyring, now, seed)
            }
        };
        Begun::Send(Box::new(Sending { delivery, number, cause, mode: chosen, event, began: now, request }))
    }

    /// Files what became of an attempt.
    pub(super) fn end(
        &self,
        sending: Sending,
        outcome: DeliveryOutcome,
        latency: Duration,
        record: impl FnOnce(Arc<DeliveryAttempt>),
    ) {
        let Sending { delivery, number, cause, mode, event, began, request } = sending;
        let again = (mode == Some(TamperMode::Duplicate)).then(|| request.clone().ok()).flatten();
        let request = request.unwrap_or_else(|_| Request {
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
            "webhook attempt ended"
        );
        record(attempt);
        self.progress.send_modify(|progress| {
            progress.attempts += 1;
            progress.deliveries += usize::from(first);
        });
        self.wake.notify_one();
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Nothing is left half-changed, so what a panic left behind can be used.
        lock(&self.inner)
    }
}

impl std::fmt::Debug for Outbox {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Outbox").field("url", &self.url()).finish_non_exhaustive()
    }
}

fn unknown(id: u64) -> io::Error {
    let words = format!(
        "there is no delivery {id}, or it is forgotten; GET /_sandbox/deliveries lists what there is"
    );
    io::Error::new(ErrorKind::NotFound, words)
}
