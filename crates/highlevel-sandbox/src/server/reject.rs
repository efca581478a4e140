//! Responses to requests that access control does not allow.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::AUTHORIZATION;
use http::request::Parts;

use super::active_request::{Aborted, ActiveRequest};
use crate::access;
use crate::admin;
use crate::api_error::ApiError;
use crate::engine::Engine;
use crate::inspector::{self, PageRequest};
use crate::traffic::{Body, MAX_BODY, receive};

/// Rejects a request. It is not recorded in the ledger and triggers no fault.
pub(super) async fn reject(
    engine: &Arc<Engine>,
    head: &Parts,
    body: Body,
    error: ApiError,
    active_request: &ActiveRequest,
) -> Result<Response, Aborted> {
    receive(body, MAX_BODY, engine.read_timeout, &active_request.connection).await?;
    if error.status == StatusCode::UNAUTHORIZED && head.headers.contains_key(AUTHORIZATION) {
        engine.slow_down_guess().await;
    } else {
        engine.report_refusal(head, &error.message);
    }
    if access::is_inspector_path(head.uri.path()) {
        return Ok(inspector::refused(engine, &PageRequest::without_form(head), error));
    }
    Ok(admin::Output::from(error).into_response())
}
