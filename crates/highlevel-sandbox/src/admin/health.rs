//! Whether it runs, and how much it retains.

use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};

use super::{Input, Output, Problem, Route};
use crate::server::State;

pub(super) const ROUTES: &[Route] = &[Route { method: Method::GET, path: "health", handler: show }];

#[allow(clippy::unnecessary_wraps, reason = "a handler can fail")]
fn show(state: &Arc<State>, _: &Input<'_>) -> Result<Output, Problem> {
    let retained = state.retained();
    let written = state.store.as_ref().map_or(Value::Null, |store| {
        let written = store.written();
        json!({ "transactions": written.transactions, "rows": written.rows, "bytes": written.bytes })
    });
    Ok(Output::ok(json!({
        "server": "highlevel-sandbox",
        "status": "ok",
        "version": env!("CARGO_PKG_VERSION"),
        "memory": retained.to_json(),
        "connections": {
            "open": retained.traffic.connections,
            "max": retained.traffic.max_connections,
            "closed": retained.traffic.closed,
        },
        "written": written,
    })))
}
