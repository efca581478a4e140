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
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::ALLOW;
use http::request::Parts;
use http::{Method, StatusCode};

use crate::access::ADMIN_PREFIX as PREFIX;
use crate::api_error::ApiError;
use crate::engine::Engine;
use crate::routing;
pub(crate) use response::Output;
use route::{Input, Route};

/// Operations with larger bodies than the API has, and their maximum size in bytes: a body may contain all objects.
const LARGE: [(Method, &str); 2] = [(Method::PUT, "snapshot"), (Method::PUT, "seed")];
const LONGEST: usize = 128 * 1024 * 1024;
/// Further operations that run one at a time, on another thread: those that process much data, and all reads except
/// these short ones.
const LONG: [(Method, &str); 1] = [(Method::POST, "reset")];
const SHORT: [&str; 5] = ["health", "clock", "events", "webhooks", "rate-limit"];

/// The operation of a request.
pub(crate) type Matched = routing::Matched<route::AdminHandler>;
/// The operations of a path.
pub(crate) type Routes = routing::Routes<route::AdminHandler>;

/// Handles a request to the admin API.
pub(crate) fn respond(
    state: &Arc<Engine>,
    matched: &Matched,
    parameters: Vec<String>,
    head: &Parts,
    body: &Bytes,
) -> Response {
    let path = head.uri.path();
    match matched {
        Matched::Route(route) => {
            run(state, route, parameters, head, body).unwrap_or_else(Output::from).into_response()
        }
        Matched::OtherMethod(allowed) => {
            // Each path with GET has HEAD too.
            let methods: Vec<&str> = allowed.split(", ").filter(|method| *method != "HEAD").collect();
            let message = format!("{path} does not take {}; it takes {}", head.method, methods.join(" and "));
            let output = Output::from(ApiError { status: StatusCode::METHOD_NOT_ALLOWED, message });
            ([(ALLOW, allowed.as_str())], output).into_response()
        }
        Matched::Unknown => Output::from(ApiError::not_found(format!(
            "there is nothing at {path}; GET {PREFIX}openapi.json lists what there is"
        )))
        .into_response(),
    }
}

fn run(
    state: &Arc<Engine>,
    route: &'static Route,
    parameters: Vec<String>,
    head: &Parts,
    body: &Bytes,
) -> Result<Output, ApiError> {
    let query = Query::try_from_uri(&head.uri).map_err(|error| ApiError::bad_request(error.body_text()))?;
    (route.handler)(state, &Input { route, parameters, query, headers: &head.headers, body })
}

/// Returns the URL paths of a route. The index also has one without the slash at the end.
pub(crate) fn addresses(path: &str) -> Vec<String> {
    let address = format!("{PREFIX}{path}");
    match PREFIX.strip_suffix('/') {
        Some(index) if path.is_empty() => vec![index.to_owned(), address],
        _ => vec![address],
    }
}

/// Returns the maximum body size of a request in bytes.
pub(crate) fn max_body(matched: &Matched) -> usize {
    if is_in(&LARGE, matched) { LONGEST } else { crate::traffic::MAX_BODY }
}

/// Returns `true` if a request must run on another thread.
pub(crate) fn takes_long(matched: &Matched) -> bool {
    let is_read = matches!(matched, Matched::Route(route) if route.method == Method::GET && !SHORT.contains(&route.path));
    is_read || is_in(&LARGE, matched) || is_in(&LONG, matched)
}

fn is_in(operations: &[(Method, &str)], matched: &Matched) -> bool {
    let Matched::Route(route) = matched else { return false };
    operations.iter().any(|(method, path)| *method == route.method && *path == route.path)
}

/// Returns the response for a state file that cannot be written.
pub(crate) fn not_written(error: &io::Error) -> Output {
    unwritable(error).into()
}

/// Returns the error for a state file that cannot be written.
pub(crate) fn unwritable(error: &io::Error) -> ApiError {
    ApiError { status: StatusCode::INTERNAL_SERVER_ERROR, message: error.to_string() }
}

/// Returns the routes of all areas.
pub(crate) fn routes() -> impl Iterator<Item = &'static Route> {
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
        assert_eq!(distinct.len(), routes.len(), "a route is in two tables");
        let described = operations();
        let missing: Vec<_> = distinct.difference(&described).collect();
        let without_route: Vec<_> = described.difference(&distinct).collect();
        assert!(missing.is_empty(), "admin.yaml does not describe {missing:?}");
        assert!(without_route.is_empty(), "admin.yaml describes what is no route: {without_route:?}");
    }
}
