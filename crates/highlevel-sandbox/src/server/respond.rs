//! The response to one request.

use std::error::Error;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS,
};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body as _, Incoming};
use tokio::sync::OwnedSemaphorePermit;

use super::interruption::{Interrupted, Interruption, reserve};
use crate::access;
use crate::admin;
use crate::api::Call;
use crate::api_error::ApiError;
use crate::engine::{Engine, Moment};
use crate::fault::{self, FaultStage};
use crate::inspector;
use crate::sync::lock;
use crate::traffic::{self, Body, Connection, FREE_BYTES, MAX_BODY, Received, Reservation, Sent};

const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Responds to a request. While its body is sent it counts as bytes on their way.
pub(super) async fn respond(
    request: Request<Incoming>,
    state: Arc<Engine>,
    connection: Arc<Connection>,
    interruption: Interruption,
) -> Result<Response<Sent<Body>>, Box<dyn Error + Send + Sync>> {
    if !connection.is_fresh() {
        // The client sends requests without reading responses: one at a time, and others in between.
        connection.enter(traffic::Phase::Client);
        tokio::task::yield_now().await;
    }
    let Decided { response, reservation, turn } = decide(request, state, &connection, interruption).await?;
    let length = response.body().size_hint().exact().and_then(|length| usize::try_from(length).ok());
    let reservation = match length {
        Some(length) if length > FREE_BYTES => Some(connection.reserve_response(reservation, length).await),
        _ => reservation,
    };
    // The next one may take long, and make a long response.
    drop(turn);
    connection.enter(traffic::Phase::Client);
    Ok(response.map(|body| Sent { body, reservation, connection }))
}

/// A response, and what it holds until it is sent.
struct Decided {
    response: Response<Body>,
    reservation: Option<Reservation>,
    turn: Option<OwnedSemaphorePermit>,
}

impl From<Response<Body>> for Decided {
    fn from(response: Response<Body>) -> Self {
        Self { response, reservation: None, turn: None }
    }
}

async fn decide(
    request: Request<Incoming>,
    state: Arc<Engine>,
    connection: &Connection,
    interruption: Interruption,
) -> Result<Decided, Box<dyn Error + Send + Sync>> {
    let (head, body) = request.into_parts();
    if let Err(problem) = state.access.check_host(&head) {
        return refuse(&state, &head, body, problem, connection).await;
    }
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
    if inspector::is_for_a_person(&head.method, head.uri.path(), &head.headers) {
        return Ok(inspector::welcome(&state).into());
    }
    if access::is_inspector_path(head.uri.path()) {
        return inspect(&state, &head, target, body, connection).await;
    }
    if access::is_admin_path(head.uri.path()) {
        return administer(&state, &head, target, body, connection).await;
    }

    if !crate::oauth::is_page(&head)
        && let Err(problem) = state.access.check_page(&head.headers)
    {
        return refuse(&state, &head, body, problem, connection).await;
    }
    let moment = Moment::at(state.clock.now(), &state.identifiers);
    let is_oauth = crate::oauth::serves(target);
    let call = Call { method: head.method.as_str(), target, headers: &head.headers, body: &[] };
    let early = if is_oauth { None } else { state.trigger_fault(call, &moment) };
    // Held until what was asked for is written: the disk may be slower than the clients.
    let (mut received, _received_bytes) = match &early {
        Some(triggered) if triggered.stage == FaultStage::Head => (Received::Unread, None),
        _ => traffic::receive(body, MAX_BODY, state.read_timeout, connection).await?,
    };
    // The credentials of an app are in the body.
    let triggered = if is_oauth {
        state.trigger_oauth_fault(Call { body: received.bytes(), ..call }, &moment)
    } else {
        early
    };
    if triggered.as_ref().is_some_and(|triggered| triggered.stage == FaultStage::Head) {
        received = Received::Unread;
    }
    connection.enter(traffic::Phase::Sandbox);
    let reservation = match &triggered {
        Some(triggered) => reserve(connection, triggered).await,
        None => None,
    };
    let call = Call { body: received.bytes(), ..call };
    let before = state.submitted();
    let (answer, record) = if crate::oauth::serves(target) {
        state.respond_oauth(call, &received, &moment, triggered.as_ref())
    } else {
        state.respond(call, &received, &moment, triggered.as_ref())
    };

    let answer = if state.submitted() == before {
        state.await_commit(before, answer, record).await
    } else {
        // The client may leave while the disk is busy, and what it asked for is done and recorded all the same.
        let state = Arc::clone(&state);
        tokio::spawn(async move { state.await_commit(before, answer, record).await }).await?
    };

    if let Some(mut triggered) = triggered {
        triggered.wait(triggered.fault.latency()).await;
        if !triggered.fault.is_http() {
            *lock(&interruption) = Some((fault::script(&triggered.fault, &answer), triggered, reservation));
            return Err(Interrupted.into());
        }
    }
    let mut response = Response::new(Full::new(answer.body).boxed());
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    Ok(Decided { response, reservation, turn: None })
}

/// Does what a request to the admin API asks for. The ledger has nothing of it.
async fn administer(
    state: &Arc<Engine>,
    head: &Parts,
    target: &str,
    body: Incoming,
    connection: &Connection,
) -> Result<Decided, Box<dyn Error + Send + Sync>> {
    let path = head.uri.path();
    if let Err(problem) = state.access.check(&head.method, path, &head.headers) {
        return refuse(state, head, body, problem, connection).await;
    }
    let longest = admin::longest(&head.method, path);
    let (received, reservation) = traffic::receive(body, longest, state.read_timeout, connection).await?;
    if !head.method.is_safe()
        && let Err(error) = state.check_writable()
    {
        return Ok(Decided { response: shown(admin::not_written(&error)), reservation, turn: None });
    }
    let before = state.submitted();
    let mut turn = None;
    let output = match received {
        Received::Whole(body) if admin::takes_long(&head.method, path) => {
            turn = Some(Arc::clone(&state.long_work).acquire_owned().await?);
            let (state, method, headers) = (Arc::clone(state), head.method.clone(), head.headers.clone());
            let target = target.to_owned();
            let work = move || admin::answer(&state, &method, &target, &headers, &body);
            tokio::task::spawn_blocking(work).await?
        }
        Received::Whole(body) => admin::answer(state, &head.method, target, &head.headers, &body),
        Received::TooLarge(_) => ApiError::too_large(longest).into(),
        Received::TooSlow(_) | Received::Unread => ApiError::too_slow().into(),
    };
    let written = state.written_since(before).await;
    let mut response = shown(written.map_or_else(|error| admin::not_written(&error), |()| output));
    if response.status() == StatusCode::METHOD_NOT_ALLOWED
        && let Ok(methods) = HeaderValue::from_str(&admin::allowed(path).join(", "))
    {
        response.headers_mut().insert(ALLOW, methods);
    }
    Ok(Decided { response, reservation, turn })
}

/// Refuses a request that may do nothing here. The ledger has nothing of it, and it triggers no fault.
async fn refuse(
    state: &Arc<Engine>,
    head: &Parts,
    body: Incoming,
    problem: ApiError,
    connection: &Connection,
) -> Result<Decided, Box<dyn Error + Send + Sync>> {
    traffic::receive(body, MAX_BODY, state.read_timeout, connection).await?;
    if problem.status == StatusCode::UNAUTHORIZED && head.headers.contains_key(AUTHORIZATION) {
        state.slow_down_guess().await;
    } else {
        state.report_refusal(head, &problem.message);
    }
    if access::is_inspector_path(head.uri.path()) {
        let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
        return Ok(inspector::refused(
            state,
            &head.method,
            &inspector::Asked::new(target, &head.headers, b""),
            problem,
        )
        .into());
    }
    Ok(shown(problem.into()).into())
}

/// Shows the inspector, or does what is asked for there. The ledger has nothing of it.
async fn inspect(
    state: &Arc<Engine>,
    head: &Parts,
    target: &str,
    body: Incoming,
    connection: &Connection,
) -> Result<Decided, Box<dyn Error + Send + Sync>> {
    let (received, reservation) = traffic::receive(body, MAX_BODY, state.read_timeout, connection).await?;
    let before = state.submitted();
    let mut turn = None;
    let allowed = state.access.check(&head.method, head.uri.path(), &head.headers);
    let allowed = allowed.and_then(|()| match &received {
        Received::Whole(_) => Ok(()),
        Received::TooLarge(_) => Err(ApiError::too_large(MAX_BODY)),
        Received::TooSlow(_) | Received::Unread => Err(ApiError::too_slow()),
    });
    let allowed = allowed.and_then(|()| match state.check_writable() {
        Err(error) if !head.method.is_safe() => Err(admin::unwritable(&error)),
        _ => Ok(()),
    });
    let asked = inspector::Asked::new(target, &head.headers, received.bytes());
    let response = match allowed {
        // To look takes as long as there is much to look at.
        Ok(()) if head.method.is_safe() => {
            turn = Some(Arc::clone(&state.long_work).acquire_owned().await?);
            let (state, method, headers) = (Arc::clone(state), head.method.clone(), head.headers.clone());
            let target = target.to_owned();
            let work =
                move || inspector::answer(&state, &method, inspector::Asked::new(&target, &headers, &[]));
            tokio::task::spawn_blocking(work).await?
        }
        Ok(()) => inspector::answer(state, &head.method, asked),
        Err(problem) => inspector::refused(state, &head.method, &asked, problem),
    };
    let written = state.written_since(before).await;
    let response = written.map_or_else(
        |error| {
            let problem = admin::unwritable(&error);
            let asked = inspector::Asked::new(target, &head.headers, received.bytes());
            inspector::refused(state, &head.method, &asked, problem)
        },
        |()| response,
    );
    Ok(Decided { response, reservation, turn })
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
