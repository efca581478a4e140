//! The admin API under `/_sandbox/`: everything that the typed API can do, for other languages and for people.
//!
//! Each area is a file with a table of its routes; `admin.yaml` beside this crate's manifest describes them all.

mod clock;
mod health;

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::server::State;

/// Under which all of it is.
pub(crate) const PREFIX: &str = "/_sandbox/";

/// One operation of the admin API.
pub(crate) struct Route {
    method: Method,
    /// The path below the prefix; a segment in braces is a parameter: `contacts/{id}`.
    path: &'static str,
    handler: fn(&Arc<State>, &Input<'_>) -> Result<Output, Problem>,
}

/// What an operation is given.
pub(crate) struct Input<'a> {
    /// The parameters in the path, in order, decoded.
    parameters: Vec<String>,
    query: &'a str,
    body: &'a [u8],
}

/// What an operation answers.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) status: StatusCode,
    /// `Null` for no body.
    pub(crate) body: Value,
}

/// Why an operation was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) message: String,
}

/// Does what a request to the admin API asks for.
pub(crate) fn answer(state: &Arc<State>, method: &Method, target: &str, body: &Bytes) -> Output {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let result = find(method, path)
        .and_then(|(route, parameters)| (route.handler)(state, &Input { parameters, query, body }));
    result.unwrap_or_else(|problem| Output {
        status: problem.status,
        body: json!({ "error": problem.message }),
    })
}

/// The answer to a body that is too long.
pub(crate) fn too_large(limit: usize) -> Output {
    Output {
        status: StatusCode::PAYLOAD_TOO_LARGE,
        body: json!({ "error": format!("a body has at most {limit} bytes") }),
    }
}

fn routes() -> impl Iterator<Item = &'static Route> {
    [health::ROUTES, clock::ROUTES].into_iter().flatten()
}

/// The route for a path, and the parameters in it.
fn find(method: &Method, path: &str) -> Result<(&'static Route, Vec<String>), Problem> {
    let segments: Vec<&str> = path.strip_prefix(PREFIX).unwrap_or_default().split('/').collect();
    let mut methods = Vec::new();
    for route in routes() {
        if let Some(parameters) = fit(route.path, &segments) {
            if route.method == *method {
                return Ok((route, parameters));
            }
            methods.push(route.method.as_str());
        }
    }
    if methods.is_empty() {
        return Err(Problem::not_found(format!(
            "there is nothing at {path}; GET {PREFIX}openapi.json lists what there is"
        )));
    }
    Err(Problem {
        status: StatusCode::METHOD_NOT_ALLOWED,
        message: format!("{path} does not take {method}; it takes {}", methods.join(" and ")),
    })
}

/// The parameters of a path that is like the template.
fn fit(template: &str, segments: &[&str]) -> Option<Vec<String>> {
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
        percent_decoded(&value.replace('+', " "))
    }

    /// The JSON body.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        serde_json::from_slice(self.body)
            .map_err(|error| Problem::bad_request(format!("the body cannot be used: {error}")))
    }
}

impl Output {
    pub(crate) fn ok(body: Value) -> Self {
        Self { status: StatusCode::OK, body }
    }

    pub(crate) fn no_content() -> Self {
        Self { status: StatusCode::NO_CONTENT, body: Value::Null }
    }
}

impl Problem {
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, message: message.into() }
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self { status: StatusCode::NOT_FOUND, message: message.into() }
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
