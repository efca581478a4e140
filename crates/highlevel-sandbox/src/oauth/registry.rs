//! The state of the OAuth server: apps, installs, codes, tokens and counts.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::io;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::app::SandboxApp;
use super::credential_store::{Credential, CredentialStore};
use super::requests::{Outcome, TokenRequests};
use super::resource::{Choice, TokenResource};
use super::settings::Settings;
use crate::weight;

/// A refresh that is repeated within this time gets the same response.
const REPEAT_WINDOW: TimeDelta = TimeDelta::seconds(30);
/// The maximum number of locations and companies with separate counts.
const MAX_COUNTED_RESOURCES: usize = 10_000;
/// The maximum length of the ID of a location or company with separate counts, in bytes.
const MAX_ID_LENGTH: usize = 200;
/// The maximum number of apps.
const MAX_APPS: usize = 1_000;
/// The maximum memory of all apps, in bytes.
const MAX_APP_BYTES: usize = 2 * 1024 * 1024;
/// The maximum number of installs.
const MAX_INSTALLS: usize = 20_000;

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
    codes: CredentialStore<Code>,
    access_tokens: CredentialStore<AccessToken>,
    refresh_tokens: CredentialStore<RefreshToken>,
    /// The used refresh tokens whose responses are still repeated, ordered by time of use.
    repeats: VecDeque<(DateTime<Utc>, String)>,
    requests: Vec<TokenRequests>,
    request_indices: HashMap<Option<TokenResource>, usize>,
    changed: BTreeSet<Row>,
}

/// Identifies a row of the state file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Row {
    Settings,
    SandboxApp(String),
    Install(String, TokenResource),
    Code(String),
    AccessToken(String),
    RefreshToken(String),
    Requests(Option<TokenResource>),
}

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

/// An installation of an app.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Installation {
    pub(crate) client_id: String,
    pub(crate) choice: Choice,
    pub(crate) installed_at: DateTime<Utc>,
    /// `true` if the `INSTALL` event was sent or is suppressed.
    pub(crate) announced: bool,
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
    pub(crate) refresh_token: (String, RefreshToken),
}

/// The credential that a token request used up.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum UsedCredential {
    None,
    Code(String),
    RefreshToken(String, Used),
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

impl Row {
    /// Returns the kind and the ID of the row in the state file.
    pub(crate) fn key(&self) -> (&'static str, String) {
        match self {
            Self::Settings => ("oauth-settings", String::new()),
            Self::SandboxApp(id) => ("app", id.clone()),
            Self::Install(client, resource) => ("install", format!("{client} {resource}")),
            Self::Code(text) => ("code", text.clone()),
            Self::AccessToken(text) => ("access-token", text.clone()),
            Self::RefreshToken(text) => ("refresh-token", text.clone()),
            Self::Requests(None) => ("token-requests", String::new()),
            Self::Requests(Some(resource)) => ("token-requests", resource.to_string()),
        }
    }
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
    pub(crate) fn new(app: SandboxApp) -> Self {
        Self { apps: vec![app], ..Self::default() }
    }

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

    /// Returns the number of codes and tokens, and their current and maximum memory in bytes.
    pub(crate) fn retained(&self) -> (usize, usize, usize) {
        let count = self.codes.len() + self.access_tokens.len() + self.refresh_tokens.len();
        let bytes = self.codes.bytes() + self.access_tokens.bytes() + self.refresh_tokens.bytes();
        (count, bytes, 3 * super::credential_store::MAX_BYTES)
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn settings_mut(&mut self) -> &mut Settings {
        self.changed.insert(Row::Settings);
        &mut self.settings
    }

    /// Applies the change of a token request.
    pub(crate) fn apply(&mut self, change: IssuedTokens, now: DateTime<Utc>) {
        match change.used {
            UsedCredential::None => {}
            UsedCredential::Code(text) => {
                self.codes.update(&text, |code| code.used = true);
                self.changed.insert(Row::Code(text));
            }
            UsedCredential::RefreshToken(text, used) => {
                self.repeats.push_back((used.at, text.clone()));
                self.refresh_tokens.update(&text, |token| token.used = Some(used));
                self.changed.insert(Row::RefreshToken(text));
            }
        }
        let ((access, access_token), (refresh, refresh_token)) = (change.access_token, change.refresh_token);
        self.changed.extend([Row::AccessToken(access.clone()), Row::RefreshToken(refresh.clone())]);
        self.access_tokens.insert(access, access_token);
        self.refresh_tokens.insert(refresh, refresh_token);
        self.evict(now);
    }

    /// Drops responses that are no longer repeated, and evicts credentials above the limits.
    fn evict(&mut self, now: DateTime<Utc>) {
        while self.repeats.front().is_some_and(|(at, _)| now - *at >= REPEAT_WINDOW)
            && let Some((_, text)) = self.repeats.pop_front()
        {
            self.refresh_tokens.update(&text, |token| {
                if let Some(used) = &mut token.used {
                    used.response = Value::Null;
                }
            });
        }
        self.changed.extend(self.codes.evict(now).into_iter().map(Row::Code));
        self.changed.extend(self.access_tokens.evict(now).into_iter().map(Row::AccessToken));
        self.changed.extend(self.refresh_tokens.evict(now).into_iter().map(Row::RefreshToken));
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

    pub(crate) fn put_code(&mut self, text: String, code: Code, now: DateTime<Utc>) {
        self.changed.insert(Row::Code(text.clone()));
        self.codes.insert(text, code);
        self.evict(now);
    }

    /// Adds an install, or replaces the one of the same app and resource.
    pub(crate) fn put_install(&mut self, install: Installation) {
        let key = (install.client_id.clone(), install.choice.resource.clone());
        self.changed.insert(Row::Install(key.0.clone(), key.1.clone()));
        let number = *self.install_numbers.entry(key).or_insert_with(|| {
            self.next_install += 1;
            self.next_install
        });
        self.installs.insert(number, install);
        while self.installs.len() > MAX_INSTALLS
            && let Some((number, _)) = self.installs.first_key_value()
        {
            self.remove_install(*number);
        }
    }

    fn remove_install(&mut self, number: u64) -> Option<Installation> {
        let install = self.installs.remove(&number)?;
        let (client, resource) = (install.client_id.clone(), install.choice.resource.clone());
        self.install_numbers.remove(&(client.clone(), resource.clone()));
        self.changed.insert(Row::Install(client, resource));
        Some(install)
    }

    /// Marks the event of an install as sent. Returns `true` if it was not yet marked.
    pub(crate) fn announce(&mut self, client_id: &str, resource: &TokenResource) -> bool {
        let Some(number) = self.number(client_id, resource) else { return false };
        let Some(install) = self.installs.get_mut(&number) else { return false };
        let is_new = !std::mem::replace(&mut install.announced, true);
        if is_new {
            self.changed.insert(Row::Install(client_id.to_owned(), resource.clone()));
        }
        is_new
    }

    /// Removes an install with its codes and tokens. For a company, also removes those of the company's locations. Returns
    /// the removed installs.
    pub(crate) fn uninstall(&mut self, client_id: &str, resource: &TokenResource) -> Vec<Installation> {
        let is_removed = |client: &str, choice: &Choice| {
            client == client_id
                && match resource {
                    TokenResource::Location(_) => choice.resource == *resource,
                    TokenResource::Company(id) => choice.company_id == *id,
                }
        };
        let numbers = self.installs.iter().filter(|(_, each)| is_removed(&each.client_id, &each.choice));
        let numbers: Vec<u64> = numbers.map(|(number, _)| *number).collect();
        let removed = numbers.into_iter().filter_map(|number| self.remove_install(number)).collect();
        if let TokenResource::Location(id) = resource {
            // The location may also be part of its company's install.
            for install in self.installs.values_mut().filter(|each| each.client_id == client_id) {
                let before = install.choice.locations.len();
                install.choice.locations.retain(|each| each != id);
                if install.choice.locations.len() < before {
                    let resource = install.choice.resource.clone();
                    self.changed.insert(Row::Install(client_id.to_owned(), resource));
                }
            }
        }
        let codes = self.codes.iter().filter(|(_, code)| is_removed(&code.client_id, &code.choice));
        let codes: Vec<String> = codes.map(|(text, _)| text.clone()).collect();
        for text in codes {
            self.codes.remove(&text);
            self.changed.insert(Row::Code(text));
        }
        self.revoke_where(|subject| is_removed(&subject.client_id, &subject.choice));
        removed
    }

    /// Revokes an access or refresh token. Returns `true` if the token exists.
    pub(crate) fn revoke(&mut self, token: &str) -> bool {
        let is_access = self.access_tokens.remove(token).is_some();
        if is_access {
            self.changed.insert(Row::AccessToken(token.to_owned()));
        }
        is_access || self.update_refresh_token(token, |refresh| refresh.revoked = true)
    }

    /// Revokes all tokens for a location or company. Returns the number of revoked tokens.
    pub(crate) fn revoke_all(&mut self, resource: &TokenResource) -> usize {
        self.revoke_where(|subject| subject.choice.resource == *resource)
    }

    fn revoke_where(&mut self, matches: impl Fn(&Subject) -> bool) -> usize {
        let access = self.access_tokens.iter().filter(|(_, token)| matches(&token.subject));
        let access = access.map(|(text, _)| text.clone());
        let refresh = self.refresh_tokens.iter();
        let refresh = refresh.filter(|(_, token)| !token.revoked && matches(&token.subject));
        let matching: Vec<String> = access.chain(refresh.map(|(text, _)| text.clone())).collect();
        matching.into_iter().filter(|text| self.revoke(text)).count()
    }

    /// Expires the access tokens for a location or company. Returns the number of newly expired tokens.
    pub(crate) fn expire(&mut self, resource: &TokenResource, now: DateTime<Utc>) -> usize {
        let is_active =
            |token: &AccessToken| token.subject.choice.resource == *resource && token.expires_at > now;
        let active = self.access_tokens.iter().filter(|(_, token)| is_active(token));
        let active: Vec<String> = active.map(|(text, _)| text.clone()).collect();
        active.into_iter().filter(|text| self.expire_token(text, now)).count()
    }

    /// Expires an access or refresh token. Returns `true` if the token exists.
    pub(crate) fn expire_token(&mut self, token: &str, now: DateTime<Utc>) -> bool {
        if self.access_tokens.update(token, |access| access.expires_at = now).is_some() {
            self.changed.insert(Row::AccessToken(token.to_owned()));
            return true;
        }
        self.update_refresh_token(token, |refresh| refresh.expires_at = now)
    }

    fn update_refresh_token(&mut self, token: &str, change: impl FnOnce(&mut RefreshToken)) -> bool {
        let exists = self.refresh_tokens.update(token, change).is_some();
        if exists {
            self.changed.insert(Row::RefreshToken(token.to_owned()));
        }
        exists
    }

    pub(crate) fn set_active(&mut self, location_id: &str, active: bool) {
        if active {
            self.settings_mut().inactive_locations.remove(location_id);
        } else {
            self.settings_mut().inactive_locations.insert(location_id.to_owned());
        }
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

    pub(crate) fn apps(&self) -> &[SandboxApp] {
        &self.apps
    }

    pub(crate) fn app(&self, client_id: &str) -> Option<&SandboxApp> {
        self.apps.iter().find(|app| app.client_id == client_id)
    }

    /// Returns the installs in the order of installation.
    pub(crate) fn installs(&self) -> impl Iterator<Item = &Installation> {
        self.installs.values()
    }

    pub(crate) fn install(&self, client_id: &str, resource: &TokenResource) -> Option<&Installation> {
        self.installs.get(&self.number(client_id, resource)?)
    }

    /// Returns `true` if an app is installed on a location of a company, separately or with the company.
    pub(crate) fn is_installed_on(&self, client_id: &str, company_id: &str, location_id: &str) -> bool {
        let install = self.install(client_id, &TokenResource::location(location_id));
        install.is_some_and(|install| install.choice.company_id == company_id)
    }

    pub(crate) fn code(&self, code: &str) -> Option<&Code> {
        self.codes.get(code)
    }

    pub(crate) fn access_token(&self, token: &str) -> Option<&AccessToken> {
        self.access_tokens.get(token)
    }

    pub(crate) fn refresh_token(&self, token: &str) -> Option<&RefreshToken> {
        self.refresh_tokens.get(token)
    }

    pub(crate) fn refresh_tokens(&self) -> impl Iterator<Item = &RefreshToken> {
        self.refresh_tokens.iter().map(|(_, token)| token)
    }

    pub(crate) fn is_active(&self, resource: &TokenResource) -> bool {
        match resource {
            TokenResource::Location(id) => !self.settings.inactive_locations.contains(id),
            TokenResource::Company(_) => true,
        }
    }

    fn number(&self, client_id: &str, resource: &TokenResource) -> Option<u64> {
        self.install_numbers.get(&(client_id.to_owned(), resource.clone())).copied()
    }
}
