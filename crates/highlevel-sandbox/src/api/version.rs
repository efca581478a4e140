//! The `Version` header. The live API answers 401 to a missing or unknown one, in these words.

use http::HeaderMap;

use super::Refusal;

/// Refuses a request without a version that the specification lists.
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
