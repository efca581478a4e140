//! The index and the OpenAPI document of the admin API.

use http::Method;
use serde_json::{Map, Value, json};

use super::response::Output;
use super::route::Route;
use super::spec::document;
use crate::access::ADMIN_PREFIX;

pub(super) const ROUTES: &[Route] = &[
    Route { method: Method::GET, path: "", handler: |_, _| document().map(index) },
    Route {
        method: Method::GET,
        path: "openapi.json",
        handler: |_, _| document().map(|document| Output::ok(document.clone())),
    },
];

/// Returns the index of the admin API.
fn index(document: &Value) -> Output {
    let mut operations = Map::new();
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in item.as_object().into_iter().flatten() {
            // A path item also contains parameters.
            if let Some(summary) = operation.get("summary") {
                operations.insert(format!("{} {path}", method.to_uppercase()), summary.clone());
            }
        }
    }
    Output::ok(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "description": format!("{ADMIN_PREFIX}openapi.json"),
        "inspector": crate::access::INSPECTOR_PATH,
        "operations": operations,
    }))
}
