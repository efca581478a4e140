//! The ledger: requests, and counts of accepted messages.

use std::str::FromStr;

use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::response::Output;
use super::route::{Input, Route};
use crate::api_error::ApiError;
use crate::engine::Engine;
use crate::ledger::{Filter, RequestFingerprint};
use crate::operation::Operation;

pub(super) const ROUTES: &[Route] = &[
    Route { method: Method::GET, path: "requests", handler: |state, input| list(state, input) },
    Route { method: Method::GET, path: "requests/{id}", handler: |state, input| show(state, input) },
    Route { method: Method::GET, path: "ledger", handler: |state, _| Ok(totals(state)) },
    Route { method: Method::POST, path: "ledger", handler: |state, input| look_up(state, input) },
    Route { method: Method::GET, path: "ledger/{fingerprint}", handler: |state, input| count(state, input) },
];

/// The default page size.
const PAGE: usize = 50;
const MAX_PAGE: usize = 1_000;

/// A message to look up.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Question {
    operation: String,
    body: Value,
    location_id: Option<String>,
}

fn list(state: &Engine, input: &Input<'_>) -> Result<Output, ApiError> {
    input.allow(&[
        "limit",
        "before",
        "status",
        "method",
        "path",
        "operation",
        "locationId",
        "fingerprint",
        "messageId",
        "accepted",
        "repeated",
    ])?;
    let filter = Filter {
        before: read(input, "before", "a number")?,
        status: read::<StatusCode>(input, "status", "an HTTP status")?.map(|status| status.as_u16()),
        method: input.query("method").map(str::to_owned),
        path: input.query("path").map(str::to_owned),
        operation: read::<String>(input, "operation", "an operation")?
            .as_deref()
            .map(operation)
            .transpose()?,
        location_id: input.query("locationId").map(str::to_owned),
        fingerprint: read(input, "fingerprint", "a fingerprint, which has 32 hexadecimal digits")?,
        message_id: input.query("messageId").map(str::to_owned),
        accepted: read(input, "accepted", "`true` or `false`")?,
        repeated: read(input, "repeated", "`true` or `false`")?,
    };
    let limit = read(input, "limit", "a number")?.unwrap_or(PAGE);
    if !(1..=MAX_PAGE).contains(&limit) {
        return Err(ApiError::bad_request(format!("limit: {limit} is not between 1 and {MAX_PAGE}")));
    }
    let (requests, before) = state.ledger.find(&filter, limit);
    let requests: Vec<Value> = requests.iter().map(|request| request.to_json()).collect();
    Ok(Output::ok(json!({ "requests": requests, "before": before })))
}

fn show(state: &Engine, input: &Input<'_>) -> Result<Output, ApiError> {
    let id = input.parameter(0);
    match state.ledger.request(id) {
        Some(request) => Ok(Output::ok(request.to_json())),
        None => Err(ApiError::not_found(format!(
            "there is no request {id}, or not any more; GET /_sandbox/requests lists those that are kept"
        ))),
    }
}

fn totals(state: &Engine) -> Output {
    let (by_status, retained) = state.ledger.totals();
    let (own, unauthenticated) = (retained.own, retained.unauthenticated);
    let requests: usize = by_status.values().sum();
    let by_status: Map<String, Value> =
        by_status.into_iter().map(|(status, times)| (status.to_string(), times.into())).collect();
    Output::ok(json!({
        "requests": requests,
        "byStatus": by_status,
        "kept": {
            "requests": retained.requests,
            "entries": own.count + unauthenticated.count,
            "bytes": own.bytes + unauthenticated.bytes,
        },
    }))
}

fn look_up(state: &Engine, input: &Input<'_>) -> Result<Output, ApiError> {
    let Question { operation: id, body, location_id } = input.json()?;
    let location = location_id.unwrap_or_else(|| state.account.location_id.clone());
    Ok(respond(state, RequestFingerprint::of(operation(&id)?, &location, &body)))
}

fn count(state: &Engine, input: &Input<'_>) -> Result<Output, ApiError> {
    let fingerprint = input.parameter(0).parse().map_err(|problem| {
        ApiError::bad_request(format!(
            "{}: {problem}; a request has its own in /_sandbox/requests",
            input.parameter(0)
        ))
    })?;
    Ok(respond(state, fingerprint))
}

fn respond(state: &Engine, fingerprint: RequestFingerprint) -> Output {
    let times = state.ledger.times(fingerprint);
    let filter = Filter { fingerprint: Some(fingerprint), accepted: Some(true), ..Filter::default() };
    let (requests, _) = state.ledger.find(&filter, MAX_PAGE);
    let requests: Vec<Value> =
        requests.iter().map(|request| json!({"id": request.id, "messageId": request.message_id})).collect();
    Output::ok(json!({
        "fingerprint": fingerprint.to_string(),
        "accepted": times.accepted,
        "stored": times.stored,
        "requests": requests,
    }))
}

fn operation(id: &str) -> Result<Operation, ApiError> {
    Operation::from_id(id).ok_or_else(|| {
        let known = Operation::ALL.map(Operation::id).join(", ");
        ApiError::bad_request(format!("there is no operation {id}; there are {known}"))
    })
}

/// Parses a query parameter, if present.
fn read<T: FromStr>(input: &Input<'_>, name: &str, expected: &str) -> Result<Option<T>, ApiError> {
    let Some(text) = input.query(name) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| ApiError::bad_request(format!("{name}: `{text}` is not {expected}")))
}
