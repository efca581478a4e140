//! Parses JSON request bodies.

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde_json::Value;

use super::ErrorResponse;
use crate::json_size::has_too_many_values;

/// Parses a JSON body. Its `Content-Type` must be `application/json`.
pub(super) fn parse(headers: &HeaderMap, body: &[u8]) -> Result<Value, ErrorResponse> {
    let content_type = headers.get(CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()));
    if !content_type.as_deref().is_some_and(is_json) {
        let found = content_type.map_or_else(|| "missing".to_owned(), |found| format!("`{found}`"));
        // HTTP defines 415 for this, but the documents use 400 for malformed requests.
        return Err(ErrorResponse::bad_request(&format!(
            "the Content-Type header is {found}, but must be `application/json`"
        )));
    }
    if body.is_empty() {
        return Err(ErrorResponse::bad_request("the body is empty, but must be a JSON object"));
    }
    if has_too_many_values(body) {
        return Err(ErrorResponse::too_many_values());
    }
    serde_json::from_slice(body)
        .map_err(|error| ErrorResponse::bad_request(&format!("the body is not valid JSON: {error}")))
}

fn is_json(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or_default();
    media_type.trim().eq_ignore_ascii_case("application/json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_and_case_of_the_media_type_are_ignored() {
        let cases = [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/jsonlines", false),
            ("text/plain", false),
            ("", false),
        ];
        for (content_type, expected) in cases {
            assert_eq!(is_json(content_type), expected, "{content_type}");
        }
    }
}
