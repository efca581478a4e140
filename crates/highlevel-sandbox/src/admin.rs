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
mod response;
mod route;
mod settings;
mod spec;
mod state;
mod stream;

use std::io;
use std::sync::Arc;

use axum::extract::Query;
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Uri};

use crate::access::ADMIN_PREFIX as PREFIX;
use crate::api_error::ApiError;
use crate::engine::Engine;
use crate::path_template;
pub(crate) use response::{AdminBody, Output};
use route::{Input, Route};

/// Operations with larger bodies than the API has, and their maximum size in bytes: a body may contain all objects.
const LARGE: [(Method, &str); 2] = [(Method::PUT, "snapshot"), (Method::PUT, "seed")];
const LONGEST: usize = 128 * 1024 * 1024;
/// Further operations that run one at a time, on another thread: those that process much data, and all reads except
/// these short ones.
const LONG: [(Method, &str); 1] = [(Method::POST, "reset")];
const SHORT: [&str; 5] = ["health", "clock", "events", "webhooks", "rate-limit"];

/// Handles a request to the admin API.
pub(crate) fn respond(
    state: &Arc<Engine>,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    body: &Bytes,
) -> Output {
    let result = find(method, uri.path()).and_then(|(route, parameters)| {
        let query = Query::try_from_uri(uri).map_err(|error| ApiError::bad_request(error.body_text()))?;
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
    let fitting =
        routes().filter_map(|route| Some((route, path_template::parameters(route.path, &segments)?)));
    let mut fitting: Vec<_> = fitting.collect();
    let fewest = fitting.iter().map(|(_, parameters)| parameters.len()).min();
    fitting.retain(|(_, parameters)| Some(parameters.len()) == fewest);
    fitting
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::spec::{document, nameless};
    use super::*;

    /// `GET /_sandbox/contacts/{}`.
    fn operations() -> BTreeSet<String> {
        let paths = document().unwrap()["paths"].as_object().unwrap();
        let each = |(path, item): (&String, &Value)| {
            let methods = item.as_object().unwrap().keys().filter(|key| *key != "parameters");
            methods.map(|method| format!("{} {}", method.to_uppercase(), nameless(path))).collect::<Vec<_>>()
        };
        paths.iter().flat_map(each).collect()
    }

    #[test]
    fn every_route_is_described_and_every_description_has_a_route() {
        let routes: Vec<String> =
            routes().map(|route| format!("{} {}{}", route.method, PREFIX, nameless(route.path))).collect();
        let distinct: BTreeSet<String> = routes.iter().cloned().collect();
        assert_eq!(distinct.len(), routes.len(), "a route stands in two tables");
        let described = operations();
        let missing: Vec<_> = distinct.difference(&described).collect();
        let without_route: Vec<_> = described.difference(&distinct).collect();
        assert!(missing.is_empty(), "admin.yaml does not describe {missing:?}");
        assert!(without_route.is_empty(), "admin.yaml describes what is no route: {without_route:?}");
    }
}
