//! The HTTP server: accepts connections, and dispatches requests to the API, the admin API and the inspector.

mod active_request;
mod admin_routes;
mod api_routes;
mod connection;
mod file_routes;
mod inspector_routes;
mod interruption;
mod reject;
mod respond;
mod router;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use crate::engine::Engine;

/// The time for connections to close when the sandbox shuts down.
const SHUTDOWN_GRACE: Duration = Duration::from_millis(1_500);

/// Serves connections until the sandbox shuts down.
pub(crate) async fn serve(listener: std::net::TcpListener, state: Arc<Engine>) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = state.stopped() => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "failed to accept a connection");
                // The process may be out of file descriptors. For any other error the delay is harmless.
                state.traffic.close_stalest(false);
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            }
        };
        let connection = tokio::select! {
            connection = state.traffic.admit() => connection,
            () = state.stopped() => break,
        };
        tokio::spawn(connection::serve_connection(stream, connection, Arc::clone(&state)));
    }
    drop(listener);
    // Ends all delays caused by faults.
    state.faults.clear();
    if tokio::time::timeout(SHUTDOWN_GRACE, state.traffic.all_closed()).await.is_err() {
        tracing::debug!("closing the remaining connections");
    }
    Ok(())
}
