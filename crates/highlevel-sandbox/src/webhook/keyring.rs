//! Signing keys: the current one, retired ones, and one that is never published.

use std::io;
use std::sync::OnceLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};

use super::signature::Signer;
use crate::identifiers::Identifiers;

/// The public half of the RSA test key, as `HighLevel` publishes its own: PEM.
pub(crate) const RSA_PUBLIC_KEY: &str = include_str!("../../keys/rsa-test-key-not-secret.pub.pem");
/// The maximum number of retired keys.
const RETIRED_KEPT: usize = 8;

/// A key with a name.
#[derive(Clone)]
pub(crate) struct NamedKey {
    pub(crate) id: String,
    pub(crate) signer: Signer,
}

/// The keys of one sandbox.
///
/// A retired key exists from the start, so that [`TamperMode::OldKey`](super::TamperMode::OldKey) works without a
/// rotation.
#[derive(Clone)]
pub(crate) struct WebhookKeys {
    /// The retired keys, oldest first.
    retired: Vec<NamedKey>,
    current: NamedKey,
    wrong: NamedKey,
    /// The number of keys so far, without the unpublished one.
    count: u32,
}

/// A public key of a sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WebhookKey {
    /// The name of the key, which each attempt signed with it has.
    pub id: String,
    /// `Ed25519`, or `RSA` for the key of the legacy header.
    pub algorithm: &'static str,
    /// The public key in the form that `HighLevel` publishes: base64 of a `SubjectPublicKeyInfo`, for RSA as PEM.
    pub public_key: String,
    /// `true` if genuine attempts are signed with it.
    pub current: bool,
}

/// The state of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyStanding {
    Current,
    Retired,
    /// The unpublished key of [`TamperMode::WrongKey`](super::TamperMode::WrongKey).
    NeverPublished,
    /// The test key of the legacy header.
    Rsa,
    /// A retired key that was dropped, or no key of this sandbox.
    Forgotten,
}

impl WebhookKeys {
    pub(crate) const RSA_KEY_ID: &str = "rsa-test";

    /// Creates a keyring with this current key.
    pub(crate) fn new(current: [u8; 32], identifiers: &Identifiers) -> io::Result<Self> {
        let key = |id: &str, seed| NamedKey { id: id.to_owned(), signer: Signer::new(seed) };
        Ok(Self {
            retired: vec![key("ed25519-1", identifiers.key()?)],
            current: key("ed25519-2", current),
            wrong: key("wrong", identifiers.key()?),
            count: 2,
        })
    }

    /// Creates a new current key and retires the one before.
    pub(crate) fn rotate(&mut self, identifiers: &Identifiers) -> io::Result<()> {
        let signer = Signer::new(identifiers.key()?);
        self.count += 1;
        let key = NamedKey { id: format!("ed25519-{}", self.count), signer };
        self.retired.push(std::mem::replace(&mut self.current, key));
        if self.retired.len() > RETIRED_KEPT {
            self.retired.remove(0);
        }
        Ok(())
    }

    pub(crate) fn current(&self) -> &NamedKey {
        &self.current
    }

    /// Returns the most recently retired key.
    pub(crate) fn retired(&self) -> &NamedKey {
        self.retired.last().unwrap_or(&self.wrong)
    }

    /// Returns the key that is not published.
    pub(crate) fn wrong(&self) -> &NamedKey {
        &self.wrong
    }

    /// Returns the state of the key with this name.
    pub(crate) fn standing(&self, id: &str) -> KeyStanding {
        match id {
            Self::RSA_KEY_ID => KeyStanding::Rsa,
            _ if id == self.current.id => KeyStanding::Current,
            _ if id == self.wrong.id => KeyStanding::NeverPublished,
            _ if self.retired.iter().any(|key| key.id == id) => KeyStanding::Retired,
            _ => KeyStanding::Forgotten,
        }
    }

    /// Returns `true` if the key with this name produces this signature for the body, and `None` if there is no such key.
    /// Both kinds of signature are deterministic.
    pub(crate) fn made(&self, id: &str, signature: &str, body: &[u8]) -> Option<bool> {
        if id == Self::RSA_KEY_ID {
            return Self::rsa_signature(body).ok().map(|genuine| genuine == signature);
        }
        let mut keys = self.retired.iter().chain([&self.current, &self.wrong]);
        keys.find(|key| key.id == id).map(|key| key.signer.sign(body) == signature)
    }

    /// Returns the value of `X-WH-Signature` for a body, signed with the test key.
    pub(crate) fn rsa_signature(body: &[u8]) -> Result<String, String> {
        static KEY: OnceLock<Result<RsaKeyPair, String>> = OnceLock::new();
        let pair = KEY.get_or_init(|| {
            RsaKeyPair::from_pkcs8(include_bytes!("../../keys/rsa-test-key-not-secret.pk8"))
                .map_err(|error| format!("the embedded RSA test key is invalid: {error}"))
        });
        let pair = pair.as_ref().map_err(Clone::clone)?;
        let mut signature = vec![0; pair.public().modulus_len()];
        pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), body, &mut signature)
            .map_err(|_| "signing with the RSA test key failed".to_owned())?;
        Ok(STANDARD.encode(signature))
    }

    /// Returns the published keys: the retired ones, oldest first, the current one, and the RSA test key.
    pub(crate) fn published(&self) -> Vec<WebhookKey> {
        let ed25519 = |key: &NamedKey, current| WebhookKey {
            id: key.id.clone(),
            algorithm: "Ed25519",
            public_key: key.signer.public_key(),
            current,
        };
        let mut keys: Vec<WebhookKey> = self.retired.iter().map(|key| ed25519(key, false)).collect();
        keys.push(ed25519(&self.current, true));
        keys.push(WebhookKey {
            id: Self::RSA_KEY_ID.to_owned(),
            algorithm: "RSA",
            public_key: RSA_PUBLIC_KEY.to_owned(),
            current: false,
        });
        keys
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retired_keys_are_bounded() {
        let mut keyring = WebhookKeys::new([7; 32], &Identifiers::new(None)).unwrap();
        let first = keyring.current().signer.public_key();
        assert_eq!(first, Signer::new([7; 32]).public_key());
        keyring.rotate(&Identifiers::new(None)).unwrap();
        assert_eq!(keyring.retired().signer.public_key(), first);
        assert_ne!(keyring.current().signer.public_key(), first);
        for _ in 0..20 {
            keyring.rotate(&Identifiers::new(None)).unwrap();
        }
        assert_eq!(keyring.published().len(), RETIRED_KEPT + 2);
        assert_eq!(keyring.published().iter().filter(|key| key.current).count(), 1);
    }

    #[test]
    fn a_signature_is_recognized_by_its_key() {
        let mut keyring = WebhookKeys::new([7; 32], &Identifiers::new(None)).unwrap();
        let genuine = Signer::new([7; 32]).sign(b"{}");
        let rsa = WebhookKeys::rsa_signature(b"{}").unwrap();
        let wrong = keyring.wrong().signer.sign(b"{}");
        let cases = [
            ("ed25519-1", KeyStanding::Retired, &genuine, Some(false)),
            ("ed25519-2", KeyStanding::Current, &genuine, Some(true)),
            ("ed25519-3", KeyStanding::Forgotten, &genuine, None),
            ("wrong", KeyStanding::NeverPublished, &wrong, Some(true)),
            ("rsa-test", KeyStanding::Rsa, &rsa, Some(true)),
        ];
        for (id, standing, signature, made) in cases {
            assert_eq!(keyring.standing(id), standing, "{id}");
            assert_eq!(keyring.made(id, signature, b"{}"), made, "{id}");
            assert_eq!(keyring.made(id, signature, b"{ }"), made.and(Some(false)), "{id}");
        }
        keyring.rotate(&Identifiers::new(None)).unwrap();
        assert_eq!(keyring.standing("ed25519-2"), KeyStanding::Retired);
        assert_eq!(keyring.made("ed25519-2", &genuine, b"{}"), Some(true));
    }
}
