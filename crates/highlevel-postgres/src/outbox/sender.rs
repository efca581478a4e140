//! Senders: they claim messages and send them, in any number of processes.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use highlevel::{LocationId, RetryPolicy};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tracing::Instrument;
use uuid::Uuid;

use super::Outbox;
use super::begun::Begun;
use super::claim::{ClaimSettings, Claimed};
use super::clients::Clients;
use super::outcome::{Consequence, Failure, SendResult};
use super::request::OutgoingRequest;
use super::settle::{Settlement, UnknownPolicy, write_results};
use crate::database::Database;
use crate::error::ErrorKind;
use crate::limiter::with_permit;

/// After these times, evidence for an unknown outcome is looked for once more.
const LOOKS: [Duration; 3] = [Duration::from_secs(30), Duration::from_secs(120), Duration::from_secs(900)];
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Builds a [`Sender`]. From [`Outbox::sender`].
#[must_use = "a sender is started by `start`"]
pub struct SenderBuilder {
    database: Database,
    clients: Arc<dyn Clients>,
    in_flight: usize,
    per_location: usize,
    poll: Duration,
    attempt_timeout: Duration,
    lease_margin: Duration,
    is_limited: bool,
    unknown: UnknownPolicy,
    looks: Vec<Duration>,
}

impl Outbox {
    /// Starts building a sender, for an [`App`](highlevel::auth::App) or a function that returns the client of a location.
    pub fn sender(&self, clients: impl Clients) -> SenderBuilder {
        SenderBuilder {
            database: self.database.clone(),
            clients: Arc::new(clients),
            in_flight: 64,
            per_location: 20,
            poll: Duration::from_millis(100),
            attempt_timeout: Duration::from_secs(30),
            lease_margin: Duration::from_secs(15),
            is_limited: true,
            unknown: UnknownPolicy { hold_key: Duration::from_secs(15 * 60), first_look: Duration::ZERO },
            looks: LOOKS.to_vec(),
        }
    }
}

impl SenderBuilder {
    /// Sets the largest number of messages that are being sent at the same time. Defaults to 64.
    pub fn in_flight(mut self, messages: usize) -> Self {
        self.in_flight = messages.clamp(1, 10_000);
        self
    }

    /// Sets the largest number of messages of one location that are claimed at a time. Defaults to 20. Smaller numbers are
    /// fairer to other locations.
    pub fn per_location(mut self, messages: usize) -> Self {
        self.per_location = messages.clamp(1, 1_000);
        self
    }

    /// Sets how often an idle sender looks for messages. Defaults to 100 ms.
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.poll = interval.max(Duration::from_millis(1));
        self
    }

    /// Sets the time for one attempt. Defaults to 30 seconds.
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = timeout.min(Duration::from_secs(600));
        self
    }

    /// Sets the time for writing the result of an attempt. Defaults to 15 seconds. An attempt whose result is not written this
    /// long after its timeout counts as unknown, until the result is written.
    pub fn lease_margin(mut self, margin: Duration) -> Self {
        self.lease_margin = margin.min(Duration::from_secs(3_600));
        self
    }

    /// Sets the time for which other messages of a contact wait if the outcome of one is unknown. Defaults to 15 minutes.
    pub fn hold_after_unknown(mut self, time: Duration) -> Self {
        self.unknown.hold_key = time;
        self
    }

    /// Sets the times after which evidence for an unknown outcome is looked for once more. The first look is at once; after the
    /// last one, a person has to decide. Defaults to 30 seconds, 2 minutes and 15 minutes. Evidence that arrives in between or
    /// later is looked at when it arrives.
    pub fn look_schedule(mut self, times: impl IntoIterator<Item = Duration>) -> Self {
        self.looks = times.into_iter().collect();
        self
    }

    /// Claims messages without permits of the limiter, for a server without limits.
    pub fn without_limits(mut self) -> Self {
        self.is_limited = false;
        self
    }

    /// Starts the sender, as tasks of the current tokio runtime.
    pub fn start(self) -> Sender {
        let id = Uuid::from_u128(fastrand::u128(..));
        let (stop, stopping) = watch::channel(false);
        let (results, received) = mpsc::unbounded_channel();
        let begun = Begun::default();
        let shared = Arc::new(Shared {
            claims: ClaimSettings {
                sender: id,
                lanes: i32::try_from(self.in_flight.clamp(8, 256)).unwrap_or(256),
                per_lane: i32::try_from(self.per_location).unwrap_or(i32::MAX),
                lease: self.attempt_timeout + self.lease_margin,
                is_limited: self.is_limited,
            },
            slots: Arc::new(Semaphore::new(self.in_flight)),
            database: self.database,
            clients: self.clients,
            in_flight: self.in_flight,
            poll: self.poll,
            attempt_timeout: self.attempt_timeout,
            unknown: self.unknown,
            looks: self.looks,
            begun: begun.clone(),
            unreachable: AtomicU32::new(0),
        });
        let writer = tokio::spawn(write_results(shared.database.clone(), received, id, self.unknown, begun));
        let duties = tokio::spawn(super::duties::run(Arc::clone(&shared), stopping.clone()));
        let claiming = tokio::spawn(async move {
            claim_until_stopped(&shared, &results, stopping).await;
            // The writer ends when the last attempt has reported its result.
            drop(results);
            if writer.await.is_err() {
                tracing::error!("the writer of results panicked");
            }
            shared.database.worker_gone(shared.claims.sender).await;
        });
        Sender { id, stop, tasks: Some((claiming, duties)) }
    }
}

impl fmt::Debug for SenderBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SenderBuilder")
            .field("in_flight", &self.in_flight)
            .field("per_location", &self.per_location)
            .finish_non_exhaustive()
    }
}

/// A running sender. Dropping it stops it: messages that are being sent are still completed, if the runtime lives.
#[derive(Debug)]
pub struct Sender {
    id: Uuid,
    stop: watch::Sender<bool>,
    tasks: Option<(JoinHandle<()>, JoinHandle<()>)>,
}

impl Sender {
    /// Returns the id of this sender, as the messages that it sends record it.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// Claims no more messages, and waits until those that are being sent are completed and their results are written, or
    /// until the timeout. Call it on SIGTERM.
    ///
    /// Returns `true` if everything is completed.
    pub async fn drain(mut self, timeout: Duration) -> bool {
        self.stop.send_replace(true);
        let Some((claiming, duties)) = self.tasks.take() else { return true };
        let is_completed = tokio::time::timeout(timeout, claiming).await.is_ok();
        duties.abort();
        is_completed
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

/// The state that the tasks of a sender share.
pub(crate) struct Shared {
    pub(crate) database: Database,
    clients: Arc<dyn Clients>,
    pub(crate) claims: ClaimSettings,
    slots: Arc<Semaphore>,
    in_flight: usize,
    poll: Duration,
    attempt_timeout: Duration,
    pub(crate) unknown: UnknownPolicy,
    pub(crate) looks: Vec<Duration>,
    pub(crate) begun: Begun,
    /// Attempts in a row that did not reach the host.
    unreachable: AtomicU32,
}

/// Claims and sends until the sender is stopped, then waits for the attempts.
async fn claim_until_stopped(
    shared: &Arc<Shared>,
    results: &mpsc::UnboundedSender<Settlement>,
    mut stopping: watch::Receiver<bool>,
) {
    let mut attempts = JoinSet::new();
    while !*stopping.borrow() {
        while attempts.try_join_next().is_some() {}
        let pause = claim_once(shared, results, &mut attempts).await;
        if !pause.is_zero() {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = stopping.changed() => {}
            }
        }
    }
    while attempts.join_next().await.is_some() {}
}

/// Claims and starts messages. Returns the time until the next claim.
async fn claim_once(
    shared: &Arc<Shared>,
    results: &mpsc::UnboundedSender<Settlement>,
    attempts: &mut JoinSet<()>,
) -> Duration {
    let unreachable = shared.unreachable.load(Ordering::Relaxed);
    // While the host is unreachable, one message at a time finds out if it still is.
    let most = if unreachable > 0 { 1 } else { shared.in_flight };
    let free = shared.slots.available_permits().min(most);
    if free == 0 || unreachable > 0 && !attempts.is_empty() {
        return Duration::from_millis(2);
    }
    if shared.claims.is_limited
        && let Some(wait) = shared.database.inner.limiter.jumps.held_for(Instant::now())
    {
        return wait.min(Duration::from_secs(1));
    }
    let claimed = match claim(shared, free).await {
        Ok(claimed) => claimed,
        Err(error) => {
            match error.kind() {
                ErrorKind::NotAdopted => tracing::error!(%error, "nothing is sent"),
                ErrorKind::Quarantined => {
                    tracing::error!(%error, "nothing is sent");
                    reassert(shared).await;
                }
                _ => tracing::warn!(%error, "messages could not be claimed"),
            }
            return jitter(Duration::from_secs(1));
        }
    };
    let is_idle = claimed.is_empty();
    for message in claimed {
        shared.begun.started(message.id, message.attempt);
        // There are at least as many as were claimed: only this task takes them.
        let slot = Arc::clone(&shared.slots).try_acquire_owned().ok();
        let (shared, results) = (Arc::clone(shared), results.clone());
        attempts.spawn(async move {
            attempt(&shared, message, &results, slot).await;
        });
    }
    match unreachable {
        0 if is_idle => jitter(shared.poll),
        0 => Duration::ZERO,
        failures => jitter((FIRST_PAUSE * 2_u32.pow(failures.min(7) - 1)).min(LONGEST_PAUSE)),
    }
}

async fn claim(shared: &Shared, most: usize) -> crate::Result<Vec<Claimed>> {
    let database = &shared.database;
    tracing::trace!(point = "claiming");
    database.stage().await?;
    let (number, start) = (shared.begun.next_claim(), Instant::now());
    let claimed = database.claim(&shared.claims, number, most).await;
    shared.begun.claimed(start.elapsed());
    match claimed {
        Ok(claimed) => {
            tracing::trace!(point = "claimed", messages = claimed.len());
            Ok(claimed)
        }
        Err(error) => {
            shared.begun.lost_claim(number);
            Err(error)
        }
    }
}

/// Writes the recent attempts of this process, because the failover may have lost them.
async fn reassert(shared: &Shared) {
    match shared.database.reassert(shared.claims.sender, &shared.begun).await {
        Ok(0) => {}
        Ok(count) => tracing::warn!(count, "attempts that the failover had lost are recorded again"),
        Err(error) => tracing::warn!(%error, "attempts could not be recorded again; it is repeated"),
    }
}

/// Sends one message and reports the result.
///
/// The slot is free when the result is written: a crash leaves at most as many unknown outcomes as there are slots.
async fn attempt(
    shared: &Arc<Shared>,
    message: Claimed,
    results: &mpsc::UnboundedSender<Settlement>,
    slot: Option<OwnedSemaphorePermit>,
) {
    let (id, attempt, location) = (message.id, message.attempt, message.location.clone());
    let span = tracing::info_span!(
        "highlevel.outbox.send",
        messaging.operation.type = "send",
        messaging.message.id = id,
        http.request.resend_count = attempt - 1,
        location = %location,
        traceparent = message.trace.as_deref(),
    );
    // On a task: a panic in a client of the caller loses no other message.
    let sending = tokio::spawn(send(Arc::clone(shared), message).instrument(span));
    let result = sending.await.unwrap_or(SendResult::Aborted);
    tracing::trace!(point = "attempted", id);
    let decision = result.decide();
    match decision.consequence {
        Consequence::PauseSender => {
            shared.unreachable.fetch_add(1, Ordering::Relaxed);
        }
        Consequence::None | Consequence::HoldLocation(_) => shared.unreachable.store(0, Ordering::Relaxed),
    }
    // The receiver lives as long as this sender.
    let _ = results.send(Settlement { id, attempt, location, result, decision, slot });
}

async fn send(shared: Arc<Shared>, message: Claimed) -> SendResult {
    let request = match OutgoingRequest::from_stored(&message.operation, message.request) {
        Ok(request) => request,
        Err(text) => return SendResult::Unreadable(text),
    };
    let client = shared.clients.client(&LocationId::from(message.location.as_str()));
    let client = client
        .with_attempt_timeout(shared.attempt_timeout)
        .with_call_timeout(shared.attempt_timeout)
        .with_begin_before(message.expiry.monotonic())
        // Another attempt is another claim; a rejected token is refreshed before.
        .with_retry_policy(RetryPolicy::none().refresh_on_401(true));
    let permit = shared.database.granted_permit(&message.location, message.expiry);
    tracing::trace!(point = "sending", id = message.id);
    match with_permit(&message.location, permit, request.send(&client)).await {
        Ok(accepted) => SendResult::Accepted(accepted),
        Err(error) => {
            tracing::debug!(%error, id = message.id, "an attempt failed");
            SendResult::Failed(Failure::from(&error))
        }
    }
}

/// Varies a pause, so that several processes do not ask at the same time.
pub(crate) fn jitter(pause: Duration) -> Duration {
    pause.mul_f64(0.75 + 0.5 * fastrand::f64())
}
