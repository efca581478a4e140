//! The hash of a text, so that a fingerprint can be stored without content.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A SHA-256 in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Hash(String);

impl Hash {
    pub(super) fn of(text: &str) -> Self {
        Self(Sha256::digest(text).iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}")))
    }

    pub(super) fn from_stored(hex: String) -> Self {
        Self(hex)
    }
}
