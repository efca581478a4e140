//! What is known of apps: where they are installed, and which codes and tokens they were given.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::io;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::app::SandboxApp;
use super::requests::{Outcome, TokenRequests};
use super::resource::{Choice, TokenResource};
use super::settings::Settings;
use super::shelf::{Credential, Shelf};
use crate::weight;

/// A refresh that comes again sooner than this is answered as before.
const REPEATED_FOR: TimeDelta = TimeDelta::seconds(30);
/// For how many locations and companies requests are counted.
const COUNTED: usize = 10_000;
/// In bytes, of a location or company.
const LONGEST_ID: usize = 200;
/// The most apps that are retained with what they weigh, and the most installs.
const MAX_APPS: usize = 1_000;
const MAX_APP_BYTES: usize = 2 * 1024 * 1024;
const MAX_INSTALLS: usize = 20_000;

/// All of it. It changes through [`apply`](Self::apply) and the methods beside it, which note the rows that are different
/// now: [`take_changed`](Self::take_changed).
#[derive(Clone, Debug, Default)]
pub(crate) struct Registry {
    settings: Settings,
    /// The sandbox's own app is the first.
    apps: Vec<SandboxApp>,
    /// In the order in which they were installed, by a number that grows.
    installs: BTreeMap<u64, Install>,
    next_install: u64,
    install_numbers: HashMap<(String, TokenResource), u64>,
    codes: Shelf<Code>,
    access_tokens: Shelf<AccessToken>,
    refresh_tokens: Shelf<RefreshToken>,
    /// The refresh tokens whose answers are still given again, the first that was used first.
    repeats: VecDeque<(DateTime<Utc>, String)>,
    requests: Vec<TokenRequests>,
    request_places: HashMap<Option<TokenResource>, usize>,
    changed: BTreeSet<Row>,
}

/// One row of the state file.
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

/// All that is known of apps, as seeds and snapshots have it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct RegistryDocument {
    settings: Settings,
    apps: Vec<SandboxApp>,
    installs: Vec<Install>,
    codes: BTreeMap<String, Code>,
    access_tokens: BTreeMap<String, AccessToken>,
    refresh_tokens: BTreeMap<String, RefreshToken>,
    requests: Vec<TokenRequests>,
}

/// That an app is installed somewhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Install {
    pub(crate) client_id: String,
    pub(crate) choice: Choice,
    pub(crate) installed_at: DateTime<Utc>,
    /// Whether its `INSTALL` event was sent or is not to be.
    pub(crate) announced: bool,
}

/// What the browser was given for the app to exchange.
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

/// What tokens are given for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Subject {
    pub(crate) client_id: String,
    pub(crate) choice: Choice,
    pub(crate) scopes: Vec<String>,
}

/// An access token that was given and not revoked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct AccessToken {
    pub(crate) subject: Subject,
    pub(crate) expires_at: DateTime<Utc>,
}

/// A refresh token that was given, whatever became of it.
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

/// When a refresh token was used, and what the answer was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Used {
    pub(crate) at: DateTime<Utc>,
    pub(crate) answer: Value,
}

/// What a request changes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct IssuedTokens {
    pub(crate) spent: Spent,
    pub(crate) access_token: (String, AccessToken),
    pub(crate) refresh_token: (String, RefreshToken),
}

/// What cannot be used again because tokens were given for it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Spent {
    Nothing,
    Code(String),
    RefreshToken(String, Used),
}

impl Used {
    /// Whether a refresh that comes now is answered as before.
    pub(crate) fn is_repeated_at(&self, now: DateTime<Utc>) -> bool {
        now - self.at < REPEATED_FOR && !self.answer.is_null()
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
        let answer = self.used.as_ref().map_or(0, |used| weight::json(&used.answer));
        weight::text(&self.id) + self.subject.weight() + answer
    }
}

impl Row {
    /// The kind and the id under which the state file has it.
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
    /// Adds a row of the state file. Returns `false` if it is none of these.
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

    /// The app with this client id.
    pub(crate) fn app(&self, client_id: &str) -> Option<&SandboxApp> {
        self.apps.iter().find(|app| app.client_id == client_id)
    }
}

impl From<RegistryDocument> for Registry {
    /// What is too much is left out. Every row counts as changed.
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
        for counts in document.requests.into_iter().take(COUNTED) {
            registry.request_places.insert(counts.resource.clone(), registry.requests.len());
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

    /// All of it, as seeds and snapshots have it.
    pub(crate) fn document(&self) -> RegistryDocument {
        fn all<T: Credential + Clone>(shelf: &Shelf<T>) -> BTreeMap<String, T> {
            shelf.iter().map(|(name, each)| (name.clone(), each.clone())).collect()
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

    /// All rows of the state file.
    pub(crate) fn all_rows(&self) -> impl Iterator<Item = Row> {
        let apps = self.apps.iter().map(|app| Row::SandboxApp(app.client_id.clone()));
        let install =
            |install: &Install| Row::Install(install.client_id.clone(), install.choice.resource.clone());
        std::iter::once(Row::Settings)
            .chain(apps)
            .chain(self.installs().map(install))
            .chain(self.codes.iter().map(|(text, _)| Row::Code(text.clone())))
            .chain(self.access_tokens.iter().map(|(text, _)| Row::AccessToken(text.clone())))
            .chain(self.refresh_tokens.iter().map(|(text, _)| Row::RefreshToken(text.clone())))
            .chain(self.requests.iter().map(|counts| Row::Requests(counts.resource.clone())))
    }

    /// What a row holds now; `None` if there is nothing any more.
    pub(crate) fn row(&self, row: &Row) -> Option<Value> {
        match row {
            Row::Settings => Some(json!(self.settings)),
            Row::SandboxApp(id) => self.app(id).map(|app| json!(app)),
            Row::Install(client, resource) => self.install(client, resource).map(|install| json!(install)),
            Row::Code(text) => self.codes.get(text).map(|code| json!(code)),
            Row::AccessToken(text) => self.access_tokens.get(text).map(|token| json!(token)),
            Row::RefreshToken(text) => self.refresh_tokens.get(text).map(|token| json!(token)),
            Row::Requests(resource) => {
                self.request_places.get(resource).map(|place| json!(self.requests[*place]))
            }
        }
    }

    /// The rows that are different from what they were when this was called before.
    pub(crate) fn take_changed(&mut self) -> BTreeSet<Row> {
        std::mem::take(&mut self.changed)
    }

    /// Notes rows that are different now: they may be gone.
    pub(crate) fn note_changed(&mut self, rows: impl IntoIterator<Item = Row>) {
        self.changed.extend(rows);
    }

    /// How many codes and tokens there are, the memory that they take, and the most that they may take.
    pub(crate) fn retained(&self) -> (usize, usize, usize) {
        let count = self.codes.len() + self.access_tokens.len() + self.refresh_tokens.len();
        let bytes = self.codes.bytes() + self.access_tokens.bytes() + self.refresh_tokens.bytes();
        (count, bytes, 3 * super::shelf::MAX_BYTES)
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn settings_mut(&mut self) -> &mut Settings {
        self.changed.insert(Row::Settings);
        &mut self.settings
    }

    /// Does what was decided.
    pub(crate) fn apply(&mut self, change: IssuedTokens, now: DateTime<Utc>) {
        match change.spent {
            Spent::Nothing => {}
            Spent::Code(text) => {
                self.codes.update(&text, |code| code.used = true);
                self.changed.insert(Row::Code(text));
            }
            Spent::RefreshToken(text, used) => {
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

    /// Drops answers that are not given again, and credentials that are too many or too large.
    fn evict(&mut self, now: DateTime<Utc>) {
        while self.repeats.front().is_some_and(|(at, _)| now - *at >= REPEATED_FOR)
            && let Some((_, text)) = self.repeats.pop_front()
        {
            self.refresh_tokens.update(&text, |token| {
                if let Some(used) = &mut token.used {
                    used.answer = Value::Null;
                }
            });
        }
        self.changed.extend(self.codes.evict(now).into_iter().map(Row::Code));
        self.changed.extend(self.access_tokens.evict(now).into_iter().map(Row::AccessToken));
        self.changed.extend(self.refresh_tokens.evict(now).into_iter().map(Row::RefreshToken));
    }

    /// Adds an app, or replaces the one with the same client id.
    ///
    /// # Errors
    ///
    /// Returns `QuotaExceeded` if there are too many apps, or they are too large.
    pub(crate) fn put_app(&mut self, app: SandboxApp) -> io::Result<()> {
        let app = app.identified();
        let others = self.apps.iter().filter(|each| each.client_id != app.client_id);
        let (count, bytes) =
            others.fold((1, app.weight()), |(count, bytes), each| (count + 1, bytes + each.weight()));
        if count > MAX_APPS || bytes > MAX_APP_BYTES {
            let words = format!("there are at most {MAX_APPS} apps, of {MAX_APP_BYTES} bytes together");
            return Err(io::Error::new(io::ErrorKind::QuotaExceeded, words));
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

    /// Adds that an app is installed, or replaces what was known of it there.
    pub(crate) fn put_install(&mut self, install: Install) {
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

    fn remove_install(&mut self, number: u64) -> Option<Install> {
        let install = self.installs.remove(&number)?;
        let (client, resource) = (install.client_id.clone(), install.choice.resource.clone());
        self.install_numbers.remove(&(client.clone(), resource.clone()));
        self.changed.insert(Row::Install(client, resource));
        Some(install)
    }

    /// Notes that the event about an install was sent. Returns `true` if it had not been.
    pub(crate) fn announce(&mut self, client_id: &str, resource: &TokenResource) -> bool {
        let Some(number) = self.number(client_id, resource) else { return false };
        let Some(install) = self.installs.get_mut(&number) else { return false };
        let is_new = !std::mem::replace(&mut install.announced, true);
        if is_new {
            self.changed.insert(Row::Install(client_id.to_owned(), resource.clone()));
        }
        is_new
    }

    /// Removes an install with its codes and tokens there; with a company, those on the company's locations too.
    /// Returns what was removed.
    pub(crate) fn uninstall(&mut self, client_id: &str, resource: &TokenResource) -> Vec<Install> {
        let gone = |client: &str, choice: &Choice| {
            client == client_id
                && match resource {
                    TokenResource::Location(_) => choice.resource == *resource,
                    TokenResource::Company(id) => choice.company_id == *id,
                }
        };
        let numbers = self.installs.iter().filter(|(_, each)| gone(&each.client_id, &each.choice));
        let numbers: Vec<u64> = numbers.map(|(number, _)| *number).collect();
        let removed = numbers.into_iter().filter_map(|number| self.remove_install(number)).collect();
        if let TokenResource::Location(id) = resource {
            // It may have come with its company.
            for install in self.installs.values_mut().filter(|each| each.client_id == client_id) {
                let before = install.choice.locations.len();
                install.choice.locations.retain(|each| each != id);
                if install.choice.locations.len() < before {
                    let resource = install.choice.resource.clone();
                    self.changed.insert(Row::Install(client_id.to_owned(), resource));
                }
            }
        }
        let codes = self.codes.iter().filter(|(_, code)| gone(&code.client_id, &code.choice));
        let codes: Vec<String> = codes.map(|(text, _)| text.clone()).collect();
        for text in codes {
            self.codes.remove(&text);
            self.changed.insert(Row::Code(text));
        }
        self.revoke_where(|subject| gone(&subject.client_id, &subject.choice));
        removed
    }

    /// Stops honouring a token, whichever of the two it is. Returns `true` if it is one.
    pub(crate) fn revoke(&mut self, token: &str) -> bool {
        let is_access = self.access_tokens.remove(token).is_some();
        if is_access {
            self.changed.insert(Row::AccessToken(token.to_owned()));
        }
        is_access || self.update_refresh_token(token, |refresh| refresh.revoked = true)
    }

    /// Stops honouring all tokens for a location or company. Returns how many there were.
    pub(crate) fn revoke_all(&mut self, resource: &TokenResource) -> usize {
        self.revoke_where(|subject| subject.choice.resource == *resource)
    }

    fn revoke_where(&mut self, is_meant: impl Fn(&Subject) -> bool) -> usize {
        let access = self.access_tokens.iter().filter(|(_, token)| is_meant(&token.subject));
        let access = access.map(|(text, _)| text.clone());
        let refresh = self.refresh_tokens.iter();
        let refresh = refresh.filter(|(_, token)| !token.revoked && is_meant(&token.subject));
        let meant: Vec<String> = access.chain(refresh.map(|(text, _)| text.clone())).collect();
        meant.into_iter().filter(|text| self.revoke(text)).count()
    }

    /// Makes the access tokens for a location or company too old. Returns how many there were that were not.
    pub(crate) fn expire(&mut self, resource: &TokenResource, now: DateTime<Utc>) -> usize {
        let is_alive =
            |token: &AccessToken| token.subject.choice.resource == *resource && token.expires_at > now;
        let alive = self.access_tokens.iter().filter(|(_, token)| is_alive(token));
        let alive: Vec<String> = alive.map(|(text, _)| text.clone()).collect();
        alive.into_iter().filter(|text| self.expire_token(text, now)).count()
    }

    /// Makes a token too old, whichever of the two it is. Returns `true` if it is one.
    pub(crate) fn expire_token(&mut self, token: &str, now: DateTime<Utc>) -> bool {
        if self.access_tokens.update(token, |access| access.expires_at = now).is_some() {
            self.changed.insert(Row::AccessToken(token.to_owned()));
            return true;
        }
        self.update_refresh_token(token, |refresh| refresh.expires_at = now)
    }

    fn update_refresh_token(&mut self, token: &str, change: impl FnOnce(&mut RefreshToken)) -> bool {
        let is_one = self.refresh_tokens.update(token, change).is_some();
        if is_one {
            self.changed.insert(Row::RefreshToken(token.to_owned()));
        }
        is_one
    }

    pub(crate) fn set_active(&mut self, location_id: &str, active: bool) {
        if active {
            self.settings_mut().inactive_locations.remove(location_id);
        } else {
            self.settings_mut().inactive_locations.insert(location_id.to_owned());
        }
    }

    /// Counts a request for tokens. What is not counted for its location or company is counted for none. A refusal changes
    /// no row: its count is written with the next request that is not refused.
    pub(crate) fn count(&mut self, resource: Option<TokenResource>, outcome: Outcome) {
        // A client can name what there is not.
        let is_known = self.request_places.contains_key(&resource);
        let resource = resource
            .filter(|each| is_known || (self.requests.len() < COUNTED && each.id().len() <= LONGEST_ID));
        let place = *self.request_places.entry(resource.clone()).or_insert(self.requests.len());
        if place == self.requests.len() {
            self.requests.push(TokenRequests::of(resource.clone()));
        }
        self.requests[place].add(outcome);
        if !outcome.is_refusal() {
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

    /// In the order in which they were installed.
    pub(crate) fn installs(&self) -> impl Iterator<Item = &Install> {
        self.installs.values()
    }

    pub(crate) fn install(&self, client_id: &str, resource: &TokenResource) -> Option<&Install> {
        self.installs.get(&self.number(client_id, resource)?)
    }

    /// Returns `true` if an app is on a location of a company, by itself or with the company.
    pub(crate) fn is_on(&self, client_id: &str, company_id: &str, location_id: &str) -> bool {
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
