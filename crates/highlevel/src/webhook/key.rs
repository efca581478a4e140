//! The keys that events are verified with.

use std::fmt;
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::VerifyingKey;

use super::verifier::Verifier;

/// HighLevel's key as it is published, a SubjectPublicKeyInfo in base64.
const PUBLISHED: &str = "MCowBQYDK2VwAyEAi2HR1srL4o18O8BRa7gVJY7G7bupbN3H9AwJrHCDiOg=";
/// The bytes before the 32 of an Ed25519 key in a SubjectPublicKeyInfo (RFC 8410).
const PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// An Ed25519 public key with a name.
///
/// The first signature that is verified with a key takes about 0.2 ms longer, because multiples of the key are computed. They
/// take 41 KB of memory per key, which clones share, and the same once for all keys. Create a key once, not per event.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    id: String,
    verifier: Verifier,
    end: Option<SystemTime>,
}

impl PublicKey {
    /// Returns the key that HighLevel has published, named `published`.
    #[allow(clippy::missing_panics_doc, reason = "the key is a constant, and a test shows that it is one")]
    pub fn published() -> Self {
        Self::from_base64("published", PUBLISHED).expect("the published key is valid")
    }

    /// Creates a key from the form in which HighLevel publishes it: a SubjectPublicKeyInfo in base64, with or without
    /// the lines of PEM around it. `id` is a name, by which [`Verified::key_id`](super::Verified::key_id) reports the
    /// key.
    ///
    /// # Errors
    ///
    /// Returns an error if the text is not a key, or if the key is of low order, so that its signatures prove nothing.
    pub fn from_base64(id: impl Into<String>, text: &str) -> Result<Self, InvalidKey> {
        let base64: String = text.lines().filter(|line| !line.starts_with("-----")).map(str::trim).collect();
        let der = STANDARD.decode(base64).map_err(|_| InvalidKey("is not base64"))?;
        let key = der
            .strip_prefix(&PREFIX)
            .ok_or(InvalidKey("is not the SubjectPublicKeyInfo of an Ed25519 key"))?;
        Self::from_bytes(id, key)
    }

    /// Creates a key from its 32 bytes.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`from_base64`](Self::from_base64).
    pub fn from_bytes(id: impl Into<String>, bytes: &[u8]) -> Result<Self, InvalidKey> {
        let bytes: &[u8; 32] = bytes.try_into().map_err(|_| InvalidKey("does not have 32 bytes"))?;
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| InvalidKey("is not a point of the curve"))?;
        let verifier =
            Verifier::new(key).ok_or(InvalidKey("is of low order, so signatures by it prove nothing"))?;
        Ok(Self { id: id.into(), verifier, end: None })
    }

    /// Rejects signatures by this key from `end` on: for the old key while HighLevel changes to a new one.
    pub fn until(mut self, end: SystemTime) -> Self {
        self.end = Some(end);
        self
    }

    /// Returns the name of the key.
    pub fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    pub(super) fn is_live(&self, now: SystemTime) -> bool {
        self.end.is_none_or(|end| now < end)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PublicKey").field(&self.id).finish()
    }
}

/// An error that a key cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidKey(&'static str);

#[cfg(feature = "rsa")]
impl InvalidKey {
    pub(super) fn new(what: &'static str) -> Self {
        Self(what)
    }
}

impl fmt::Display for InvalidKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the public key {}; copy it from HighLevel's webhook documentation", self.0)
    }
}

impl std::error::Error for InvalidKey {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_key_is_valid() {
        assert_eq!(PublicKey::published().id(), "published");
    }
}
