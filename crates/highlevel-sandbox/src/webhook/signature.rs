//! Ed25519 signatures of events, over the exact bytes of the body.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, SigningKey};

/// The prefix of an Ed25519 key in its `SubjectPublicKeyInfo` (RFC 8410, section 4).
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// A signing key.
#[derive(Clone)]
pub(crate) struct Signer(SigningKey);

impl Signer {
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        Self(SigningKey::from_bytes(&seed))
    }

    /// Returns the value of `X-GHL-Signature` for a body.
    pub(crate) fn sign(&self, body: &[u8]) -> String {
        STANDARD.encode(self.0.sign(body).to_bytes())
    }

    /// Returns the public key in the form that `HighLevel` publishes: base64 of the `SubjectPublicKeyInfo`.
    pub(crate) fn public_key(&self) -> String {
        let key = self.0.verifying_key().to_bytes();
        STANDARD.encode([SPKI_PREFIX.as_slice(), key.as_slice()].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }

    /// RFC 8032, section 7.1, tests 1 and 2.
    #[test]
    fn signatures_match_the_rfc_vectors() {
        let cases = [
            (
                "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
                "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
                "",
                "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b\
                 d25bf5f0595bbe24655141438e7a100b",
            ),
            (
                "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
                "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
                "72",
                "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c\
                 387b2eaeb4302aeeb00d291612bb0c00",
            ),
        ];
        for (seed, public_key, body, signature) in cases {
            let signer = Signer::new(bytes(seed).try_into().unwrap());
            assert_eq!(STANDARD.decode(signer.sign(&bytes(body))).unwrap(), bytes(signature));
            assert_eq!(STANDARD.decode(signer.public_key()).unwrap()[12..], bytes(public_key));
            // The form in which the live key is published.
            assert!(signer.public_key().starts_with("MCowBQYDK2VwAyEA"));
            assert_eq!(signer.public_key().len(), 60);
        }
    }
}
