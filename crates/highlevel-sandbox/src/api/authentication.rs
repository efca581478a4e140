//! The `Authorization` header.

use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::Refusal;

/// Refuses a request without the token.
pub(super) fn check(headers: &HeaderMap, token: &str) -> Result<(), Refusal> {
    let Some(header) = headers.get(AUTHORIZATION) else {
        return Err(Refusal::unauthorized(
            "the Authorization header is missing: send `Authorization: Bearer <token>`",
        ));
    };
    if header.to_str().ok().and_then(bearer) == Some(token) {
        Ok(())
    } else {
        Err(Refusal::unauthorized("Invalid token: access token is invalid"))
    }
}

/// The token in the header's value. The name of the scheme is not case-sensitive (RFC 9110, section 11.1).
fn bearer(header: &str) -> Option<&str> {
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
