//! Verifies the signature of a body.

use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::Signature;
use http::{HeaderMap, HeaderValue};
use serde::de::IgnoredAny;

use super::PublicKey;
use super::error::{WebhookError, WebhookErrorKind};

/// The header that carries the signature.
pub(super) const HEADER: &str = "x-ghl-signature";
/// The length of the longest body for which a wrong signature is diagnosed, in bytes: any client can send one.
const MAX_DIAGNOSED: usize = 64 * 1024;

/// Reads the signature in the headers: exactly one, standard base64, 64 bytes. `None` if there is no such header.
pub(super) fn read(headers: &HeaderMap) -> Result<Option<Signature>, WebhookError> {
    let Some(value) = single(headers, HEADER, "X-GHL-Signature")? else { return Ok(None) };
    if value.as_bytes() == b"N/A" {
        return Err(invalid("the X-GHL-Signature header is `N/A`: HighLevel did not sign this event"));
    }
    let bytes = STANDARD
        .decode(value.as_bytes())
        .map_err(|_| invalid("the X-GHL-Signature header is not standard base64"))?;
    let signature = Signature::from_slice(&bytes).map_err(|_| {
        invalid(format!(
            "the X-GHL-Signature header has {} bytes instead of the 64 of an Ed25519 signature",
            bytes.len()
        ))
    })?;
    Ok(Some(signature))
}

/// Returns the header with a name that must not occur more than once.
pub(super) fn single<'h>(
    headers: &'h HeaderMap,
    name: &str,
    display_name: &str,
) -> Result<Option<&'h HeaderValue>, WebhookError> {
    let mut values = headers.get_all(name).iter();
    let value = values.next();
    if values.next().is_some() {
        return Err(invalid(format!("there are several {display_name} headers")));
    }
    Ok(value)
}

/// Creates the error for a request without a signature.
pub(super) fn missing() -> WebhookError {
    WebhookError::new(
        WebhookErrorKind::SignatureMissing,
        "there is no X-GHL-Signature header; HighLevel does not sign requests of the workflow action \"Webhook\", so give it \
         another URL, and check that no proxy removes the header",
    )
}

/// Returns the live key under which the signature is valid.
pub(super) fn verify<'k>(
    keys: &'k [PublicKey],
    body: &[u8],
    signature: &Signature,
    now: SystemTime,
) -> Result<&'k PublicKey, WebhookError> {
    keys.iter()
        .find(|key| key.is_live(now) && is_genuine(key, body, signature))
        .ok_or_else(|| invalid(diagnose(keys, body, signature, now)))
}

fn is_genuine(key: &PublicKey, body: &[u8], signature: &Signature) -> bool {
    key.verifier().verify(body, signature)
}

/// Describes the probable reason why a signature is not valid.
fn diagnose(keys: &[PublicKey], body: &[u8], signature: &Signature, now: SystemTime) -> String {
    const GENERIC: &str = "the signature does not match the body under any configured key; pass the raw bytes of the \
                           request as they arrived, and compare the keys with those that HighLevel publishes";
    if body.len() > MAX_DIAGNOSED {
        return GENERIC.to_owned();
    }
    if let Some(key) = keys.iter().find(|key| !key.is_live(now) && is_genuine(key, body, signature)) {
        return format!(
            "the signature is by the key `{}`, whose end date has passed; if HighLevel still signs with it, set a \
             later one with `.until(..)`",
            key.id().escape_debug()
        );
    }
    let published = PublicKey::published();
    // Any client can send a wrong signature, so no multiples are computed for this key.
    if !keys.iter().any(|key| key.verifier() == published.verifier())
        && published.verifier().verify_once(body, signature)
    {
        return "the signature is by HighLevel's published key, which is not one of the configured keys; add \
                `PublicKey::published()`"
            .to_owned();
    }
    if serde_json::from_slice::<IgnoredAny>(body).is_ok() {
        let compact = without_space(body);
        if compact != body && keys.iter().any(|key| key.is_live(now) && is_genuine(key, &compact, signature))
        {
            return "the signature matches this JSON without its white space, so the body was parsed and rewritten before it \
                    was verified; pass the raw bytes of the request"
                .to_owned();
        }
        return "the signature does not match the body under any configured key; if the JSON was parsed and rewritten, \
                pass the raw bytes of the request, otherwise compare the keys with those that HighLevel publishes"
            .to_owned();
    }
    GENERIC.to_owned()
}

/// Returns JSON without the white space between its tokens.
fn without_space(json: &[u8]) -> Vec<u8> {
    let (mut in_text, mut escaped) = (false, false);
    json.iter()
        .copied()
        .filter(|byte| {
            if in_text {
                in_text = escaped || *byte != b'"';
                escaped = !escaped && *byte == b'\\';
                true
            } else {
                in_text = *byte == b'"';
                !matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
            }
        })
        .collect()
}

pub(super) fn invalid(text: impl Into<String>) -> WebhookError {
    WebhookError::new(WebhookErrorKind::SignatureInvalid, text)
}
