//! The signature of a body.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::Signature;
use http::HeaderMap;

use super::PublicKey;
use super::error::{WebhookError, WebhookErrorKind};

/// The header that carries the signature.
pub(super) const HEADER: &str = "x-ghl-signature";

/// The signature in the headers: exactly one, standard base64, 64 bytes.
pub(super) fn read(headers: &HeaderMap) -> Result<Signature, WebhookError> {
    let mut values = headers.get_all(HEADER).iter();
    let Some(value) = values.next() else {
        return Err(WebhookError::new(
            WebhookErrorKind::SignatureMissing,
            "there is no X-GHL-Signature header: does the request come from HighLevel, and does a proxy strip it?",
        ));
    };
    if values.next().is_some() {
        return Err(invalid("there are several X-GHL-Signature headers"));
    }
    if value.as_bytes() == b"N/A" {
        return Err(invalid("the X-GHL-Signature header says N/A: HighLevel did not sign this event"));
    }
    let bytes = STANDARD
        .decode(value.as_bytes())
        .map_err(|_| invalid("the X-GHL-Signature header is not standard base64"))?;
    Signature::from_slice(&bytes).map_err(|_| {
        invalid(format!(
            "the X-GHL-Signature header has {} bytes instead of the 64 of an Ed25519 signature",
            bytes.len()
        ))
    })
}

/// The key under which the signature is one of the body.
pub(super) fn verify<'k>(
    keys: &'k [PublicKey],
    body: &[u8],
    signature: &Signature,
) -> Result<&'k PublicKey, WebhookError> {
    keys.iter().find(|key| key.verifying_key().verify_strict(body, signature).is_ok()).ok_or_else(|| {
        invalid(
            "the signature is not one of this body by a known key: pass the body exactly as it came, not parsed and \
             written again, and compare the keys with those that HighLevel publishes",
        )
    })
}

fn invalid(text: impl Into<String>) -> WebhookError {
    WebhookError::new(WebhookErrorKind::SignatureInvalid, text)
}
