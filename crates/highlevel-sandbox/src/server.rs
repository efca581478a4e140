//! The edge to the network: connections in, answers out. What to answer is decided in [`api`](crate::api).

mod body;
mod change;
mod connection;
mod oauth;
mod state;
mod switches;

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body as _, Incoming};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::admin::{self, Problem};
use crate::api::Call;
use crate::fault::{self, FaultStage};
use crate::inspector;

pub(crate) use body::LONGEST;
use body::Received;
pub(crate) use change::{Beginning, Unchanged};
pub(crate) use connection::CONNECTIONS;
use connection::{Interrupted, Interruption};
use state::Moment;
pub(crate) use state::{State, lock};
pub(crate) use switches::ClockChange;

/// The body of an answer.
pub(crate) type Body = BoxBody<Bytes, Infallible>;

const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// How long connections may take to end when the sandbox stops.
const FAREWELL: Duration = Duration::from_secs(2);

/// Serves until it is dropped, or told to stop.
pub(crate) async fn serve(listener: std::net::TcpListener, state: Arc<State>) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let places = Arc::new(Semaphore::new(state.connections.min(Semaphore::MAX_PERMITS)));
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            () = state.stopped() => break,
        };
        match accepted {
            Ok((stream, place)) => {
                let state = Arc::clone(&state);
                tokio::spawn(async move {
                    connection::converse(stream, state).await;
                    drop(place);
                });
            }
            Err(error) => {
                // Out of file descriptors, or a client that left at once: the next one may do better.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    // Whoever waits because of a fault does so no longer.
    state.faults.clear();
    // All places are free when all connections have ended.
    let all = u32::try_from(state.connections).unwrap_or(u32::MAX);
    if tokio::time::timeout(FAREWELL, places.acquire_many(all)).await.is_err() {
        tracing::debug!("connections are cut off");
    }
    Ok(())
}

/// The next connection, and its place among those that may be open at once.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, place))
}

async fn respond(
    request: Request<Incoming>,
    state: Arc<State>,
    interruption: Interruption,
) -> Result<Response<Body>, Box<dyn Error + Send + Sync>> {
    let (head, body) = request.into_parts();
    if let Err(problem) = state.access.check_host(&head) {
        return refuse(&state, &head, body, problem).await;
    }
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
    if inspector::is_for_a_person(&head.method, head.uri.path(), &head.headers) {
        return Ok(inspector::welcome(&state));
    }
    if inspector::serves(head.uri.path()) {
        return inspect(&state, &head, target, body).await;
    }
    if admin::serves(head.uri.path()) {
        let path = head.uri.path();
        if let Err(problem) = state.access.check(&head.method, path, &head.headers) {
            return refuse(&state, &head, body, problem).await;
        }
        let longest = admin::longest(&head.method, path);
        let may_be_large = body.size_hint().upper().is_none_or(|length| length > body::LONGEST as u64);
        let _place = if may_be_large && longest > body::LONGEST {
            Some(state.large_bodies.acquire().await?)
        } else {
            None
        };
        let received = body::receive(body, longest, state.read_timeout).await?;
        let before = state.submitted();
        let output = match &received {
            Received::Whole(body) => admin::answer(&state, &head.method, target, &head.headers, body),
            Received::TooLarge(_) => Problem::too_large(longest).into(),
            Received::TooSlow(_) | Received::Unread => Problem::too_slow().into(),
        };
        let written = state.written_since(before).await;
        let mut response = shown(written.map_or_else(|error| admin::not_written(&error), |()| output));
        if response.status() == StatusCode::METHOD_NOT_ALLOWED
            && let Ok(methods) = HeaderValue::from_str(&admin::allowed(path).join(", "))
        {
            response.headers_mut().insert(ALLOW, methods);
        }
        return Ok(response);
    }

    if !crate::oauth::is_page(&head)
        && let Err(problem) = state.access.check_page(&head.headers)
    {
        return refuse(&state, &head, body, problem).await;
    }
    let moment = Moment::at(state.clock.now(), &state.identifiers);
    let strike = state.strike(&head.headers, head.method.as_str(), target, &moment);
    let received = match &strike {
        Some(strike) if strike.stage == FaultStage::Head => Received::Unread,
        _ => body::receive(body, body::LONGEST, state.read_timeout).await?,
    };
    let call = Call { method: head.method.as_str(), target, headers: &head.headers, body: received.bytes() };
    let before = state.submitted();
    let (answer, record) = if crate::oauth::serves(target) {
        state.answer_oauth(call, &received, &moment, strike.as_ref())
    } else {
        state.answer(call, &received, &moment, strike.as_ref())
    };

    let answer = if state.submitted() == before {
        state.settle(before, answer, record).await
    } else {
        // The client may leave while the disk is busy, and what it asked for is done and recorded all the same.
        let state = Arc::clone(&state);
        tokio::spawn(async move { state.settle(before, answer, record).await }).await?
    };

    if let Some(mut strike) = strike {
        strike.wait(strike.fault.latency()).await;
        if !strike.fault.is_http() {
            *lock(&interruption) = Some((fault::script(&strike.fault, &answer), strike));
            return Err(Interrupted.into());
        }
    }
    let mut response = Response::new(Full::new(answer.body).boxed());
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    Ok(response)
}

/// Refuses a request that may do nothing here. The ledger has nothing of it, and it triggers no fault.
async fn refuse(
    state: &Arc<State>,
    head: &Parts,
    body: Incoming,
    problem: Problem,
) -> Result<Response<Body>, Box<dyn Error + Send + Sync>> {
    body::receive(body, body::LONGEST, state.read_timeout).await?;
    if problem.status == StatusCode::UNAUTHORIZED && head.headers.contains_key(AUTHORIZATION) {
        state.slow_down_guess().await;
    } else {
        state.report_refusal(head, &problem);
    }
    if inspector::serves(head.uri.path()) {
        let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
        return Ok(inspector::refused(
            state,
            &head.method,
            &inspector::Asked::new(target, &head.headers, b""),
            problem,
        ));
    }
    Ok(shown(problem.into()))
}

/// Shows the inspector, or does what is asked for there. The ledger has nothing of it.
async fn inspect(
    state: &Arc<State>,
    head: &Parts,
    target: &str,
    body: Incoming,
) -> Result<Response<Body>, Box<dyn Error + Send + Sync>> {
    let received = body::receive(body, body::LONGEST, state.read_timeout).await?;
    let before = state.submitted();
    let allowed = state.access.check(&head.method, head.uri.path(), &head.headers);
    let allowed = allowed.and_then(|()| match &received {
        Received::Whole(_) => Ok(()),
        Received::TooLarge(_) => Err(Problem::too_large(body::LONGEST)),
        Received::TooSlow(_) | Received::Unread => Err(Problem::too_slow()),
    });
    let asked = inspector::Asked::new(target, &head.headers, received.bytes());
    let response = match allowed {
        Ok(()) => inspector::answer(state, &head.method, asked),
        Err(problem) => inspector::refused(state, &head.method, &asked, problem),
    };
    let written = state.written_since(before).await;
    Ok(written.map_or_else(
        |error| {
            let problem = Problem { status: StatusCode::INTERNAL_SERVER_ERROR, message: error.to_string() };
            let asked = inspector::Asked::new(target, &head.headers, received.bytes());
            inspector::refused(state, &head.method, &asked, problem)
        },
        |()| response,
    ))
}

/// An answer of the admin API. The ledger has nothing of it.
fn shown(output: admin::Output) -> Response<Body> {
    let (media_type, body) = match output.content {
        admin::Content::Nothing => (None, whole(String::new())),
        admin::Content::Json(value) => (Some("application/json; charset=utf-8"), whole(value.to_string())),
        admin::Content::Other { media_type, body } => (Some(media_type), body),
    };
    let mut response = Response::new(body);
    *response.status_mut() = output.status;
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // No page can show it, frame it or load it as something else.
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    );
    headers.insert(RESOURCE_POLICY, HeaderValue::from_static("same-origin"));
    if let Some(media_type) = media_type {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    }
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

/// The headers that say who somebody is, in such a way that whoever reads them could be it.
const CREDENTIALS: [&str; 7] =
    ["authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "api-key", "x-auth-token"];

/// Headers as text, without what must not be kept.
fn redacted(headers: &HeaderMap) -> Vec<(String, String)> {
    let mut headers = readable(headers);
    for (name, value) in headers.iter_mut().filter(|(name, _)| CREDENTIALS.contains(&name.as_str())) {
        *value = match value.split_once(' ') {
            Some((scheme, _)) if name == AUTHORIZATION.as_str() && scheme.eq_ignore_ascii_case("bearer") => {
                format!("{scheme} [redacted]")
            }
            _ => "[redacted]".to_owned(),
        };
    }
    headers
}
