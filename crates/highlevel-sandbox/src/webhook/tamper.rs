//! What an attempt looks like on the wire: genuine, or wrong in one of the ways that a receiver has to withstand.

use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

use super::keyring::Keyring;

/// The app that [`TamperMode::OtherApp`] names.
const OTHER_APP_ID: &str = "5f0c9bb1c7a35e0012f4d3a9";

/// One way in which an attempt is wrong, or comes wrongly, on purpose. [`Self::description`] says it in words.
///
/// What a receiver refuses with an answer that is not a 2xx comes again by the [schedule](crate::RetrySchedule), and is
/// then genuine unless the mode is still switched on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum TamperMode {
    /// Signed with a key that was never published.
    WrongKey,
    /// Signed with the key that signed before the last rotation.
    OldKey,
    /// The timestamp in the payload is a day old; validly signed.
    Stale,
    /// The timestamp in the payload is an hour ahead; validly signed.
    Future,
    /// The same request is made twice, one after the other.
    Duplicate,
    /// It waits until another event has gone to the same URL, a minute at the most.
    Reordered,
    /// A letter of the body is another one than was signed.
    AlteredByte,
    /// There is no signature header.
    MissingHeader,
    /// The signature header says `N/A`, as `HighLevel` writes for an event without a signature.
    NotAvailable,
    /// The signature is the older one alone: RSA in `X-WH-Signature`, by a test key.
    Rsa,
    /// The event is for another app; validly signed, for `HighLevel` signs the events of all apps with one key.
    OtherApp,
}

/// The active tamper modes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TamperConfig {
    /// For all attempts but the next ones below.
    pub standing: Option<TamperMode>,
    /// For the next attempts, in this order, each with how many.
    pub next: VecDeque<(TamperMode, u32)>,
}

/// What goes over the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// In lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Arc<[u8]>,
    /// The name of the key that made the signature.
    pub(crate) key_id: Option<String>,
}

/// The request that delivers a payload. The one place in which something is made wrong with it.
pub(crate) fn request(
    payload: &Arc<[u8]>,
    mode: Option<TamperMode>,
    keyring: &Keyring,
    now: DateTime<Utc>,
    seed: u64,
) -> Result<Request, String> {
    let ahead = |time: TimeDelta| (now + time).to_rfc3339_opts(SecondsFormat::Millis, true);
    let body = match mode {
        Some(TamperMode::Stale) => with_field(payload, "timestamp", &ahead(TimeDelta::days(-1))),
        Some(TamperMode::Future) => with_field(payload, "timestamp", &ahead(TimeDelta::hours(1))),
        Some(TamperMode::OtherApp) => with_field(payload, "appId", OTHER_APP_ID),
        _ => Arc::clone(payload),
    };
    let (signature, key_id) = match mode {
        Some(TamperMode::MissingHeader) => (None, None),
        Some(TamperMode::NotAvailable) => (Some(("x-ghl-signature", "N/A".to_owned())), None),
        Some(TamperMode::Rsa) => {
            (Some(("x-wh-signature", Keyring::rsa_signature(&body)?)), Some(Keyring::RSA_KEY_ID.to_owned()))
        }
        other => {
            let key = match other {
                Some(TamperMode::WrongKey) => keyring.wrong(),
                Some(TamperMode::OldKey) => keyring.retired(),
                _ => keyring.current(),
            };
            (Some(("x-ghl-signature", key.signer.sign(&body))), Some(key.id.clone()))
        }
    };
    let body = if mode == Some(TamperMode::AlteredByte) { altered(&body, seed) } else { body };
    let mut headers = vec![
        ("content-type".to_owned(), "application/json".to_owned()),
        ("user-agent".to_owned(), concat!("highlevel-sandbox/", env!("CARGO_PKG_VERSION")).to_owned()),
    ];
    headers.extend(signature.map(|(name, value)| (name.to_owned(), value)));
    Ok(Request { headers, body, key_id })
}

/// The object with another value in one of its fields; what is no object stays as it is.
fn with_field(payload: &Arc<[u8]>, field: &str, value: &str) -> Arc<[u8]> {
    match serde_json::from_slice(payload) {
        Ok(Value::Object(mut fields)) => {
            fields.insert(field.to_owned(), json!(value));
            Value::Object(fields).to_string().into_bytes().into()
        }
        _ => Arc::clone(payload),
    }
}

/// The body with the case of one letter changed, inside a string, so that JSON stays JSON.
fn altered(body: &[u8], seed: u64) -> Arc<[u8]> {
    let letters = letters_in_strings(body);
    let mut altered = body.to_vec();
    match letters.get(fastrand::Rng::with_seed(seed).usize(..letters.len().max(1))) {
        Some(position) => altered[*position] ^= 0x20,
        None => altered.push(b' '),
    }
    altered.into()
}

/// Where in JSON text a string has an ASCII letter that is no part of an escape.
fn letters_in_strings(json: &[u8]) -> Vec<usize> {
    let mut letters = Vec::new();
    let (mut inside, mut skip) = (false, 0);
    for (position, byte) in json.iter().enumerate() {
        match byte {
            _ if skip > 0 => skip = if skip == 1 && *byte == b'u' { 4 } else { skip - 1 },
            b'"' => inside = !inside,
            b'\\' if inside => skip = 1,
            letter if inside && letter.is_ascii_alphabetic() => letters.push(position),
            _ => {}
        }
    }
    letters
}

impl TamperConfig {
    /// The mode of the attempt that begins. What cannot be held back now, because another one is, goes as it should.
    pub(super) fn take(&mut self, may_hold: bool) -> Option<TamperMode> {
        let possible = |mode: TamperMode| may_hold || mode != TamperMode::Reordered;
        let Some((mode, attempts)) = self.next.front_mut() else {
            return self.standing.filter(|mode| possible(*mode));
        };
        let mode = *mode;
        if !possible(mode) {
            return None;
        }
        *attempts = attempts.saturating_sub(1);
        if *attempts == 0 {
            self.next.pop_front();
        }
        Some(mode)
    }
}

impl TamperMode {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::WrongKey,
        Self::OldKey,
        Self::Stale,
        Self::Future,
        Self::Duplicate,
        Self::Reordered,
        Self::AlteredByte,
        Self::MissingHeader,
        Self::NotAvailable,
        Self::Rsa,
        Self::OtherApp,
    ];

    /// As it is written in JSON and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WrongKey => "wrongKey",
            Self::OldKey => "oldKey",
            Self::Stale => "stale",
            Self::Future => "future",
            Self::Duplicate => "duplicate",
            Self::Reordered => "reordered",
            Self::AlteredByte => "alteredByte",
            Self::MissingHeader => "missingHeader",
            Self::NotAvailable => "notAvailable",
            Self::Rsa => "rsa",
            Self::OtherApp => "otherApp",
        }
    }
}

impl TamperMode {
    /// What is wrong with an attempt, for people.
    ///
    /// ```
    /// use highlevel_sandbox::TamperMode;
    ///
    /// assert_eq!(TamperMode::MissingHeader.description(), "no signature header");
    /// ```
    pub fn description(self) -> &'static str {
        match self {
            Self::WrongKey => "signed with an unknown key",
            Self::OldKey => "signed with the previous key",
            Self::Stale => "timestamp 1 day old, valid signature",
            Self::Future => "timestamp 1 hour ahead, valid signature",
            Self::Duplicate => "the same request sent twice in a row",
            Self::Reordered => {
                "delivered out of order (after the next event to the same URL, or after 1 min of sandbox time)"
            }
            Self::AlteredByte => "one character of the body changed after signing, still valid JSON",
            Self::MissingHeader => "no signature header",
            Self::NotAvailable => "signature header set to N/A, as HighLevel does for unsigned events",
            Self::Rsa => "only the legacy X-WH-Signature header, signed with the RSA test key",
            Self::OtherApp => {
                "appId of another app, valid signature (HighLevel signs for all apps with one key)"
            }
        }
    }

    /// What a receiver that is not deceived answers, for people; the receiver of the SDK does.
    pub fn right_answer(self) -> &'static str {
        match self {
            Self::WrongKey | Self::AlteredByte | Self::MissingHeader | Self::NotAvailable => "401",
            Self::OldKey | Self::Rsa => "401 (200 if it trusts that key)",
            Self::Stale => "400",
            Self::Future => "429 (retry later)",
            Self::Duplicate => "200 twice, processed once",
            Self::Reordered => "200",
            Self::OtherApp => "403",
        }
    }
}

impl fmt::Display for TamperMode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl FromStr for TamperMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == text).ok_or_else(|| {
            let names = Self::ALL.map(Self::as_str).join(", ");
            format!("unknown tamper mode `{text}`; expected one of {names}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_found_inside_strings_only() {
        let json = br#"{"a":true,"b\"\u00e9c\nd":"1e","f":[1e3,"\\g"]}"#;
        let found: String =
            letters_in_strings(json).into_iter().map(|position| char::from(json[position])).collect();
        assert_eq!(found, "abcdefg");
    }

    #[test]
    fn an_altered_body_is_json_with_one_other_byte() {
        let body = br#"{"body":"Hello","count":120,"ok":true}"#;
        for seed in 0..50 {
            let altered = altered(body, seed);
            assert_eq!(altered.iter().zip(body).filter(|(one, other)| one != other).count(), 1);
            assert!(serde_json::from_slice::<Value>(&altered).is_ok());
        }
        assert_ne!(&*super::altered(b"{}", 0), b"{}");
    }
}
