//! The admin API under `/_sandbox/`: everything that the typed API can do, for other languages and for people.
//!
//! Each area is a file with a table of its routes; `admin.yaml` beside this crate's manifest describes them all.

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

/// What takes longer bodies than the API does, and up to how many bytes: everything that exists may be in one.
const LARGE: [(Method, &str); 2] = [(Method::PUT, "snapshot"), (Method::PUT, "seed")];
const LONGEST: usize = 128 * 1024 * 1024;
/// What else is dealt with one at a time, beside other requests: whatever goes through much of what there is, and all that
/// is read but this, which is always short.
const LONG: [(Method, &str); 1] = [(Method::POST, "reset")];
const SHORT: [&str; 5] = ["health", "clock", "events", "webhooks", "rate-limit"];

/// One operation of the admin API.
pub(crate) struct Route {
    method: Method,
    /// The path below the prefix; a segment in braces is a parameter: `contacts/{id}`.
    path: &'static str,
    handler: fn(&Arc<Engine>, &Input<'_>) -> Result<Output, ApiError>,
}

/// What an operation is given.
pub(crate) struct Input<'a> {
    route: &'static Route,
    /// The parameters in the path, in order, decoded.
    parameters: Vec<String>,
    query: &'a str,
    headers: &'a HeaderMap,
    body: &'a [u8],
}

/// What an operation answers.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) status: StatusCode,
    pub(crate) content: Content,
}

/// The body of an answer.
#[derive(Debug)]
pub(crate) enum Content {
    Nothing,
    Json(Value),
    /// Something else, complete or as it comes.
    Other {
        media_type: &'static str,
        body: Body,
    },
}

/// Does what a request to the admin API asks for.
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

/// The longest body that is read of a request, in bytes.
pub(crate) fn longest(method: &Method, path: &str) -> usize {
    let path = path.strip_prefix(PREFIX).unwrap_or_default();
    let is_large = LARGE.iter().any(|(large, there)| large == method && *there == path);
    if is_large { LONGEST } else { crate::traffic::MAX_BODY }
}

/// Returns `true` if a request is not to be dealt with between others.
pub(crate) fn takes_long(method: &Method, path: &str) -> bool {
    let path = path.strip_prefix(PREFIX).unwrap_or_default();
    let is_long = LARGE.iter().chain(&LONG).any(|(long, there)| long == method && *there == path);
    is_long || (*method == Method::GET && !SHORT.contains(&path))
}

/// The response when the state file cannot be written.
pub(crate) fn not_written(error: &io::Error) -> Output {
    unwritable(error).into()
}

/// The reason why nothing was changed: the state file cannot be written.
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

/// The route for a path, and the parameters in it.
fn find(method: &Method, path: &str) -> Result<(&'static Route, Vec<String>), ApiError> {
    let mut there = at(path);
    if there.is_empty() {
        return Err(ApiError::not_found(format!(
            "there is nothing at {path}; GET {PREFIX}openapi.json lists what there is"
        )));
    }
    // A HEAD is a GET whose body is not sent.
    let wanted = if *method == Method::HEAD { &Method::GET } else { method };
    match there.iter().position(|(route, _)| route.method == *wanted) {
        Some(place) => Ok(there.swap_remove(place)),
        None => Err(ApiError {
            status: StatusCode::METHOD_NOT_ALLOWED,
            message: format!("{path} does not take {method}; it takes {}", allowed(path).join(" and ")),
        }),
    }
}

/// The methods that a path takes.
pub(crate) fn allowed(path: &str) -> Vec<&'static str> {
    let mut methods: Vec<_> = at(path).iter().map(|(route, _)| route.method.as_str()).collect();
    if methods.contains(&"GET") {
        methods.push("HEAD");
    }
    methods
}

/// What there is at a path. Where its words are those of a route, the parameters of another route do not stand for them.
fn at(path: &str) -> Vec<(&'static Route, Vec<String>)> {
    let segments: Vec<&str> = path.strip_prefix(PREFIX).unwrap_or_default().split('/').collect();
    let fitting = routes().filter_map(|route| Some((route, fit(route.path, &segments)?)));
    let mut fitting: Vec<_> = fitting.collect();
    let fewest = fitting.iter().map(|(_, parameters)| parameters.len()).min();
    fitting.retain(|(_, parameters)| Some(parameters.len()) == fewest);
    fitting
}

/// The parameters of a path that is like the template.
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
    /// A parameter of the path, by its place.
    pub(crate) fn parameter(&self, place: usize) -> &str {
        self.parameters.get(place).map_or("", String::as_str)
    }

    /// The value of a name in the query, decoded.
    pub(crate) fn query(&self, name: &str) -> Option<String> {
        let value = self.query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
        // What cannot be decoded is as wrong as what is empty, and stays there to be refused.
        Some(percent_decoded(&value.replace('+', " ")).unwrap_or_default())
    }

    /// Refuses names in the query that mean nothing here.
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

    /// The value of a header, by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The JSON body, as the description has it.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        let unusable = |error| ApiError::bad_request(format!("the body cannot be used: {error}"));
        if has_too_many_values(self.body) {
            let words = format!("the body cannot be used: it has more than {MAX_VALUES} JSON values");
            return Err(ApiError { status: StatusCode::PAYLOAD_TOO_LARGE, message: words });
        }
        // This first: it knows best what is wrong with a name or a type.
        let read = serde_json::from_slice(self.body).map_err(unusable)?;
        description::check(self.route, &serde_json::from_slice(self.body).map_err(unusable)?)?;
        Ok(read)
    }
}

impl Input<'_> {
    /// The JSON body of a seed or snapshot. One that is larger than other bodies may be is read once, into what is kept of
    /// it: that refuses what is wrong in other words than the description.
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
