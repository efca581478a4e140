//! Error responses in the format of the API.

use http::StatusCode;
use serde_json::{Value, json};

/// An error response of an endpoint for companies.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rejection {
    status: StatusCode,
    /// A string, or an array of strings for 422.
    message: Value,
    /// The code in the format of version `v3`. Without a code, the format is that of the other versions.
    code: Option<&'static str>,
}

impl Rejection {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: Value::String(message.into()), code: None }
    }

    pub(crate) fn unauthorized(message: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, message)
    }

    /// Creates a validation error with a message for each violation.
    pub(crate) fn invalid(messages: &[String]) -> Self {
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, message: json!(messages), code: None }
    }

    /// Creates an error in the format that the documents of version `v3` specify.
    pub(crate) fn with_code(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { code: Some(code), ..Self::new(status, message) }
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn body(&self, trace_id: &str) -> Value {
        match self.code {
            Some(code) => json!({ "error": { "code": code, "message": self.message }, "traceId": trace_id }),
            None => json!({
                "statusCode": self.status.as_u16(),
                "message": self.message,
                "error": self.status.canonical_reason(),
                "traceId": trace_id,
            }),
        }
    }
}
