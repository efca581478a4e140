//! Credentials as seeds, snapshots and state files have them.

use std::io;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Credentials, Grant};
use crate::oauth::{Registry, RegistryDocument};
use crate::persistence::RowChange;

/// The kind of the rows of private integration tokens.
const PRIVATE: &str = "private-integration";

/// All credentials, or, in a seed, some.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct StoredCredentials {
    private_integrations: Vec<PrivateIntegration>,
    /// Apps, where they are installed, and their tokens. A seed may leave it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    oauth: Option<RegistryDocument>,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PrivateIntegration {
    token: String,
    location_id: String,
    /// The sandbox's own app, unless it is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    app_id: Option<String>,
}

impl PrivateIntegration {
    fn of((token, grant): (&String, &Grant)) -> Self {
        Self {
            token: token.clone(),
            location_id: grant.account.location_id.clone(),
            app_id: Some(grant.account.app_id.clone()),
        }
    }
}

impl Credentials {
    pub(crate) fn to_stored(&self) -> StoredCredentials {
        let mut private_integrations: Vec<_> = self.private.iter().map(PrivateIntegration::of).collect();
        private_integrations.sort();
        StoredCredentials { private_integrations, oauth: Some(self.oauth.document()) }
    }

    /// Adds what a seed has. What it has of apps replaces all that was known of apps.
    ///
    /// # Errors
    ///
    /// Returns an error if a token cannot be used, or there are too many.
    pub(crate) fn add(&mut self, seed: StoredCredentials) -> io::Result<()> {
        if let Some(oauth) = seed.oauth {
            let gone: Vec<_> = self.oauth.all_rows().collect();
            self.oauth = Registry::from(oauth);
            self.oauth.note_changed(gone);
        }
        let own_app = self.oauth.apps().first().map(|app| app.app_id.clone()).unwrap_or_default();
        for PrivateIntegration { token, location_id, app_id } in seed.private_integrations {
            let app_id = app_id.as_deref().unwrap_or(&own_app);
            self.grant(&token, Grant::private_integration(app_id, &location_id))?;
        }
        Ok(())
    }

    /// Becomes what was kept.
    ///
    /// # Errors
    ///
    /// As [`add`](Self::add).
    pub(crate) fn restore(&mut self, kept: StoredCredentials) -> io::Result<()> {
        self.private.clear();
        self.add(kept)
    }

    /// All rows of the state file.
    pub(crate) fn rows(&self) -> Vec<RowChange> {
        let private = self.private.keys().map(|token| self.private_row(token));
        let oauth = self.oauth.all_rows().map(|row| RowChange::json(row.key(), self.oauth.row(&row)));
        private.chain(oauth).collect()
    }

    /// The rows that are different from what they were when this was called before.
    pub(crate) fn take_changed(&mut self) -> Vec<RowChange> {
        let private = std::mem::take(&mut self.changed);
        let private: Vec<RowChange> = private.iter().map(|token| self.private_row(token)).collect();
        let oauth = self.oauth.take_changed();
        let oauth = oauth.iter().map(|row| RowChange::json(row.key(), self.oauth.row(row)));
        private.into_iter().chain(oauth).collect()
    }

    fn private_row(&self, token: &str) -> RowChange {
        let kept = self.private.get_key_value(token).map(|entry| json!(PrivateIntegration::of(entry)));
        RowChange::json((PRIVATE, token.to_owned()), kept)
    }
}

impl StoredCredentials {
    /// Adds a row of the state file. Returns `false` if it is no credential.
    pub(crate) fn take(&mut self, kind: &str, id: &str, json: &[u8]) -> serde_json::Result<bool> {
        match kind {
            // The format before had all of them in one row.
            "credentials" => *self = serde_json::from_slice(json)?,
            PRIVATE => self.private_integrations.push(serde_json::from_slice(json)?),
            _ => return self.oauth.get_or_insert_default().take(kind, id, json),
        }
        Ok(true)
    }

    /// The part of it whose names are wanted: `oauth`, and `token` with each token.
    pub(crate) fn only(mut self, mut is_wanted: impl FnMut(String) -> bool) -> Self {
        self.oauth = self.oauth.filter(|_| is_wanted("oauth".to_owned()));
        self.private_integrations.retain(|each| is_wanted(format!("token {}", each.token)));
        self
    }

    /// The secret of an app, by its client id.
    pub(crate) fn client_secret(&self, client_id: &str) -> Option<&str> {
        Some(&self.oauth.as_ref()?.app(client_id)?.client_secret)
    }
}

impl std::fmt::Debug for StoredCredentials {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("[redacted]")
    }
}
