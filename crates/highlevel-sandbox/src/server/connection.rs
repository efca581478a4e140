//! One connection: what it may take, and how a fault ends it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::interruption::{Interruption, reserve};
use super::respond::respond;
use crate::engine::Engine;
use crate::fault::{self, Base, Ending, MAX_WAIT, Script, TriggeredFault};
use crate::sync::lock;
use crate::traffic::{Connection, Phase, TrackedStream};

/// The longest head of a request, in bytes.
const MAX_HEAD: usize = 16 * 1024;
/// How long the end of the client's side is waited for after FIN.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Responds to the requests of a connection until it ends, or is closed for another one.
pub(super) async fn serve_connection(stream: TcpStream, connection: Connection, state: Arc<Engine>) {
    let connection = Arc::new(connection);
    tokio::select! {
        // First, so that it is known what the client has done.
        biased;
        () = serve_requests(stream, Arc::clone(&connection), state) => {}
        () = connection.closed() => tracing::debug!("a connection that made no progress was closed for another one"),
    }
}

async fn serve_requests(stream: TcpStream, connection: Arc<Connection>, state: Arc<Engine>) {
    // Without it, what trickles would arrive in lumps.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection ended as it began");
        return;
    }
    let stream = TrackedStream::new(stream, Arc::clone(&connection), state.write_timeout);
    if let Some(mut triggered) = state.faults.on_connection() {
        // No request will tell of it.
        state.changed("faults");
        let in_force = triggered.wait(triggered.fault.latency()).await;
        // Latency alone is over now.
        if in_force && !triggered.fault.only_waits() {
            connection.enter(Phase::Sandbox);
            let _reservation = reserve(&connection, &triggered).await;
            let mut answer = unavailable();
            fault::edit(&triggered.fault, &mut answer, "");
            let script = fault::script(&triggered.fault, &answer);
            return perform(stream, script, triggered).await;
        }
    }

    let interruption = Interruption::default();
    let service = {
        let (state, interruption) = (Arc::clone(&state), Arc::clone(&interruption));
        service_fn(move |request| {
            respond(request, Arc::clone(&state), Arc::clone(&connection), Arc::clone(&interruption))
        })
    };
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(state.read_timeout)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    let result = tokio::select! {
        result = &mut connection => result,
        () = state.stopped() => {
            std::pin::Pin::new(&mut connection).graceful_shutdown();
            (&mut connection).await
        }
    };
    let interruption = lock(&interruption).take();
    match (result, interruption) {
        (Err(_), Some((script, triggered, _reservation))) => {
            perform(connection.into_parts().io.into_inner(), script, triggered).await;
        }
        (Err(error), None) => tracing::debug!(%error, "a connection broke"),
        (Ok(()), _) => {}
    }
}

/// The answer to what was not done.
pub(super) fn unavailable() -> Base {
    Base { status: StatusCode::SERVICE_UNAVAILABLE, headers: HeaderMap::new(), body: Bytes::new() }
}

/// Writes what a fault lets through, and ends the connection in its way.
async fn perform(mut stream: TrackedStream, script: Script, mut triggered: TriggeredFault) {
    let (size, interval) = script.pace.unwrap_or((usize::MAX, Duration::ZERO));
    for (index, bytes) in script.bytes.chunks(size).enumerate() {
        if index > 0 && !triggered.wait(interval).await {
            return close(stream).await;
        }
        stream.enter(Phase::Flushing);
        let written = tokio::select! {
            written = stream.write_all(bytes) => written.is_ok(),
            // The client does not read.
            _ = triggered.wait(MAX_WAIT) => false,
        };
        if !written {
            return;
        }
        stream.enter(Phase::Sandbox);
    }
    match script.ending {
        Ending::Reset => {
            // The queue is thrown away when the stream is dropped, and RST sent.
            if let Err(error) = stream.get_ref().set_zero_linger() {
                tracing::debug!(%error, "a connection cannot be reset");
            }
        }
        Ending::Silence => {
            tokio::select! {
                _ = triggered.wait(MAX_WAIT) => {}
                () = left(&mut stream) => {}
            }
            close(stream).await;
        }
        Ending::Normal | Ending::Close => close(stream).await,
    }
}

/// Ends our side with FIN. Closing while there is something to read would send RST instead.
async fn close(mut stream: TrackedStream) {
    if stream.shutdown().await.is_ok() {
        // Either way it is closed now.
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, left(&mut stream)).await;
    }
}

/// Resolves when the client's side has ended. What it sends until then is thrown away.
async fn left(stream: &mut TrackedStream) {
    let mut discarded = [0; 4096];
    while matches!(stream.read(&mut discarded).await, Ok(1..)) {}
}
