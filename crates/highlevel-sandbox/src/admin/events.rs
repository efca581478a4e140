//! Test events and simulations.

use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::response::{AdminBody, Output};
use super::route::{Input, Route};
use crate::api_error::ApiError;
use crate::engine::Engine;
use crate::model::{Message, StatusUpdate};
use crate::webhook::{SimulatedCall, Trigger};

pub(super) const ROUTES: &[Route] = &[
    Route { method: Method::POST, path: "events/trigger", handler: |state, input| trigger(state, input) },
    Route { method: Method::POST, path: "simulate/inbound", handler: |state, input| inbound(state, input) },
    Route { method: Method::POST, path: "simulate/call", handler: |state, input| call(state, input) },
    Route { method: Method::POST, path: "simulate/status", handler: |state, input| status(state, input) },
];

fn trigger(state: &Engine, input: &Input<'_>) -> Result<Output, ApiError> {
    let trigger: Trigger = input.json()?;
    let delivery = state.trigger(&trigger).map_err(ApiError::from)?;
    Ok(Output { status: StatusCode::CREATED, content: AdminBody::Json(delivery.to_json()) })
}

fn inbound(state: &Engine, input: &Input<'_>) -> Result<Output, ApiError> {
    let fields: Map<String, Value> = input.json()?;
    state.simulate_inbound(fields).map(created).map_err(ApiError::from)
}

fn call(state: &Engine, input: &Input<'_>) -> Result<Output, ApiError> {
    let call: SimulatedCall = input.json()?;
    state.simulate_call(&call).map(created).map_err(ApiError::from)
}

/// The body of a simulated status: the message ID and the update.
fn status(state: &Engine, input: &Input<'_>) -> Result<Output, ApiError> {
    let mut fields: Map<String, Value> = input.json()?;
    let Some(Value::String(message)) = fields.remove("messageId") else {
        return Err(ApiError::bad_request("messageId is missing, or is no text"));
    };
    let update: StatusUpdate = serde_json::from_value(Value::Object(fields))
        .map_err(|error| ApiError::bad_request(format!("the body cannot be used: {error}")))?;
    state.simulate_status(&message, update).map(|message| Output::ok(json!(message))).map_err(ApiError::from)
}

#[allow(clippy::needless_pass_by_value, reason = "it is what a result is mapped with")]
fn created(message: Message) -> Output {
    Output { status: StatusCode::CREATED, content: AdminBody::Json(json!(message)) }
}
