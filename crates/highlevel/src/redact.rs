//! Removes secrets from responses.

use std::collections::HashSet;

use highlevel_wire::RawResponse;
use http::HeaderValue;
use serde_json::Value;

/// The length of the shortest part of a secret that is removed, in bytes. Shorter parts also occur by coincidence.
const PART: usize = 8;

/// Replaces every part of the secrets in a response: by `…` in the body, and by `...` in the headers, because a header
/// is text only if it is ASCII.
pub(crate) fn redact(response: &mut RawResponse, secrets: &[&str]) {
    let pieces: Vec<Pieces> = secrets.iter().filter(|secret| !secret.is_empty()).map(pieces).collect();
    // JSON can escape any character, so that a secret is not found by its bytes.
    if response.body.contains(&b'\\')
        && let Ok(mut value) = serde_json::from_slice(&response.body)
        && hide(&mut value, &pieces)
    {
        response.body = value.to_string().into();
    }
    if let Some(shown) = without(&response.body, &pieces, "…") {
        response.body = shown.into();
    }
    for value in response.headers.values_mut() {
        if let Some(shown) = without(value.as_bytes(), &pieces, "...") {
            *value = HeaderValue::from_bytes(&shown).unwrap_or(HeaderValue::from_static("..."));
        }
    }
}

/// The parts of a secret that are removed, all of one length, and that length.
type Pieces<'a> = (usize, HashSet<&'a [u8]>);

fn pieces<'a>(secret: &&'a str) -> Pieces<'a> {
    let part = PART.min(secret.len());
    (part, secret.as_bytes().windows(part).collect())
}

/// Removes the secrets from all strings of a value. Returns `true` if there were any.
fn hide(value: &mut Value, pieces: &[Pieces<'_>]) -> bool {
    let shown = |text: &str| {
        let shown = without(text.as_bytes(), pieces, "…")?;
        Some(String::from_utf8_lossy(&shown).into_owned())
    };
    match value {
        Value::String(text) => shown(text).map(|shown| *text = shown).is_some(),
        Value::Array(entries) => entries.iter_mut().fold(false, |hidden, entry| hide(entry, pieces) | hidden),
        Value::Object(fields) => {
            let mut hidden = false;
            for (name, mut field) in std::mem::take(fields) {
                hidden |= hide(&mut field, pieces);
                let name = shown(&name).inspect(|_| hidden = true).unwrap_or(name);
                fields.insert(name, field);
            }
            hidden
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Returns the bytes with `mark` instead of each part of a secret. `None` if there is none.
fn without(bytes: &[u8], pieces: &[Pieces<'_>], mark: &str) -> Option<Vec<u8>> {
    let mut hidden = vec![false; bytes.len()];
    for (part, pieces) in pieces {
        for (at, window) in bytes.windows(*part).enumerate() {
            if pieces.contains(window) {
                hidden[at..at + part].fill(true);
            }
        }
    }
    if !hidden.contains(&true) {
        return None;
    }
    let mut shown = Vec::with_capacity(bytes.len());
    let mut before = false;
    for (byte, hide) in bytes.iter().zip(hidden) {
        if !hide {
            shown.push(*byte);
        } else if !before {
            shown.extend(mark.as_bytes());
        }
        before = hide;
    }
    Some(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_secrets_are_removed_from_bodies() {
        let secrets = ["abcdefghijklmnop", "short", ""];
        for (body, expected) in [
            ("nothing of it", "nothing of it"),
            ("", ""),
            ("token abcdefghijklmnop!", "token …!"),
            ("abcdefghijklmnopabcdefghijklmnop", "…"),
            ("cdefghij is half of it", "… is half of it"),
            ("bcdefgh is below the length", "bcdefgh is below the length"),
            ("escaped: abcdefgh\\/ijklmnop", "escaped: …\\/…"),
            ("a short one", "a … one"),
            ("é abcdefghijklmnop é", "é … é"),
            // Escaped in JSON.
            (r#"{"a":"\u0061bcd\u0065fghijklmnop"}"#, r#"{"a":"…"}"#),
            (r#"{ "a": ["b", {"x \u0073hort": 1.50}] }"#, r#"{"a":["b",{"x …":1.5}]}"#),
            (r#"[ "a\"b", "\u0073horn" ]"#, r#"[ "a\"b", "\u0073horn" ]"#),
            (r"not JSON \u0073hort", r"not JSON \u0073hort"),
        ] {
            let mut response = response(body);
            redact(&mut response, &secrets);
            assert_eq!(String::from_utf8_lossy(&response.body), expected, "{body}");
        }
    }

    #[test]
    fn parts_of_secrets_are_removed_from_headers() {
        let mut response = response("");
        for (name, value) in [("x-a", "key=abcdefghijklmnop; more"), ("x-a", "short"), ("x-b", "nothing")] {
            response.headers.append(name, HeaderValue::from_static(value));
        }
        response
            .headers
            .insert("x-latin1", HeaderValue::from_bytes("é abcdefghijklmnop".as_bytes()).expect("bytes"));
        redact(&mut response, &["abcdefghijklmnop", "short"]);
        let shown: Vec<&[u8]> = response.headers.values().map(HeaderValue::as_bytes).collect();
        assert_eq!(shown, [&b"key=...; more"[..], b"...", b"nothing", "é ...".as_bytes()]);
    }

    fn response(body: &'static str) -> RawResponse {
        RawResponse {
            status: http::StatusCode::OK,
            headers: http::HeaderMap::new(),
            redirected: false,
            body: body.into(),
            end: highlevel_wire::End::Complete,
        }
    }
}
