//! Senders: they claim messages and send them, in any number of processes.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::Outbox;
use super::begun::Begun;
use super::claim::ClaimSettings;
use super::clients::Clients;
use super::duties;
use super::look::LookSchedule;
use super::reading::PAUSE;
use super::sending::{Shared, claim_until_stopped};
use super::settle::{UnknownPolicy, write_results};
use crate::database::Database;

/// After these times, evidence for an unknown outcome is looked for once more.
const LOOKS: [Duration; 3] = [Duration::from_secs(30), Duration::from_secs(120), Duration::from_secs(900)];

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
    looks: LookSchedule,
    read_pause: Duration,
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
            looks: LookSchedule { pauses: LOOKS.to_vec(), reads_back: true },
            read_pause: PAUSE,
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
    /// later is compared when it arrives.
    ///
    /// The second look and the following ones read the messages of the contact back from the API.
    pub fn look_schedule(mut self, times: impl IntoIterator<Item = Duration>) -> Self {
        self.looks.pauses = times.into_iter().collect();
        self
    }

    /// Does not read back messages whose outcome is unknown: only events are evidence.
    ///
    /// Reading back needs the scopes `conversations.readonly` and `conversations/message.readonly`, and usually takes three requests
    /// for each look at a message. They count against the limits. One message of a location is read back at a time, with a
    /// [pause](Self::read_back_pause).
    pub fn without_reading_back(mut self) -> Self {
        self.looks.reads_back = false;
        self
    }

    /// Sets the pause between two messages of a location that are read back. Defaults to 2 seconds.
    pub fn read_back_pause(mut self, pause: Duration) -> Self {
        self.read_pause = pause;
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
            lease_margin: self.lease_margin,
            read_pause: self.read_pause,
            unknown: self.unknown,
            looks: self.looks,
            begun: begun.clone(),
            unreachable: AtomicU32::new(0),
        });
        let writer = tokio::spawn(write_results(shared.database.clone(), received, id, self.unknown, begun));
        let duties = tokio::spawn(duties::run(Arc::clone(&shared), stopping.clone()));
        let claiming = tokio::spawn(async move {
            claim_until_stopped(&shared, &results, stopping).await;
            // The writer ends when the last attempt has reported its result.
            drop(results);
            if writer.await.is_err() {
                tracing::error!("the writer of results panicked");
            }
            shared.database.flush_returns().await;
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
