//! New ids. The one place of the crate where they come from.

use std::cell::RefCell;

use uuid::{Builder, Uuid};

/// How many random bytes are asked for at once. Asking costs more than the bytes.
const BATCH: usize = 1024;

thread_local! {
    /// Random bytes that were not used yet.
    static RANDOM: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// An id that looks like one of `HighLevel`'s: 20 letters and digits.
pub(crate) fn object_id() -> String {
    encode(random().as_u128())
}

/// The id of one webhook event, or of one request.
pub(crate) fn uuid() -> String {
    random().to_string()
}

/// A private integration token of its own shape.
pub(crate) fn private_integration_token() -> String {
    format!("pit-{}", random())
}

/// A code or token that nobody can guess, with the name of its kind in front.
pub(crate) fn secret(kind: &str) -> String {
    format!("{kind}-{}{}", object_id(), object_id())
}

fn random() -> Uuid {
    let bytes = RANDOM.with_borrow_mut(|unused| {
        if unused.is_empty() {
            let mut batch = vec![0; BATCH];
            if getrandom::fill(&mut batch).is_ok() {
                *unused = batch;
            }
        }
        let rest = unused.len().checked_sub(size_of::<Uuid>())?;
        let bytes = <[u8; size_of::<Uuid>()]>::try_from(&unused[rest..]).ok();
        unused.truncate(rest);
        bytes
    });
    bytes.map_or_else(Uuid::new_v4, |bytes| Builder::from_random_bytes(bytes).into_uuid())
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
    fn no_two_are_the_same() {
        // Enough for several batches, on several threads.
        let many = || (0..1_000).map(|_| uuid()).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(many)).collect();
        let all: Vec<String> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        let distinct: std::collections::HashSet<&String> = all.iter().collect();
        assert_eq!(distinct.len(), 4_000);
        assert!(all.iter().all(|id| Uuid::parse_str(id).is_ok_and(|id| id.get_version_num() == 4)));
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
