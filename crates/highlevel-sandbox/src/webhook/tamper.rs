//! Builds the request of an attempt: genuine, or tampered with in a way that a receiver must withstand.

use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

use super::json_text::json_text;
use super::keyring::WebhookKeys;

/// The app id of [`TamperMode::OtherApp`].
const OTHER_APP_ID: &str = "5f0c9bb1c7a35e0012f4d3a9";

/// A way to tamper with an attempt or its order.
///
/// An attempt that the receiver rejects is retried by the [schedule](crate::RetrySchedule). The retry is genuine unless the
/// mode is still active.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum TamperMode {
    /// Signs with a key that was never published.
    WrongKey,
    /// Signs with the key before the last rotation.
    OldKey,
    /// Sets the timestamp of the payload to one day ago; the signature is valid.
    Stale,
    /// Sets the timestamp of the payload to one hour ahead; the signature is valid.
    Future,
    /// Sends the same request twice in a row.
    Duplicate,
    /// Holds the event until another one was sent to the same URL, for one minute at most.
    Reordered,
    /// Changes a letter of the body after signing.
    AlteredByte,
    /// Omits the signature header.
    MissingHeader,
    /// Sets the signature header to `N/A`, as `HighLevel` does for unsigned events.
    NotAvailable,
    /// Signs only with the legacy header: RSA in `X-WH-Signature`, with a test key.
    Rsa,
    /// Sets the id of another app; the signature is valid, because `HighLevel` signs the events of all apps with one key.
    OtherApp,
}

/// The active tamper modes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TamperConfig {
    /// The mode of all attempts after those of `next`.
    pub standing: Option<TamperMode>,
    /// The modes of the next attempts, in order, each with its number of attempts.
    pub next: VecDeque<(TamperMode, u32)>,
}

/// An HTTP request on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WebhookRequest {
    /// The headers with names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Arc<[u8]>,
    /// The name of the signing key.
    pub(crate) key_id: Option<String>,
}

/// Builds the request that delivers a payload. The only place that tampers with it.
pub(crate) fn request(
    payload: &Arc<[u8]>,
    mode: Option<TamperMode>,
    keyring: &WebhookKeys,
    now: DateTime<Utc>,
    seed: u64,
) -> Result<WebhookRequest, String> {
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
        Some(TamperMode::Rsa) => (
            Some(("x-wh-signature", WebhookKeys::rsa_signature(&body)?)),
            Some(WebhookKeys::RSA_KEY_ID.to_owned()),
        ),
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
    Ok(WebhookRequest { headers, body, key_id })
}

/// Replaces a field of a JSON object. Other JSON is unchanged.
fn with_field(payload: &Arc<[u8]>, field: &str, value: &str) -> Arc<[u8]> {
    match serde_json::from_slice(payload) {
        Ok(Value::Object(mut fields)) => {
            fields.insert(field.to_owned(), json!(value));
            json_text(&Value::Object(fields)).into()
        }
        _ => Arc::clone(payload),
    }
}

/// Changes the case of one letter inside a string, so that the body remains valid JSON.
fn altered(body: &[u8], seed: u64) -> Arc<[u8]> {
    let letters = letters_in_strings(body);
    let mut altered = body.to_vec();
    match letters.get(fastrand::Rng::with_seed(seed).usize(..letters.len().max(1))) {
        Some(position) => altered[*position] ^= 0x20,
        None => altered.push(b' '),
    }
    altered.into()
}

/// Returns the positions of ASCII letters in JSON strings that are not part of an escape.
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
    /// Returns the mode of a starting attempt. An event that cannot be held back, because another one is, is sent genuine.
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
    /// All modes.
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

    /// Returns the name used in JSON and on the command line.
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
    /// Returns a description of the tampering.
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

    /// Returns a description of the response of a correct receiver.
    pub fn expected_response(self) -> &'static str {
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
            format!("unknown tamper mode `{text}`; known modes: {names}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_letters_inside_strings_are_found() {
        let json = br#"{"a":true,"b\"\u00e9c\nd":"1e","f":[1e3,"\\g"]}"#;
        let found: String =
            letters_in_strings(json).into_iter().map(|position| char::from(json[position])).collect();
        assert_eq!(found, "abcdefg");
    }

    #[test]
    fn an_altered_body_is_valid_json_and_differs_in_one_byte() {
        let body = br#"{"body":"Hello","count":120,"ok":true}"#;
        for seed in 0..50 {
            let altered = altered(body, seed);
            assert_eq!(altered.iter().zip(body).filter(|(one, other)| one != other).count(), 1);
            assert!(serde_json::from_slice::<Value>(&altered).is_ok());
        }
        assert_ne!(&*super::altered(b"{}", 0), b"{}");
    }
}
