//! The `Version` header. The live API responds to a missing or unknown one with 401 and these messages.

use http::HeaderMap;

use super::Refusal;

/// Rejects a request whose version is missing or not in the spec.
pub(crate) fn check(headers: &HeaderMap, allowed: &[&str]) -> Result<(), Refusal> {
    let Some(header) = headers.get("version") else {
        return Err(Refusal::unauthorized("version header was not found."));
    };
    if header.to_str().is_ok_and(|version| allowed.contains(&version)) {
        Ok(())
    } else {
        Err(Refusal::unauthorized("version header is invalid"))
    }
}
