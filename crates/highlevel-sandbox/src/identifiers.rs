//! New ids. The one place of the crate where they come from.

use uuid::Uuid;

/// An id that looks like one of `HighLevel`'s: 20 letters and digits.
pub(crate) fn object_id() -> String {
    encode(Uuid::new_v4().as_u128())
}

/// The id of one webhook event, or of one request.
pub(crate) fn uuid() -> String {
    Uuid::new_v4().to_string()
}

/// A private integration token of its own shape.
pub(crate) fn private_integration_token() -> String {
    format!("pit-{}", Uuid::new_v4())
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
    fn ids_are_twenty_letters_and_digits() {
        for number in [0, 61, 62, u128::MAX] {
            let id = encode(number);
            assert_eq!(id.len(), 20);
            assert!(id.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{id}");
        }
        assert_eq!(encode(61 + 62), "z1000000000000000000");
    }
}
