//! What a server wrote, without what it was told in confidence.

use std::collections::HashSet;

use highlevel_wire::RawResponse;
use http::HeaderValue;
use serde_json::Value;

/// So many characters of a secret in a row are a part of it, and not chance.
const PART: usize = 8;

/// Takes every part of the secrets out of an answer: `…` in its place in the body, and `...` in the headers, which are
/// text only as long as they are ASCII.
pub(crate) fn redact(answer: &mut RawResponse, secrets: &[&str]) {
    let pieces: Vec<Pieces> = secrets.iter().filter(|secret| !secret.is_empty()).map(pieces).collect();
    // JSON has many ways to write one text, and whoever reads it sees the text.
    if answer.body.contains(&b'\\')
        && let Ok(mut value) = serde_json::from_slice(&answer.body)
        && hide(&mut value, &pieces)
    {
        answer.body = value.to_string().into();
    }
    if let Some(shown) = without(&answer.body, &pieces, "…") {
        answer.body = shown.into();
    }
    for value in answer.headers.values_mut() {
        if let Some(shown) = without(value.as_bytes(), &pieces, "...") {
            *value = HeaderValue::from_bytes(&shown).unwrap_or(HeaderValue::from_static("..."));
        }
    }
}

/// The parts that a secret is known by, and their length.
type Pieces<'a> = (usize, HashSet<&'a [u8]>);

fn pieces<'a>(secret: &&'a str) -> Pieces<'a> {
    let part = PART.min(secret.len());
    (part, secret.as_bytes().windows(part).collect())
}

/// Takes the secrets out of all texts of a value, and says whether there were any.
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

/// What is left of some bytes if there is anything to hide.
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
    fn no_part_of_a_secret_is_left() {
        let secrets = ["abcdefghijklmnop", "short", ""];
        for (body, expected) in [
            ("nothing of it", "nothing of it"),
            ("", ""),
            ("token abcdefghijklmnop!", "token …!"),
            ("abcdefghijklmnopabcdefghijklmnop", "…"),
            ("cdefghij is half of it", "… is half of it"),
            ("bcdefgh alone is chance", "bcdefgh alone is chance"),
            ("escaped: abcdefgh\\/ijklmnop", "escaped: …\\/…"),
            ("a short one", "a … one"),
            ("é abcdefghijklmnop é", "é … é"),
            // As JSON can have it.
            (r#"{"a":"\u0061bcd\u0065fghijklmnop"}"#, r#"{"a":"…"}"#),
            (r#"{ "a": ["b", {"x \u0073hort": 1.50}] }"#, r#"{"a":["b",{"x …":1.5}]}"#),
            (r#"[ "a\"b", "\u0073horn" ]"#, r#"[ "a\"b", "\u0073horn" ]"#),
            (r"not JSON \u0073hort", r"not JSON \u0073hort"),
        ] {
            let mut answer = answer(body);
            redact(&mut answer, &secrets);
            assert_eq!(String::from_utf8_lossy(&answer.body), expected, "{body}");
        }
    }

    #[test]
    fn headers_stay_text() {
        let mut answer = answer("");
        for (name, value) in [("x-a", "key=abcdefghijklmnop; more"), ("x-a", "short"), ("x-b", "nothing")] {
            answer.headers.append(name, HeaderValue::from_static(value));
        }
        answer
            .headers
            .insert("x-odd", HeaderValue::from_bytes("é abcdefghijklmnop".as_bytes()).expect("bytes"));
        redact(&mut answer, &["abcdefghijklmnop", "short"]);
        let shown: Vec<&[u8]> = answer.headers.values().map(HeaderValue::as_bytes).collect();
        assert_eq!(shown, [&b"key=...; more"[..], b"...", b"nothing", "é ...".as_bytes()]);
    }

    fn answer(body: &'static str) -> RawResponse {
        RawResponse {
            status: http::StatusCode::OK,
            headers: http::HeaderMap::new(),
            redirected: false,
            body: body.into(),
            end: highlevel_wire::End::Complete,
        }
    }
}
