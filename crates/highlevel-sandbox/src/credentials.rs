//! The access tokens and their permissions.

mod stored;

use std::collections::{BTreeSet, HashMap};
use std::io::{self, ErrorKind};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::oauth::{Registry, SandboxApp, TokenResource};
use crate::rate_limit::Account;
pub(crate) use stored::StoredCredentials;

/// The permissions of an access token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    /// The app, and the location or company, that the token was issued for.
    pub(crate) account: Arc<Account>,
    /// The type of the token.
    pub(crate) level: Level,
    /// The granted scopes; `None` for all scopes.
    pub(crate) scopes: Option<Vec<String>>,
    /// Set for the token of a private integration, which belongs to no app on the live API.
    pub(crate) is_private_integration: bool,
}

/// The type of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// A location (sub-account).
    Location,
    /// A company (agency).
    Company,
}

/// The reason for rejecting a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rejected {
    /// The token was never issued, or it was revoked.
    Unknown,
    /// The token has expired.
    Expired,
}

/// The valid private integration tokens, and the OAuth state.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    /// Private integration tokens, which never expire.
    private: HashMap<String, Grant>,
    /// The private integration tokens that are not yet written to the state file.
    changed: BTreeSet<String>,
    /// The apps and their tokens.
    pub(crate) oauth: Registry,
}

/// Returns the token if it is valid in a header.
///
/// # Errors
///
/// Returns `InvalidInput` if the token is empty or not printable ASCII.
pub(crate) fn checked_token(token: String) -> io::Result<String> {
    if !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(token);
    }
    let message =
        "the token is not valid in a header; use printable ASCII without spaces, and at least one character";
    Err(io::Error::new(io::ErrorKind::InvalidInput, message))
}

/// The maximum number of private integration tokens.
const MAX_PRIVATE: usize = 10_000;
/// The maximum length of a token, in bytes.
pub(crate) const MAX_TOKEN_LENGTH: usize = 1_000;

impl Credentials {
    /// Creates credentials with one app and no token.
    pub(crate) fn new(app: SandboxApp) -> Self {
        Self { private: HashMap::new(), changed: BTreeSet::new(), oauth: Registry::new(app) }
    }

    /// Adds a private integration token.
    ///
    /// # Errors
    ///
    /// Returns `InvalidInput` if the token is too long, and `QuotaExceeded` if there are too many tokens.
    pub(crate) fn grant(&mut self, token: &str, grant: Grant) -> io::Result<()> {
        if token.len() > MAX_TOKEN_LENGTH {
            let message =
                format!("the token has {} bytes, but at most {MAX_TOKEN_LENGTH} are supported", token.len());
            return Err(io::Error::new(ErrorKind::InvalidInput, message));
        }
        if self.private.len() >= MAX_PRIVATE && !self.private.contains_key(token) {
            let message = format!("at most {MAX_PRIVATE} private integration tokens are supported");
            return Err(io::Error::new(ErrorKind::QuotaExceeded, message));
        }
        self.changed.insert(token.to_owned());
        self.private.insert(token.to_owned(), grant);
        Ok(())
    }

    /// Returns the grant of a token that is valid at this time.
    pub(crate) fn check(&self, token: &str, now: DateTime<Utc>) -> Result<Grant, Rejected> {
        if let Some(grant) = self.private.get(token) {
            return Ok(grant.clone());
        }
        let token = self.oauth.access_token(token).ok_or(Rejected::Unknown)?;
        if token.expires_at <= now {
            return Err(Rejected::Expired);
        }
        let subject = &token.subject;
        let (level, id) = match &subject.choice.resource {
            TokenResource::Location(id) => (Level::Location, id),
            TokenResource::Company(id) => (Level::Company, id),
        };
        let app_id = self.oauth.app(&subject.client_id).ok_or(Rejected::Unknown)?.app_id.clone();
        let account = Arc::new(Account { app_id, location_id: id.clone() });
        Ok(Grant { account, level, scopes: Some(subject.scopes.clone()), is_private_integration: false })
    }
}

impl Grant {
    /// Creates the grant of a private integration: all scopes on one location or company, without expiry.
    pub(crate) fn private_integration(app_id: &str, resource: &TokenResource) -> Self {
        let level = match resource {
            TokenResource::Location(_) => Level::Location,
            TokenResource::Company(_) => Level::Company,
        };
        let location_id = resource.id().to_owned();
        Self {
            account: Arc::new(Account { app_id: app_id.to_owned(), location_id }),
            level,
            scopes: None,
            is_private_integration: true,
        }
    }

    /// Creates the grant of a simulated request by an app: all scopes on one location.
    pub(crate) fn simulated(app_id: &str, location_id: &str) -> Self {
        Self {
            is_private_integration: false,
            ..Self::private_integration(app_id, &TokenResource::location(location_id))
        }
    }

    /// Returns `true` if the scope is granted.
    pub(crate) fn allows(&self, scope: &str) -> bool {
        self.scopes.as_ref().is_none_or(|scopes| scopes.iter().any(|each| each == scope))
    }
}
