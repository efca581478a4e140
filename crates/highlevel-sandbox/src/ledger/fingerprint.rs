//! Fingerprints, which identify repeated requests.

use std::fmt::{Display, Formatter};
use std::str::FromStr;

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::operation::Operation;

/// The content of a request as 32 hexadecimal digits. Two requests have the same fingerprint exactly if one repeats the other.
///
/// It is the first half of the SHA-256 of three lines: the `operationId`, the location of the token, and the body as
/// JSON without spaces, with the keys of each object sorted by bytes. It covers the contact or conversation, the `type`,
/// and all content, including `altId` and fields that the spec does not have. It does not depend on the order of keys,
/// the headers, the token, the time, or the ids in the response.
///
/// ```
/// use highlevel_sandbox::{RequestFingerprint, Operation};
/// use serde_json::json;
///
/// let of = |body| RequestFingerprint::of(Operation::SendMessage, "l1C08ntBrFjLS0elLIYU", &body);
/// let hello = of(json!({"type": "SMS", "contactId": "abc123def456", "message": "Hello"}));
/// assert_eq!(hello, of(json!({"message": "Hello", "contactId": "abc123def456", "type": "SMS"})));
/// assert_ne!(hello, of(json!({"message": "Hello!", "contactId": "abc123def456", "type": "SMS"})));
/// assert_eq!(hello.to_string().parse(), Ok(hello));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestFingerprint([u8; 16]);

impl RequestFingerprint {
    /// Returns the fingerprint of a request with this JSON body.
    pub fn of(operation: Operation, location_id: &str, body: &Value) -> Self {
        let mut text = format!("{}\n{location_id}\n", operation.id()).into_bytes();
        write_canonical(&mut text, body);
        let digest: [u8; 32] = Sha256::digest(&text).into();
        let mut half = [0; 16];
        half.copy_from_slice(&digest[..16]);
        Self(half)
    }
}

/// Writes JSON without spaces, with sorted keys.
fn write_canonical(text: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<(&String, &Value)> = fields.iter().collect();
            fields.sort_unstable_by_key(|(name, _)| *name);
            text.push(b'{');
            for (place, (name, value)) in fields.into_iter().enumerate() {
                if place > 0 {
                    text.push(b',');
                }
                write_scalar(text, name);
                text.push(b':');
                write_canonical(text, value);
            }
            text.push(b'}');
        }
        Value::Array(entries) => {
            text.push(b'[');
            for (place, value) in entries.iter().enumerate() {
                if place > 0 {
                    text.push(b',');
                }
                write_canonical(text, value);
            }
            text.push(b']');
        }
        scalar => write_scalar(text, scalar),
    }
}

fn write_scalar(text: &mut Vec<u8>, value: &impl Serialize) {
    // Writing a scalar to memory cannot fail.
    let _ = serde_json::to_writer(text, value);
}

impl Display for RequestFingerprint {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl std::fmt::Debug for RequestFingerprint {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "RequestFingerprint({self})")
    }
}

impl FromStr for RequestFingerprint {
    type Err = ParseFingerprintError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(ParseFingerprintError);
        }
        u128::from_str_radix(text, 16)
            .map(|number| Self(number.to_be_bytes()))
            .map_err(|_| ParseFingerprintError)
    }
}

/// The text is not 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParseFingerprintError;

impl Display for ParseFingerprintError {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a fingerprint must be 32 hexadecimal digits")
    }
}

impl std::error::Error for ParseFingerprintError {}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_canonical_form_does_not_depend_on_the_order_of_keys() {
        let one: Value = serde_json::from_str(r#"{"b":[1,{"d":null,"c":"\u00e9\n"}],"a":true}"#).unwrap();
        let mut text = Vec::new();
        write_canonical(&mut text, &one);
        assert_eq!(String::from_utf8(text).unwrap(), "{\"a\":true,\"b\":[1,{\"c\":\"é\\n\",\"d\":null}]}");
    }

    /// `printf 'sendMessage\nloc\n{"contactId":"c","message":"Hi","type":"SMS"}' | sha256sum | cut -c1-32`
    #[test]
    fn fingerprints_match_sha256sum() {
        let body = json!({"type": "SMS", "contactId": "c", "message": "Hi"});
        let fingerprint = RequestFingerprint::of(Operation::SendMessage, "loc", &body);
        assert_eq!(fingerprint.to_string(), "3ded16f53ba34c69fac7cc62d088eb3a");
    }

    #[test]
    fn requests_with_different_content_have_different_fingerprints() {
        let body = json!({"type": "SMS", "contactId": "c"});
        let of = RequestFingerprint::of;
        let all = [
            of(Operation::SendMessage, "a", &body),
            of(Operation::AddInboundMessage, "a", &body),
            of(Operation::SendMessage, "b", &body),
            of(Operation::SendMessage, "a", &json!({"type": "SMS", "contactId": "d"})),
            of(Operation::SendMessage, "a", &json!({"type": "SMS", "contactId": "c", "altId": "1"})),
        ];
        let distinct: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
    }

    #[test]
    fn invalid_texts_are_rejected() {
        for text in ["", "0", "+0000000000000000000000000000000", "g0000000000000000000000000000000"] {
            assert_eq!(text.parse::<RequestFingerprint>(), Err(ParseFingerprintError), "{text}");
        }
    }
}
