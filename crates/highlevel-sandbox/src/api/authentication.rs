//! The `Authorization` header, and what the token in it may do.

use chrono::{DateTime, Utc};
use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::Refusal;
use crate::credentials::{Credentials, Grant, Level, Rejected};
use crate::headers::bearer;

/// What the token of a request is good for.
pub(crate) fn authenticate(
    headers: &HeaderMap,
    credentials: &Credentials,
    now: DateTime<Utc>,
) -> Result<Grant, Refusal> {
    let Some(header) = headers.get(AUTHORIZATION) else {
        return Err(Refusal::unauthorized(
            "the Authorization header is missing: send `Authorization: Bearer <token>`",
        ));
    };
    let Some(token) = header.to_str().ok().and_then(bearer) else {
        return Err(Refusal::unauthorized("Invalid token: access token is invalid"));
    };
    credentials.check(token, now).map_err(|rejected| {
        Refusal::unauthorized(match rejected {
            Rejected::Unknown => "Invalid token: access token is invalid",
            Rejected::Expired => "Invalid token: access token is expired",
        })
    })
}

/// Refuses a token that is not for a location, or has none of the scopes that the operation demands.
pub(super) fn authorize(grant: &Grant, scopes: &[&str]) -> Result<(), Refusal> {
    if grant.level != Level::Location {
        return Err(Refusal::unauthorized(
            "The token is not authorized for this scope: it is a company's, and a sub-account's is needed",
        ));
    }
    match scopes.iter().find(|scope| !grant.allows(scope)) {
        None => Ok(()),
        Some(scope) => Err(Refusal::unauthorized(&format!(
            "The token is not authorized for this scope: {scope} is needed"
        ))),
    }
}
