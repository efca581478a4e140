//! The edge to the network: connections in, answers out. What to answer is decided in [`api`](crate::api).

mod body;
mod state;

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};

use crate::admin;
use crate::api::Call;

use body::Received;
use state::Moment;
pub(crate) use state::{State, lock};

/// The body of an answer.
pub(crate) type Body = BoxBody<Bytes, Infallible>;

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

async fn respond(request: Request<Incoming>, state: Arc<State>) -> hyper::Result<Response<Body>> {
    let (head, body) = request.into_parts();
    let received = body::receive(body).await?;
    let moment = Moment::at(state.clock.now());

    let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
    if target.starts_with(admin::PREFIX) {
        return Ok(administer(&state, &head.method, target, &received));
    }
    let call = Call { method: head.method.as_str(), target, headers: &head.headers, body: received.bytes() };
    let answered = state.answer(call, &received, &moment);

    let mut response = Response::new(whole(answered.body));
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

/// The answer of the admin API. The ledger has nothing of it.
fn administer(state: &Arc<State>, method: &Method, target: &str, received: &Received) -> Response<Body> {
    let output = match received {
        Received::Whole(bytes) => admin::answer(state, method, target, bytes),
        Received::TooLarge(_) => admin::too_large(body::LONGEST),
    };
    let text = if output.body.is_null() { String::new() } else { output.body.to_string() };
    let mut response = Response::new(whole(text));
    *response.status_mut() = output.status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    response
}

/// What is sent at once.
fn whole(text: String) -> Body {
    Full::new(Bytes::from(text)).boxed()
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
