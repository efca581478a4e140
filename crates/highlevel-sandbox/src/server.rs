//! The edge to the network: connections in, answers out. What to answer is decided in [`api`](crate::api).

mod body;
mod state;

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};

use crate::api::Call;

use state::Moment;
pub(crate) use state::{State, lock};

/// Serves until it is dropped.
pub(crate) async fn serve(listener: std::net::TcpListener, state: Arc<State>) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(converse(stream, Arc::clone(&state)));
            }
            Err(error) => {
                // Out of file descriptors, or a client that left at once: the next one may do better.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        }
    }
}

async fn converse(stream: TcpStream, state: Arc<State>) {
    let service = service_fn(move |request| respond(request, Arc::clone(&state)));
    let connection =
        http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection broke");
    }
}

async fn respond(request: Request<Incoming>, state: Arc<State>) -> hyper::Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let received = body::receive(body).await?;
    let moment = Moment::now();

    let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
    let call = Call { method: head.method.as_str(), target, headers: &head.headers, body: received.bytes() };
    let answered = state.answer(call, &received, &moment);

    let mut response = Response::new(Full::new(Bytes::from(answered.body)));
    *response.status_mut() = answered.status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    for (name, value) in answered.verdict.headers() {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    Ok(response)
}

/// Headers as text, in order, names in lower case.
pub(crate) fn readable(headers: &HeaderMap) -> Vec<(String, String)> {
    headers
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect()
}

/// Headers as text, without what must not be kept.
fn redacted(headers: &HeaderMap) -> Vec<(String, String)> {
    let mut headers = readable(headers);
    for (name, value) in &mut headers {
        if name == AUTHORIZATION.as_str() {
            *value = match value.split_once(' ') {
                Some((scheme, _)) if scheme.eq_ignore_ascii_case("bearer") => format!("{scheme} [redacted]"),
                _ => "[redacted]".to_owned(),
            };
        }
    }
    headers
}
