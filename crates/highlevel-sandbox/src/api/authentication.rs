//! The `Authorization` header, and what the token in it may do.

use chrono::{DateTime, Utc};
use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::Refusal;
use crate::credentials::{Credentials, Grant, Level, Rejected};

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

/// The token in the header's value. The name of the scheme is not case-sensitive (RFC 9110, section 11.1).
pub(crate) fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_start_matches(' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_bearer_tokens_only() {
        let cases = [
            ("Bearer pit-1", Some("pit-1")),
            ("bearer  pit-1", Some("pit-1")),
            ("Basic pit-1", None),
            ("pit-1", None),
            ("Bearerpit-1", None),
        ];
        for (header, token) in cases {
            assert_eq!(bearer(header), token, "{header}");
        }
    }
}
