//! The connections that are open, and the bytes that are on their way through them.
//!
//! Both are bounded. What is full makes room by closing the connection that has gone longest without progress: a client
//! that sends or reads nothing loses its connection before it keeps another one out.

mod body;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use std::{io, mem};

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep, sleep, timeout};

use crate::sync::lock;
pub(crate) use body::{MAX_BODY, Received, receive};

/// The body of a response.
pub(crate) type Body = BoxBody<Bytes, Infallible>;
/// The most connections at once by default.
pub(crate) const MAX_CONNECTIONS: usize = 10_000;

/// How many bytes of bodies may be on their way at once, received and sent together.
pub(crate) const MAX_BYTES: usize = 160 * 1024 * 1024;
/// Bodies that are not longer are not counted: the number of connections bounds them.
pub(crate) const FREE_BYTES: usize = 16 * 1024;
/// How many milliseconds a client that is sending or reading has to be without progress before its connection can be closed
/// for another one.
const STALLED: u64 = 50;
/// The same for a connection without a request.
const IDLE: u64 = 1_000;
/// How long a response waits for others to make room.
const RESPONSE_PATIENCE: Duration = Duration::from_secs(1);
/// How long to wait before looking again for something that can be closed.
const RETRY: Duration = Duration::from_millis(20);

/// All connections of a sandbox.
#[derive(Debug)]
pub(crate) struct Traffic {
    max_connections: usize,
    start: OnceLock<Instant>,
    inner: Mutex<Inner>,
    /// A connection has ended, or bytes are free again.
    freed: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    open: BTreeMap<u64, Arc<Activity>>,
    next: u64,
    bytes: usize,
    closed: u64,
}

/// How much there is of what is bounded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) connections: usize,
    pub(crate) max_connections: usize,
    pub(crate) bytes: usize,
    /// How many connections were closed for others.
    pub(crate) closed: u64,
}

/// What one connection is doing.
#[derive(Debug)]
struct Activity {
    phase: AtomicU8,
    /// Milliseconds from `Traffic::start` to when the client last sent or took something.
    progress: AtomicU64,
    /// The client has sent something since the last response. What it had sent before that is no progress: a client that
    /// sends many requests and reads no response makes none.
    is_fresh: AtomicBool,
    bytes: AtomicUsize,
    /// It is to be closed, if it has made no progress since then.
    is_closing: AtomicBool,
    progress_at_closing: AtomicU64,
    close: Notify,
}

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// For the client: the head or the body of a request, or that it reads.
    Client,
    /// For the next request, if there is one.
    Idle,
    /// For the sandbox. It is not closed for others.
    Sandbox,
    /// For the client to take what is left of a response.
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

/// One connection. It counts until this is dropped.
#[derive(Debug)]
pub(crate) struct Connection {
    traffic: Arc<Traffic>,
    activity: Arc<Activity>,
    id: u64,
}

/// Bytes that are on their way until this is dropped.
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

    /// Counts a connection that was accepted, as soon as it is not one too many.
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
            // Whether it is free by then or not: there may be another one to close.
            let _ = timeout(RETRY, freed).await;
        }
    }

    /// Closes the connection that has gone longest without progress, if one has for long enough: of those that hold
    /// bytes, if that is what is short. One whose client owes something goes before one that only waits.
    pub(super) fn close_stalest(&self, with_bytes: bool) {
        let now = self.now();
        let inner = lock(&self.inner);
        let candidates = inner.open.values().filter(|each| {
            let silent = now.saturating_sub(each.progress.load(Ordering::Relaxed));
            let has_stalled = match each.phase() {
                Phase::Client | Phase::Flushing => silent >= STALLED,
                Phase::Idle => silent >= IDLE,
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

    /// Resolves when no connection is open any more.
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
    /// Notes what the connection waits for from now on.
    pub(super) fn enter(&self, phase: Phase) {
        self.activity.phase.store(phase as u8, Ordering::Relaxed);
        if self.is_fresh() {
            self.note_progress();
        }
    }

    /// Returns `true` unless the next request was there before the last response was.
    pub(super) fn is_fresh(&self) -> bool {
        self.activity.is_fresh.load(Ordering::Relaxed)
    }

    fn note_progress(&self) {
        self.activity.progress.store(self.traffic.now(), Ordering::Relaxed);
    }

    /// Resolves when it is to be closed, to make room for another one. The sandbox may have been too busy to notice what the
    /// client did: what it has to be polled for has to be polled just before this.
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

    /// Waits until so many bytes more may be on their way. More than there can be are as many as there can be.
    pub(crate) async fn reserve(&self, bytes: usize) -> Reservation {
        let mut reservation = self.reserve_nothing();
        reservation.grow(bytes).await;
        reservation
    }

    /// Counts the bytes of a response. It waits for other clients, but not for ever: what the sandbox itself has to deal with
    /// next may wait for this.
    pub(super) async fn reserve_response(&self, received: Option<Reservation>, bytes: usize) -> Reservation {
        let mut reservation = received.unwrap_or_else(|| self.reserve_nothing());
        let more = bytes.saturating_sub(reservation.bytes);
        // What was received is dropped by now: usually this takes its place.
        if reservation.bytes > 0 || timeout(RESPONSE_PATIENCE, reservation.grow(more)).await.is_err() {
            reservation.add(more);
        }
        reservation
    }

    fn reserve_nothing(&self) -> Reservation {
        Reservation { traffic: Arc::clone(&self.traffic), activity: Arc::clone(&self.activity), bytes: 0 }
    }
}

impl Reservation {
    /// Counts bytes whether there is room or not.
    fn add(&mut self, bytes: usize) {
        lock(&self.traffic.inner).bytes += bytes;
        self.bytes += bytes;
        self.activity.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Waits until so many bytes more may be on their way.
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

/// A stream that notes progress, and ends if the client takes nothing for too long.
#[derive(Debug)]
pub(super) struct TrackedStream {
    stream: TcpStream,
    connection: Arc<Connection>,
    write_timeout: Duration,
    stall: Option<Pin<Box<Sleep>>>,
    /// There was nothing to read when it was tried.
    has_waited: bool,
}

impl TrackedStream {
    pub(super) fn new(stream: TcpStream, connection: Arc<Connection>, write_timeout: Duration) -> Self {
        Self { stream, connection, write_timeout, stall: None, has_waited: true }
    }

    /// As [`Connection::enter`].
    pub(super) fn enter(&self, phase: Phase) {
        self.connection.enter(phase);
    }

    pub(super) fn get_ref(&self) -> &TcpStream {
        &self.stream
    }

    /// What was written, or the error if nothing was for too long.
    fn watch(
        &mut self,
        written: Poll<io::Result<usize>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(result) => {
                // Either it had to be waited for the client, or it fits into the buffers of the machine.
                if self.stall.take().is_some() || self.connection.is_fresh() {
                    self.connection.note_progress();
                }
                Poll::Ready(result)
            }
            Poll::Pending => {
                let after = self.write_timeout;
                let stall = self.stall.get_or_insert_with(|| Box::pin(sleep(after)));
                ready!(stall.as_mut().poll(context));
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client reads nothing")))
            }
        }
    }
}

impl AsyncRead for TrackedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if read.is_pending() {
            self.has_waited = true;
        } else if buffer.filled().len() > before {
            let has_waited = mem::take(&mut self.has_waited);
            let activity = &self.connection.activity;
            if has_waited {
                activity.is_fresh.store(true, Ordering::Relaxed);
            }
            // The next request has begun.
            let (idle, client) = (Phase::Idle as u8, Phase::Client as u8);
            let _ = activity.phase.compare_exchange(idle, client, Ordering::Relaxed, Ordering::Relaxed);
            if self.connection.is_fresh() {
                self.connection.note_progress();
            }
        }
        read
    }
}

impl AsyncWrite for TrackedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(written, context)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Everything that there was is written by now.
        let phase = &self.connection.activity.phase;
        let (flushing, idle) = (Phase::Flushing as u8, Phase::Idle as u8);
        let _ = phase.compare_exchange(flushing, idle, Ordering::Relaxed, Ordering::Relaxed);
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.watch(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

/// A body whose bytes are on their way until they are written.
pub(super) struct Sent<B> {
    pub(super) body: B,
    pub(super) reservation: Option<Reservation>,
    pub(super) connection: Arc<Connection>,
}

/// Bytes that count until they are written.
struct Counted {
    bytes: Bytes,
    _reservation: Reservation,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl<B: http_body::Body<Data = Bytes> + Unpin> http_body::Body for Sent<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, B::Error>>> {
        let this = &mut *self;
        let frame = ready!(Pin::new(&mut this.body).poll_frame(context));
        Poll::Ready(frame.map(|frame| {
            frame.map(|frame| {
                // What has a length that is known comes in one piece.
                frame.map_data(|bytes| match this.reservation.take() {
                    Some(reservation) => Bytes::from_owner(Counted { bytes, _reservation: reservation }),
                    None => bytes,
                })
            })
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

impl<B> Drop for Sent<B> {
    fn drop(&mut self) {
        self.connection.enter(Phase::Flushing);
        self.connection.activity.is_fresh.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn millis(millis: u64) {
        tokio::time::advance(Duration::from_millis(millis)).await;
    }

    fn is_closing(connection: &Connection) -> bool {
        connection.activity.is_closing.load(Ordering::Relaxed)
    }

    #[tokio::test(start_paused = true)]
    async fn the_connection_that_has_stalled_longest_makes_room() {
        let traffic = Arc::new(Traffic::new(3));
        let busy = traffic.admit().await;
        busy.enter(Phase::Sandbox);
        let idle = traffic.admit().await;
        idle.enter(Phase::Idle);
        let slow = traffic.admit().await;
        millis(500).await;
        let (next, ()) = tokio::join!(traffic.admit(), async {
            slow.closed().await;
            assert!(!is_closing(&busy) && !is_closing(&idle));
            drop(slow);
        });
        // The next one is in the middle of a request, and has made progress; the idle one is used.
        next.enter(Phase::Sandbox);
        let (another, ()) = tokio::join!(traffic.admit(), async {
            idle.closed().await;
            assert!(!is_closing(&busy) && !is_closing(&next));
            drop(idle);
        });
        another.enter(Phase::Sandbox);
        // Nothing is closed that waits for the sandbox.
        assert!(timeout(Duration::from_secs(60), traffic.admit()).await.is_err());
        assert_eq!((traffic.usage().connections, traffic.usage().closed), (3, 2));
        drop((busy, next, another));
        traffic.all_closed().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_makes_progress_after_all_stays() {
        let traffic = Arc::new(Traffic::new(1));
        let slow = traffic.admit().await;
        millis(100).await;
        traffic.close_stalest(false);
        millis(1).await;
        slow.enter(Phase::Client);
        assert!(timeout(Duration::from_millis(10), slow.closed()).await.is_err());
        assert!(!is_closing(&slow));
        millis(100).await;
        traffic.close_stalest(false);
        slow.closed().await;
        assert_eq!(traffic.usage().closed, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_response_is_counted_at_last_whatever_is_in_its_way() {
        let traffic = Arc::new(Traffic::new(2));
        let (one, other) = (traffic.admit().await, traffic.admit().await);
        one.enter(Phase::Sandbox);
        let received = one.reserve(MAX_BYTES).await;
        let response = other.reserve_response(None, 5).await;
        assert_eq!(traffic.usage().bytes, MAX_BYTES + 5);
        drop(response);
        let response = one.reserve_response(Some(received), MAX_BYTES + 7).await;
        assert_eq!(traffic.usage().bytes, MAX_BYTES + 7);
        drop(response);
        assert_eq!(traffic.usage().bytes, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_are_bounded_and_a_client_that_stalls_gives_up_its_own() {
        let traffic = Arc::new(Traffic::new(10));
        let (slow, quick, third) = (traffic.admit().await, traffic.admit().await, traffic.admit().await);
        let slow_bytes = slow.reserve(MAX_BYTES / 2).await;
        let quick_bytes = quick.reserve(MAX_BYTES / 2).await;
        millis(100).await;
        quick.enter(Phase::Client);
        let (third_bytes, ()) = tokio::join!(third.reserve(10), async {
            slow.closed().await;
            assert_eq!(traffic.usage().bytes, MAX_BYTES);
            drop(slow_bytes);
        });
        assert!(!is_closing(&quick) && !is_closing(&third));
        assert_eq!(traffic.usage().bytes, MAX_BYTES / 2 + 10);
        drop((quick_bytes, third_bytes));
        // What can never fit takes all there is.
        assert_eq!(third.reserve(usize::MAX).await.bytes, MAX_BYTES);
        assert_eq!(traffic.usage().bytes, 0);
    }
}
