//! New ids, tokens and keys. The one place of the crate where they come from.

use std::io;
use std::sync::Mutex;

use fastrand::Rng;
use uuid::{Builder, Uuid};

use crate::sync::lock;

/// How many random bytes are requested at once. A request costs more than the bytes.
const BATCH: usize = 1024;

/// Generates ids, tokens and keys: from the random numbers of the operating system, or from a seed.
#[derive(Debug)]
pub(crate) struct Identifiers(Mutex<Source>);

#[derive(Debug)]
enum Source {
    /// Random bytes that were not used yet.
    System(Vec<u8>),
    /// The same numbers for the same seed, for tests that compare ids.
    Seeded(Rng),
}

impl Identifiers {
    /// With a seed, the same ids, tokens and keys are generated in the same order.
    pub(crate) fn new(seed: Option<u64>) -> Self {
        Self(Mutex::new(match seed {
            Some(seed) => Source::Seeded(Rng::with_seed(seed)),
            None => Source::System(Vec::new()),
        }))
    }

    /// An id that looks like one of `HighLevel`'s: 20 letters and digits.
    pub(crate) fn object_id(&self) -> String {
        encode(self.random().as_u128())
    }

    /// The id of one webhook event, or of one request.
    pub(crate) fn uuid(&self) -> String {
        self.random().to_string()
    }

    /// A private integration token.
    pub(crate) fn private_integration_token(&self) -> String {
        format!("pit-{}", self.random())
    }

    /// A code or token that cannot be guessed, prefixed with the name of its kind.
    pub(crate) fn secret(&self, kind: &str) -> String {
        format!("{kind}-{}{}", self.object_id(), self.object_id())
    }

    /// The secret half of a new signing key.
    ///
    /// # Errors
    ///
    /// The operating system has no random numbers.
    pub(crate) fn key(&self) -> io::Result<[u8; 32]> {
        let mut key = [0; 32];
        match &mut *lock(&self.0) {
            Source::System(_) => getrandom::fill(&mut key).map_err(io::Error::other)?,
            Source::Seeded(rng) => rng.fill(&mut key),
        }
        Ok(key)
    }

    fn random(&self) -> Uuid {
        let bytes = match &mut *lock(&self.0) {
            Source::System(unused) => next_of_batch(unused),
            Source::Seeded(rng) => Some(rng.u128(..).to_ne_bytes()),
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

fn encode(mut number: u128) -> String {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut id = String::with_capacity(20);
    for _ in 0..20 {
        let digit = usize::try_from(number % 62).unwrap_or_default();
        id.push(char::from(ALPHABET[digit]));
        number /= 62;
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_distinct() {
        // Enough for several batches, on several threads.
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
    fn a_seed_generates_the_same_again() {
        let of = |seed| {
            let identifiers = Identifiers::new(seed);
            let key = identifiers.key().unwrap();
            (identifiers.uuid(), identifiers.object_id(), identifiers.private_integration_token(), key)
        };
        assert_eq!(of(Some(7)), of(Some(7)));
        assert_ne!(of(Some(7)), of(Some(8)));
        assert_ne!(of(None), of(None));
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
