//! The tokens that HighLevel issues to an app.

use std::fmt;
use std::time::{Duration, SystemTime};

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::unauthorized::{Cause, Unauthorized, Words};
use crate::{CompanyId, LocationId, UserId};

/// The lifetime of an access token, as documented.
pub(super) const LIFETIME: Duration = Duration::from_secs(86_399);

/// An access token, the refresh token that refreshes it, and what the response said about them.
///
/// [`App::exchange`](super::App::exchange) returns one. Tokens that another program obtained are put into one by hand, for
/// [`App::import`](super::App::import):
///
/// ```
/// use std::time::Duration;
/// use highlevel::auth::TokenSet;
///
/// let tokens = TokenSet::new("eyJhbGciOi…")
///     .with_refresh_token("eyJhbGciOj…")
///     .with_lifetime(Duration::from_secs(86_399))
///     .with_scopes(["conversations/message.write"]);
/// # assert!(tokens.refresh_token.is_some());
/// ```
///
/// `Debug` shows neither token.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TokenSet {
    /// The token that requests carry.
    pub access_token: SecretString,
    /// The token that refreshes the access token, once.
    pub refresh_token: Option<SecretString>,
    /// The time at which HighLevel issued it, by this machine's clock.
    pub obtained_at: SystemTime,
    /// The time at which the app was installed, as far as this machine knows: when HighLevel issued the first of these
    /// tokens. Refreshing them does not change it.
    pub installed_at: SystemTime,
    /// The time at which the access token expires.
    pub expires_at: SystemTime,
    /// The scopes that were granted, as HighLevel writes them.
    pub scopes: Vec<String>,
    /// The company that it belongs to.
    pub company_id: Option<CompanyId>,
    /// The location that it is for; none for the token of a company.
    pub location_id: Option<LocationId>,
    /// The user who installed the app.
    pub user_id: Option<UserId>,
    /// The 401s that these tokens, and those before them, have met.
    pub(crate) rejections: Box<Rejections>,
    /// Fields that a later version of this crate stored.
    pub(super) unknown: UnknownFields,
}

impl TokenSet {
    /// Tokens that HighLevel has just issued: obtained and installed now, with the documented lifetime of a day.
    pub fn new(access_token: impl Into<SecretString>) -> Self {
        let now = SystemTime::now();
        Self {
            access_token: access_token.into(),
            refresh_token: None,
            obtained_at: now,
            installed_at: now,
            expires_at: now + LIFETIME,
            scopes: Vec::new(),
            company_id: None,
            location_id: None,
            user_id: None,
            rejections: Box::default(),
            unknown: UnknownFields::default(),
        }
    }

    /// Sets the refresh token. Without one, the app has to be installed again when the access token has expired.
    pub fn with_refresh_token(mut self, refresh_token: impl Into<SecretString>) -> Self {
        self.refresh_token = Some(refresh_token.into());
        self
    }

    /// Sets the time at which the access token expires. The tokens count as obtained and installed a day before, or now
    /// if that is in the future.
    pub fn with_expiry(mut self, expires_at: SystemTime) -> Self {
        let issued = expires_at.checked_sub(LIFETIME).unwrap_or(SystemTime::UNIX_EPOCH);
        let issued = issued.min(SystemTime::now());
        (self.obtained_at, self.installed_at, self.expires_at) = (issued, issued, expires_at);
        self
    }

    /// Sets the time that the access token lives from [`obtained_at`](Self::obtained_at), as in `expires_in`.
    pub fn with_lifetime(mut self, lifetime: Duration) -> Self {
        self.expires_at = self.obtained_at.checked_add(lifetime).unwrap_or(self.obtained_at + LIFETIME);
        self
    }

    /// Sets the time at which HighLevel issued the tokens, and the app was installed. The access token expires as much
    /// later as it did.
    pub fn with_obtained_at(mut self, obtained_at: SystemTime) -> Self {
        let lifetime = self.expires_at.duration_since(self.obtained_at).unwrap_or_default();
        (self.obtained_at, self.installed_at) = (obtained_at, obtained_at);
        self.with_lifetime(lifetime)
    }

    /// Sets the time at which the app was installed, if it was before these tokens were issued.
    pub fn with_installed_at(mut self, installed_at: SystemTime) -> Self {
        self.installed_at = installed_at;
        self
    }

    /// Sets the scopes that were granted.
    pub fn with_scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.scopes = scopes.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the company that the tokens belong to. It can issue new tokens for a location of it.
    pub fn with_company_id(mut self, company: impl Into<CompanyId>) -> Self {
        self.company_id = Some(company.into());
        self
    }

    /// Sets the location that the tokens are for.
    pub fn with_location_id(mut self, location: impl Into<LocationId>) -> Self {
        self.location_id = Some(location.into());
        self
    }

    /// Sets the user who installed the app.
    pub fn with_user_id(mut self, user: impl Into<UserId>) -> Self {
        self.user_id = Some(user.into());
        self
    }
}

/// At most this many texts of 401s are stored.
const MOST_WORDS: usize = 8;

/// The 401s that led to refreshes: stored with the tokens, so that all processes know of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Rejections {
    /// When tokens were last refreshed because of a 401.
    pub(crate) refreshed_at: Option<SystemTime>,
    /// The unknown texts among them.
    pub(crate) unknown: Vec<UnknownRejection>,
}

/// A 401 whose text is not known, and that led to a refresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UnknownRejection {
    pub(crate) words: Words,
    /// The request was accepted with the fresh token.
    pub(crate) helped: bool,
}

impl Rejections {
    /// Notes that tokens are refreshed because of a 401.
    pub(crate) fn refreshed(&mut self, why: Unauthorized, now: SystemTime) {
        self.refreshed_at = Some(now);
        if why.cause == Cause::Unknown {
            self.unknown.retain(|entry| entry.words != why.words);
            if self.unknown.len() >= MOST_WORDS {
                self.unknown.remove(0);
            }
            self.unknown.push(UnknownRejection { words: why.words, helped: false });
        }
    }

    /// Notes that the request was accepted with the fresh token. Returns `true` if that was not known.
    pub(crate) fn helped(&mut self, words: Words) -> bool {
        let entry = self.unknown.iter_mut().find(|entry| entry.words == words && !entry.helped);
        entry.map(|entry| entry.helped = true).is_some()
    }
}

/// Fields of stored tokens that this version does not know. They are preserved when the tokens are stored again.
///
/// `Debug` shows the names only: the values may be secret.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct UnknownFields(Box<serde_json::Map<String, serde_json::Value>>);

impl UnknownFields {
    pub(super) fn names(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }
}

impl fmt::Debug for UnknownFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}
