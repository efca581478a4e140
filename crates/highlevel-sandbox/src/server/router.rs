//! The router of all requests, and the checks that precede each route.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::any;
use axum::{Extension, Router};

use super::active_request::{Aborted, ActiveRequest};
use super::reject::reject;
use super::{admin_routes, api_routes, inspector_routes};
use crate::engine::Engine;
use crate::inspector;
use crate::routing::PathParameters;

/// Builds the router. Requests carry their [`ActiveRequest`] as an extension.
pub(super) fn router(engine: &Arc<Engine>) -> Router {
    Router::new()
        .route("/", any(home))
        .merge(inspector_routes::router())
        .merge(admin_routes::router())
        .merge(api_routes::router())
        .layer(from_fn_with_state(Arc::clone(engine), check_host))
        .with_state(Arc::clone(engine))
}

/// Redirects browsers to the inspector. The API has no such path.
async fn home(
    State(engine): State<Arc<Engine>>,
    Extension(active_request): Extension<Arc<ActiveRequest>>,
    request: Request,
) -> Result<Response, Aborted> {
    if inspector::is_for_a_person(request.method(), request.headers()) {
        return Ok(inspector::welcome(&engine));
    }
    api_routes::serve(api_routes::Endpoint::Unknown, PathParameters(None), engine, active_request, request)
        .await
}

/// Rejects requests for the names of other hosts.
async fn check_host(
    State(engine): State<Arc<Engine>>,
    Extension(active_request): Extension<Arc<ActiveRequest>>,
    request: Request,
    next: Next,
) -> Result<Response, Aborted> {
    let (head, body) = request.into_parts();
    match engine.access.check_host(&head) {
        Ok(()) => Ok(next.run(Request::from_parts(head, body)).await),
        Err(error) => reject(&engine, &head, body, error, &active_request).await,
    }
}
