//! The embedded OpenAPI document of the admin API.

use std::sync::OnceLock;

use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::{Output, PREFIX, Route};
use crate::api_error::ApiError;
use crate::spec::{Spec, Violation};

const DESCRIPTION: &str = include_str!("../../admin.yaml");

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
        "description": format!("{PREFIX}openapi.json"),
        "inspector": crate::access::INSPECTOR_PATH,
        "operations": operations,
    }))
}

/// Returns the OpenAPI document as JSON. It is parsed on first use, once per process.
fn document() -> Result<&'static Value, ApiError> {
    static DOCUMENT: OnceLock<Result<Value, ApiError>> = OnceLock::new();
    let parsed = DOCUMENT.get_or_init(|| {
        serde_saphyr::from_str(DESCRIPTION).map_err(|error| ApiError {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            message: format!("the embedded description is not YAML: {error}"),
        })
    });
    parsed.as_ref().map_err(Clone::clone)
}

/// Rejects a body that violates the OpenAPI document. In addition to the type checks of serde it enforces bounds, and
/// that `null` differs from a missing field.
pub(super) fn check(route: &Route, body: &Value) -> Result<(), ApiError> {
    let spec = spec()?;
    let wanted = nameless(&format!("{PREFIX}{}", route.path));
    let paths = spec.document()["paths"].as_object().into_iter().flatten();
    let Some((path, _)) = paths.into_iter().find(|(path, _)| nameless(path) == wanted) else {
        return Ok(());
    };
    let Some(schema) = spec.request_schema(route.method.as_str(), path) else {
        return Ok(());
    };
    let violations = spec.validate(schema, body);
    if violations.is_empty() {
        return Ok(());
    }
    let words: Vec<String> = violations.iter().map(Violation::to_string).collect();
    Err(ApiError::bad_request(format!("the body cannot be used: {}", words.join("; "))))
}

/// Returns the schemas for validation, built on first use.
fn spec() -> Result<&'static Spec, ApiError> {
    static SPEC: OnceLock<Result<Spec, ApiError>> = OnceLock::new();
    let spec = SPEC.get_or_init(|| {
        Spec::read(DESCRIPTION).map_err(|error| ApiError {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            message: format!("the embedded description cannot be used: {error}"),
        })
    });
    spec.as_ref().map_err(Clone::clone)
}

/// Returns a path with unnamed parameters.
fn nameless(path: &str) -> String {
    let nameless =
        |segment: &str| if segment.starts_with('{') { "{}".to_owned() } else { segment.to_owned() };
    path.split('/').map(nameless).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

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
        let routes: Vec<String> = super::super::routes()
            .map(|route| format!("{} {}{}", route.method, super::super::PREFIX, nameless(route.path)))
            .collect();
        let distinct: BTreeSet<String> = routes.iter().cloned().collect();
        assert_eq!(distinct.len(), routes.len(), "a route stands in two tables");
        let described = operations();
        let missing: Vec<_> = distinct.difference(&described).collect();
        let without_route: Vec<_> = described.difference(&distinct).collect();
        assert!(missing.is_empty(), "admin.yaml does not describe {missing:?}");
        assert!(without_route.is_empty(), "admin.yaml describes what is no route: {without_route:?}");
    }
}
