//! Headers as text, and the credentials in them.

use http::HeaderMap;
use http::header::AUTHORIZATION;

/// Headers as text, in order, names in lower case.
pub(crate) fn readable(headers: &HeaderMap) -> Vec<(String, String)> {
    headers
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect()
}

/// Headers whose values are credentials.
const CREDENTIALS: [&str; 7] =
    ["authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "api-key", "x-auth-token"];

/// Headers as text, without credentials.
pub(crate) fn redacted(headers: &HeaderMap) -> Vec<(String, String)> {
    let mut headers = readable(headers);
    for (name, value) in headers.iter_mut().filter(|(name, _)| CREDENTIALS.contains(&name.as_str())) {
        *value = match value.split_once(' ') {
            Some((scheme, _)) if name == AUTHORIZATION.as_str() && scheme.eq_ignore_ascii_case("bearer") => {
                format!("{scheme} [redacted]")
            }
            _ => "[redacted]".to_owned(),
        };
    }
    headers
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
