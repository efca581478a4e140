//! What a server wrote, without what it was told in confidence.

use std::collections::HashSet;

use bytes::Bytes;

/// So many characters of a secret in a row are a part of it, and not chance.
const PART: usize = 8;

/// A body without any part of the secrets, `…` in its place.
pub(crate) fn redact(body: &Bytes, secrets: &[&str]) -> Bytes {
    let mut hidden = vec![false; body.len()];
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        let part = PART.min(secret.len());
        let pieces: HashSet<&[u8]> = secret.as_bytes().windows(part).collect();
        for (at, window) in body.windows(part).enumerate() {
            if pieces.contains(window) {
                hidden[at..at + part].fill(true);
            }
        }
    }
    if !hidden.contains(&true) {
        return body.clone();
    }
    let mut shown = Vec::with_capacity(body.len());
    let mut before = false;
    for (byte, hide) in body.iter().zip(hidden) {
        if !hide {
            shown.push(*byte);
        } else if !before {
            shown.extend("…".as_bytes());
        }
        before = hide;
    }
    Bytes::from(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_part_of_a_secret_is_left() {
        let secrets = ["abcdefghijklmnop", "short", ""];
        for (body, expected) in [
            ("nothing of it", "nothing of it"),
            ("", ""),
            ("token abcdefghijklmnop!", "token …!"),
            ("abcdefghijklmnopabcdefghijklmnop", "…"),
            ("cdefghij is half of it", "… is half of it"),
            ("bcdefgh alone is chance", "bcdefgh alone is chance"),
            ("escaped: abcdefgh\\/ijklmnop", "escaped: …\\/…"),
            ("a short one", "a … one"),
            ("é abcdefghijklmnop é", "é … é"),
        ] {
            let shown = redact(&Bytes::from(body), &secrets);
            assert_eq!(String::from_utf8_lossy(&shown), expected, "{body}");
        }
    }
}
