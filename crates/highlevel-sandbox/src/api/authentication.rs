//! Authentication of the bearer token, and authorization by its type and scopes.

use chrono::{DateTime, Utc};
use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::ErrorResponse;
use crate::credentials::{Credentials, Grant, Level, Rejected};
use crate::fidelity::{Refusal, Settings};
use crate::headers::bearer;

/// Returns the grant of the token in a request.
pub(crate) fn authenticate(
    headers: &HeaderMap,
    credentials: &Credentials,
    now: DateTime<Utc>,
) -> Result<Grant, ErrorResponse> {
    let Some(header) = headers.get(AUTHORIZATION) else {
        return Err(ErrorResponse::unauthorized(
            "the Authorization header is missing; send `Authorization: Bearer <token>`",
        ));
    };
    let Some(token) = header.to_str().ok().and_then(bearer) else {
        return Err(ErrorResponse::unauthorized("Invalid token: access token is invalid"));
    };
    credentials.check(token, now).map_err(|rejected| {
        ErrorResponse::unauthorized(match rejected {
            Rejected::Unknown => "Invalid token: access token is invalid",
            Rejected::Expired => "Invalid token: access token is expired",
        })
    })
}

/// Rejects a token that is not for a location, or lacks a scope that the operation requires. A token of a company names no
/// location, so it is rejected with another text if the refusal is disabled.
pub(super) fn authorize(settings: &Settings, grant: &Grant, scopes: &[&str]) -> Result<(), ErrorResponse> {
    if grant.level != Level::Location {
        let refusal = if grant.is_private_integration {
            Refusal::CompanyPrivateIntegration
        } else {
            Refusal::CompanyToken
        };
        if settings.refuses(refusal) {
            return Err(ErrorResponse::refused(refusal, ""));
        }
        return Err(ErrorResponse::unauthorized(
            "the token is for a company, but the operation is about a location; use a token of the location",
        ));
    }
    match scopes.iter().find(|scope| !grant.allows(scope)) {
        None => Ok(()),
        Some(scope) => Err(ErrorResponse::unauthorized(&format!(
            "The token is not authorized for this scope: {scope} is required"
        ))),
    }
}
