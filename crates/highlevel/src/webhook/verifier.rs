//! Verifies signatures by one key, as strictly as `verify_strict` of ed25519-dalek and in less time.
//!
//! A receiver verifies thousands of signatures by one key, so the multiples of the key are computed once. The tests show
//! that both functions accept the same signatures.

use std::sync::{Arc, LazyLock, OnceLock};

use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
use curve25519_dalek::scalar::Scalar;
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest, Sha512};

use super::multiples::{Multiples, sum_of_products};

/// The multiples of the base point, which all keys share.
static OF_BASE_POINT: LazyLock<Multiples> = LazyLock::new(|| Multiples::of(&ED25519_BASEPOINT_POINT));

/// A key with its multiples. Clones share them.
#[derive(Clone)]
pub(super) struct Verifier {
    key: VerifyingKey,
    /// The multiples of the negated key: 41 KB, computed by the first verification.
    multiples: Arc<OnceLock<Multiples>>,
}

impl Verifier {
    /// Creates a verifier. `None` if the key is of low order: no signature by it is valid.
    pub(super) fn new(key: VerifyingKey) -> Option<Self> {
        (!key.is_weak()).then(|| Self { key, multiples: Arc::default() })
    }

    /// Returns `true` if the signature is valid.
    ///
    /// Strictly, that is: `s` is canonical, [s]B − [k]A is the point R, and R is encoded canonically and not of low order.
    /// The bytes of R are compared with the only canonical encoding of the computed point.
    pub(super) fn verify(&self, body: &[u8], signature: &Signature) -> bool {
        let Some(s) = Scalar::from_canonical_bytes(*signature.s_bytes()).into_option() else { return false };
        let hash = Sha512::new()
            .chain_update(signature.r_bytes())
            .chain_update(self.key.as_bytes())
            .chain_update(body)
            .finalize();
        let k = Scalar::from_bytes_mod_order_wide(&hash.into());
        let of_negated_key = self.multiples.get_or_init(|| Multiples::of(&-self.key.to_edwards()));
        let r = sum_of_products([(&OF_BASE_POINT, &s), (of_negated_key, &k)]);
        r.compress().as_bytes() == signature.r_bytes() && !r.is_small_order()
    }

    /// Returns `true` if the signature is valid, without computing the multiples of the key. For a key that is rarely used.
    pub(super) fn verify_once(&self, body: &[u8], signature: &Signature) -> bool {
        self.key.verify_strict(body, signature).is_ok()
    }
}

impl PartialEq for Verifier {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Verifier {}

#[cfg(test)]
mod tests;
