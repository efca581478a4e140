//! The `OpenAPI` description of HighLevel's conversations API, as it is maintained by hand in `openapi.yaml`.
//!
//! It is a crate so that the generator and the sandbox embed the same bytes, wherever they are built.

/// The text of `openapi.yaml`: `OpenAPI` 3.0.3, YAML.
pub const OPENAPI_YAML: &str = include_str!("../openapi.yaml");
