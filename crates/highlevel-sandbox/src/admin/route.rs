//! A route of the admin API, and the input of its handler.

use std::sync::Arc;

use axum::extract::Query;
use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;

use super::response::Output;
use super::spec;
use crate::api_error::ApiError;
use crate::engine::Engine;
use crate::json_size::{MAX_VALUES, has_too_many_values};
use crate::routing;
use crate::snapshot::StoredSnapshot;
use crate::traffic::MAX_BODY;

/// The handler of an operation.
pub(crate) type AdminHandler = fn(&Arc<Engine>, &Input<'_>) -> Result<Output, ApiError>;
/// An operation of the admin API. Its path is relative to the prefix.
pub(crate) type Route = routing::Route<AdminHandler>;

/// The input of an operation.
pub(crate) struct Input<'a> {
    pub(super) route: &'static Route,
    /// The decoded path parameters, in order.
    pub(super) parameters: Vec<String>,
    pub(super) query: Query<Vec<(String, String)>>,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
}

impl Input<'_> {
    /// Returns a path parameter by its position.
    pub(super) fn parameter(&self, place: usize) -> &str {
        self.parameters.get(place).map_or("", String::as_str)
    }

    /// Returns a query parameter.
    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(each, _)| each == name).map(|(_, value)| value.as_str())
    }

    /// Rejects unknown query parameters.
    pub(super) fn allow(&self, names: &[&str]) -> Result<(), ApiError> {
        match self.query.iter().find(|(name, _)| !names.contains(&name.as_str())) {
            None => Ok(()),
            Some((name, _)) => Err(ApiError::bad_request(format!(
                "the query has `{name}`, which means nothing here; there are {}",
                names.join(", ")
            ))),
        }
    }

    /// Returns a header by its lower-case name.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Parses the JSON body and validates it against the OpenAPI document.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        let unusable = |error| ApiError::bad_request(format!("the body cannot be used: {error}"));
        if has_too_many_values(self.body) {
            let words = format!("the body cannot be used: it has more than {MAX_VALUES} JSON values");
            return Err(ApiError { status: StatusCode::PAYLOAD_TOO_LARGE, message: words });
        }
        // Parse first: serde has the better messages for unknown names and wrong types.
        let read = serde_json::from_slice(self.body).map_err(unusable)?;
        spec::check(
            &self.route.method,
            self.route.path,
            &serde_json::from_slice(self.body).map_err(unusable)?,
        )?;
        Ok(read)
    }

    /// Parses the JSON body of a seed or snapshot. A body above the usual size limit is parsed only once, directly into
    /// records, which reports violations in other words than the OpenAPI document.
    pub(super) fn snapshot(&self) -> Result<StoredSnapshot, ApiError> {
        if self.body.len() <= MAX_BODY && !has_too_many_values(self.body) {
            return self.json();
        }
        let words = |error| ApiError::bad_request(format!("the body cannot be used: {error}"));
        serde_json::from_slice(self.body).map_err(words)
    }
}
