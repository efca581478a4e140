//! The admin API under `/_sandbox/`: everything that the typed API offers, for other languages and tools.
//!
//! Each area is a file with a table of its routes; `admin.yaml` next to this crate's manifest specifies them.

mod clock;
mod deliveries;
mod description;
mod events;
mod faults;
mod health;
mod ledger;
mod limits;
mod model;
mod oauth;
mod settings;
mod state;
mod stream;

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::access::ADMIN_PREFIX as PREFIX;
use crate::api_error::ApiError;
use crate::engine::Engine;
use crate::json_size::{MAX_VALUES, has_too_many_values};
use crate::snapshot::StoredSnapshot;
use crate::traffic::Body;

/// Operations with larger bodies than the API has, and their maximum size in bytes: a body may contain all objects.
const LARGE: [(Method, &str); 2] = [(Method::PUT, "snapshot"), (Method::PUT, "seed")];
const LONGEST: usize = 128 * 1024 * 1024;
/// Further operations that run one at a time, on another thread: those that process much data, and all reads except
/// these short ones.
const LONG: [(Method, &str); 1] = [(Method::POST, "reset")];
const SHORT: [&str; 5] = ["health", "clock", "events", "webhooks", "rate-limit"];

/// An operation of the admin API.
pub(crate) struct Route {
    method: Method,
    /// The path after the prefix; a segment in braces is a parameter: `contacts/{id}`.
    path: &'static str,
    handler: fn(&Arc<Engine>, &Input<'_>) -> Result<Output, ApiError>,
}

/// The input of an operation.
pub(crate) struct Input<'a> {
    route: &'static Route,
    /// The decoded path parameters, in order.
    parameters: Vec<String>,
    query: &'a str,
    headers: &'a HeaderMap,
    body: &'a [u8],
}

/// The response of an operation.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) status: StatusCode,
    pub(crate) content: Content,
}

/// The body of a response.
#[derive(Debug)]
pub(crate) enum Content {
    Nothing,
    Json(Value),
    /// Any other content, complete or streamed.
    Other {
        media_type: &'static str,
        body: Body,
    },
}

/// Handles a request to the admin API.
pub(crate) fn answer(
    state: &Arc<Engine>,
    method: &Method,
    target: &str,
    headers: &HeaderMap,
    body: &Bytes,
) -> Output {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let result = find(method, path).and_then(|(route, parameters)| {
        (route.handler)(state, &Input { route, parameters, query, headers, body })
    });
    result.unwrap_or_else(Output::from)
}

/// Returns the maximum body size of a request in bytes.
pub(crate) fn longest(method: &Method, path: &str) -> usize {
    let path = path.strip_prefix(PREFIX).unwrap_or_default();
    let is_large = LARGE.iter().any(|(large, there)| large == method && *there == path);
    if is_large { LONGEST } else { crate::traffic::MAX_BODY }
}

/// Returns `true` if a request must run on another thread.
pub(crate) fn takes_long(method: &Method, path: &str) -> bool {
    let path = path.strip_prefix(PREFIX).unwrap_or_default();
    let is_long = LARGE.iter().chain(&LONG).any(|(long, there)| long == method && *there == path);
    is_long || (*method == Method::GET && !SHORT.contains(&path))
}

/// Returns the response for a state file that cannot be written.
pub(crate) fn not_written(error: &io::Error) -> Output {
    unwritable(error).into()
}

/// Returns the error for a state file that cannot be written.
pub(crate) fn unwritable(error: &io::Error) -> ApiError {
    ApiError { status: StatusCode::INTERNAL_SERVER_ERROR, message: error.to_string() }
}

fn routes() -> impl Iterator<Item = &'static Route> {
    [
        health::ROUTES,
        description::ROUTES,
        clock::ROUTES,
        faults::ROUTES,
        ledger::ROUTES,
        limits::ROUTES,
        oauth::ROUTES,
        settings::ROUTES,
        state::ROUTES,
        stream::ROUTES,
        model::ROUTES,
        deliveries::ROUTES,
        events::ROUTES,
    ]
    .into_iter()
    .flatten()
}

/// Returns the route of a path, and its parameters.
fn find(method: &Method, path: &str) -> Result<(&'static Route, Vec<String>), ApiError> {
    let mut there = at(path);
    if there.is_empty() {
        return Err(ApiError::not_found(format!(
            "there is nothing at {path}; GET {PREFIX}openapi.json lists what there is"
        )));
    }
    // HEAD is handled as GET; the body is not sent.
    let wanted = if *method == Method::HEAD { &Method::GET } else { method };
    match there.iter().position(|(route, _)| route.method == *wanted) {
        Some(place) => Ok(there.swap_remove(place)),
        None => Err(ApiError {
            status: StatusCode::METHOD_NOT_ALLOWED,
            message: format!("{path} does not take {method}; it takes {}", allowed(path).join(" and ")),
        }),
    }
}

/// Returns the methods of a path.
pub(crate) fn allowed(path: &str) -> Vec<&'static str> {
    let mut methods: Vec<_> = at(path).iter().map(|(route, _)| route.method.as_str()).collect();
    if methods.contains(&"GET") {
        methods.push("HEAD");
    }
    methods
}

/// Returns the routes that match a path. Literal segments take precedence over parameters.
fn at(path: &str) -> Vec<(&'static Route, Vec<String>)> {
    let segments: Vec<&str> = path.strip_prefix(PREFIX).unwrap_or_default().split('/').collect();
    let fitting = routes().filter_map(|route| Some((route, fit(route.path, &segments)?)));
    let mut fitting: Vec<_> = fitting.collect();
    let fewest = fitting.iter().map(|(_, parameters)| parameters.len()).min();
    fitting.retain(|(_, parameters)| Some(parameters.len()) == fewest);
    fitting
}

/// Returns the parameters of a path that matches a template.
pub(crate) fn fit(template: &str, segments: &[&str]) -> Option<Vec<String>> {
    let mut parameters = Vec::new();
    let mut rest = segments.iter();
    for expected in template.split('/') {
        let segment = *rest.next()?;
        if expected.starts_with('{') {
            parameters.push(percent_decoded(segment)?);
        } else if expected != segment {
            return None;
        }
    }
    rest.next().is_none().then_some(parameters)
}

fn percent_decoded(segment: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(segment.len());
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let (high, low) =
                    (char::from(bytes.next()?).to_digit(16)?, char::from(bytes.next()?).to_digit(16)?);
                u8::try_from(high * 16 + low).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(decoded).ok().filter(|text| !text.is_empty())
}

impl Input<'_> {
    /// Returns a path parameter by its position.
    pub(crate) fn parameter(&self, place: usize) -> &str {
        self.parameters.get(place).map_or("", String::as_str)
    }

    /// Returns a decoded query parameter.
    pub(crate) fn query(&self, name: &str) -> Option<String> {
        let value = self.query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
        // Invalid encodings become empty values, which are rejected later.
        Some(percent_decoded(&value.replace('+', " ")).unwrap_or_default())
    }

    /// Rejects unknown query parameters.
    pub(crate) fn allow(&self, names: &[&str]) -> Result<(), ApiError> {
        let present = self.query.split('&').filter(|pair| !pair.is_empty());
        let present = present.map(|pair| pair.split_once('=').map_or(pair, |(name, _)| name));
        match present.into_iter().find(|name| !names.contains(name)) {
            None => Ok(()),
            Some(name) => Err(ApiError::bad_request(format!(
                "the query has `{name}`, which means nothing here; there are {}",
                names.join(", ")
            ))),
        }
    }

    /// Returns a header by its lower-case name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Parses the JSON body and validates it against the OpenAPI document.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        let unusable = |error| ApiError::bad_request(format!("the body cannot be used: {error}"));
        if has_too_many_values(self.body) {
            let words = format!("the body cannot be used: it has more than {MAX_VALUES} JSON values");
            return Err(ApiError { status: StatusCode::PAYLOAD_TOO_LARGE, message: words });
        }
        // Parse first: serde has the better messages for unknown names and wrong types.
        let read = serde_json::from_slice(self.body).map_err(unusable)?;
        description::check(self.route, &serde_json::from_slice(self.body).map_err(unusable)?)?;
        Ok(read)
    }
}

impl Input<'_> {
    /// Parses the JSON body of a seed or snapshot. A body above the usual size limit is parsed only once, directly into
    /// records, which reports violations in other words than the OpenAPI document.
    pub(crate) fn snapshot(&self) -> Result<StoredSnapshot, ApiError> {
        if self.body.len() <= crate::traffic::MAX_BODY && !has_too_many_values(self.body) {
            return self.json();
        }
        let words = |error| ApiError::bad_request(format!("the body cannot be used: {error}"));
        serde_json::from_slice(self.body).map_err(words)
    }
}

impl Output {
    pub(crate) fn ok(body: Value) -> Self {
        Self { status: StatusCode::OK, content: Content::Json(body) }
    }

    pub(crate) fn no_content() -> Self {
        Self { status: StatusCode::NO_CONTENT, content: Content::Nothing }
    }
}

impl From<ApiError> for Output {
    fn from(problem: ApiError) -> Self {
        Self { status: problem.status, content: Content::Json(json!({ "error": problem.message })) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_fit_their_templates() {
        let cases = [
            ("health", "health", Some(vec![])),
            ("health", "health/", None),
            ("contacts/{id}", "contacts/a%20b%2F", Some(vec!["a b/".to_owned()])),
            ("contacts/{id}", "contacts/", None),
            ("contacts/{id}", "contacts/a/b", None),
            ("contacts/{id}", "contacts/%ff", None),
            ("contacts/{id}", "contacts/%4", None),
        ];
        for (template, path, expected) in cases {
            let segments: Vec<&str> = path.split('/').collect();
            assert_eq!(fit(template, &segments), expected, "{template} {path}");
        }
    }
}
