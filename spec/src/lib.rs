//! The hand-maintained `OpenAPI` spec of HighLevel's conversations API.
//!
//! It is a crate so that the generator and the sandbox embed the same bytes.

/// The text of `openapi.yaml`: `OpenAPI` 3.0.3, YAML.
pub const OPENAPI_YAML: &str = include_str!("../openapi.yaml");
