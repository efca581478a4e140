//! An attempt in the timeline.

use crate::inspector::format::{self, Time};
use crate::inspector::json::Shown;
use crate::webhook::{
    AttemptCause, DeliveryAttempt, DeliveryOutcome, KeyStanding, TamperMode, WebhookKey, WebhookKeys,
};

/// The maximum size of the context of a difference, and of the difference itself, in bytes.
const AROUND: usize = 1_024;
const MOST_DIFFERENT: usize = 8 * 1_024;

/// An attempt.
pub(super) struct Attempt<'a> {
    pub(super) number: u32,
    pub(super) cause: AttemptCause,
    pub(super) tamper_mode: Option<TamperMode>,
    pub(super) started: Time,
    pub(super) latency: String,
    pub(super) response: Option<Response<'a>>,
    /// The reason why there was no response.
    pub(super) reason: Option<&'a str>,
    pub(super) next: Option<Time>,
    /// The due time of a scheduled retry, if the attempt before is still stored.
    pub(super) due: Option<Time>,
    /// `true` for the latest attempt, whose response is open.
    pub(super) is_latest: bool,
    /// `true` for a tampered attempt that a person requested.
    pub(super) is_test: bool,
    pub(super) signature: Option<Signature<'a>>,
    pub(super) headers: &'a [(String, String)],
    /// `true` if the sent body differs from the payload; `difference` is `None` if it is not text.
    pub(super) differs: bool,
    pub(super) difference: Option<Difference<'a>>,
    pub(super) length: usize,
}

/// The response of the receiver.
pub(super) struct Response<'a> {
    pub(super) status: u16,
    pub(super) headers: &'a [(String, String)],
    pub(super) body: Shown<'a>,
}

/// The signature of an attempt and its key.
pub(super) struct Signature<'a> {
    pub(super) header: &'a str,
    pub(super) key: Option<SignatureKey>,
}

/// The key of a signature.
pub(super) struct SignatureKey {
    pub(super) id: String,
    pub(super) standing: KeyStanding,
    pub(super) public_key: Option<String>,
    /// `true` if the signature is valid for the sent body; `None` if the key is no longer stored.
    pub(super) is_valid: Option<bool>,
}

/// The difference between two texts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Difference<'a> {
    pub(super) before: &'a str,
    pub(super) other: &'a str,
    pub(super) after: &'a str,
    /// `true` if the context or the difference is truncated.
    pub(super) more_before: bool,
    pub(super) more_other: bool,
    pub(super) more_after: bool,
}

impl<'a> Attempt<'a> {
    /// `before` is the attempt before, and `is_latest` is `true` for the latest one.
    pub(super) fn new(
        attempt: &'a DeliveryAttempt,
        before: Option<&DeliveryAttempt>,
        is_latest: bool,
        payload: &'a [u8],
        keyring: &WebhookKeys,
        keys: &[WebhookKey],
    ) -> Self {
        let (response, reason) = match &attempt.outcome {
            DeliveryOutcome::Responded { status, headers, body } => {
                (Some(Response { status: *status, headers, body: Shown::of(body, &[]) }), None)
            }
            DeliveryOutcome::Failed { reason } => (None, Some(reason.as_str())),
        };
        let due = before.and_then(|before| before.next_attempt_at.clone());
        Self {
            due: due.filter(|_| attempt.cause == AttemptCause::Scheduled).map(Time::from),
            is_latest,
            is_test: super::list::is_test(attempt),
            number: attempt.number,
            cause: attempt.cause,
            tamper_mode: attempt.tamper_mode,
            started: attempt.started_at.clone().into(),
            latency: format::took(attempt.latency),
            response,
            reason,
            next: attempt.next_attempt_at.clone().map(Time::from),
            signature: Signature::of(attempt, keyring, keys),
            headers: &attempt.headers,
            differs: *payload != *attempt.body,
            difference: difference(payload, &attempt.body),
            length: attempt.body.len(),
        }
    }

    /// Returns `true` if the response is 2xx.
    pub(super) fn is_taken(&self) -> bool {
        self.response.as_ref().is_some_and(|response| (200..300).contains(&response.status))
    }

    /// Returns the CSS class: the response to a test is neither good nor bad.
    pub(super) fn class(&self) -> &'static str {
        match (self.is_test, self.is_taken()) {
            (true, _) => "is-tampered",
            (false, true) => "is-good",
            (false, false) => "is-bad",
        }
    }

    /// Returns the result as text.
    pub(super) fn result(&self) -> String {
        self.response
            .as_ref()
            .map_or_else(|| "no response".to_owned(), |response| response.status.to_string())
    }
}

impl<'a> Signature<'a> {
    fn of(attempt: &'a DeliveryAttempt, keyring: &WebhookKeys, keys: &[WebhookKey]) -> Option<Self> {
        let (header, value) = attempt.headers.iter().find(|(name, _)| name.ends_with("-signature"))?;
        let key = attempt.key_id.clone().map(|id| SignatureKey {
            standing: keyring.standing(&id),
            public_key: keys.iter().find(|key| key.id == id).map(|key| key.public_key.clone()),
            is_valid: keyring.made(&id, value, &attempt.body),
            id,
        });
        Some(Self { header, key })
    }
}

impl SignatureKey {
    /// Returns a description of the key.
    pub(super) fn label(&self) -> &'static str {
        match self.standing {
            KeyStanding::Current => "the current key",
            KeyStanding::Retired => "a retired key",
            KeyStanding::NeverPublished => "an unknown key (never published)",
            KeyStanding::Rsa => "the RSA test key of the legacy header",
            KeyStanding::Forgotten => "a retired key that is no longer stored",
        }
    }
}

/// Returns the difference between payload and sent body; `None` if they are equal or binary.
fn difference<'a>(payload: &'a [u8], sent: &'a [u8]) -> Option<Difference<'a>> {
    if payload == sent {
        return None;
    }
    let sent_text = std::str::from_utf8(sent).ok()?;
    let same = |pair: &(&u8, &u8)| pair.0 == pair.1;
    let start = payload.iter().zip(sent).take_while(same).count();
    let end = payload[start..].iter().rev().zip(sent[start..].iter().rev()).take_while(same).count();
    // Include multi-byte characters as a whole.
    let start = (0..=start).rev().find(|at| sent_text.is_char_boundary(*at)).unwrap_or_default();
    let end =
        (sent.len() - end..=sent.len()).find(|at| sent_text.is_char_boundary(*at)).unwrap_or(sent.len());
    let (before, other, after) = (&sent_text[..start], &sent_text[start..end], &sent_text[end..]);
    let shown_before = ending(before, AROUND);
    let shown_other = format::beginning(other, MOST_DIFFERENT);
    let shown_after = format::beginning(after, AROUND);
    Some(Difference {
        more_before: shown_before.len() < before.len(),
        more_other: shown_other.len() < other.len(),
        more_after: shown_after.len() < after.len(),
        before: shown_before,
        other: shown_other,
        after: shown_after,
    })
}

/// Returns the longest end of a text that has at most `most` bytes.
fn ending(text: &str, most: usize) -> &str {
    let start = (text.len().saturating_sub(most)..=text.len()).find(|at| text.is_char_boundary(*at));
    &text[start.unwrap_or_default()..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_between_what_is_the_same() {
        let cases = [
            ("abcde", "abXde", Some(("ab", "X", "de"))),
            ("abc", "abcd", Some(("abc", "d", ""))),
            ("abc", "ac", Some(("a", "", "c"))),
            ("aaa", "aa", Some(("aa", "", ""))),
            ("aa", "aaa", Some(("aa", "a", ""))),
            ("", "a", Some(("", "a", ""))),
            ("a", "", Some(("", "", ""))),
            // The first bytes of these characters are equal.
            ("ä!", "ö!", Some(("", "ö", "!"))),
            // The last bytes of these characters are equal.
            ("\u{e4}", "\u{124}", Some(("", "\u{124}", ""))),
            ("same", "same", None),
        ];
        for (payload, sent, expected) in cases {
            let found = difference(payload.as_bytes(), sent.as_bytes());
            let found = found.as_ref().map(|found| (found.before, found.other, found.after));
            assert_eq!(found, expected, "{payload} {sent}");
        }
        assert_eq!(difference(b"a", b"\xff"), None);
    }

    #[test]
    fn little_is_shown_around_a_difference() {
        let payload = format!("{}a{}", "é".repeat(5_000), "é".repeat(5_000));
        let sent = format!("{}{}{}", "é".repeat(5_000), "ü".repeat(5_000), "é".repeat(5_000));
        let found = difference(payload.as_bytes(), sent.as_bytes()).unwrap();
        assert_eq!(
            (found.before.len(), found.other.len(), found.after.len()),
            (AROUND, MOST_DIFFERENT, AROUND)
        );
        assert!(found.more_before && found.more_other && found.more_after);
    }
}
