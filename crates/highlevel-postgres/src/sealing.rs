//! Encryption of stored tokens: AES-256-GCM, bound to the key that they are stored under.
//!
//! Sealed bytes are a version, the id of the key, a nonce, and the ciphertext with its tag. Tokens that were stored without
//! a key begin with `{`, and stay readable.

use std::fmt;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

const VERSION: u8 = 1;
const KEY_ID_LENGTH: usize = 8;
const HEADER_LENGTH: usize = 1 + KEY_ID_LENGTH + NONCE_LEN;

/// A key that stored tokens are encrypted with: 32 random bytes.
#[derive(Clone)]
pub struct SealingKey {
    id: [u8; KEY_ID_LENGTH],
    key: LessSafeKey,
}

impl SealingKey {
    /// Creates a key from its bytes.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) unless there are 32 bytes.
    pub fn new(bytes: &[u8]) -> Result<Self> {
        let key = UnboundKey::new(&AES_256_GCM, bytes).map_err(|_| {
            Error::configuration(format!("a sealing key has 32 bytes, but this one has {}", bytes.len()))
        })?;
        let mut id = [0; KEY_ID_LENGTH];
        id.copy_from_slice(&Sha256::digest(bytes)[..KEY_ID_LENGTH]);
        Ok(Self { id, key: LessSafeKey::new(key) })
    }

    /// Creates a key from an environment variable with 64 hexadecimal digits, for example from `openssl rand -hex 32`.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) if the variable is not set or has another form.
    pub fn from_env(variable: &str) -> Result<Self> {
        let text = std::env::var(variable)
            .map_err(|_| Error::configuration(format!("the environment variable {variable} is not set")))?;
        let bytes = from_hex(text.trim()).ok_or_else(|| {
            Error::configuration(format!(
                "the environment variable {variable} does not consist of hexadecimal digits"
            ))
        })?;
        Self::new(&bytes)
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealingKey").finish_non_exhaustive()
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let digits = digits.filter(|digits| digits.len().is_multiple_of(2))?;
    Some(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

/// The key that tokens are sealed with, and those that older tokens were sealed with.
#[derive(Debug, Clone, Default)]
pub(crate) struct Keyring {
    current: Option<SealingKey>,
    older: Vec<SealingKey>,
}

impl Keyring {
    pub(crate) fn set_current(&mut self, key: SealingKey) {
        self.current = Some(key);
    }

    pub(crate) fn add_older(&mut self, key: SealingKey) {
        self.older.push(key);
    }

    pub(crate) fn seal(&self, json: &str, context: &[u8]) -> Result<Vec<u8>> {
        let Some(key) = &self.current else { return Ok(json.as_bytes().to_vec()) };
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).map_err(|error| {
            Error::invalid("the operating system returned no random numbers").with_source(error)
        })?;
        let mut text = json.as_bytes().to_vec();
        key.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(context), &mut text)
            .map_err(|_| Error::invalid("the tokens cannot be sealed"))?;
        let mut sealed = Vec::with_capacity(HEADER_LENGTH + text.len());
        sealed.push(VERSION);
        sealed.extend(key.id);
        sealed.extend(nonce);
        sealed.extend(text);
        Ok(sealed)
    }

    pub(crate) fn open(&self, mut bytes: Vec<u8>, context: &[u8]) -> Result<String> {
        if bytes.first() == Some(&b'{') {
            return String::from_utf8(bytes).map_err(|_| Error::invalid("stored tokens are not UTF-8"));
        }
        if bytes.len() < HEADER_LENGTH || bytes[0] != VERSION {
            return Err(Error::invalid(
                "stored tokens have an unknown format; a later version may have written them",
            ));
        }
        let mut sealed = bytes.split_off(HEADER_LENGTH);
        let key = self.current.iter().chain(&self.older).find(|key| key.id == bytes[1..=KEY_ID_LENGTH]);
        let key = key.ok_or_else(|| {
            Error::invalid("stored tokens are sealed with another key; add it with `.unseal_with(..)`")
        })?;
        let mut nonce = [0; NONCE_LEN];
        nonce.copy_from_slice(&bytes[1 + KEY_ID_LENGTH..]);
        let text = key
            .key
            .open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(context), &mut sealed)
            .map_err(|_| {
                Error::invalid("stored tokens were changed, or belong to another app or location")
            })?;
        String::from_utf8(text.to_vec()).map_err(|_| Error::invalid("stored tokens are not UTF-8"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(current: u8, older: &[u8]) -> Keyring {
        let key = |byte: u8| SealingKey::new(&[byte; 32]).expect("32 bytes");
        let mut ring = Keyring::default();
        ring.set_current(key(current));
        for byte in older {
            ring.add_older(key(*byte));
        }
        ring
    }

    const JSON: &str = r#"{"access_token":"secret"}"#;

    #[test]
    fn sealed_tokens_are_opened_by_their_key_only() {
        let sealed = ring(1, &[]).seal(JSON, b"context").expect("sealed");
        assert!(!sealed.windows(6).any(|window| window == b"secret"));
        assert_eq!(ring(1, &[]).open(sealed.clone(), b"context").expect("the same key"), JSON);
        assert_eq!(ring(2, &[1]).open(sealed.clone(), b"context").expect("an older key"), JSON);
        assert!(ring(2, &[]).open(sealed.clone(), b"context").is_err());
        assert!(Keyring::default().open(sealed, b"context").is_err());
    }

    #[test]
    fn changed_and_moved_tokens_are_rejected() {
        let sealed = ring(1, &[]).seal(JSON, b"location a").expect("sealed");
        assert!(ring(1, &[]).open(sealed.clone(), b"location b").is_err());
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert!(ring(1, &[]).open(changed, b"location a").is_err(), "byte {index}");
        }
    }

    #[test]
    fn tokens_that_were_stored_without_a_key_stay_readable() {
        let plain = Keyring::default().seal(JSON, b"context").expect("stored");
        assert_eq!(ring(1, &[]).open(plain, b"context").expect("plain text"), JSON);
    }

    #[test]
    fn keys_are_read_from_hexadecimal_digits() {
        assert_eq!(from_hex("00ff1A"), Some(vec![0, 255, 26]));
        assert_eq!(from_hex("0"), None);
        assert_eq!(from_hex("0g"), None);
    }
}
