//! The serialized credentials in seeds, snapshots and state files.

use std::io;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Credentials, Grant, Level};
use crate::oauth::{Registry, RegistryDocument, TokenResource};
use crate::persistence::RowChange;

/// The kind of the rows of private integration tokens.
const PRIVATE: &str = "private-integration";

/// The serialized credentials. A seed may contain only some of them.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct StoredCredentials {
    private_integrations: Vec<PrivateIntegration>,
    /// The apps with their installs and tokens. Optional in seeds.
    #[serde(skip_serializing_if = "Option::is_none")]
    oauth: Option<RegistryDocument>,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PrivateIntegration {
    token: String,
    /// Either this or `company_id` is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    location_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    company_id: Option<String>,
    /// Defaults to the app of the sandbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    app_id: Option<String>,
}

impl PrivateIntegration {
    fn of((token, grant): (&String, &Grant)) -> Self {
        let id = Some(grant.account.location_id.clone());
        let (location_id, company_id) = if grant.level == Level::Location { (id, None) } else { (None, id) };
        Self { token: token.clone(), location_id, company_id, app_id: Some(grant.account.app_id.clone()) }
    }
}

impl Credentials {
    pub(crate) fn to_stored(&self) -> StoredCredentials {
        let mut private_integrations: Vec<_> = self.private.iter().map(PrivateIntegration::of).collect();
        private_integrations.sort();
        StoredCredentials { private_integrations, oauth: Some(self.oauth.document()) }
    }

    /// Adds the credentials of a seed. If the seed contains apps, they replace the entire OAuth state.
    ///
    /// # Errors
    ///
    /// Returns an error if a token is invalid, or there are too many.
    pub(crate) fn add(&mut self, seed: StoredCredentials) -> io::Result<()> {
        if let Some(oauth) = seed.oauth {
            let removed: Vec<_> = self.oauth.all_rows().collect();
            self.oauth = Registry::from(oauth);
            self.oauth.note_changed(removed);
        }
        let default_app = self.oauth.apps().first().map(|app| app.app_id.clone()).unwrap_or_default();
        for PrivateIntegration { token, location_id, company_id, app_id } in seed.private_integrations {
            let app_id = app_id.as_deref().unwrap_or(&default_app);
            let resource = TokenResource::of_private_integration(location_id, company_id)
                .map_err(|message| io::Error::new(io::ErrorKind::InvalidInput, message))?;
            self.grant(&token, Grant::private_integration(app_id, &resource))?;
        }
        Ok(())
    }

    /// Replaces the credentials with those of a snapshot or state file.
    ///
    /// # Errors
    ///
    /// Same as [`add`](Self::add).
    pub(crate) fn restore(&mut self, stored: StoredCredentials) -> io::Result<()> {
        self.private.clear();
        self.add(stored)
    }

    /// Returns all rows of the state file.
    pub(crate) fn rows(&self) -> Vec<RowChange> {
        let private = self.private.keys().map(|token| self.private_row(token));
        let oauth = self.oauth.all_rows().map(|row| RowChange::json(row.key(), self.oauth.row(&row)));
        private.chain(oauth).collect()
    }

    /// Returns the rows that were changed or removed since the last call.
    pub(crate) fn take_changed(&mut self) -> Vec<RowChange> {
        let private = std::mem::take(&mut self.changed);
        let private: Vec<RowChange> = private.iter().map(|token| self.private_row(token)).collect();
        let oauth = self.oauth.take_changed();
        let oauth = oauth.iter().map(|row| RowChange::json(row.key(), self.oauth.row(row)));
        private.into_iter().chain(oauth).collect()
    }

    fn private_row(&self, token: &str) -> RowChange {
        let content = self.private.get_key_value(token).map(|entry| json!(PrivateIntegration::of(entry)));
        RowChange::json((PRIVATE, token.to_owned()), content)
    }
}

impl StoredCredentials {
    /// Adds a row of the state file. Returns `false` if the kind is unknown.
    pub(crate) fn take(&mut self, kind: &str, id: &str, json: &[u8]) -> serde_json::Result<bool> {
        match kind {
            // The previous format stored all credentials in one row.
            "credentials" => *self = serde_json::from_slice(json)?,
            PRIVATE => self.private_integrations.push(serde_json::from_slice(json)?),
            _ => return self.oauth.get_or_insert_default().take(kind, id, json),
        }
        Ok(true)
    }

    /// Retains the parts whose names are selected: `oauth` for the OAuth state, and `token TOKEN` for each token.
    pub(crate) fn only(mut self, mut is_selected: impl FnMut(String) -> bool) -> Self {
        self.oauth = self.oauth.filter(|_| is_selected("oauth".to_owned()));
        self.private_integrations.retain(|each| is_selected(format!("token {}", each.token)));
        self
    }

    /// Returns the client secret of the app with this client ID.
    pub(crate) fn client_secret(&self, client_id: &str) -> Option<&str> {
        Some(&self.oauth.as_ref()?.app(client_id)?.client_secret)
    }
}

impl std::fmt::Debug for StoredCredentials {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("[redacted]")
    }
}
