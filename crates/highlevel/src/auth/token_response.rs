//! What HighLevel answers when it gives tokens. Its documents disagree on camelCase and `snake_case`, so both are read;
//! no other field can be so odd that the tokens are lost.

use std::time::{Duration, SystemTime};

use secrecy::SecretString;
use serde_json::{Map, Value};

use super::TokenSet;
use super::store::Resource;
use super::tokens::LIFETIME;
use crate::{CompanyId, LocationId, UserId};

/// Tokens as they were answered.
pub(super) struct Granted {
    access_token: SecretString,
    refresh_token: Option<SecretString>,
    life: Duration,
    scopes: Vec<String>,
    user_type: Option<String>,
    company_id: Option<CompanyId>,
    location_id: Option<LocationId>,
    user_id: Option<UserId>,
    /// The locations that were chosen when an app was installed on a company.
    pub(super) approved_locations: Vec<LocationId>,
}

impl Granted {
    /// Reads an answer; `None` if there is no access token in it.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let json: Map<String, Value> = serde_json::from_slice(body).ok()?;
        let id = |names| text(&json, names);
        Some(Self {
            access_token: id(["access_token", "accessToken"])?.into(),
            refresh_token: id(["refresh_token", "refreshToken"]).map(Into::into),
            life: seconds(&json, ["expires_in", "expiresIn"]).unwrap_or(LIFETIME),
            scopes: words(&json, ["scope", "scopes"]),
            user_type: id(["userType", "user_type"]),
            company_id: id(["companyId", "company_id"]).map(Into::into),
            location_id: id(["locationId", "location_id"]).map(Into::into),
            user_id: id(["userId", "user_id"]).map(Into::into),
            approved_locations: words(&json, ["approvedLocations", "approved_locations"])
                .into_iter()
                .map(Into::into)
                .collect(),
        })
    }

    /// What the tokens are for, if the answer says it.
    pub(super) fn resource(&self) -> Option<Resource> {
        let location = || self.location_id.clone().map(Resource::Location);
        let company = || self.company_id.clone().map(Resource::Company);
        match self.user_type.as_deref() {
            Some(company_token) if company_token.eq_ignore_ascii_case("company") => company(),
            _ => location().or_else(company),
        }
    }

    /// The tokens, for what they were asked for. They were asked for at `asked` and came at `now`. What the answer does
    /// not say stays as it was.
    pub(super) fn into_tokens(
        self,
        resource: &Resource,
        previous: Option<&TokenSet>,
        asked: SystemTime,
        now: SystemTime,
    ) -> TokenSet {
        let (company_id, location_id) = match resource {
            Resource::Location(location) => (self.company_id, Some(location.clone())),
            Resource::Company(company) => (Some(company.clone()), None),
        };
        TokenSet {
            access_token: self.access_token,
            refresh_token: self.refresh_token.or_else(|| previous?.refresh_token.clone()),
            obtained_at: now,
            installed_at: previous.map_or(now, |previous| previous.installed_at),
            expires_at: asked.checked_add(self.life).unwrap_or(asked + LIFETIME),
            scopes: if self.scopes.is_empty() {
                previous.map(|previous| previous.scopes.clone()).unwrap_or_default()
            } else {
                self.scopes
            },
            company_id: company_id.or_else(|| previous?.company_id.clone()),
            location_id,
            user_id: self.user_id.or_else(|| previous?.user_id.clone()),
            unknown: previous.map(|previous| previous.unknown.clone()).unwrap_or_default(),
            rejections: previous.map(|previous| previous.rejections.clone()).unwrap_or_default(),
        }
    }
}

/// The first of some fields that is a text with something in it.
fn text(json: &Map<String, Value>, names: [&str; 2]) -> Option<String> {
    let found = names.into_iter().filter_map(|name| json.get(name)?.as_str());
    found.map(str::trim).find(|text| !text.is_empty()).map(str::to_owned)
}

/// The first of some fields that is a number of seconds, written as a number or as a text.
fn seconds(json: &Map<String, Value>, names: [&str; 2]) -> Option<Duration> {
    let seconds = |value: &Value| match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    let found = names.into_iter().filter_map(|name| json.get(name));
    // A life of no time at all says nothing: a token that is expired when it comes would be renewed for every call.
    found
        .filter_map(seconds)
        .find_map(|seconds| Duration::try_from_secs_f64(seconds).ok().filter(|life| !life.is_zero()))
}

/// The words of the first of some fields that has any: a list, or a text with spaces or commas between.
fn words(json: &Map<String, Value>, names: [&str; 2]) -> Vec<String> {
    let split = |text: &str| -> Vec<String> {
        text.split([' ', ',']).filter(|word| !word.is_empty()).map(str::to_owned).collect()
    };
    let words = |value: &Value| match value {
        Value::String(text) => split(text),
        Value::Array(entries) => entries.iter().filter_map(Value::as_str).flat_map(split).collect(),
        _ => Vec::new(),
    };
    let found = names.into_iter().filter_map(|name| json.get(name)).map(words);
    found.into_iter().find(|words| !words.is_empty()).unwrap_or_default()
}
