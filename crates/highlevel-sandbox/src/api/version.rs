//! The `Version` header.

use http::HeaderMap;

use super::ErrorResponse;
use crate::fidelity::{Refusal, Settings};

/// Rejects a request whose version is missing or not in the spec.
pub(crate) fn check(settings: &Settings, headers: &HeaderMap, allowed: &[&str]) -> Result<(), ErrorResponse> {
    let refuse = |refusal: Refusal, value: &str| {
        if settings.refuses(refusal) { Err(ErrorResponse::refused(refusal, value)) } else { Ok(()) }
    };
    let Some(header) = headers.get("version") else {
        return refuse(Refusal::MissingVersion, "");
    };
    let version = String::from_utf8_lossy(header.as_bytes());
    if allowed.contains(&&*version) {
        return Ok(());
    }
    refuse(Refusal::UnknownVersion401, "")?;
    refuse(Refusal::UnknownVersion, &version)
        .map_err(|error| error.note(format!("the spec has the versions {}", allowed.join(", "))))
}
