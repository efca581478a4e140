//! Tokens for the checks, and their comparison.

use std::fmt::Debug;
use std::time::{Duration, SystemTime};

use secrecy::{ExposeSecret, SecretString};

use crate::auth::TokenSet;
use crate::auth::tokens::{Rejections, UnknownFields, UnknownRejection};
use crate::conformance::{CheckResult, ensure};
use crate::unauthorized::TextDigest;

/// Returns tokens with every field. Tokens of different names differ in every field.
pub(super) fn tokens(name: &str) -> TokenSet {
    let length = u64::try_from(name.len()).unwrap_or_default();
    TokenSet {
        access_token: format!("access-{name}").into(),
        refresh_token: Some(format!("refresh-{name}").into()),
        obtained_at: at(1_700_000_000_123 + length),
        installed_at: at(1_690_000_000_789 + length),
        expires_at: at(1_700_086_399_456 + length),
        scopes: vec![format!("conversations.{name}"), "contacts.readonly".to_owned()],
        company_id: Some(format!("company-{name}").into()),
        location_id: Some(format!("location-{name}").into()),
        user_id: Some(format!("user-{name}").into()),
        rejections: Box::new(Rejections {
            refreshed_at: Some(at(1_700_000_500_123 + length)),
            unknown: vec![UnknownRejection { text: TextDigest(length), helped: length.is_multiple_of(2) }],
        }),
        unknown: UnknownFields::default(),
    }
}

/// Returns tokens with fields that this version does not know.
pub(super) fn tokens_of_a_later_version() -> Result<TokenSet, String> {
    let json = tokens("later").to_json();
    let mut json: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(json.expose_secret()).map_err(|error| error.to_string())?;
    json.insert("field_of_a_later_version".to_owned(), serde_json::json!({ "a": [1, "b"] }));
    let json = SecretString::from(serde_json::Value::from(json).to_string());
    TokenSet::from_json(&json).map_err(|error| error.to_string())
}

/// Returns tokens without the optional fields.
pub(super) fn bare_tokens() -> TokenSet {
    TokenSet {
        refresh_token: None,
        scopes: Vec::new(),
        company_id: None,
        location_id: None,
        user_id: None,
        rejections: Box::default(),
        ..tokens("bare")
    }
}

/// Returns the time that many milliseconds after 1970.
pub(super) fn at(milliseconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(milliseconds)
}

/// Compares two sets of tokens, as far as a store has to preserve them. The failure names the first field that differs;
/// the tokens are those of the checks, and not secret.
pub(super) fn same(found: &TokenSet, wanted: &TokenSet) -> CheckResult {
    // Without `..`: a field that is added to the tokens has to be compared, or this does not compile.
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
    } = wanted;
    let plain = |token: &Option<SecretString>| token.as_ref().map(|token| token.expose_secret().to_owned());
    field("access_token", found.access_token.expose_secret(), access_token.expose_secret())?;
    field("refresh_token", &plain(&found.refresh_token), &plain(refresh_token))?;
    time("obtained_at", found.obtained_at, *obtained_at)?;
    time("installed_at", found.installed_at, *installed_at)?;
    time("expires_at", found.expires_at, *expires_at)?;
    field("scopes", &found.scopes, scopes)?;
    field("company_id", &found.company_id, company_id)?;
    field("rejections", &found.rejections, rejections)?;
    field("location_id", &found.location_id, location_id)?;
    field("user_id", &found.user_id, user_id)?;
    ensure(found.unknown == *unknown, || {
        format!(
            "the unknown fields should have been {:?}, but are {:?}",
            unknown.names(),
            found.unknown.names()
        )
    })
}

fn field<T: Debug + PartialEq + ?Sized>(name: &str, found: &T, wanted: &T) -> CheckResult {
    let shorten = |value: &T| format!("{value:?}").chars().take(80).collect::<String>();
    ensure(found == wanted, || {
        format!("{name} should have been {}, but is {}", shorten(wanted), shorten(found))
    })
}

/// Compares times. A time may be rounded down by less than a millisecond, so that no token seems to live longer.
fn time(name: &str, found: SystemTime, wanted: SystemTime) -> CheckResult {
    let kept = wanted.duration_since(found).is_ok_and(|lost| lost < Duration::from_millis(1));
    ensure(kept, || {
        format!("{name} should have been {wanted:?}, or less than a millisecond before, but is {found:?}")
    })
}
