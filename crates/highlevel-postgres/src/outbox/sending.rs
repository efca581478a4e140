//! The loop of a sender: it claims messages, and sends each in a task.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use highlevel::{LocationId, RetryPolicy};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tracing::Instrument;

use super::begun::Begun;
use super::claim::{ClaimSettings, Claimed};
use super::clients::Clients;
use super::look::LookSchedule;
use super::outcome::{Consequence, Failure, SendResult};
use super::request::OutgoingRequest;
use super::settle::{Settlement, UnknownPolicy};
use crate::database::Database;
use crate::error::ErrorKind;
use crate::limiter::with_permit;
use crate::time::jitter;

const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The state that the tasks of a sender share.
pub(crate) struct Shared {
    pub(crate) database: Database,
    pub(crate) clients: Arc<dyn Clients>,
    pub(crate) claims: ClaimSettings,
    pub(crate) slots: Arc<Semaphore>,
    pub(crate) in_flight: usize,
    pub(crate) poll: Duration,
    pub(crate) attempt_timeout: Duration,
    pub(crate) lease_margin: Duration,
    pub(crate) read_pause: Duration,
    pub(crate) unknown: UnknownPolicy,
    pub(crate) looks: LookSchedule,
    pub(crate) begun: Begun,
    /// Attempts in a row that did not reach the host.
    pub(crate) unreachable: AtomicU32,
}

/// Claims and sends until the sender is stopped, then waits for the attempts.
pub(super) async fn claim_until_stopped(
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
        .with_begin_before(message.permit.expiry.monotonic())
        // Another attempt is another claim; a rejected token is refreshed before.
        .with_retry_policy(RetryPolicy::none().refresh_on_401(true));
    let permit = shared.database.granted_permit(&message.location, message.permit);
    tracing::trace!(point = "sending", id = message.id);
    match with_permit(&message.location, permit, request.send(&client)).await {
        Ok(accepted) => SendResult::Accepted(accepted),
        Err(error) => {
            tracing::debug!(%error, id = message.id, "an attempt failed");
            SendResult::Failed(Failure::from(&error))
        }
    }
}
