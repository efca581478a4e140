//! The tokens that HighLevel gives an app.

use std::fmt;
use std::time::SystemTime;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::{CompanyId, LocationId, UserId};

/// An access token, the refresh token that renews it, and what the answer said about them.
///
/// `Debug` shows neither token.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TokenSet {
    /// What requests carry.
    pub access_token: SecretString,
    /// What renews the access token, once.
    pub refresh_token: Option<SecretString>,
    /// When HighLevel gave it, by this machine's clock.
    pub obtained_at: SystemTime,
    /// When the app was installed, as far as this machine knows: when HighLevel gave the first of these tokens. It stays
    /// when they are renewed.
    pub installed_at: SystemTime,
    /// When the access token stops working.
    pub expires_at: SystemTime,
    /// The scopes that were granted, as HighLevel writes them.
    pub scopes: Vec<String>,
    /// The company that it belongs to.
    pub company_id: Option<CompanyId>,
    /// The location that it is for; none for the token of a company.
    pub location_id: Option<LocationId>,
    /// The user who installed the app.
    pub user_id: Option<UserId>,
    /// Fields that a later version of this crate stored.
    pub(super) unknown: UnknownFields,
}

/// Fields of stored tokens that this version does not know. They are preserved when the tokens are stored again.
///
/// `Debug` shows the names only: the values may be secret.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct UnknownFields(serde_json::Map<String, serde_json::Value>);

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
