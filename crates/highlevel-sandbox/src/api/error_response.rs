//! The error responses of the API.

use http::StatusCode;
use serde_json::{Value, json};

use super::form::FormError;
use super::{Annotations, ApiResponse};
use crate::fidelity::Refusal;
use crate::json_size::MAX_VALUES;
use crate::model::MAX_FILE;
use crate::rate_limit::Spent;
use crate::spec::{Violation, shortened};

/// The maximum length of an error message, in bytes.
const MAX_MESSAGE: usize = 4 * 1024;

/// An error response in the format of the API.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ErrorResponse {
    status: StatusCode,
    /// The body has the fields of the errors of uploads.
    is_of_upload: bool,
    /// A string, or an array of strings for 422.
    message: Value,
    /// A further field.
    field: Option<Box<(&'static str, Value)>>,
    refusal: Option<Refusal>,
    /// An explanation by the sandbox, which is not part of the body.
    note: Option<String>,
}

impl ErrorResponse {
    /// Creates a response with a message for each violation. `more` is the number of violations that are not listed.
    pub(super) fn invalid(violations: &[Violation], more: usize) -> Self {
        let messages = violations.iter().map(|violation| violation.message.clone());
        let more = (more > 0).then(|| format!("… and {more} more"));
        let messages: Vec<String> = messages.chain(more).collect();
        Self { message: json!(messages), ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "") }
    }

    /// Adds a field to the body.
    pub(super) fn with(mut self, name: &'static str, value: Value) -> Self {
        self.field = Some(Box::new((name, value)));
        self
    }

    /// Creates the response of a refusal. `value` replaces the placeholder in its text.
    pub(super) fn refused(refusal: Refusal, value: &str) -> Self {
        let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::BAD_REQUEST);
        let mut response =
            Self { refusal: Some(refusal), ..Self::new(status, &refusal.message_about(value)) };
        if let Some(more) = refusal.more_messages() {
            let first = std::iter::once(response.message);
            response.message = first.chain(more.iter().map(|text| json!(text))).collect();
        }
        response
    }

    /// Sets the explanation in the ledger and in the header of the response.
    pub(super) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }

    pub(super) fn bad_request(message: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub(super) fn not_found(message: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// Creates a response with a `canonicalCode`.
    pub(super) fn coded(status: StatusCode, code: &'static str, message: &str) -> Self {
        Self::new(status, message).with("canonicalCode", json!(code))
    }

    pub(super) fn forbidden(message: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }

    /// Uses the text of the framework that the live API is built with.
    pub(super) fn internal_error() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error")
    }

    pub(super) fn unauthorized(message: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, message)
    }

    /// Uses the text of the framework that the live API is built with.
    pub(super) fn no_route(method: &str, path: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, &format!("Cannot {method} {path}"))
    }

    pub(crate) fn too_many_requests(spent: &Spent) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, &spent.to_string())
    }

    /// Creates the response to an upload whose form is rejected.
    pub(super) fn of_form(error: &FormError) -> Self {
        match error {
            FormError::Malformed(message) => Self::bad_request(message),
            FormError::FileTooLarge { name, bytes } => {
                let message = format!("the file {name:?} has {bytes} bytes, more than {MAX_FILE}");
                Self { is_of_upload: true, ..Self::new(StatusCode::PAYLOAD_TOO_LARGE, &message) }
            }
        }
    }

    /// An upload contains a file of a type that is not accepted.
    pub(super) fn unsupported_file(message: &str) -> Self {
        Self { is_of_upload: true, ..Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message) }
    }

    pub(crate) fn too_large(limit: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            &format!("request entity too large: a body has at most {limit} bytes"),
        )
    }

    pub(super) fn too_many_values() -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            &format!("request entity too large: a body has at most {MAX_VALUES} JSON values"),
        )
    }

    pub(crate) fn too_slow() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "the body of the request was not received in time")
    }

    /// An accepted change conflicts with the model or could not be stored.
    pub(crate) fn not_stored(reason: &dyn std::fmt::Display) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, &format!("the change could not be stored: {reason}"))
    }

    pub(crate) fn unavailable() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable")
    }

    pub(crate) fn into_response(self, trace_id: &str) -> ApiResponse {
        let mut body = json!({
            "statusCode": self.status.as_u16(),
            "message": self.message,
            "traceId": trace_id,
        });
        // In the documents, 401 and 422 have this field, but 400 does not. The live API adds it to a 400 with a code.
        let code = self.refusal.and_then(Refusal::code);
        if self.status != StatusCode::BAD_REQUEST || code.is_some() {
            body["error"] = json!(self.status.canonical_reason());
        }
        if let Some(code) = code {
            body["canonicalCode"] = json!(code);
        }
        if self.is_of_upload {
            body = json!({ "status": self.status.as_u16(), "message": body["message"], "traceId": trace_id });
        }
        if let Some((name, value)) = self.field.map(|field| *field) {
            body[name] = value;
        }
        ApiResponse {
            status: self.status,
            body,
            accepted: None,
            changed: None,
            changes: Vec::new(),
            binary: None,
            annotations: Annotations {
                refusal: self.refusal.map(Refusal::name),
                note: self.note.map(|note| shortened(&note, MAX_MESSAGE).into_owned()),
                ..Annotations::default()
            },
        }
    }

    /// Truncates the message, because it may quote long values of the request.
    fn new(status: StatusCode, message: &str) -> Self {
        Self {
            status,
            is_of_upload: false,
            message: json!(shortened(message, MAX_MESSAGE)),
            field: None,
            refusal: None,
            note: None,
        }
    }
}
