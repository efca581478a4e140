//! The embedded OpenAPI document of the admin API, and the validation of request bodies.

use std::sync::OnceLock;

use http::{Method, StatusCode};
use serde_json::Value;

use crate::access::ADMIN_PREFIX;
use crate::api_error::ApiError;
use crate::spec::{Spec, Violation};

const DOCUMENT_TEXT: &str = include_str!("../../admin.yaml");

/// Returns the OpenAPI document as JSON. It is parsed on first use, once per process.
pub(super) fn document() -> Result<&'static Value, ApiError> {
    static DOCUMENT: OnceLock<Result<Value, ApiError>> = OnceLock::new();
    let parsed = DOCUMENT.get_or_init(|| {
        serde_saphyr::from_str(DOCUMENT_TEXT).map_err(|error| ApiError {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            message: format!("the embedded OpenAPI document is not YAML: {error}"),
        })
    });
    parsed.as_ref().map_err(Clone::clone)
}

/// Rejects a body that violates the OpenAPI document. In addition to the type checks of serde it enforces bounds, and
/// that `null` differs from a missing field.
pub(super) fn check(method: &Method, path: &str, body: &Value) -> Result<(), ApiError> {
    let spec = spec()?;
    let wanted = nameless(&format!("{ADMIN_PREFIX}{path}"));
    let paths = spec.document()["paths"].as_object().into_iter().flatten();
    let Some((path, _)) = paths.into_iter().find(|(path, _)| nameless(path) == wanted) else {
        return Ok(());
    };
    let Some(schema) = spec.request_schema(method.as_str(), path) else {
        return Ok(());
    };
    let violations = spec.validate(schema, body);
    if violations.is_empty() {
        return Ok(());
    }
    let words: Vec<String> = violations.iter().map(Violation::to_string).collect();
    Err(ApiError::bad_request(format!("the body cannot be used: {}", words.join("; "))))
}

/// Returns the schemas for validation, built on first use.
fn spec() -> Result<&'static Spec, ApiError> {
    static SPEC: OnceLock<Result<Spec, ApiError>> = OnceLock::new();
    let spec = SPEC.get_or_init(|| {
        Spec::read(DOCUMENT_TEXT).map_err(|error| ApiError {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            message: format!("the embedded OpenAPI document is invalid: {error}"),
        })
    });
    spec.as_ref().map_err(Clone::clone)
}

/// Returns a path with unnamed parameters.
pub(super) fn nameless(path: &str) -> String {
    let nameless =
        |segment: &str| if segment.starts_with('{') { "{}".to_owned() } else { segment.to_owned() };
    path.split('/').map(nameless).collect::<Vec<_>>().join("/")
}
