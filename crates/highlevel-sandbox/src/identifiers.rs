//! Generates all IDs, tokens and keys of the crate.

use std::io;
use std::sync::Mutex;

use fastrand::Rng;
use uuid::{Builder, Uuid};

use crate::sync::lock;

/// The number of random bytes to request at once. Each request to the operating system is expensive.
const BATCH: usize = 1024;

/// Generates IDs, tokens and keys, from random numbers of the operating system or from a seed.
#[derive(Debug)]
pub(crate) struct Identifiers(Mutex<RandomSource>);

#[derive(Debug)]
enum RandomSource {
    /// The unused random bytes of the last request.
    System(Vec<u8>),
    /// A generator with a seed, for tests that compare IDs.
    Seeded(Rng),
}

impl Identifiers {
    /// Creates a generator. With a seed, it generates the same sequence of IDs, tokens and keys in each run.
    pub(crate) fn new(seed: Option<u64>) -> Self {
        Self(Mutex::new(match seed {
            Some(seed) => RandomSource::Seeded(Rng::with_seed(seed)),
            None => RandomSource::System(Vec::new()),
        }))
    }

    /// Returns an ID in the format of `HighLevel`: 20 letters and digits.
    pub(crate) fn object_id(&self) -> String {
        encode(self.random().as_u128())
    }

    /// Returns the ID of a webhook event or a request.
    pub(crate) fn uuid(&self) -> String {
        self.random().to_string()
    }

    /// Returns a private integration token.
    pub(crate) fn private_integration_token(&self) -> String {
        format!("pit-{}", self.random())
    }

    /// Returns a code or token that cannot be guessed, prefixed with `kind`.
    pub(crate) fn secret(&self, kind: &str) -> String {
        format!("{kind}-{}{}", self.object_id(), self.object_id())
    }

    /// Returns a private key for signatures.
    ///
    /// # Errors
    ///
    /// Returns an error if the operating system cannot provide random numbers.
    pub(crate) fn key(&self) -> io::Result<[u8; 32]> {
        let mut key = [0; 32];
        match &mut *lock(&self.0) {
            RandomSource::System(_) => getrandom::fill(&mut key).map_err(io::Error::other)?,
            RandomSource::Seeded(rng) => rng.fill(&mut key),
        }
        Ok(key)
    }

    fn random(&self) -> Uuid {
        let bytes = match &mut *lock(&self.0) {
            RandomSource::System(unused) => next_of_batch(unused),
            RandomSource::Seeded(rng) => Some(rng.u128(..).to_ne_bytes()),
        };
        bytes.map_or_else(Uuid::new_v4, |bytes| Builder::from_random_bytes(bytes).into_uuid())
    }
}

fn next_of_batch(unused: &mut Vec<u8>) -> Option<[u8; size_of::<Uuid>()]> {
    if unused.is_empty() {
        let mut batch = vec![0; BATCH];
        if getrandom::fill(&mut batch).is_ok() {
            *unused = batch;
        }
    }
    let rest = unused.len().checked_sub(size_of::<Uuid>())?;
    let bytes = unused[rest..].try_into().ok();
    unused.truncate(rest);
    bytes
}

fn encode(number: u128) -> String {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    /// The digits that fit into 64 bits. Dividing 128 bits for each digit takes many times as long.
    const DIGITS: u32 = 10;
    const HALF: u128 = 62_u128.pow(DIGITS);
    let mut id = String::with_capacity(2 * DIGITS as usize);
    for half in [number % HALF, number / HALF % HALF] {
        let mut rest = u64::try_from(half).unwrap_or_default();
        for _ in 0..DIGITS {
            let digit = usize::try_from(rest % 62).unwrap_or_default();
            id.push(char::from(ALPHABET[digit]));
            rest /= 62;
        }
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_distinct() {
        // Requires several batches, on several threads.
        let identifiers = Identifiers::new(None);
        let many = || (0..1_000).map(|_| identifiers.uuid()).collect::<Vec<_>>();
        let all: Vec<String> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(many)).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        let distinct: std::collections::HashSet<&String> = all.iter().collect();
        assert_eq!(distinct.len(), 4_000);
        assert!(all.iter().all(|id| Uuid::parse_str(id).is_ok_and(|id| id.get_version_num() == 4)));
    }

    #[test]
    fn equal_seeds_generate_equal_values() {
        let generated = |seed| {
            let identifiers = Identifiers::new(seed);
            let key = identifiers.key().unwrap();
            (identifiers.uuid(), identifiers.object_id(), identifiers.private_integration_token(), key)
        };
        assert_eq!(generated(Some(7)), generated(Some(7)));
        assert_ne!(generated(Some(7)), generated(Some(8)));
        assert_ne!(generated(None), generated(None));
    }

    #[test]
    fn ids_are_twenty_letters_and_digits() {
        for number in [0, 61, 62, u128::MAX] {
            let id = encode(number);
            assert_eq!(id.len(), 20);
            assert!(id.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{id}");
        }
        assert_eq!(encode(61 + 62), "z1000000000000000000");
    }
}
