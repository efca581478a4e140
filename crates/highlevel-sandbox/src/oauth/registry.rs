//! What is known of apps: where they are installed, and which codes and tokens they were given.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::app::App;
use super::requests::{Outcome, TokenRequests};
use super::resource::{Choice, Resource};
use super::settings::Settings;

/// A refresh that comes again sooner than this is answered as before.
const REPEATED_FOR: TimeDelta = TimeDelta::seconds(30);
/// How many codes, access tokens and refresh tokens are kept that are good, of each.
const KEPT_GOOD: usize = 10_000;
/// How many that are not: they say why they are refused, and for whom.
const KEPT_OTHERS: usize = 1_000;
/// For how many locations and companies requests are counted.
const COUNTED: usize = 10_000;
/// In bytes, of a location or company.
const LONGEST_ID: usize = 200;

/// All of it. It changes through [`apply`](Self::apply) and the methods beside it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Registry {
    pub(crate) settings: Settings,
    /// The sandbox's own app is the first.
    apps: Vec<App>,
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
pub(crate) struct Change {
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

impl Registry {
    pub(crate) fn new(app: App) -> Self {
        Self { apps: vec![app], ..Self::default() }
    }

    /// Does what was decided.
    pub(crate) fn apply(&mut self, change: Change, now: DateTime<Utc>) {
        match change.spent {
            Spent::Nothing => {}
            Spent::Code(code) => {
                if let Some(code) = self.codes.get_mut(&code) {
                    code.used = true;
                }
            }
            Spent::RefreshToken(token, used) => {
                if let Some(token) = self.refresh_tokens.get_mut(&token) {
                    token.used = Some(used);
                }
            }
        }
        self.access_tokens.extend([change.access_token]);
        self.refresh_tokens.extend([change.refresh_token]);
        self.forget(now);
    }

    /// Forgets what nobody needs, and what is too much.
    fn forget(&mut self, now: DateTime<Utc>) {
        for used in self.refresh_tokens.values_mut().filter_map(|token| token.used.as_mut()) {
            if !used.is_repeated_at(now) {
                used.answer = Value::Null;
            }
        }
        bounded(&mut self.codes, |code| (!code.used && code.expires_at > now, code.expires_at));
        bounded(&mut self.access_tokens, |token| (token.expires_at > now, token.expires_at));
        bounded(&mut self.refresh_tokens, |token| {
            let is_good = token.used.is_none() && !token.revoked && token.expires_at > now;
            (is_good, token.expires_at)
        });
    }

    /// Adds an app, in place of the one with the same client id.
    pub(crate) fn put_app(&mut self, app: App) {
        let app = app.identified();
        match self.apps.iter_mut().find(|each| each.client_id == app.client_id) {
            Some(known) => *known = app,
            None => self.apps.push(app),
        }
    }

    pub(crate) fn put_code(&mut self, text: String, code: Code, now: DateTime<Utc>) {
        self.codes.insert(text, code);
        self.forget(now);
    }

    /// Adds that an app is installed, in place of what was known of it there.
    pub(crate) fn put_install(&mut self, install: Install) {
        match self.position(&install.client_id, &install.choice.resource) {
            Some(place) => self.installs[place] = install,
            None => self.installs.push(install),
        }
    }

    /// Notes that the event about an install was sent. Whether it had not been.
    pub(crate) fn announce(&mut self, client_id: &str, resource: &Resource) -> bool {
        let place = self.position(client_id, resource);
        place.is_some_and(|place| !std::mem::replace(&mut self.installs[place].announced, true))
    }

    /// Forgets that an app is installed, with its codes and tokens there; with a company, on the company's locations
    /// too. What was forgotten.
    pub(crate) fn uninstall(&mut self, client_id: &str, resource: &Resource) -> Vec<Install> {
        let gone = |client: &str, choice: &Choice| {
            client == client_id
                && match resource {
                    Resource::Location(_) => choice.resource == *resource,
                    Resource::Company(id) => choice.company_id == *id,
                }
        };
        let removed = self.installs.extract_if(.., |each| gone(&each.client_id, &each.choice)).collect();
        if let Resource::Location(id) = resource {
            // It may have come with its company.
            for install in self.installs.iter_mut().filter(|each| each.client_id == client_id) {
                install.choice.locations.retain(|each| each != id);
            }
        }
        self.codes.retain(|_, code| !gone(&code.client_id, &code.choice));
        self.revoke_where(|subject| gone(&subject.client_id, &subject.choice));
        removed
    }

    /// Stops honouring a token, whichever of the two it is. Whether it is one.
    pub(crate) fn revoke(&mut self, token: &str) -> bool {
        let refresh = self.refresh_tokens.get_mut(token).map(|refresh| refresh.revoked = true);
        self.access_tokens.remove(token).is_some() || refresh.is_some()
    }

    /// Stops honouring all tokens for a location or company. How many there were.
    pub(crate) fn revoke_all(&mut self, resource: &Resource) -> usize {
        self.revoke_where(|subject| subject.choice.resource == *resource)
    }

    fn revoke_where(&mut self, is_meant: impl Fn(&Subject) -> bool) -> usize {
        let before = self.access_tokens.len();
        self.access_tokens.retain(|_, token| !is_meant(&token.subject));
        let mut revoked = before - self.access_tokens.len();
        for token in
            self.refresh_tokens.values_mut().filter(|token| is_meant(&token.subject) && !token.revoked)
        {
            token.revoked = true;
            revoked += 1;
        }
        revoked
    }

    /// Makes the access tokens for a location or company too old. How many there were that were not.
    pub(crate) fn expire(&mut self, resource: &Resource, now: DateTime<Utc>) -> usize {
        let alive = self
            .access_tokens
            .values_mut()
            .filter(|token| token.subject.choice.resource == *resource && token.expires_at > now);
        alive.map(|token| token.expires_at = now).count()
    }

    /// Makes a token too old, whichever of the two it is. Whether it is one.
    pub(crate) fn expire_token(&mut self, token: &str, now: DateTime<Utc>) -> bool {
        let refresh = self.refresh_tokens.get_mut(token).map(|token| &mut token.expires_at);
        match self.access_tokens.get_mut(token).map(|token| &mut token.expires_at).or(refresh) {
            Some(end) => {
                *end = now;
                true
            }
            None => false,
        }
    }

    pub(crate) fn set_active(&mut self, location_id: &str, active: bool) {
        if active {
            self.settings.inactive_locations.remove(location_id);
        } else {
            self.settings.inactive_locations.insert(location_id.to_owned());
        }
    }

    /// Counts a request for tokens. What is not counted for its location or company is counted for none.
    pub(crate) fn count(&mut self, resource: Option<Resource>, outcome: Outcome) {
        // A client can name what there is not.
        let is_known = self.requests.iter().any(|each| each.resource == resource);
        let resource = resource
            .filter(|each| is_known || (self.requests.len() < COUNTED && each.id().len() <= LONGEST_ID));
        if let Some(counts) = self.requests.iter_mut().find(|each| each.resource == resource) {
            counts.add(outcome);
        } else {
            let mut counts = TokenRequests::of(resource);
            counts.add(outcome);
            self.requests.push(counts);
        }
    }

    pub(crate) fn requests(&self) -> &[TokenRequests] {
        &self.requests
    }

    pub(crate) fn apps(&self) -> &[App] {
        &self.apps
    }

    pub(crate) fn app(&self, client_id: &str) -> Option<&App> {
        self.apps.iter().find(|app| app.client_id == client_id)
    }

    pub(crate) fn installs(&self) -> &[Install] {
        &self.installs
    }

    pub(crate) fn install(&self, client_id: &str, resource: &Resource) -> Option<&Install> {
        self.installs.get(self.position(client_id, resource)?)
    }

    /// Whether an app is on a location of a company, by itself or with the company.
    pub(crate) fn is_on(&self, client_id: &str, company_id: &str, location_id: &str) -> bool {
        let install = self.install(client_id, &Resource::location(location_id));
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
        self.refresh_tokens.values()
    }

    pub(crate) fn is_active(&self, resource: &Resource) -> bool {
        match resource {
            Resource::Location(id) => !self.settings.inactive_locations.contains(id),
            Resource::Company(_) => true,
        }
    }

    fn position(&self, client_id: &str, resource: &Resource) -> Option<usize> {
        self.installs.iter().position(|each| each.client_id == client_id && each.choice.resource == *resource)
    }
}

/// Forgets the oldest of what is too much. `judge` says whether something is good, and until when it is or was.
fn bounded<T>(things: &mut BTreeMap<String, T>, judge: impl Fn(&T) -> (bool, DateTime<Utc>)) {
    // There cannot be too many of either.
    if things.len() <= KEPT_OTHERS {
        return;
    }
    for (good, kept) in [(true, KEPT_GOOD), (false, KEPT_OTHERS)] {
        if things.values().filter(|thing| judge(thing).0 == good).count() <= kept {
            continue;
        }
        let mut ends: Vec<(DateTime<Utc>, String)> = things
            .iter()
            .map(|(name, thing)| (judge(thing), name))
            .filter(|((is_good, _), _)| *is_good == good)
            .map(|((_, end), name)| (end, name.clone()))
            .collect();
        ends.sort();
        for (_, name) in &ends[..ends.len().saturating_sub(kept)] {
            things.remove(name);
        }
    }
}
