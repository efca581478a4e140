//! The edge to the network: connections in, answers out. What to answer is decided in [`api`](crate::api).

mod connection;
mod interruption;
mod respond;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use crate::engine::Engine;

/// How long connections may take to end when the sandbox stops.
const SHUTDOWN_GRACE: Duration = Duration::from_millis(1_500);

/// Serves until it is dropped, or is to stop.
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
                tracing::warn!(%error, "a connection could not be accepted");
                // There may be no file descriptor left; a client that left at once costs a moment only.
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
    // What waits because of a fault does so no longer.
    state.faults.clear();
    if tokio::time::timeout(SHUTDOWN_GRACE, state.traffic.all_closed()).await.is_err() {
        tracing::debug!("connections are cut off");
    }
    Ok(())
}
