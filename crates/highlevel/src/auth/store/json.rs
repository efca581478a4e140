//! Tokens as JSON: the only place that knows their stored form.

use std::borrow::Cow;
use std::fmt;
use std::time::{Duration, SystemTime};

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::auth::TokenSet;
use crate::auth::tokens::{Rejections, UnknownFields, UnknownRejection};
use crate::unauthorized::TextDigest;

/// The format that is written. Older formats stay readable.
///
/// Optional fields can be added without a new format: since format 3, fields that a program does not know are preserved when
/// it writes tokens back, also if it refreshed them. So a new field that is about one access token has to identify it.
pub(super) const FORMAT: u64 = 3;

impl TokenSet {
    /// Returns the tokens as JSON, for a column of a database. **It contains the tokens in plain text**: encrypt it, or
    /// store it where only the program can read it.
    ///
    /// The JSON names its format, so that later versions of this crate can read it. Times are in milliseconds since 1970,
    /// rounded down, between the years 1601 and 9999.
    pub fn to_json(&self) -> SecretString {
        // Strings, numbers and parsed JSON: serialising them cannot fail.
        serde_json::to_string(&TokensForm::of(self)).unwrap_or_default().into()
    }

    /// Returns the tokens that [`to_json`](Self::to_json) of this or an earlier version of this crate wrote. Fields that
    /// this version does not know are preserved: `to_json` writes them again.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidTokens`] if the text is not such JSON, or has a newer format. The error does not quote the text.
    pub fn from_json(json: &SecretString) -> Result<Self, InvalidTokens> {
        read::<TokensForm<'_>>(json.expose_secret())?.into_tokens()
    }
}

/// The error of [`TokenSet::from_json`]. It does not quote the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidTokens {
    text: String,
    newer: bool,
}

impl InvalidTokens {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), newer: false }
    }

    /// Returns `true` if a later version of this crate wrote the text. Update this program to read it.
    pub fn is_newer_format(&self) -> bool {
        self.newer
    }
}

impl fmt::Display for InvalidTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for InvalidTokens {}

/// [`TokenSet`], as it is written.
#[derive(Serialize, Deserialize)]
pub(super) struct TokensForm<'a> {
    format: u64,
    #[serde(borrow)]
    access_token: Cow<'a, str>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    refresh_token: Option<Cow<'a, str>>,
    obtained_at_unix_ms: i64,
    /// Since format 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    installed_at_unix_ms: Option<i64>,
    expires_at_unix_ms: i64,
    scopes: Cow<'a, [String]>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    company_id: Option<Cow<'a, str>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    location_id: Option<Cow<'a, str>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    user_id: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rejections: Option<Value>,
    #[serde(flatten)]
    unknown: Cow<'a, UnknownFields>,
}

impl<'a> TokensForm<'a> {
    pub(super) fn of(tokens: &'a TokenSet) -> Self {
        // Without `..`: a field that is added to the tokens has to be added to their form, or this does not compile.
        let TokenSet {
            access_token,
            refresh_token,
            obtained_at,
            installed_at,
            expires_at,
            scopes,
            company_id,
            location_id,
            user_id,
            rejections,
            unknown,
        } = tokens;
        Self {
            format: FORMAT,
            access_token: access_token.expose_secret().into(),
            refresh_token: refresh_token.as_ref().map(|token| token.expose_secret().into()),
            obtained_at_unix_ms: rounded_down(*obtained_at),
            installed_at_unix_ms: Some(rounded_down(*installed_at)),
            expires_at_unix_ms: rounded_down(*expires_at),
            scopes: scopes.into(),
            company_id: company_id.as_ref().map(|id| id.as_str().into()),
            location_id: location_id.as_ref().map(|id| id.as_str().into()),
            user_id: user_id.as_ref().map(|id| id.as_str().into()),
            rejections: write_rejections(rejections),
            unknown: Cow::Borrowed(unknown),
        }
    }

    pub(super) fn into_tokens(self) -> Result<TokenSet, InvalidTokens> {
        let installed_at = match self.installed_at_unix_ms {
            Some(installed_at) => installed_at,
            None if self.format < 2 => self.obtained_at_unix_ms,
            None => return Err(InvalidTokens::new("the field installed_at_unix_ms is missing")),
        };
        Ok(TokenSet {
            access_token: self.access_token.into_owned().into(),
            refresh_token: self.refresh_token.map(|token| token.into_owned().into()),
            obtained_at: time(self.obtained_at_unix_ms)?,
            installed_at: time(installed_at)?,
            expires_at: time(self.expires_at_unix_ms)?,
            scopes: self.scopes.into_owned(),
            company_id: self.company_id.map(|id| id.into_owned().into()),
            location_id: self.location_id.map(|id| id.into_owned().into()),
            user_id: self.user_id.map(|id| id.into_owned().into()),
            rejections: self
                .rejections
                .as_ref()
                .map(|json| Box::new(read_rejections(json)))
                .unwrap_or_default(),
            unknown: self.unknown.into_owned(),
        })
    }
}

fn write_rejections(rejections: &Rejections) -> Option<Value> {
    let Rejections { refreshed_at, unknown } = rejections;
    let unknown: Vec<_> = unknown
        .iter()
        .map(|entry| json!({ "digest": format!("{:016x}", entry.text.0), "helped": entry.helped }))
        .collect();
    let refreshed_at = (*refreshed_at)?;
    Some(json!({ "refreshed_at_unix_ms": rounded_down(refreshed_at), "unknown": unknown }))
}

/// Reads the valid entries. Malformed ones are ignored, so that the tokens are not lost.
fn read_rejections(json: &Value) -> Rejections {
    let refreshed_at = json["refreshed_at_unix_ms"].as_i64().and_then(|time| self::time(time).ok());
    let entries = json["unknown"].as_array().into_iter().flatten();
    let read = |entry: &Value| {
        let digest = u64::from_str_radix(entry["digest"].as_str()?, 16).ok()?;
        Some(UnknownRejection {
            text: TextDigest(digest),
            helped: entry["helped"].as_bool().unwrap_or_default(),
        })
    };
    Rejections { refreshed_at, unknown: entries.filter_map(read).collect() }
}

/// Reads a document that names its format. Tokens in it name theirs.
pub(super) fn read<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, InvalidTokens> {
    #[derive(Deserialize)]
    struct Formats {
        format: u64,
        tokens: Option<Box<Formats>>,
    }

    let Formats { format, tokens } = serde_json::from_str(json).map_err(|error| unreadable(&error))?;
    let newest = tokens.map_or(format, |tokens| format.max(tokens.format));
    if newest > FORMAT {
        return Err(InvalidTokens {
            text: format!("it has format {newest}, but this program supports formats up to {FORMAT}"),
            newer: true,
        });
    }
    serde_json::from_str(json).map_err(|error| unreadable(&error))
}

/// Describes the position of an error. Leaves out the message of the parser: it quotes values, which may be tokens.
fn unreadable(error: &serde_json::Error) -> InvalidTokens {
    let what = match error.classify() {
        serde_json::error::Category::Eof => "it ends too early",
        serde_json::error::Category::Data => "a field is missing or of another type",
        serde_json::error::Category::Syntax | serde_json::error::Category::Io => "it is not JSON",
    };
    InvalidTokens::new(format!("{what} (line {}, column {})", error.line(), error.column()))
}

/// The years 1601 and 9999: the range of all systems and databases.
const EARLIEST: i64 = -11_644_473_600_000;
const LATEST: i64 = 253_402_300_799_999;

/// Returns milliseconds since 1970, rounded down, so that no token seems to live longer.
pub(in crate::auth) fn rounded_down(time: SystemTime) -> i64 {
    let milliseconds = match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_millis()).unwrap_or(LATEST),
        Err(before) => {
            let before = before.duration().as_nanos().div_ceil(1_000_000);
            i64::try_from(before).map_or(EARLIEST, |before| -before)
        }
    };
    milliseconds.clamp(EARLIEST, LATEST)
}

/// Returns the time of milliseconds since 1970.
fn time(milliseconds: i64) -> Result<SystemTime, InvalidTokens> {
    let distance = Duration::from_millis(milliseconds.unsigned_abs());
    let time = match milliseconds {
        EARLIEST..0 => SystemTime::UNIX_EPOCH.checked_sub(distance),
        0..=LATEST => SystemTime::UNIX_EPOCH.checked_add(distance),
        _ => None,
    };
    time.ok_or_else(|| InvalidTokens::new(format!("the time {milliseconds} is out of range")))
}
