//! A local HTTP server: for events, and for the browser that returns from an authorization.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::failure::CommandError;

/// The number of connections that are served at the same time. Others wait.
const MAX_CONNECTIONS: usize = 64;

/// The time that a client may take to send the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// The pause after a connection could not be accepted, for example because too many files are open.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A listener and its connections. They end when it is dropped.
pub(crate) struct LocalServer {
    listener: TcpListener,
    address: SocketAddr,
    permits: Arc<Semaphore>,
    connections: JoinSet<()>,
}

impl LocalServer {
    /// Listens on an address.
    pub(crate) async fn bind(address: SocketAddr) -> Result<Self, CommandError> {
        let listener = TcpListener::bind(address).await;
        let bound = listener.and_then(|listener| Ok((listener.local_addr()?, listener)));
        let (address, listener) = bound.map_err(|error| not_bound(address, &error))?;
        let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        Ok(Self { listener, address, permits, connections: JoinSet::new() })
    }

    /// Returns the address, with the port that was chosen.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves requests until the future is dropped. Connections continue meanwhile.
    pub(crate) async fn serve<F, R>(&mut self, handle: F) -> Infallible
    where
        F: Fn(Request<Incoming>) -> R + Clone + Send + 'static,
        R: Future<Output = Response<Full<Bytes>>> + Send + 'static,
    {
        loop {
            while self.connections.try_join_next().is_some() {}
            // The semaphore is never closed.
            let Ok(permit) = Arc::clone(&self.permits).acquire_owned().await else {
                std::future::pending().await
            };
            let Ok((stream, _)) = self.listener.accept().await else {
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            let handle = handle.clone();
            self.connections.spawn(async move {
                let _permit = permit;
                let service = service_fn(move |request| {
                    let response = handle(request);
                    async move { Ok::<_, Infallible>(response.await) }
                });
                // A client that breaks the connection has no consequence.
                let _ = http1::Builder::new()
                    .preserve_header_case(true)
                    .keep_alive(false)
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEAD_TIMEOUT)
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    }

    /// Accepts no further connections, and waits for the responses in progress.
    pub(crate) async fn drain(mut self, limit: Duration) {
        drop(self.listener);
        let all = async { while self.connections.join_next().await.is_some() {} };
        let _timed_out = tokio::time::timeout(limit, all).await;
    }
}

/// Returns a response in plain text.
pub(crate) fn response(status: StatusCode, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    let value = http::HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(http::header::CONTENT_TYPE, value);
    response
}

fn not_bound(address: SocketAddr, error: &io::Error) -> CommandError {
    let help = match error.kind() {
        io::ErrorKind::AddrInUse => "another program listens there; stop it, or choose another port",
        io::ErrorKind::PermissionDenied => "ports below 1024 are often reserved; choose another port",
        _ => "choose an address of this machine, for example 127.0.0.1",
    };
    CommandError::usage(format!("{address} cannot be listened on: {error}"), help)
}
