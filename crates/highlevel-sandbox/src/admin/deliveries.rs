//! Webhooks: settings, deliveries, resend and replay, tamper modes.

use std::time::Duration;

use http::{Method, StatusCode};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::response::{AdminBody, Output};
use super::route::{Input, Route};
use crate::api_error::ApiError;
use crate::engine::Engine;
use crate::webhook::{
    DeliveryFilter, DeliveryState, Replay, RetryKind, RetrySchedule, TamperConfig, TamperMode,
    WebhookDelivery,
};

pub(super) const ROUTES: &[Route] = &[
    Route { method: Method::GET, path: "deliveries", handler: |state, input| list(state, input) },
    Route { method: Method::GET, path: "deliveries/{id}", handler: |state, input| get(state, input) },
    Route {
        method: Method::POST,
        path: "deliveries/{id}/resend",
        handler: |state, input| resend(state, input),
    },
    Route {
        method: Method::POST,
        path: "deliveries/{id}/replay",
        handler: |state, input| replay(state, input),
    },
    Route { method: Method::GET, path: "webhooks", handler: |state, _| Ok(settings(state)) },
    Route { method: Method::PATCH, path: "webhooks", handler: |state, input| change(state, input) },
    Route {
        method: Method::GET,
        path: "webhooks/tamper",
        handler: |state, _| Ok(shown(&state.outbox.tamper_config())),
    },
    Route {
        method: Method::PUT,
        path: "webhooks/tamper",
        handler: |state, input| set_tampering(state, input),
    },
    Route { method: Method::DELETE, path: "webhooks/tamper", handler: |state, _| Ok(clear_tampering(state)) },
    Route { method: Method::GET, path: "webhooks/keys", handler: |state, _| Ok(keys(state)) },
    Route { method: Method::POST, path: "webhooks/keys", handler: |state, _| rotate(state) },
];

/// The maximum number of deliveries in a list.
const MAX_LIST: usize = 1_000;

fn list(state: &Engine, input: &Input<'_>) -> Result<Output, ApiError> {
    let number = |name: &str| match input.query(name) {
        None => Ok(None),
        Some(text) => text
            .parse::<u64>()
            .map(Some)
            .map_err(|_| ApiError::bad_request(format!("{name}: {text:?} is no number"))),
    };
    let limit = number("limit")?.map_or(100, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    if limit > MAX_LIST {
        return Err(ApiError::bad_request(format!("limit: {limit} is more than {MAX_LIST}")));
    }
    let state_named = |text: &str| {
        let all = [DeliveryState::Pending, DeliveryState::Delivered, DeliveryState::GivenUp];
        all.into_iter().find(|state| state.as_str() == text).ok_or_else(|| {
            ApiError::bad_request(format!(
                "state: there is no {text:?}; there are pending, delivered, givenUp"
            ))
        })
    };
    let filter = DeliveryFilter {
        before: number("before")?,
        event: input.query("event").map(str::to_owned),
        message_id: input.query("messageId").map(str::to_owned),
        state: input.query("state").map(state_named).transpose()?,
    };
    let deliveries = state.outbox.newest(&filter, limit);
    let deliveries: Vec<Value> = deliveries.iter().map(WebhookDelivery::to_json).collect();
    Ok(Output::ok(json!({ "deliveries": deliveries })))
}

fn get(state: &Engine, input: &Input<'_>) -> Result<Output, ApiError> {
    let id = id(input)?;
    let delivery = state.outbox.delivery(id).ok_or_else(|| unknown(&id.to_string()))?;
    Ok(Output::ok(delivery.to_json()))
}

/// The body of a resend.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Resend {
    tamper_mode: Option<TamperMode>,
}

fn resend(state: &Engine, input: &Input<'_>) -> Result<Output, ApiError> {
    let Resend { tamper_mode } = input.json()?;
    state.resend(id(input)?, tamper_mode).map(accepted).map_err(ApiError::from)
}

/// The body of a replay: the attempt and the edits.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Again {
    attempt: Option<u32>,
    body: Option<String>,
    #[serde(default)]
    signed: bool,
}

fn replay(state: &Engine, input: &Input<'_>) -> Result<Output, ApiError> {
    let again: Again = input.json()?;
    let mut replay = Replay::new();
    if let Some(number) = again.attempt {
        replay = replay.attempt(number);
    }
    if let Some(body) = again.body {
        replay = replay.body(body);
    }
    if again.signed {
        replay = replay.signed();
    }
    state.replay(id(input)?, replay).map(accepted).map_err(ApiError::from)
}

/// Returns the delivery with the attempt queued.
#[allow(clippy::needless_pass_by_value, reason = "it is what a result is mapped with")]
fn accepted(delivery: WebhookDelivery) -> Output {
    Output { status: StatusCode::ACCEPTED, content: AdminBody::Json(delivery.to_json()) }
}

fn settings(state: &Engine) -> Output {
    let retries = state.outbox.retries();
    let mut shown = json!({ "retries": retries.kind().as_str() });
    if let RetrySchedule::Custom(waits) = retries {
        shown["waitsMs"] = json!(waits.iter().map(Duration::as_millis).collect::<Vec<_>>());
    }
    if let Some(url) = state.outbox.url() {
        shown["url"] = json!(url);
    }
    Output::ok(shown)
}

/// A partial update of the webhook settings.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WebhookSettingsPatch {
    #[serde(default, deserialize_with = "given")]
    url: Option<Value>,
    retries: Option<RetryKind>,
    waits_ms: Option<Vec<u64>>,
}

/// Distinguishes `null` from a missing field.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

fn change(state: &Engine, input: &Input<'_>) -> Result<Output, ApiError> {
    let WebhookSettingsPatch { url, retries, waits_ms } = input.json()?;
    let url = match url {
        None => None,
        Some(Value::Null) => Some(None),
        Some(Value::String(url)) => Some(Some(url)),
        Some(other) => return Err(ApiError::bad_request(format!("url: {other} is neither text nor null"))),
    };
    let retries = match (retries, waits_ms) {
        (Some(kind), None) if kind != RetryKind::Custom => kind.fixed(),
        (Some(RetryKind::Custom), Some(waits)) => {
            let waits = waits.into_iter().map(Duration::from_millis).collect();
            Some(
                RetrySchedule::custom(waits)
                    .map_err(|words| ApiError::bad_request(format!("waitsMs: {words}")))?,
            )
        }
        (None, None) => None,
        _ => return Err(ApiError::bad_request("waitsMs goes with retries `custom`, and with it alone")),
    };
    if let Some(url) = url {
        state.set_webhook_url(url.as_deref()).map_err(ApiError::from)?;
    }
    if let Some(retries) = retries {
        state.set_retry_schedule(retries);
    }
    Ok(settings(state))
}

/// Replaces the active tamper modes.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Hostile {
    mode: Option<TamperMode>,
    #[serde(default)]
    next: Vec<Next>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Next {
    mode: TamperMode,
    attempts: u32,
}

fn set_tampering(state: &Engine, input: &Input<'_>) -> Result<Output, ApiError> {
    let Hostile { mode, next } = input.json()?;
    let tamper_config = state.change_tamper_config(|tamper_config| {
        tamper_config.standing = mode;
        tamper_config.next = next.into_iter().map(|next| (next.mode, next.attempts)).collect();
    });
    Ok(shown(&tamper_config))
}

fn clear_tampering(state: &Engine) -> Output {
    state.change_tamper_config(|tamper_config| *tamper_config = TamperConfig::default());
    Output::no_content()
}

fn shown(tamper_config: &TamperConfig) -> Output {
    let next = tamper_config
        .next
        .iter()
        .map(|(mode, attempts)| json!({ "mode": mode.as_str(), "attempts": attempts }));
    let mut shown = json!({ "next": next.collect::<Vec<_>>() });
    if let Some(mode) = tamper_config.standing {
        shown["mode"] = json!(mode.as_str());
    }
    Output::ok(shown)
}

fn keys(state: &Engine) -> Output {
    let keys = state.outbox.keys().into_iter().map(|key| {
        json!({ "id": key.id, "algorithm": key.algorithm, "publicKey": key.public_key, "current": key.current })
    });
    Output::ok(json!({ "keys": keys.collect::<Vec<_>>() }))
}

fn rotate(state: &Engine) -> Result<Output, ApiError> {
    state.rotate_webhook_key().map_err(ApiError::from)?;
    Ok(Output { status: StatusCode::CREATED, ..keys(state) })
}

fn id(input: &Input<'_>) -> Result<u64, ApiError> {
    let text = input.parameter(0);
    text.parse().map_err(|_| unknown(text))
}

fn unknown(id: &str) -> ApiError {
    ApiError::not_found(format!(
        "delivery {id} does not exist or was dropped; GET /_sandbox/deliveries lists all"
    ))
}
