//! Limits on open connections and on bytes in flight.
//!
//! When a limit is reached, the connection that has made no progress for the longest time is closed. A stalled client
//! therefore cannot exclude other clients.

mod body;
mod in_flight_body;
mod stream;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use crate::sync::lock;
pub(crate) use axum::body::Body;
pub(crate) use body::{MAX_BODY, Received, receive};
pub(crate) use in_flight_body::InFlightBody;
pub(crate) use stream::TrackedStream;

/// The default maximum number of open connections.
pub(crate) const MAX_CONNECTIONS: usize = 10_000;

/// The maximum size of all request and response bodies in flight, in bytes.
pub(crate) const MAX_BYTES: usize = 160 * 1024 * 1024;
/// The size up to which bodies are not counted, because the number of connections limits them.
pub(crate) const FREE_BYTES: usize = 16 * 1024;
/// The time without progress after which a connection with a request can be closed, in milliseconds.
const STALLED: u64 = 50;
/// The time without progress after which a connection without a request can be closed, in milliseconds.
const IDLE: u64 = 1_000;
/// The maximum time that a response waits for capacity.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(1);
/// The interval between attempts to close a stalled connection.
const RETRY: Duration = Duration::from_millis(20);

/// All connections of a sandbox.
#[derive(Debug)]
pub(crate) struct Traffic {
    max_connections: usize,
    start: OnceLock<Instant>,
    inner: Mutex<Inner>,
    /// Notified when a connection ends or bytes are released.
    freed: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    open: BTreeMap<u64, Arc<Activity>>,
    next: u64,
    bytes: usize,
    closed: u64,
}

/// The current usage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) connections: usize,
    pub(crate) max_connections: usize,
    pub(crate) bytes: usize,
    /// The number of connections closed to free capacity.
    pub(crate) closed: u64,
}

/// The activity of one connection.
#[derive(Debug)]
struct Activity {
    phase: AtomicU8,
    /// The time of the last progress of the client, in milliseconds since `Traffic::start`.
    progress: AtomicU64,
    /// The client has sent data since the last response. Data that was sent before does not count as progress: a client that
    /// pipelines requests without reading responses makes none.
    is_fresh: AtomicBool,
    bytes: AtomicUsize,
    /// The connection was selected to be closed.
    is_closing: AtomicBool,
    /// The value of `progress` at that time. If it has changed since, the connection stays open.
    progress_at_closing: AtomicU64,
    close: Notify,
}

/// The party that a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The client, which sends a request or reads a response.
    Client,
    /// The client, which may send another request.
    Idle,
    /// The sandbox. The connection is not closed to free capacity.
    Sandbox,
    /// The client, which reads the rest of a response.
    Flushing,
}

impl From<u8> for Phase {
    fn from(phase: u8) -> Self {
        match phase {
            0 => Self::Client,
            1 => Self::Idle,
            2 => Self::Sandbox,
            _ => Self::Flushing,
        }
    }
}

/// An open connection, counted until it is dropped.
#[derive(Debug)]
pub(crate) struct Connection {
    traffic: Arc<Traffic>,
    activity: Arc<Activity>,
    id: u64,
}

/// Bytes in flight, released when this is dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    traffic: Arc<Traffic>,
    activity: Arc<Activity>,
    bytes: usize,
}

impl Traffic {
    pub(crate) fn new(max_connections: usize) -> Self {
        Self { max_connections, start: OnceLock::new(), inner: Mutex::default(), freed: Notify::new() }
    }

    pub(crate) fn usage(&self) -> Usage {
        let inner = lock(&self.inner);
        Usage {
            connections: inner.open.len(),
            max_connections: self.max_connections,
            bytes: inner.bytes,
            closed: inner.closed,
        }
    }

    /// Waits for capacity for an accepted connection.
    pub(super) async fn admit(self: &Arc<Self>) -> Connection {
        loop {
            let freed = self.freed.notified();
            {
                let mut inner = lock(&self.inner);
                if inner.open.len() < self.max_connections {
                    let id = inner.next;
                    inner.next += 1;
                    let activity = Arc::new(Activity {
                        phase: AtomicU8::new(Phase::Client as u8),
                        progress: AtomicU64::new(self.now()),
                        is_fresh: AtomicBool::new(true),
                        bytes: AtomicUsize::new(0),
                        is_closing: AtomicBool::new(false),
                        progress_at_closing: AtomicU64::new(0),
                        close: Notify::new(),
                    });
                    inner.open.insert(id, Arc::clone(&activity));
                    return Connection { traffic: Arc::clone(self), activity, id };
                }
            }
            self.close_stalest(false);
            // Retry after the timeout, too: another connection may have stalled by then.
            let _ = timeout(RETRY, freed).await;
        }
    }

    /// Closes the connection that has made no progress for the longest time, if one has stalled. With `with_bytes`, only
    /// connections that hold bytes in flight are considered. Connections with a request are closed before idle ones.
    pub(super) fn close_stalest(&self, with_bytes: bool) {
        let now = self.now();
        let inner = lock(&self.inner);
        let candidates = inner.open.values().filter(|each| {
            let stalled_for = now.saturating_sub(each.progress.load(Ordering::Relaxed));
            let has_stalled = match each.phase() {
                Phase::Client | Phase::Flushing => stalled_for >= STALLED,
                Phase::Idle => stalled_for >= IDLE,
                Phase::Sandbox => false,
            };
            has_stalled
                && !each.is_closing.load(Ordering::Relaxed)
                && (!with_bytes || each.bytes.load(Ordering::Relaxed) > 0)
        });
        let stalest = candidates
            .min_by_key(|each| (each.phase() == Phase::Idle, each.progress.load(Ordering::Relaxed)));
        if let Some(stalest) = stalest.cloned() {
            stalest.progress_at_closing.store(stalest.progress.load(Ordering::Relaxed), Ordering::Relaxed);
            stalest.is_closing.store(true, Ordering::Relaxed);
            stalest.close.notify_one();
        }
    }

    /// Resolves when all connections are closed.
    pub(super) async fn all_closed(&self) {
        loop {
            let freed = self.freed.notified();
            if lock(&self.inner).open.is_empty() {
                return;
            }
            let _ = timeout(RETRY, freed).await;
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.get_or_init(Instant::now).elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn free(&self, bytes: usize) {
        lock(&self.inner).bytes -= bytes;
        self.freed.notify_waiters();
    }
}

impl Activity {
    fn phase(&self) -> Phase {
        self.phase.load(Ordering::Relaxed).into()
    }
}

impl Connection {
    /// Sets the phase of the connection.
    pub(super) fn enter(&self, phase: Phase) {
        self.activity.phase.store(phase as u8, Ordering::Relaxed);
        if self.is_fresh() {
            self.note_progress();
        }
    }

    /// Returns `true` if the client has sent data since the last response.
    pub(super) fn is_fresh(&self) -> bool {
        self.activity.is_fresh.load(Ordering::Relaxed)
    }

    fn note_progress(&self) {
        self.activity.progress.store(self.traffic.now(), Ordering::Relaxed);
    }

    /// Resolves when the connection must be closed to free capacity. Poll the stream before this future, so that progress of
    /// the client is noticed first.
    pub(super) async fn closed(&self) {
        let activity = &self.activity;
        loop {
            activity.close.notified().await;
            let at_closing = activity.progress_at_closing.load(Ordering::Relaxed);
            if activity.phase() != Phase::Sandbox && activity.progress.load(Ordering::Relaxed) == at_closing {
                lock(&self.traffic.inner).closed += 1;
                return;
            }
            activity.is_closing.store(false, Ordering::Relaxed);
        }
    }

    /// Waits for capacity for bytes in flight. Reserves at most [`MAX_BYTES`].
    pub(crate) async fn reserve(&self, bytes: usize) -> Reservation {
        let mut reservation = self.empty_reservation();
        reservation.grow(bytes).await;
        reservation
    }

    /// Reserves the bytes of a response. Waits for other clients for a limited time only, because the next long operation may
    /// wait for this response.
    pub(super) async fn reserve_response(&self, received: Option<Reservation>, bytes: usize) -> Reservation {
        let mut reservation = received.unwrap_or_else(|| self.empty_reservation());
        let more = bytes.saturating_sub(reservation.bytes);
        // The request body is dropped by now, so the response reuses its capacity.
        if reservation.bytes > 0 || timeout(RESPONSE_TIMEOUT, reservation.grow(more)).await.is_err() {
            reservation.add(more);
        }
        reservation
    }

    fn empty_reservation(&self) -> Reservation {
        Reservation { traffic: Arc::clone(&self.traffic), activity: Arc::clone(&self.activity), bytes: 0 }
    }
}

impl Reservation {
    /// Reserves bytes even if the limit is exceeded.
    fn add(&mut self, bytes: usize) {
        lock(&self.traffic.inner).bytes += bytes;
        self.bytes += bytes;
        self.activity.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Waits for capacity for more bytes.
    pub(crate) async fn grow(&mut self, bytes: usize) {
        let bytes = bytes.min(MAX_BYTES - self.bytes.min(MAX_BYTES));
        loop {
            let freed = self.traffic.freed.notified();
            {
                let mut inner = lock(&self.traffic.inner);
                if inner.bytes + bytes <= MAX_BYTES {
                    inner.bytes += bytes;
                    self.bytes += bytes;
                    self.activity.bytes.fetch_add(bytes, Ordering::Relaxed);
                    return;
                }
            }
            self.traffic.close_stalest(true);
            let _ = timeout(RETRY, freed).await;
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.activity.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.traffic.free(self.bytes);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        lock(&self.traffic.inner).open.remove(&self.id);
        self.traffic.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests;
