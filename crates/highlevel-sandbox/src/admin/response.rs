//! Responses of the admin API.

use http::StatusCode;
use serde_json::{Value, json};

use crate::api_error::ApiError;
use crate::traffic::Body;

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
