//! The error responses of the admin API and the inspector.

use std::io;

use http::StatusCode;

/// An error response, with the message as its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    pub(crate) message: String,
}

impl ApiError {
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, message: message.into() }
    }

    /// A body exceeds the limit.
    pub(crate) fn too_large(limit: usize) -> Self {
        let message = format!("a body has at most {limit} bytes");
        Self { status: StatusCode::PAYLOAD_TOO_LARGE, message }
    }

    /// A body was not received in time.
    pub(crate) fn too_slow() -> Self {
        let message = "the body was not received in time".to_owned();
        Self { status: StatusCode::REQUEST_TIMEOUT, message }
    }

    /// A limit on stored data is reached.
    pub(crate) fn capacity_exceeded(message: impl Into<String>) -> Self {
        Self { status: StatusCode::INSUFFICIENT_STORAGE, message: message.into() }
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self { status: StatusCode::NOT_FOUND, message: message.into() }
    }
}

impl From<io::Error> for ApiError {
    fn from(error: io::Error) -> Self {
        let status = match error.kind() {
            io::ErrorKind::NotFound => StatusCode::NOT_FOUND,
            io::ErrorKind::InvalidInput => StatusCode::BAD_REQUEST,
            io::ErrorKind::QuotaExceeded => StatusCode::TOO_MANY_REQUESTS,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self { status, message: error.to_string() }
    }
}
