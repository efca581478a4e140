//! What the ledger keeps of a request for tokens: everything but the secrets.

use http::header::LOCATION;
use serde_json::Value;

const REDACTED: &str = "[redacted]";
/// The fields of requests and answers that nobody may read.
const SECRETS: [&str; 7] =
    ["client_secret", "code", "choice_token", "refresh_token", "access_token", "refreshToken", "accessToken"];

/// A form without its secrets. Of what is no form, nothing.
pub(crate) fn form(content_type: Option<&str>, body: &[u8]) -> Vec<u8> {
    let media_type = content_type.and_then(|value| value.split(';').next()).map(str::trim);
    if body.is_empty() {
        return Vec::new();
    }
    if !media_type.is_some_and(|found| found.eq_ignore_ascii_case("application/x-www-form-urlencoded")) {
        return REDACTED.as_bytes().to_vec();
    }
    fields(body).into_bytes()
}

/// The headers of an answer without the secrets in the address that it sends a browser to.
pub(crate) fn headers(mut headers: Vec<(String, String)>) -> Vec<(String, String)> {
    for (_, address) in headers.iter_mut().filter(|(name, _)| name == LOCATION.as_str()) {
        if let Some((page, query)) = address.split_once('?') {
            *address = format!("{page}?{}", fields(query.as_bytes()));
        }
    }
    headers
}

/// What is encoded as a form is, without its secrets.
fn fields(form: &[u8]) -> String {
    let fields = form_urlencoded::parse(form).map(|(name, value)| {
        let value = if SECRETS.contains(&name.as_ref()) { REDACTED.into() } else { value };
        (name, value)
    });
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// An answer without its secrets.
pub(crate) fn answer(answer: &Value) -> Value {
    let mut answer = answer.clone();
    if let Value::Object(fields) = &mut answer {
        for (_, value) in fields.iter_mut().filter(|(name, _)| SECRETS.contains(&name.as_str())) {
            *value = REDACTED.into();
        }
    }
    answer
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_left_out() {
        let kind = "application/x-www-form-urlencoded; charset=utf-8";
        for (content_type, body, expected) in [
            (Some(kind), "client_id=a&client_secret=b", "client_id=a&client_secret=%5Bredacted%5D"),
            (
                Some(kind),
                "cod%65=b&x=1&refresh_token=c",
                "code=%5Bredacted%5D&x=1&refresh_token=%5Bredacted%5D",
            ),
            (Some("application/json"), r#"{"client_secret":"b"}"#, "[redacted]"),
            (None, "client_secret=b", "[redacted]"),
            (None, "", ""),
        ] {
            assert_eq!(String::from_utf8(form(content_type, body.as_bytes())).unwrap(), expected);
        }
        let kept = ("x-mine".to_owned(), "code=c".to_owned());
        for (address, expected) in [
            ("http://a/b?code=c&state=d", "http://a/b?code=%5Bredacted%5D&state=d"),
            ("http://a/code=b", "http://a/code=b"),
        ] {
            let of = |address: &str| vec![("location".to_owned(), address.to_owned()), kept.clone()];
            assert_eq!(headers(of(address)), of(expected));
        }
        let both = json!({ "access_token": "a", "refresh_token": "b", "accessToken": "a", "refreshToken": "b", "n": 1 });
        let r = REDACTED;
        let expected =
            json!({ "access_token": r, "refresh_token": r, "accessToken": r, "refreshToken": r, "n": 1 });
        assert_eq!(answer(&both), expected);
    }
}
