//! Health and memory.

use std::sync::Arc;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::response::{AdminBody, Output};
use super::route::{Input, Route};
use crate::api_error::ApiError;
use crate::engine::Engine;

pub(super) const ROUTES: &[Route] = &[Route { method: Method::GET, path: "health", handler: show }];

#[allow(clippy::unnecessary_wraps, reason = "a handler can fail")]
fn show(state: &Arc<Engine>, _: &Input<'_>) -> Result<Output, ApiError> {
    let retained = state.retained();
    let written = state.store.as_ref().map_or(Value::Null, |store| {
        let written = store.written();
        json!({ "transactions": written.transactions, "rows": written.rows, "bytes": written.bytes })
    });
    let failure = state.store.as_ref().and_then(crate::persistence::Store::failure);
    let body = json!({
        "server": "highlevel-sandbox",
        "status": if failure.is_some() { "failing" } else { "ok" },
        "version": env!("CARGO_PKG_VERSION"),
        // The reason why changes are rejected.
        "failure": failure.as_deref(),
        "memory": retained.to_json(),
        "connections": {
            "open": retained.traffic.connections,
            "max": retained.traffic.max_connections,
            "closed": retained.traffic.closed,
        },
        "written": written,
    });
    let status = if failure.is_some() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    Ok(Output { status, content: AdminBody::Json(body) })
}
