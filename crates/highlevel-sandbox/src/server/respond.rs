//! The response to one request.

use std::error::Error;
use std::sync::Arc;

use http::header::{
    ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS,
};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
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
use crate::traffic::{self, Body, Connection, FREE_BYTES, InFlightBody, MAX_BODY, Received, Reservation};

const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Responds to a request. The body of the response counts as bytes in flight until it is sent.
pub(super) async fn respond(
    request: Request<Incoming>,
    state: Arc<Engine>,
    connection: Arc<Connection>,
    interruption: Interruption,
) -> Result<Response<InFlightBody<Body>>, Box<dyn Error + Send + Sync>> {
    if !connection.is_fresh() {
        // The client pipelines requests without reading responses. Yield, so that other clients are served in between.
        connection.enter(traffic::Phase::Client);
        tokio::task::yield_now().await;
    }
    let Prepared { response, reservation, permit } =
        prepare(request, state, &connection, interruption).await?;
    let length = response.body().size_hint().exact().and_then(|length| usize::try_from(length).ok());
    let reservation = match length {
        Some(length) if length > FREE_BYTES => Some(connection.reserve_response(reservation, length).await),
        _ => reservation,
    };
    // Only now: the next long operation may produce another large response.
    drop(permit);
    connection.enter(traffic::Phase::Client);
    Ok(response.map(|body| InFlightBody { body, reservation, connection }))
}

/// A response, and the resources that it holds until it is sent.
struct Prepared {
    response: Response<Body>,
    reservation: Option<Reservation>,
    /// The permit of a long operation.
    permit: Option<OwnedSemaphorePermit>,
}

impl From<Response<Body>> for Prepared {
    fn from(response: Response<Body>) -> Self {
        Self { response, reservation: None, permit: None }
    }
}

async fn prepare(
    request: Request<Incoming>,
    state: Arc<Engine>,
    connection: &Connection,
    interruption: Interruption,
) -> Result<Prepared, Box<dyn Error + Send + Sync>> {
    let (head, body) = request.into_parts();
    if let Err(error) = state.access.check_host(&head) {
        return reject(&state, &head, body, error, connection).await;
    }
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
    if inspector::is_for_a_person(&head.method, head.uri.path(), &head.headers) {
        return Ok(inspector::welcome(&state).into());
    }
    if access::is_inspector_path(head.uri.path()) {
        return handle_inspector(&state, &head, target, body, connection).await;
    }
    if access::is_admin_path(head.uri.path()) {
        return handle_admin(&state, &head, body, connection).await;
    }

    if !crate::oauth::is_page(&head)
        && let Err(error) = state.access.check_page(&head.headers)
    {
        return reject(&state, &head, body, error, connection).await;
    }
    let moment = Moment::at(state.clock.now(), &state.identifiers);
    let is_oauth = crate::oauth::serves(target);
    let call = Call { method: head.method.as_str(), target, headers: &head.headers, body: &[] };
    let early = if is_oauth { None } else { state.trigger_fault(call, &moment) };
    // Held until the changes are on disk, because the disk may be slower than the clients.
    let (mut received, _received_bytes) = match &early {
        Some(triggered) if triggered.stage == FaultStage::Head => (Received::Unread, None),
        _ => traffic::receive(body, MAX_BODY, state.read_timeout, connection).await?,
    };
    // OAuth faults are triggered after the body is received, which contains the credentials of the app.
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
    let (prepared, record) = if crate::oauth::serves(target) {
        state.respond_oauth(call, &received, &moment, triggered.as_ref())
    } else {
        state.respond(call, &received, &moment, triggered.as_ref())
    };

    let committed = if state.submitted() == before {
        state.await_commit(before, prepared, record).await
    } else {
        // In a task, because a request whose client disconnects meanwhile is still completed and recorded.
        let state = Arc::clone(&state);
        tokio::spawn(async move { state.await_commit(before, prepared, record).await }).await?
    };

    if let Some(mut triggered) = triggered {
        triggered.wait(triggered.fault.latency()).await;
        if !triggered.fault.is_http() {
            *lock(&interruption) =
                Some((fault::script(&triggered.fault, &committed), triggered, reservation));
            return Err(Interrupted.into());
        }
    }
    let mut response = Response::new(Body::from(committed.body));
    *response.status_mut() = committed.status;
    *response.headers_mut() = committed.headers;
    Ok(Prepared { response, reservation, permit: None })
}

/// Handles a request to the admin API, which is not recorded in the ledger.
async fn handle_admin(
    state: &Arc<Engine>,
    head: &Parts,
    body: Incoming,
    connection: &Connection,
) -> Result<Prepared, Box<dyn Error + Send + Sync>> {
    let path = head.uri.path();
    if let Err(error) = state.access.check(&head.method, path, &head.headers) {
        return reject(state, head, body, error, connection).await;
    }
    let longest = admin::longest(&head.method, path);
    let (received, reservation) = traffic::receive(body, longest, state.read_timeout, connection).await?;
    if !head.method.is_safe()
        && let Err(error) = state.check_writable()
    {
        let response = admin_response(admin::not_written(&error));
        return Ok(Prepared { response, reservation, permit: None });
    }
    let before = state.submitted();
    let mut permit = None;
    let output = match received {
        Received::Whole(body) if admin::takes_long(&head.method, path) => {
            permit = Some(Arc::clone(&state.long_work).acquire_owned().await?);
            let (state, method, headers) = (Arc::clone(state), head.method.clone(), head.headers.clone());
            let uri = head.uri.clone();
            let work = move || admin::respond(&state, &method, &uri, &headers, &body);
            tokio::task::spawn_blocking(work).await?
        }
        Received::Whole(body) => admin::respond(state, &head.method, &head.uri, &head.headers, &body),
        Received::TooLarge(_) => ApiError::too_large(longest).into(),
        Received::TooSlow(_) | Received::Unread => ApiError::too_slow().into(),
    };
    let written = state.written_since(before).await;
    let mut response = admin_response(written.map_or_else(|error| admin::not_written(&error), |()| output));
    if response.status() == StatusCode::METHOD_NOT_ALLOWED
        && let Ok(methods) = HeaderValue::from_str(&admin::allowed(path).join(", "))
    {
        response.headers_mut().insert(ALLOW, methods);
    }
    Ok(Prepared { response, reservation, permit })
}

/// Rejects a request that access control does not allow. It is not recorded in the ledger and triggers no fault.
async fn reject(
    state: &Arc<Engine>,
    head: &Parts,
    body: Incoming,
    error: ApiError,
    connection: &Connection,
) -> Result<Prepared, Box<dyn Error + Send + Sync>> {
    traffic::receive(body, MAX_BODY, state.read_timeout, connection).await?;
    if error.status == StatusCode::UNAUTHORIZED && head.headers.contains_key(AUTHORIZATION) {
        state.slow_down_guess().await;
    } else {
        state.report_refusal(head, &error.message);
    }
    if access::is_inspector_path(head.uri.path()) {
        let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
        return Ok(inspector::refused(
            state,
            &head.method,
            &inspector::PageRequest::new(target, &head.headers, b""),
            error,
        )
        .into());
    }
    Ok(admin_response(error.into()).into())
}

/// Handles a request to the inspector, which is not recorded in the ledger.
async fn handle_inspector(
    state: &Arc<Engine>,
    head: &Parts,
    target: &str,
    body: Incoming,
    connection: &Connection,
) -> Result<Prepared, Box<dyn Error + Send + Sync>> {
    let (received, reservation) = traffic::receive(body, MAX_BODY, state.read_timeout, connection).await?;
    let before = state.submitted();
    let mut permit = None;
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
    let asked = inspector::PageRequest::new(target, &head.headers, received.bytes());
    let response = match allowed {
        // Pages may be large, so they are rendered as long operations.
        Ok(()) if head.method.is_safe() => {
            permit = Some(Arc::clone(&state.long_work).acquire_owned().await?);
            let (state, method, headers) = (Arc::clone(state), head.method.clone(), head.headers.clone());
            let target = target.to_owned();
            let work = move || {
                inspector::respond(&state, &method, inspector::PageRequest::new(&target, &headers, &[]))
            };
            tokio::task::spawn_blocking(work).await?
        }
        Ok(()) => inspector::respond(state, &head.method, asked),
        Err(error) => inspector::refused(state, &head.method, &asked, error),
    };
    let written = state.written_since(before).await;
    let response = written.map_or_else(
        |error| {
            let asked = inspector::PageRequest::new(target, &head.headers, received.bytes());
            inspector::refused(state, &head.method, &asked, admin::unwritable(&error))
        },
        |()| response,
    );
    Ok(Prepared { response, reservation, permit })
}

/// Returns a response of the admin API.
fn admin_response(output: admin::Output) -> Response<Body> {
    let (media_type, body) = match output.content {
        admin::AdminBody::Nothing => (None, Body::empty()),
        admin::AdminBody::Json(value) => {
            (Some("application/json; charset=utf-8"), Body::from(value.to_string()))
        }
        admin::AdminBody::Other { media_type, body } => (Some(media_type), body),
    };
    let mut response = Response::new(body);
    *response.status_mut() = output.status;
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // A page cannot display it, frame it or load it as another type.
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
