//! Readers: they handle events, in any number of processes.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, SystemTime};

use deadpool_postgres::Transaction;
use highlevel::webhook::{Event, Receiver, Verified};
use http::{HeaderMap, HeaderValue};
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_postgres::types::Type;

use super::Inbox;
use super::accept::SIGNATURES;
use crate::database::Database;
use crate::error::{Error, Result};
use crate::text;
use crate::time::jitter;

/// The pause after the first failure. It doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(10 * 60);
const MAINTENANCE: Duration = Duration::from_secs(60);

/// An error returned by a handler. The event is handled again later.
pub type HandlerError = Box<dyn std::error::Error + Send + Sync>;

/// The future of a handler.
pub type HandlerFuture<'a> = Pin<Box<dyn Future<Output = Result<(), HandlerError>> + Send + 'a>>;

/// Handles events. Implemented for functions that return a boxed future.
pub trait Handler: Send + Sync + 'static {
    /// Handles an event. Writes through `transaction`, messages that are enqueued in it, and the removal of the event commit
    /// together, or not at all: an event whose handler fails is handled again.
    fn handle<'a>(
        &'a self,
        event: &'a Verified<Event>,
        transaction: &'a mut Transaction<'_>,
    ) -> HandlerFuture<'a>;
}

impl<F> Handler for F
where
    F: for<'a> Fn(&'a Verified<Event>, &'a mut Transaction<'_>) -> HandlerFuture<'a> + Send + Sync + 'static,
{
    fn handle<'a>(
        &'a self,
        event: &'a Verified<Event>,
        transaction: &'a mut Transaction<'_>,
    ) -> HandlerFuture<'a> {
        self(event, transaction)
    }
}

/// Builds a [`Reader`]. From [`Inbox::reader`].
#[must_use = "a reader is started by `start`"]
pub struct ReaderBuilder {
    inbox: Inbox,
    handler: Arc<dyn Handler>,
    settings: ReaderSettings,
}

#[derive(Debug, Clone, Copy)]
struct ReaderSettings {
    concurrency: usize,
    attempts: i32,
    lease: Duration,
    poll: Duration,
    first_pause: Duration,
}

impl Inbox {
    /// Starts building a reader.
    ///
    /// ```no_run
    /// # async fn example(database: highlevel_postgres::Database, receiver: highlevel::webhook::Receiver) {
    /// use highlevel::Sms;
    /// use highlevel::webhook::Event;
    /// use highlevel_postgres::Outgoing;
    ///
    /// let reader = database.inbox(receiver).reader(|event, transaction| Box::pin(async move {
    ///     if let Event::InboundMessage(message) = event.event()
    ///         && let (Some(location), Some(contact)) = (&message.location_id, &message.contact_id)
    ///     {
    ///         Outgoing::new(location, Sms::to(contact).text("Thank you")).enqueue(transaction).await?;
    ///     }
    ///     Ok(())
    /// })).start();
    /// # }
    /// ```
    pub fn reader<F>(&self, handler: F) -> ReaderBuilder
    where
        F: for<'a> Fn(&'a Verified<Event>, &'a mut Transaction<'_>) -> HandlerFuture<'a>
            + Send
            + Sync
            + 'static,
    {
        self.reader_with(handler)
    }

    /// Starts building a reader with a [`Handler`] that is no function.
    pub fn reader_with(&self, handler: impl Handler) -> ReaderBuilder {
        let settings = ReaderSettings {
            concurrency: 8,
            attempts: 8,
            lease: Duration::from_secs(60),
            poll: Duration::from_millis(100),
            first_pause: FIRST_PAUSE,
        };
        ReaderBuilder { inbox: self.clone(), handler: Arc::new(handler), settings }
    }
}

impl ReaderBuilder {
    /// Sets the number of events that are handled at the same time, each on a connection. Defaults to 8.
    pub fn concurrency(mut self, events: usize) -> Self {
        self.settings.concurrency = events.clamp(1, 1_000);
        self
    }

    /// Sets the number of attempts after which an event gets to the desk. Defaults to 8.
    pub fn attempts(mut self, attempts: u16) -> Self {
        self.settings.attempts = i32::from(attempts.max(1));
        self
    }

    /// Sets the time after which an event is handled again if its process was killed. Handlers that take longer are rolled
    /// back. Defaults to 60 seconds.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.settings.lease = lease;
        self
    }

    /// Sets how often an idle reader looks for events. Defaults to 100 ms.
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.settings.poll = interval.max(Duration::from_millis(1));
        self
    }

    /// Sets the pause after the first failure. It doubles with each further one, up to 10 minutes. Defaults to 1 second.
    pub fn first_pause(mut self, pause: Duration) -> Self {
        self.settings.first_pause = pause;
        self
    }

    /// Starts the reader, as a task of the current tokio runtime.
    pub fn start(self) -> Reader {
        let (stop, stopping) = watch::channel(false);
        let shared = Arc::new(Shared {
            database: self.inbox.database,
            receiver: self.inbox.receiver,
            handler: self.handler,
            settings: self.settings,
        });
        Reader { stop, task: Some(tokio::spawn(read_until_stopped(shared, stopping))) }
    }
}

impl fmt::Debug for ReaderBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReaderBuilder").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// A running reader. Dropping it stops it after the events in progress.
#[derive(Debug)]
pub struct Reader {
    stop: watch::Sender<bool>,
    task: Option<JoinHandle<()>>,
}

impl Reader {
    /// Starts no more handlers, and waits for those in progress, or until the timeout. Call it on SIGTERM.
    ///
    /// Returns `true` if everything is completed.
    pub async fn drain(mut self, timeout: Duration) -> bool {
        self.stop.send_replace(true);
        match self.task.take() {
            Some(task) => tokio::time::timeout(timeout, task).await.is_ok(),
            None => true,
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

struct Shared {
    database: Database,
    receiver: Receiver,
    handler: Arc<dyn Handler>,
    settings: ReaderSettings,
}

/// A claimed event.
struct Claimed {
    id: i64,
    attempt: i32,
    headers: Value,
    body: Vec<u8>,
    received_at: SystemTime,
}

async fn read_until_stopped(shared: Arc<Shared>, mut stopping: watch::Receiver<bool>) {
    let mut handlers = JoinSet::new();
    let mut maintenance = tokio::time::interval(MAINTENANCE);
    while !*stopping.borrow() {
        while handlers.try_join_next().is_some() {}
        let free = shared.settings.concurrency.saturating_sub(handlers.len());
        let pause = match shared.claim(free).await {
            Ok(claimed) if claimed.is_empty() => jitter(shared.settings.poll),
            Ok(claimed) => {
                tracing::trace!(point = "claimed events", events = claimed.len());
                for event in claimed {
                    let shared = Arc::clone(&shared);
                    handlers.spawn(async move { shared.handle(event).await });
                }
                Duration::ZERO
            }
            Err(error) => {
                tracing::warn!(%error, "events could not be claimed");
                jitter(Duration::from_secs(1))
            }
        };
        let is_full = handlers.len() >= shared.settings.concurrency;
        tokio::select! {
            _ = stopping.changed() => {}
            _ = maintenance.tick() => {
                if let Err(error) = shared.database.maintain().await {
                    tracing::debug!(%error, "maintenance failed; it is repeated");
                }
            }
            _ = handlers.join_next(), if is_full => {}
            () = tokio::time::sleep(pause), if !is_full => {}
        }
    }
    while handlers.join_next().await.is_some() {}
}

impl Shared {
    async fn claim(&self, most: usize) -> Result<Vec<Claimed>> {
        if most == 0 {
            return Ok(Vec::new());
        }
        let most = i32::try_from(most).unwrap_or(i32::MAX);
        let lease = self.settings.lease.as_secs_f64();
        let rows = self
            .database
            .query(
                "SELECT id, attempts, headers, body, received_at
                     FROM highlevel.claim_events_v1($1, $2 * interval '1 second', $3)",
                &[(&most, Type::INT4), (&lease, Type::FLOAT8), (&self.settings.attempts, Type::INT4)],
            )
            .await?;
        let read = |row: &tokio_postgres::Row| {
            Ok(Claimed {
                id: row.try_get(0)?,
                attempt: row.try_get(1)?,
                headers: row.try_get(2)?,
                body: row.try_get(3)?,
                received_at: row.try_get(4)?,
            })
        };
        rows.iter().map(read).collect()
    }

    /// Handles an event, and records a failure.
    async fn handle(&self, event: Claimed) {
        let (id, attempt) = (event.id, event.attempt);
        let handled = tokio::time::timeout(self.settings.lease, self.handle_in_transaction(event));
        let problem = match handled.await {
            Ok(Ok(())) => return,
            Ok(Err(problem)) => problem,
            Err(_) => "the handler took longer than the lease of its event".into(),
        };
        tracing::warn!(id, attempt, error = %problem, "an event was not handled");
        let pause = (attempt < self.settings.attempts).then(|| self.pause_after(attempt).as_secs_f64());
        let recorded = self
            .database
            .query(
                "SELECT highlevel.failed_event_v1($1, $2, $3 * interval '1 second', $4)",
                &[
                    (&id, Type::INT8),
                    (&attempt, Type::INT4),
                    (&pause, Type::FLOAT8),
                    (&text::storable(&problem.to_string()), Type::TEXT),
                ],
            )
            .await;
        if let Err(error) = recorded {
            // Its lease ends.
            tracing::warn!(id, %error, "the failure of a handler could not be recorded");
        }
    }

    fn pause_after(&self, attempt: i32) -> Duration {
        let doublings = u32::try_from(attempt - 1).unwrap_or_default().min(20);
        jitter(self.settings.first_pause.saturating_mul(1 << doublings).min(LONGEST_PAUSE))
    }

    async fn handle_in_transaction(&self, claimed: Claimed) -> Result<(), HandlerError> {
        let (id, attempt) = (claimed.id, claimed.attempt);
        let mut client = self.database.client().await?;
        let mut transaction = client.transaction().await?;
        // Locked until the commit: another process does not take it, even if the lease ends.
        let sql = "DELETE FROM highlevel.inbox WHERE id = $1 AND attempts = $2 AND state = 'h' RETURNING 1";
        let removed = transaction.query_typed(sql, &[(&id, Type::INT8), (&attempt, Type::INT4)]).await?;
        if removed.is_empty() {
            return Err("the lease of the event ended before it was handled".into());
        }
        let event = self.verify(claimed)?;
        tracing::trace!(point = "handling", id);
        catch_panic(self.handler.handle(&event, &mut transaction)).await?;
        tracing::trace!(point = "handled", id);
        transaction.commit().await?;
        tracing::trace!(point = "committed", id);
        Ok(())
    }

    /// Verifies the event as it was when it was received.
    fn verify(&self, claimed: Claimed) -> Result<Verified<Event>> {
        let mut headers = HeaderMap::new();
        for name in SIGNATURES {
            if let Some(value) =
                claimed.headers[name].as_str().and_then(|value| HeaderValue::from_str(value).ok())
            {
                headers.insert(name, value);
            }
        }
        self.receiver
            .verify(&headers, claimed.body, claimed.received_at)
            .map_err(|error| Error::invalid(format!("the stored event is not valid: {error}")))
    }
}

/// Turns a panic into an error.
async fn catch_panic(mut handling: HandlerFuture<'_>) -> Result<(), HandlerError> {
    std::future::poll_fn(|context| {
        let poll = catch_unwind(AssertUnwindSafe(|| handling.as_mut().poll(context)));
        poll.unwrap_or_else(|_| Poll::Ready(Err("the handler panicked".into())))
    })
    .await
}
