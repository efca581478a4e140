//! The router of all requests, and the check that precedes it.

use std::sync::{Arc, OnceLock};

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use axum::{Extension, Router};
use tower_service::Service;

use super::active_request::{Aborted, ActiveRequest};
use super::reject::reject;
use super::{admin_routes, api_routes, file_routes, inspector_routes};
use crate::inspector;
use crate::routing::PathParameters;

/// Returns the router, which all sandboxes of the process share. Requests carry their [`ActiveRequest`] as an extension.
fn router() -> Router {
    static ROUTER: OnceLock<Router> = OnceLock::new();
    let build = || {
        Router::new()
            .route("/", any(home))
            .merge(inspector_routes::router())
            .merge(admin_routes::router())
            .merge(file_routes::router())
            .merge(api_routes::router())
            // Otherwise a service is created for each request.
            .with_state(())
    };
    ROUTER.get_or_init(build).clone()
}

/// Routes a request, unless it is for the name of another host. A layer of the router would wrap every route.
pub(super) async fn route(active_request: &ActiveRequest, request: Request) -> Response {
    let engine = &active_request.engine;
    match engine.access.check_host(request.uri(), request.headers()) {
        Ok(()) => {
            let Ok(response) = router().call(request).await;
            response
        }
        Err(error) => {
            let (head, body) = request.into_parts();
            reject(engine, &head, body, error, active_request).await.into_response()
        }
    }
}

/// Redirects browsers to the inspector. The API has no such path.
async fn home(
    Extension(active_request): Extension<Arc<ActiveRequest>>,
    request: Request,
) -> Result<Response, Aborted> {
    if inspector::is_for_a_person(request.method(), request.headers()) {
        return Ok(inspector::welcome(&active_request.engine));
    }
    api_routes::serve(api_routes::Endpoint::Unknown, PathParameters(None), active_request, request).await
}
