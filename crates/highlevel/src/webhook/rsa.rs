//! The older signature: RSA with 4096 bits, PKCS#1 v1.5 and SHA-256, in `X-WH-Signature`.

use std::fmt;
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

use super::error::{WebhookError, WebhookErrorKind};
use super::key::InvalidKey;
use super::signature::{invalid, single};

/// HighLevel's older key as it is published, a SubjectPublicKeyInfo in base64.
const PUBLISHED: &str = include_str!("rsa-public-key.pem");
/// The bytes before the `RSAPublicKey` with 4096 bits in a SubjectPublicKeyInfo (RFC 3279).
const PREFIX: [u8; 24] = [
    0x30, 0x82, 0x02, 0x22, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01,
    0x05, 0x00, 0x03, 0x82, 0x02, 0x0f, 0x00,
];
const SIGNATURE_BYTES: usize = 512;

/// An RSA public key with 4096 bits and a name, for the older signature.
#[derive(Clone, PartialEq, Eq)]
pub struct RsaPublicKey {
    id: String,
    der: Vec<u8>,
}

impl RsaPublicKey {
    /// Returns the older key that HighLevel has published, named `published-rsa`.
    #[allow(clippy::missing_panics_doc, reason = "the key is a constant, and a test shows that it is one")]
    pub fn published() -> Self {
        Self::from_pem("published-rsa", PUBLISHED).expect("the published key is valid")
    }

    /// Creates a key from the form in which HighLevel publishes it: a SubjectPublicKeyInfo in base64, with or without
    /// the lines of PEM around it.
    ///
    /// # Errors
    ///
    /// Returns an error if the text is not an RSA key with 4096 bits.
    pub fn from_pem(id: impl Into<String>, text: &str) -> Result<Self, InvalidKey> {
        let base64: String = text.lines().filter(|line| !line.starts_with("-----")).map(str::trim).collect();
        let der = STANDARD.decode(base64).map_err(|_| InvalidKey::new("is not base64"))?;
        let der = der
            .strip_prefix(&PREFIX)
            .filter(|der| der.len() == 526)
            .ok_or(InvalidKey::new("is not the SubjectPublicKeyInfo of an RSA key with 4096 bits"))?;
        Ok(Self { id: id.into(), der: der.to_vec() })
    }

    /// Returns the name of the key.
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl fmt::Debug for RsaPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RsaPublicKey").field(&self.id).finish()
    }
}

/// The key with which the older signature is accepted, and the end date.
#[derive(Debug, Clone)]
pub(super) struct Rsa {
    pub(super) key: RsaPublicKey,
    pub(super) until: SystemTime,
}

impl Rsa {
    /// Returns the name of the key if the headers carry a valid older signature of the body, and `None` if they carry
    /// no older signature. Call this only if the newer header is absent.
    pub(super) fn verify(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        now: SystemTime,
    ) -> Result<Option<&str>, WebhookError> {
        let Some(value) = single(headers, "x-wh-signature", "X-WH-Signature")? else { return Ok(None) };
        if now >= self.until {
            return Err(WebhookError::new(
                WebhookErrorKind::SignatureMissing,
                "there is no X-GHL-Signature header, and the date until which X-WH-Signature is accepted has passed",
            ));
        }
        let bytes = STANDARD
            .decode(value.as_bytes())
            .map_err(|_| invalid("the X-WH-Signature header is not standard base64"))?;
        if bytes.len() != SIGNATURE_BYTES {
            return Err(invalid(format!(
                "the X-WH-Signature header has {} bytes instead of the 512 of an RSA signature",
                bytes.len()
            )));
        }
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.key.der)
            .verify(body, &bytes)
            .map(|()| Some(self.key.id()))
            .map_err(|_| {
                invalid("the X-WH-Signature does not match the body under the RSA key; pass the raw bytes of the request")
            })
    }
}
