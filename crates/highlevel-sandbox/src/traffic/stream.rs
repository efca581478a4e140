//! The stream of a connection, which tracks the progress of the client.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use std::{io, mem};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use super::{Connection, Phase};

/// A stream that records progress, and fails if the client does not read for too long.
#[derive(Debug)]
pub(crate) struct TrackedStream {
    stream: TcpStream,
    connection: Arc<Connection>,
    write_timeout: Duration,
    stall: Option<Pin<Box<Sleep>>>,
    /// The previous read found no data.
    was_drained: bool,
}

impl TrackedStream {
    pub(crate) fn new(stream: TcpStream, connection: Arc<Connection>, write_timeout: Duration) -> Self {
        Self { stream, connection, write_timeout, stall: None, was_drained: true }
    }

    /// Sets the phase of the connection.
    pub(crate) fn enter(&self, phase: Phase) {
        self.connection.enter(phase);
    }

    pub(crate) fn get_ref(&self) -> &TcpStream {
        &self.stream
    }

    /// Records the progress of a write, or returns an error if the client does not read for too long.
    fn track(
        &mut self,
        written: Poll<io::Result<usize>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(result) => {
                // A write that never blocked may only have filled the socket buffer, which is no progress of the client.
                if self.stall.take().is_some() || self.connection.is_fresh() {
                    self.connection.note_progress();
                }
                Poll::Ready(result)
            }
            Poll::Pending => {
                let after = self.write_timeout;
                let stall = self.stall.get_or_insert_with(|| Box::pin(sleep(after)));
                ready!(stall.as_mut().poll(context));
                Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "the client does not read the response",
                )))
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
            self.was_drained = true;
        } else if buffer.filled().len() > before {
            let was_drained = mem::take(&mut self.was_drained);
            let activity = &self.connection.activity;
            if was_drained {
                activity.is_fresh.store(true, Ordering::Relaxed);
            }
            // The next request has started.
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
        self.track(written, context)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // All buffered data is written by now.
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
        self.track(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
