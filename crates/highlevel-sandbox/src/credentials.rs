//! The access tokens that exist, and what each may do.

mod kept;

use std::collections::{BTreeSet, HashMap};
use std::io::{self, ErrorKind};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::oauth::{Registry, SandboxApp, TokenResource};
use crate::rate_limit::Account;
pub(crate) use kept::StoredCredentials;

/// What an access token is good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    /// The app, and the location or company, that it was given to.
    pub(crate) account: Arc<Account>,
    /// What it is for.
    pub(crate) level: Level,
    /// What it may do; `None` for everything.
    pub(crate) scopes: Option<Vec<String>>,
}

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// A location (sub-account).
    Location,
    /// A company (agency).
    Company,
}

/// Why a token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rejected {
    /// Nobody was given it, or it was revoked.
    Unknown,
    /// It is too old.
    Expired,
}

/// The tokens that were given and not revoked.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    /// Private integration tokens, which work until they are revoked.
    private: HashMap<String, Grant>,
    /// Of those, the ones that are not written yet.
    changed: BTreeSet<String>,
    /// The tokens of apps.
    pub(crate) oauth: Registry,
}

/// Returns a token that can be sent in a header.
///
/// # Errors
///
/// Returns `InvalidInput` if it is empty or has other characters than printable ASCII.
pub(crate) fn checked_token(token: String) -> io::Result<String> {
    if !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(token);
    }
    let words =
        "the token cannot stand in a header: it has to be printable ASCII without spaces, and not empty";
    Err(io::Error::new(io::ErrorKind::InvalidInput, words))
}

/// The most private integration tokens.
const MAX_PRIVATE: usize = 10_000;
/// The longest token, in bytes.
pub(crate) const MAX_TOKEN_LENGTH: usize = 1_000;

impl Credentials {
    /// No token; one app.
    pub(crate) fn new(app: SandboxApp) -> Self {
        Self { private: HashMap::new(), changed: BTreeSet::new(), oauth: Registry::new(app) }
    }

    /// Accepts a private integration token from now on.
    ///
    /// # Errors
    ///
    /// Returns `InvalidInput` if the token is too long, and `QuotaExceeded` if there are too many.
    pub(crate) fn grant(&mut self, token: &str, grant: Grant) -> io::Result<()> {
        if token.len() > MAX_TOKEN_LENGTH {
            let words =
                format!("a token has at most {MAX_TOKEN_LENGTH} bytes, and this one has {}", token.len());
            return Err(io::Error::new(ErrorKind::InvalidInput, words));
        }
        if self.private.len() >= MAX_PRIVATE && !self.private.contains_key(token) {
            let words = format!("there are {MAX_PRIVATE} private integration tokens, and cannot be more");
            return Err(io::Error::new(ErrorKind::QuotaExceeded, words));
        }
        self.changed.insert(token.to_owned());
        self.private.insert(token.to_owned(), grant);
        Ok(())
    }

    /// What a token is good for now.
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
        Ok(Grant { account, level, scopes: Some(subject.scopes.clone()) })
    }
}

impl Grant {
    /// Everything on one location of one app, for ever.
    pub(crate) fn private_integration(app_id: &str, location_id: &str) -> Self {
        Self {
            account: Arc::new(Account { app_id: app_id.to_owned(), location_id: location_id.to_owned() }),
            level: Level::Location,
            scopes: None,
        }
    }

    /// Whether it may do what the scope names.
    pub(crate) fn allows(&self, scope: &str) -> bool {
        self.scopes.as_ref().is_none_or(|scopes| scopes.iter().any(|each| each == scope))
    }
}
