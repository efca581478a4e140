//! Redacts the secrets of token requests for the ledger.

use std::borrow::Cow;

use http::header::LOCATION;
use serde_json::Value;

use super::form::{Form, is_json};
use crate::headers::RecordedHeaders;

const REDACTED: &str = "[redacted]";
/// The fields of requests and responses whose values are redacted.
const SECRETS: [&str; 8] = [
    "client_secret",
    "code",
    "choice_token",
    "refresh_token",
    "access_token",
    "clientSecret",
    "refreshToken",
    "accessToken",
];

/// Redacts the secrets of a form or a JSON object of strings. Any other body is redacted completely.
pub(crate) fn form(content_type: Option<&str>, body: &[u8]) -> Vec<u8> {
    let media_type = content_type.and_then(|value| value.split(';').next()).map(str::trim);
    if body.is_empty() {
        return Vec::new();
    }
    if is_json(content_type)
        && let Ok(form) = Form::parse_json(body)
    {
        let fields = form.fields().map(|(name, value)| (name.to_owned(), redacted(name, value).into()));
        return Value::Object(fields.collect()).to_string().into_bytes();
    }
    if !media_type.is_some_and(|found| found.eq_ignore_ascii_case("application/x-www-form-urlencoded")) {
        return REDACTED.as_bytes().to_vec();
    }
    fields(body).into_bytes()
}

/// Redacts the secrets in the `Location` header of a response.
pub(crate) fn headers(headers: &RecordedHeaders) -> RecordedHeaders {
    let redacted = headers.iter().map(|(name, value)| match value.split_once('?') {
        Some((base, query)) if name == LOCATION.as_str() => {
            (name, format!("{base}?{}", fields(query.as_bytes())).into())
        }
        _ => (name, Cow::Borrowed(value)),
    });
    redacted.collect()
}

/// Returns the value of a field, redacted if it is a secret.
fn redacted<'v>(name: &str, value: &'v str) -> &'v str {
    if SECRETS.contains(&name) { REDACTED } else { value }
}

/// Redacts the secrets of form-encoded data.
fn fields(form: &[u8]) -> String {
    let fields = form_urlencoded::parse(form).map(|(name, value)| {
        let value = redacted(&name, &value).to_owned();
        (name, value)
    });
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// Redacts the secrets of a response body.
pub(crate) fn response(body: &Value) -> Value {
    let mut body = body.clone();
    if let Value::Object(fields) = &mut body {
        for (_, value) in fields.iter_mut().filter(|(name, _)| SECRETS.contains(&name.as_str())) {
            *value = REDACTED.into();
        }
    }
    body
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_redacted() {
        let kind = "application/x-www-form-urlencoded; charset=utf-8";
        for (content_type, body, expected) in [
            (Some(kind), "client_id=a&client_secret=b", "client_id=a&client_secret=%5Bredacted%5D"),
            (
                Some(kind),
                "cod%65=b&x=1&refresh_token=c",
                "code=%5Bredacted%5D&x=1&refresh_token=%5Bredacted%5D",
            ),
            (Some(kind), "clientSecret=b&x=1", "clientSecret=%5Bredacted%5D&x=1"),
            (
                Some("application/json"),
                r#"{"client_secret":"b","clientSecret":"c","x":"1"}"#,
                r#"{"clientSecret":"[redacted]","client_secret":"[redacted]","x":"1"}"#,
            ),
            (Some("application/json"), r#"{"client_secret":["b"]}"#, "[redacted]"),
            (None, "client_secret=b", "[redacted]"),
            (None, "", ""),
        ] {
            assert_eq!(String::from_utf8(form(content_type, body.as_bytes())).unwrap(), expected);
        }
        for (url, expected) in [
            ("http://a/b?code=c&state=d", "http://a/b?code=%5Bredacted%5D&state=d"),
            ("http://a/code=b", "http://a/code=b"),
        ] {
            let with_location = |url: &str| -> RecordedHeaders {
                [("location", url), ("x-mine", "code=c")].into_iter().collect()
            };
            assert_eq!(headers(&with_location(url)), with_location(expected));
        }
        let both = json!({ "access_token": "a", "refresh_token": "b", "accessToken": "a", "refreshToken": "b", "n": 1 });
        let r = REDACTED;
        let expected =
            json!({ "access_token": r, "refresh_token": r, "accessToken": r, "refreshToken": r, "n": 1 });
        assert_eq!(response(&both), expected);
    }
}
