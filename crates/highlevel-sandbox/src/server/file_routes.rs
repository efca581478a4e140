//! Uploaded files, at the URLs in the responses to uploads. Requests need no token and are not recorded in the ledger.

use std::sync::Arc;

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use axum::{Extension, Router};
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderName, HeaderValue, Method, StatusCode};

use super::active_request::{Aborted, ActiveRequest};
use crate::admin;
use crate::api::{FILE_ROUTE, file_path};
use crate::api_error::ApiError;
use crate::engine::Engine;
use crate::routing::PathParameters;
use crate::traffic::{Body, MAX_BODY, receive};

pub(super) fn router() -> Router {
    Router::new().route(FILE_ROUTE, any(serve))
}

async fn serve(
    Extension(active_request): Extension<Arc<ActiveRequest>>,
    PathParameters(parameters): PathParameters,
    request: Request,
) -> Result<Response, Aborted> {
    let engine = &active_request.engine;
    let (head, body) = request.into_parts();
    receive(body, MAX_BODY, engine.read_timeout, &active_request.connection).await?;
    if !matches!(head.method, Method::GET | Method::HEAD) {
        let message = format!("a file does not take {}; it takes GET", head.method);
        let error = ApiError { status: StatusCode::METHOD_NOT_ALLOWED, message };
        return Ok(([(ALLOW, "GET, HEAD")], admin::Output::from(error)).into_response());
    }
    let id = parameters.as_deref().and_then(|parameters| parameters.first());
    Ok(file(engine, id.map_or("", String::as_str), head.uri.path()))
}

/// Returns a file for download. No browser displays it or runs scripts in it.
fn file(engine: &Engine, id: &str, path: &str) -> Response {
    let file = engine.model().file(id).cloned().filter(|file| file_path(file) == path);
    let Some(file) = file else {
        let missing = ApiError::not_found(
            "there is no file at this address; the oldest files are deleted first".to_owned(),
        );
        return admin::Output::from(missing).into_response();
    };
    let mut response = Response::new(Body::from(file.bytes()));
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_TYPE, file.content_type()),
        // The last segment of the URL is the name.
        (CONTENT_DISPOSITION, "attachment"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'; sandbox"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
