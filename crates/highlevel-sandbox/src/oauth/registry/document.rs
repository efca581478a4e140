//! The registry in seeds, snapshots and the state file.

use std::collections::{BTreeMap, BTreeSet};

use chrono::DateTime;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::row::Row;
use super::{AccessToken, Code, Installation, MAX_APPS, MAX_COUNTED_RESOURCES, RefreshToken, Registry};
use crate::oauth::app::SandboxApp;
use crate::oauth::credential_store::{Credential, CredentialStore};
use crate::oauth::requests::TokenRequests;
use crate::oauth::settings::Settings;

/// The serialized registry in seeds and snapshots.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct RegistryDocument {
    settings: Settings,
    apps: Vec<SandboxApp>,
    installs: Vec<Installation>,
    codes: BTreeMap<String, Code>,
    access_tokens: BTreeMap<String, AccessToken>,
    refresh_tokens: BTreeMap<String, RefreshToken>,
    requests: Vec<TokenRequests>,
}

impl RegistryDocument {
    /// Adds a row of the state file. Returns `false` if the kind is unknown.
    pub(crate) fn take(&mut self, kind: &str, id: &str, json: &[u8]) -> serde_json::Result<bool> {
        match kind {
            "oauth-settings" => self.settings = serde_json::from_slice(json)?,
            "app" => self.apps.push(serde_json::from_slice(json)?),
            "install" => self.installs.push(serde_json::from_slice(json)?),
            "code" => drop(self.codes.insert(id.to_owned(), serde_json::from_slice(json)?)),
            "access-token" => drop(self.access_tokens.insert(id.to_owned(), serde_json::from_slice(json)?)),
            "refresh-token" => drop(self.refresh_tokens.insert(id.to_owned(), serde_json::from_slice(json)?)),
            "token-requests" => self.requests.push(serde_json::from_slice(json)?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Returns the app with this client ID.
    pub(crate) fn app(&self, client_id: &str) -> Option<&SandboxApp> {
        self.apps.iter().find(|app| app.client_id == client_id)
    }
}

impl From<RegistryDocument> for Registry {
    /// Drops entries above the limits. All rows are marked as changed.
    fn from(document: RegistryDocument) -> Self {
        let mut registry = Self { settings: document.settings, ..Self::default() };
        let mut apps = document.apps;
        apps.truncate(MAX_APPS);
        registry.apps = apps;
        document.installs.into_iter().for_each(|install| registry.put_install(install));
        document.codes.into_iter().for_each(|(text, code)| registry.codes.insert(text, code));
        for (text, token) in document.access_tokens {
            registry.access_tokens.insert(text, token);
        }
        let mut repeats = Vec::new();
        for (text, token) in document.refresh_tokens {
            repeats.extend(token.used.as_ref().map(|used| (used.at, text.clone())));
            registry.refresh_tokens.insert(text, token);
        }
        repeats.sort();
        registry.repeats = repeats.into();
        for counts in document.requests.into_iter().take(MAX_COUNTED_RESOURCES) {
            registry.request_indices.insert(counts.resource.clone(), registry.requests.len());
            registry.requests.push(counts);
        }
        registry.evict(DateTime::UNIX_EPOCH);
        registry.changed = registry.all_rows().collect();
        registry
    }
}

impl Registry {
    /// Returns the registry in the format of seeds and snapshots.
    pub(crate) fn document(&self) -> RegistryDocument {
        fn all<T: Credential + Clone>(store: &CredentialStore<T>) -> BTreeMap<String, T> {
            store.iter().map(|(name, each)| (name.clone(), each.clone())).collect()
        }
        RegistryDocument {
            settings: self.settings.clone(),
            apps: self.apps.clone(),
            installs: self.installs().cloned().collect(),
            codes: all(&self.codes),
            access_tokens: all(&self.access_tokens),
            refresh_tokens: all(&self.refresh_tokens),
            requests: self.requests.clone(),
        }
    }

    /// Returns all rows of the state file.
    pub(crate) fn all_rows(&self) -> impl Iterator<Item = Row> {
        let apps = self.apps.iter().map(|app| Row::SandboxApp(app.client_id.clone()));
        let install =
            |install: &Installation| Row::Install(install.client_id.clone(), install.choice.resource.clone());
        std::iter::once(Row::Settings)
            .chain(apps)
            .chain(self.installs().map(install))
            .chain(self.codes.iter().map(|(text, _)| Row::Code(text.clone())))
            .chain(self.access_tokens.iter().map(|(text, _)| Row::AccessToken(text.clone())))
            .chain(self.refresh_tokens.iter().map(|(text, _)| Row::RefreshToken(text.clone())))
            .chain(self.requests.iter().map(|counts| Row::Requests(counts.resource.clone())))
    }

    /// Returns the current content of a row, or `None` if it was removed.
    pub(crate) fn row(&self, row: &Row) -> Option<Value> {
        match row {
            Row::Settings => Some(json!(self.settings)),
            Row::SandboxApp(id) => self.app(id).map(|app| json!(app)),
            Row::Install(client, resource) => self.install(client, resource).map(|install| json!(install)),
            Row::Code(text) => self.codes.get(text).map(|code| json!(code)),
            Row::AccessToken(text) => self.access_tokens.get(text).map(|token| json!(token)),
            Row::RefreshToken(text) => self.refresh_tokens.get(text).map(|token| json!(token)),
            Row::Requests(resource) => {
                self.request_indices.get(resource).map(|index| json!(self.requests[*index]))
            }
        }
    }

    /// Returns the rows that were changed or removed since the last call.
    pub(crate) fn take_changed(&mut self) -> BTreeSet<Row> {
        std::mem::take(&mut self.changed)
    }

    /// Marks rows as changed or removed.
    pub(crate) fn note_changed(&mut self, rows: impl IntoIterator<Item = Row>) {
        self.changed.extend(rows);
    }
}
