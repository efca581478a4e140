//! The tokens that HighLevel issues to an app.

use std::fmt;
use std::time::{Duration, SystemTime};

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::unauthorized::{Cause, TextDigest, Unauthorized};
use crate::{CompanyId, LocationId, UserId};

/// The lifetime of an access token, as documented.
pub(super) const LIFETIME: Duration = Duration::from_secs(86_399);

/// An access token, its refresh token, and their properties.
///
/// [`App::exchange`](super::App::exchange) returns one. For [`App::import`](super::App::import), create one from the tokens of
/// another program:
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
/// `Debug` redacts both tokens.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TokenSet {
    /// The token for requests.
    pub access_token: SecretString,
    /// The token with which the access token is refreshed. It works once.
    pub refresh_token: Option<SecretString>,
    /// The time at which HighLevel issued the tokens, by the clock of this machine.
    pub obtained_at: SystemTime,
    /// The time at which the app was installed: when HighLevel issued the first of these tokens. A refresh does not change
    /// it.
    pub installed_at: SystemTime,
    /// The time at which the access token expires.
    pub expires_at: SystemTime,
    /// The granted scopes.
    pub scopes: Vec<String>,
    /// The company to which the tokens belong.
    pub company_id: Option<CompanyId>,
    /// The location of the tokens, or `None` for tokens of a company.
    pub location_id: Option<LocationId>,
    /// The user who installed the app.
    pub user_id: Option<UserId>,
    /// The 401s because of which these tokens and their predecessors were refreshed.
    pub(crate) rejections: Box<Rejections>,
    /// Fields that a later version of this crate stored.
    pub(super) unknown: UnknownFields,
}

impl TokenSet {
    /// Creates tokens that HighLevel has just issued: obtained and installed now, with the documented lifetime of a day.
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

    /// Sets the refresh token. Without one, the app must be reinstalled when the access token has expired.
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

    /// Sets the lifetime of the access token from [`obtained_at`](Self::obtained_at), as in `expires_in`.
    pub fn with_lifetime(mut self, lifetime: Duration) -> Self {
        self.expires_at = self.obtained_at.checked_add(lifetime).unwrap_or(self.obtained_at + LIFETIME);
        self
    }

    /// Sets the time at which HighLevel issued the tokens and the app was installed. The lifetime stays the same.
    pub fn with_obtained_at(mut self, obtained_at: SystemTime) -> Self {
        let lifetime = self.expires_at.duration_since(self.obtained_at).unwrap_or_default();
        (self.obtained_at, self.installed_at) = (obtained_at, obtained_at);
        self.with_lifetime(lifetime)
    }

    /// Sets the time at which the app was installed, if it was earlier than the time at which the tokens were issued.
    pub fn with_installed_at(mut self, installed_at: SystemTime) -> Self {
        self.installed_at = installed_at;
        self
    }

    /// Sets the granted scopes.
    pub fn with_scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.scopes = scopes.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the company to which the tokens belong. It can issue new tokens for its locations.
    pub fn with_company_id(mut self, company: impl Into<CompanyId>) -> Self {
        self.company_id = Some(company.into());
        self
    }

    /// Sets the location of the tokens.
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

/// The maximum number of texts of 401s that are stored.
const MAX_TEXTS: usize = 8;

/// The 401s because of which tokens were refreshed. They are stored with the tokens, for all processes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Rejections {
    /// The time of the last refresh because of a 401.
    pub(crate) refreshed_at: Option<SystemTime>,
    /// The 401s with an unknown text.
    pub(crate) unknown: Vec<UnknownRejection>,
}

/// A 401 with an unknown text, because of which tokens were refreshed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UnknownRejection {
    pub(crate) text: TextDigest,
    /// `true` if the request was accepted with the new token.
    pub(crate) helped: bool,
}

impl Rejections {
    /// Notes that tokens are refreshed because of a 401.
    pub(crate) fn refreshed(&mut self, why: Unauthorized, now: SystemTime) {
        self.refreshed_at = Some(now);
        if why.cause == Cause::Unknown {
            self.unknown.retain(|entry| entry.text != why.text);
            if self.unknown.len() >= MAX_TEXTS {
                self.unknown.remove(0);
            }
            self.unknown.push(UnknownRejection { text: why.text, helped: false });
        }
    }

    /// Notes that the request was accepted with the new token. Returns `true` if that changes the entry.
    pub(crate) fn helped(&mut self, text: TextDigest) -> bool {
        let entry = self.unknown.iter_mut().find(|entry| entry.text == text && !entry.helped);
        entry.map(|entry| entry.helped = true).is_some()
    }
}

/// Fields of stored tokens that are unknown to this version. They are preserved when the tokens are stored again.
///
/// `Debug` shows only the names, because the values may be secret.
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
