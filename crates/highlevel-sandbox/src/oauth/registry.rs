//! The state of the OAuth server: apps, installs, codes, tokens and counts.

mod document;
mod entries;
mod installs;
mod row;
mod tokens;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::io;

use chrono::{DateTime, Utc};

use super::app::SandboxApp;
use super::credential_store::CredentialStore;
use super::requests::{Outcome, TokenRequests};
use super::resource::TokenResource;
use super::settings::Settings;
pub(crate) use document::RegistryDocument;
pub(crate) use entries::{
    AccessToken, Code, Installation, IssuedTokens, RefreshToken, Subject, Used, UsedCredential,
};
pub(crate) use row::Row;

/// The maximum number of locations and companies with separate counts.
const MAX_COUNTED_RESOURCES: usize = 10_000;
/// The maximum length of the ID of a location or company with separate counts, in bytes.
const MAX_ID_LENGTH: usize = 200;
/// The maximum number of apps.
const MAX_APPS: usize = 1_000;
/// The maximum memory of all apps, in bytes.
const MAX_APP_BYTES: usize = 2 * 1024 * 1024;

/// The state of the OAuth server. All methods that change it record the changed rows for
/// [`take_changed`](Self::take_changed).
#[derive(Clone, Debug, Default)]
pub(crate) struct Registry {
    settings: Settings,
    /// The apps. The first is the default app of the sandbox.
    apps: Vec<SandboxApp>,
    /// The installs by sequence number, in the order of installation.
    installs: BTreeMap<u64, Installation>,
    next_install: u64,
    install_numbers: HashMap<(String, TokenResource), u64>,
    install_bytes: usize,
    /// The company and client IDs of the installs that include the locations that are created later.
    future_installs: BTreeSet<(String, String)>,
    codes: CredentialStore<Code>,
    access_tokens: CredentialStore<AccessToken>,
    refresh_tokens: CredentialStore<RefreshToken>,
    /// The used refresh tokens whose responses are still repeated, ordered by time of use.
    repeats: VecDeque<(DateTime<Utc>, String)>,
    requests: Vec<TokenRequests>,
    request_indices: HashMap<Option<TokenResource>, usize>,
    changed: BTreeSet<Row>,
}

impl Registry {
    pub(crate) fn new(app: SandboxApp) -> Self {
        Self { apps: vec![app], ..Self::default() }
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn settings_mut(&mut self) -> &mut Settings {
        self.changed.insert(Row::Settings);
        &mut self.settings
    }

    pub(crate) fn set_active(&mut self, location_id: &str, active: bool) {
        if active {
            self.settings_mut().inactive_locations.remove(location_id);
        } else {
            self.settings_mut().inactive_locations.insert(location_id.to_owned());
        }
    }

    pub(crate) fn is_active(&self, resource: &TokenResource) -> bool {
        match resource {
            TokenResource::Location(id) => !self.settings.inactive_locations.contains(id),
            TokenResource::Company(_) => true,
        }
    }

    /// Adds an app, or replaces the one with the same client ID.
    ///
    /// # Errors
    ///
    /// Returns `QuotaExceeded` if the number or the memory of the apps exceeds its limit.
    pub(crate) fn put_app(&mut self, app: SandboxApp) -> io::Result<()> {
        let app = app.with_default_app_id();
        let others = self.apps.iter().filter(|each| each.client_id != app.client_id);
        let (count, bytes) =
            others.fold((1, app.weight()), |(count, bytes), each| (count + 1, bytes + each.weight()));
        if count > MAX_APPS || bytes > MAX_APP_BYTES {
            let message =
                format!("at most {MAX_APPS} apps with {MAX_APP_BYTES} bytes in total are supported");
            return Err(io::Error::new(io::ErrorKind::QuotaExceeded, message));
        }
        self.changed.insert(Row::SandboxApp(app.client_id.clone()));
        match self.apps.iter_mut().find(|each| each.client_id == app.client_id) {
            Some(known) => *known = app,
            None => self.apps.push(app),
        }
        Ok(())
    }

    pub(crate) fn apps(&self) -> &[SandboxApp] {
        &self.apps
    }

    pub(crate) fn app(&self, client_id: &str) -> Option<&SandboxApp> {
        self.apps.iter().find(|app| app.client_id == client_id)
    }

    /// Counts a token request. If the limits do not permit a separate count for the resource, the request is counted under
    /// `None`. A rejection does not change a row; its count is written with the next successful request.
    pub(crate) fn count(&mut self, resource: Option<TokenResource>, outcome: Outcome) {
        // Clients can send arbitrary IDs, so their number and length are limited.
        let is_known = self.request_indices.contains_key(&resource);
        let resource = resource.filter(|each| {
            is_known || (self.requests.len() < MAX_COUNTED_RESOURCES && each.id().len() <= MAX_ID_LENGTH)
        });
        let index = *self.request_indices.entry(resource.clone()).or_insert(self.requests.len());
        if index == self.requests.len() {
            self.requests.push(TokenRequests::of(resource.clone()));
        }
        self.requests[index].add(outcome);
        if !outcome.is_rejection() {
            self.changed.insert(Row::Requests(resource));
        }
    }

    pub(crate) fn requests(&self) -> &[TokenRequests] {
        &self.requests
    }
}
