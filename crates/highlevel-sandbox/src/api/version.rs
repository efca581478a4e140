//! The `Version` header. The live API responds to a missing or unknown one with 401 and these messages.

use http::HeaderMap;

use super::ErrorResponse;

/// Rejects a request whose version is missing or not in the spec.
pub(crate) fn check(headers: &HeaderMap, allowed: &[&str]) -> Result<(), ErrorResponse> {
    let Some(header) = headers.get("version") else {
        return Err(ErrorResponse::unauthorized("version header was not found."));
    };
    if header.to_str().is_ok_and(|version| allowed.contains(&version)) {
        Ok(())
    } else {
        Err(ErrorResponse::unauthorized("version header is invalid"))
    }
}
