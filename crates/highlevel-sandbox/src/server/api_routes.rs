//! The routes of the HighLevel API and of OAuth. Paths that the sandbox does not serve belong to them too.

use std::sync::Arc;

use axum::extract::Request;
use axum::response::Response;
use axum::routing::any;
use axum::{Extension, Router};
use bytes::Bytes;

use super::active_request::{Aborted, ActiveRequest};
use super::interruption::reserve;
use super::reject::reject;
use crate::api::{Call, Form, FormError, MAX_FORM};
use crate::engine::{Engine, MAX_RECORDING, Moment};
use crate::fault::{self, FaultStage};
use crate::ledger::MAX_RECORDED_FORM;
use crate::oauth;
use crate::operation::Operation;
use crate::routing::PathParameters;
use crate::sync::lock;
use crate::traffic::{Body, Phase, Received, receive};

/// The endpoint of a request, according to its path.
#[derive(Clone, Copy)]
pub(super) enum Endpoint {
    /// The path of at least one operation, whose template is this.
    Api(&'static str),
    OAuth(oauth::Endpoint),
    Unknown,
}

pub(super) fn router() -> Router {
    let handler = |endpoint: Endpoint| {
        move |Extension(active_request): Extension<Arc<ActiveRequest>>,
              parameters: PathParameters,
              request: Request| { serve(endpoint, parameters, active_request, request) }
    };
    let mut paths: Vec<&'static str> = Operation::ALL.iter().map(|operation| operation.path()).collect();
    paths.sort_unstable();
    paths.dedup();
    let endpoints = paths.into_iter().map(|path| (path, Endpoint::Api(path)));
    // As in the live API, the slash at the end of a path is optional.
    let without_slash =
        |(path, endpoint): (&'static str, Endpoint)| Some((path.strip_suffix('/')?, endpoint));
    let endpoints = endpoints.clone().chain(endpoints.filter_map(without_slash));
    let endpoints = endpoints.chain(oauth::ROUTES.map(|(path, endpoint)| (path, Endpoint::OAuth(endpoint))));
    endpoints
        .fold(Router::new(), |router, (path, endpoint)| router.route(path, any(handler(endpoint))))
        .fallback(handler(Endpoint::Unknown))
}

/// Responds to a request, and records it in the ledger.
pub(super) async fn serve(
    endpoint: Endpoint,
    PathParameters(parameters): PathParameters,
    active_request: Arc<ActiveRequest>,
    request: Request,
) -> Result<Response, Aborted> {
    let engine = &active_request.engine;
    let (head, body) = request.into_parts();
    let connection = &*active_request.connection;
    let is_oauth_page =
        matches!(endpoint, Endpoint::OAuth(oauth::Endpoint::Authorize)) && oauth::opens_page(&head);
    if !is_oauth_page && let Err(error) = engine.access.check_page(&head.headers) {
        return reject(engine, &head, body, error, &active_request).await;
    }
    let moment = Moment::at(engine.clock.now(), &engine.identifiers);
    let operation = match (endpoint, &parameters) {
        (Endpoint::Api(path), Some(_)) => Operation::of(&head.method, path),
        _ => None,
    };
    let call = Call {
        method: head.method.as_str(),
        target: head.uri.path_and_query().map_or("/", |target| target.as_str()),
        operation,
        parameters: parameters.as_deref().unwrap_or_default(),
        headers: &head.headers,
        body: &[],
        form: None,
    };
    let early = match endpoint {
        Endpoint::OAuth(_) => None,
        Endpoint::Api(_) | Endpoint::Unknown => engine.trigger_fault(call, &moment),
    };
    // Held until the changes are on disk, because the disk may be slower than the clients.
    let (mut received, _received_bytes) = match &early {
        Some(triggered) if triggered.stage == FaultStage::Head => (Received::Unread, None),
        _ => receive(body, engine.max_body(call, &moment), engine.read_timeout, connection).await?,
    };
    // OAuth faults are triggered after the body is received, which contains the credentials of the app.
    let triggered = match endpoint {
        Endpoint::OAuth(endpoint) => {
            engine.trigger_oauth_fault(endpoint, Call { body: received.bytes(), ..call }, &moment)
        }
        Endpoint::Api(_) | Endpoint::Unknown => early,
    };
    if triggered.as_ref().is_some_and(|triggered| triggered.stage == FaultStage::Head) {
        received = Received::Unread;
    }
    connection.enter(Phase::Sandbox);
    let reservation = match &triggered {
        Some(triggered) => reserve(connection, triggered).await,
        // The one response that is much larger than what it is made from.
        None if operation == Some(Operation::GetRecording) => Some(connection.reserve(MAX_RECORDING).await),
        None => None,
    };
    let form = parse_form(&mut received, call, engine, &moment).await?;
    let call = Call { body: received.bytes(), form: form.as_ref(), ..call };
    let before = engine.submitted();
    let (prepared, record) = match endpoint {
        Endpoint::OAuth(endpoint) => {
            engine.respond_oauth(endpoint, call, &received, &moment, triggered.as_ref())
        }
        Endpoint::Api(_) | Endpoint::Unknown => engine.respond(call, &received, &moment, triggered.as_ref()),
    };
    // Its files are copied by now.
    drop(form);

    let committed = if engine.submitted() == before {
        engine.await_commit(before, prepared, record).await
    } else {
        // In a task, because a request whose client disconnects meanwhile is still completed and recorded.
        let engine = Arc::clone(engine);
        tokio::spawn(async move { engine.await_commit(before, prepared, record).await }).await?
    };

    if let Some(mut triggered) = triggered {
        triggered.wait(triggered.fault.latency()).await;
        if !triggered.fault.is_http() {
            *lock(&active_request.interruption) =
                Some((fault::script(&triggered.fault, &committed), triggered, reservation));
            return Err(Aborted);
        }
    }
    active_request.hold_bytes(reservation);
    let mut response = Response::new(Body::from(committed.body));
    *response.status_mut() = committed.status;
    *response.headers_mut() = committed.headers;
    Ok(response)
}

/// Parses the form of a request that uploads files, if the token is valid. The body is reduced to its start, because the form
/// has the memory that is reserved for it.
async fn parse_form(
    received: &mut Received,
    call: Call<'_>,
    engine: &Engine,
    moment: &Moment,
) -> Result<Option<Result<Form, FormError>>, Aborted> {
    if engine.max_body(call, moment) != MAX_FORM {
        return Ok(None);
    }
    let start = Bytes::copy_from_slice(&received.bytes()[..received.bytes().len().min(MAX_RECORDED_FORM)]);
    let reduced = match received {
        Received::Whole(_) => Received::Whole(start),
        Received::TooLarge(_) => Received::TooLarge(start),
        Received::TooSlow(_) => Received::TooSlow(start),
        Received::Unread => return Ok(None),
    };
    match std::mem::replace(received, reduced) {
        Received::Whole(body) => {
            let headers = call.headers.clone();
            // One at a time, because the parser needs memory beyond that of the body.
            let permit = engine.long_work.acquire().await?;
            let form = tokio::task::spawn_blocking(move || Form::parse(&headers, body)).await?;
            drop(permit);
            Ok(Some(form))
        }
        _ => Ok(None),
    }
}
