//! Fault rules.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::response::{AdminBody, Output};
use super::route::{Input, Route};
use crate::api_error::ApiError;
use crate::engine::Engine;
use crate::fault::Fault;

pub(super) const ROUTES: &[Route] = &[
    Route { method: Method::GET, path: "faults", handler: |state, _| Ok(list(state)) },
    Route { method: Method::POST, path: "faults", handler: |state, input| add(state, input) },
    Route { method: Method::DELETE, path: "faults", handler: |state, _| Ok(clear(state)) },
    Route { method: Method::DELETE, path: "faults/{id}", handler: |state, input| remove(state, input) },
    Route { method: Method::GET, path: "faults/catalogue", handler: |_, _| Ok(names()) },
];

fn list(state: &Engine) -> Output {
    Output::ok(json!({ "faults": state.faults.list() }))
}

fn add(state: &Engine, input: &Input<'_>) -> Result<Output, ApiError> {
    let active = state.add_fault(input.json()?).map_err(ApiError::bad_request)?;
    Ok(Output { status: StatusCode::CREATED, content: AdminBody::Json(json!(active)) })
}

fn clear(state: &Engine) -> Output {
    state.clear_faults();
    Output::no_content()
}

fn remove(state: &Engine, input: &Input<'_>) -> Result<Output, ApiError> {
    let id = input.parameter(0);
    if id.parse().is_ok_and(|id| state.remove_fault(id)) {
        return Ok(Output::no_content());
    }
    Err(ApiError::not_found(format!("there is no rule {id}; GET /_sandbox/faults lists those in force")))
}

/// Lists the predefined faults.
fn names() -> Output {
    let faults: Vec<Value> = Fault::all()
        .map(|fault| {
            json!({
                "name": fault.name(),
                "description": fault.description(),
                "stage": fault.default_stage(),
            })
        })
        .collect();
    Output::ok(json!({ "faults": faults }))
}
