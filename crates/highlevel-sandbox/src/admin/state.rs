//! All that exists at once: seeds, snapshots, the way back; and tokens.

use std::sync::Arc;

use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::json;

use super::{Content, Input, Output, Problem, Route};
use crate::server::{State, Unchanged};
use crate::world::Snapshot;

pub(super) const ROUTES: &[Route] = &[
    Route {
        method: Method::GET,
        path: "snapshot",
        handler: |state, _| Ok(Output::ok(json!(state.snapshot()))),
    },
    Route { method: Method::PUT, path: "snapshot", handler: restore },
    Route { method: Method::PUT, path: "seed", handler: seed },
    Route { method: Method::POST, path: "reset", handler: reset },
    Route { method: Method::POST, path: "tokens", handler: issue_token },
];

fn restore(state: &Arc<State>, input: &Input<'_>) -> Result<Output, Problem> {
    state.restore(input.json::<Snapshot>()?)?;
    Ok(Output::no_content())
}

fn seed(state: &Arc<State>, input: &Input<'_>) -> Result<Output, Problem> {
    state.seed(input.json::<Snapshot>()?)?;
    Ok(Output::no_content())
}

fn reset(state: &Arc<State>, _input: &Input<'_>) -> Result<Output, Problem> {
    state.reset()?;
    Ok(Output::no_content())
}

/// What a token is to be.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewToken {
    location_id: String,
    token: Option<String>,
}

fn issue_token(state: &Arc<State>, input: &Input<'_>) -> Result<Output, Problem> {
    let NewToken { location_id, token } = input.json()?;
    let token = state.issue_token(&location_id, token)?;
    let body = json!({ "token": token, "locationId": location_id });
    Ok(Output { status: StatusCode::CREATED, content: Content::Json(body) })
}

impl From<Unchanged> for Problem {
    fn from(unchanged: Unchanged) -> Self {
        let (status, message) = match unchanged {
            Unchanged::Missing(message) => (StatusCode::NOT_FOUND, message),
            Unchanged::Conflict(message) => (StatusCode::CONFLICT, message),
            Unchanged::Invalid(message) => (StatusCode::BAD_REQUEST, message),
        };
        Self { status, message }
    }
}
