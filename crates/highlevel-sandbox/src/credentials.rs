//! The access tokens that exist, and what each may do.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::rate_limit::Account;

/// What an access token is good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    /// The app, and the location or company, that it was given to.
    pub(crate) account: Arc<Account>,
    /// What it is for.
    pub(crate) level: Level,
    /// What it may do; `None` for everything.
    pub(crate) scopes: Option<Vec<String>>,
    /// When it stops working; `None` for never.
    pub(crate) expires_at: Option<DateTime<Utc>>,
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
#[derive(Debug, Default)]
pub(crate) struct Credentials {
    grants: HashMap<String, Grant>,
}

impl Credentials {
    /// Accepts a token from now on.
    pub(crate) fn grant(&mut self, token: &str, grant: Grant) {
        self.grants.insert(token.to_owned(), grant);
    }

    /// What a token is good for now.
    pub(crate) fn check(&self, token: &str, now: DateTime<Utc>) -> Result<&Grant, Rejected> {
        let grant = self.grants.get(token).ok_or(Rejected::Unknown)?;
        match grant.expires_at {
            Some(end) if end <= now => Err(Rejected::Expired),
            _ => Ok(grant),
        }
    }
}

impl Grant {
    /// Everything on one location of one app, for ever.
    pub(crate) fn private_integration(app_id: &str, location_id: &str) -> Self {
        Self {
            account: Arc::new(Account { app_id: app_id.to_owned(), location_id: location_id.to_owned() }),
            level: Level::Location,
            scopes: None,
            expires_at: None,
        }
    }

    /// Whether it may do what the scope names.
    pub(crate) fn allows(&self, scope: &str) -> bool {
        self.scopes.as_ref().is_none_or(|scopes| scopes.iter().any(|each| each == scope))
    }
}
