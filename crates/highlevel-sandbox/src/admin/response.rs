//! Responses of the admin API.

use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::{Value, json};

use crate::api_error::ApiError;
use crate::traffic::Body;

const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// The response of an operation.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) status: StatusCode,
    pub(crate) content: AdminBody,
}

/// The body of a response.
#[derive(Debug)]
pub(crate) enum AdminBody {
    Nothing,
    Json(Value),
    /// Any other content, complete or streamed.
    Other {
        media_type: &'static str,
        body: Body,
    },
}

impl Output {
    pub(super) fn ok(body: Value) -> Self {
        Self { status: StatusCode::OK, content: AdminBody::Json(body) }
    }

    pub(super) fn no_content() -> Self {
        Self { status: StatusCode::NO_CONTENT, content: AdminBody::Nothing }
    }
}

impl From<ApiError> for Output {
    fn from(problem: ApiError) -> Self {
        Self { status: problem.status, content: AdminBody::Json(json!({ "error": problem.message })) }
    }
}

impl IntoResponse for Output {
    fn into_response(self) -> Response {
        let (media_type, body) = match self.content {
            AdminBody::Nothing => (None, Body::empty()),
            AdminBody::Json(value) => {
                (Some("application/json; charset=utf-8"), Body::from(value.to_string()))
            }
            AdminBody::Other { media_type, body } => (Some(media_type), body),
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
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
}
