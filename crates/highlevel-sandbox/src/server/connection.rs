//! One connection: its limits, and the faults that end it.

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
use crate::fault::{self, Ending, MAX_WAIT, ResponseParts, Script, TriggeredFault};
use crate::sync::lock;
use crate::traffic::{Connection, Phase, TrackedStream};

/// The maximum size of the head of a request, in bytes.
const MAX_HEAD: usize = 16 * 1024;
/// The time to wait for the client to close its side after FIN.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Serves the requests of a connection until it ends, or is closed to free capacity for another one.
pub(super) async fn serve_connection(stream: TcpStream, connection: Connection, state: Arc<Engine>) {
    let connection = Arc::new(connection);
    tokio::select! {
        // Polled first, so that pending input of the client counts as progress.
        biased;
        () = serve_requests(stream, Arc::clone(&connection), state) => {}
        () = connection.closed() => tracing::debug!("closed a stalled connection to free capacity"),
    }
}

async fn serve_requests(stream: TcpStream, connection: Arc<Connection>, state: Arc<Engine>) {
    // Otherwise the parts of a slow response are coalesced.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection ended before its first request");
        return;
    }
    let stream = TrackedStream::new(stream, Arc::clone(&connection), state.write_timeout);
    if let Some(mut triggered) = state.faults.on_connection() {
        // There is no ledger entry of a request that would notify the followers.
        state.changed("faults");
        let is_active = triggered.wait(triggered.fault.latency()).await;
        // A fault that only adds latency is complete now.
        if is_active && !triggered.fault.only_waits() {
            connection.enter(Phase::Sandbox);
            let _reservation = reserve(&connection, &triggered).await;
            let mut response = unavailable();
            fault::edit(&triggered.fault, &mut response, "");
            let script = fault::script(&triggered.fault, &response);
            return run_script(stream, script, triggered).await;
        }
    }

    let interruption = Interruption::default();
    let service = {
        let (engine, interruption) = (Arc::clone(&state), Arc::clone(&interruption));
        service_fn(move |request| {
            let (engine, interruption) = (Arc::clone(&engine), Arc::clone(&interruption));
            respond(request, engine, Arc::clone(&connection), interruption)
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
            run_script(connection.into_parts().io.into_inner(), script, triggered).await;
        }
        (Err(error), None) => tracing::debug!(%error, "a connection failed"),
        (Ok(()), _) => {}
    }
}

/// Returns the response to a request that was not handled.
pub(super) fn unavailable() -> ResponseParts {
    ResponseParts { status: StatusCode::SERVICE_UNAVAILABLE, headers: HeaderMap::new(), body: Bytes::new() }
}

/// Writes the bytes of a script, and ends the connection as it specifies.
async fn run_script(mut stream: TrackedStream, script: Script, mut triggered: TriggeredFault) {
    let (size, interval) = script.pace.unwrap_or((usize::MAX, Duration::ZERO));
    for (index, bytes) in script.bytes.chunks(size).enumerate() {
        if index > 0 && !triggered.wait(interval).await {
            return close(stream).await;
        }
        stream.enter(Phase::Flushing);
        let written = tokio::select! {
            written = stream.write_all(bytes) => written.is_ok(),
            // The client stopped reading.
            _ = triggered.wait(MAX_WAIT) => false,
        };
        if !written {
            return;
        }
        stream.enter(Phase::Sandbox);
    }
    match script.ending {
        Ending::Reset => {
            // Dropping the stream then discards unsent data and sends RST.
            if let Err(error) = stream.get_ref().set_zero_linger() {
                tracing::debug!(%error, "failed to reset a connection");
            }
        }
        Ending::Silence => {
            tokio::select! {
                _ = triggered.wait(MAX_WAIT) => {}
                () = client_closed(&mut stream) => {}
            }
            close(stream).await;
        }
        Ending::Normal | Ending::Close => close(stream).await,
    }
}

/// Closes the connection with FIN. Closing a socket with unread data would send RST instead.
async fn close(mut stream: TrackedStream) {
    if stream.shutdown().await.is_ok() {
        // The stream is dropped in either case.
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, client_closed(&mut stream)).await;
    }
}

/// Resolves when the client closes its side. Discards the data that it sends until then.
async fn client_closed(stream: &mut TrackedStream) {
    let mut discarded = [0; 4096];
    while matches!(stream.read(&mut discarded).await, Ok(1..)) {}
}
