//! Whether it runs.

use http::Method;
use serde_json::json;

use super::{Output, Route};

pub(super) const ROUTES: &[Route] = &[Route {
    method: Method::GET,
    path: "health",
    handler: |_, _| {
        Ok(Output::ok(json!({
            "server": "highlevel-sandbox",
            "status": "ok",
            "version": env!("CARGO_PKG_VERSION"),
        })))
    },
}];
