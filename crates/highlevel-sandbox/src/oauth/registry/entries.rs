//! The entries of the registry: installs, codes and tokens.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::oauth::credential_store::Credential;
use crate::oauth::resource::Choice;
use crate::weight;

/// A refresh that is repeated within this time gets the same response.
pub(super) const REPEAT_WINDOW: TimeDelta = TimeDelta::seconds(30);

/// An installation of an app.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Installation {
    pub(crate) client_id: String,
    pub(crate) choice: Choice,
    pub(crate) installed_at: DateTime<Utc>,
    /// `true` if the `INSTALL` event was sent or is suppressed.
    pub(crate) announced: bool,
    /// `true` if the location was created after the installation on its company.
    #[serde(default)]
    pub(crate) is_future_location: bool,
}

/// An authorization code.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Code {
    pub(crate) client_id: String,
    pub(crate) redirect_uri: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) choice: Choice,
    pub(crate) expires_at: DateTime<Utc>,
    pub(crate) used: bool,
}

/// The app, resource and scopes that a token is issued for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Subject {
    pub(crate) client_id: String,
    pub(crate) choice: Choice,
    pub(crate) scopes: Vec<String>,
}

/// An access token that was issued and not revoked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct AccessToken {
    pub(crate) subject: Subject,
    pub(crate) expires_at: DateTime<Utc>,
}

/// A refresh token that was issued. It may be used, revoked or expired.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RefreshToken {
    pub(crate) id: String,
    pub(crate) subject: Subject,
    pub(crate) expires_at: DateTime<Utc>,
    #[serde(default)]
    pub(crate) used: Option<Used>,
    #[serde(default)]
    pub(crate) revoked: bool,
}

/// The use of a refresh token, with the response for repeated requests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Used {
    pub(crate) at: DateTime<Utc>,
    /// `Null` once the response is no longer repeated.
    pub(crate) response: Value,
}

/// The change of a successful token request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct IssuedTokens {
    pub(crate) used: UsedCredential,
    pub(crate) access_token: (String, AccessToken),
    /// `None` if the response contains no refresh token.
    pub(crate) refresh_token: Option<(String, RefreshToken)>,
}

/// The credential that a token request used up.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum UsedCredential {
    None,
    Code(String),
    RefreshToken(String, Used),
}

impl Installation {
    /// Returns the memory of the install and its entries in the indices, in bytes.
    pub(super) fn weight(&self) -> usize {
        const INDICES: usize = 400;
        INDICES + size_of::<Self>() + 3 * weight::text(&self.client_id) + 3 * self.choice.weight()
    }
}

impl Used {
    /// Returns `true` if a repeated refresh gets the same response at this time.
    pub(crate) fn is_repeatable_at(&self, now: DateTime<Utc>) -> bool {
        now - self.at < REPEAT_WINDOW && !self.response.is_null()
    }
}

impl Subject {
    fn weight(&self) -> usize {
        weight::text(&self.client_id) + self.choice.weight() + weight::texts(&self.scopes)
    }
}

impl Credential for Code {
    fn expires_at(&self) -> DateTime<Utc> {
        self.expires_at
    }

    fn is_spent(&self) -> bool {
        self.used
    }

    fn weight(&self) -> usize {
        weight::text(&self.client_id)
            + weight::text(&self.redirect_uri)
            + weight::texts(&self.scopes)
            + self.choice.weight()
    }
}

impl Credential for AccessToken {
    fn expires_at(&self) -> DateTime<Utc> {
        self.expires_at
    }

    fn is_spent(&self) -> bool {
        false
    }

    fn weight(&self) -> usize {
        self.subject.weight()
    }
}

impl Credential for RefreshToken {
    fn expires_at(&self) -> DateTime<Utc> {
        self.expires_at
    }

    fn is_spent(&self) -> bool {
        self.used.is_some() || self.revoked
    }

    fn weight(&self) -> usize {
        let response = self.used.as_ref().map_or(0, |used| weight::json(&used.response));
        weight::text(&self.id) + self.subject.weight() + response
    }
}
