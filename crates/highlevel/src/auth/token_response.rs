//! Reads the response in which HighLevel issues tokens.
//!
//! HighLevel's documents disagree on camelCase and `snake_case`, so both are read. Malformed optional fields are ignored: the
//! tokens must not be lost because of them.

use std::time::{Duration, SystemTime};

use secrecy::SecretString;
use serde_json::{Map, Value};

use super::TokenSet;
use super::store::Resource;
use super::tokens::LIFETIME;
use crate::{CompanyId, LocationId, UserId};

/// The tokens and their properties, as HighLevel issued them.
pub(super) struct TokenResponse {
    access_token: SecretString,
    refresh_token: Option<SecretString>,
    lifetime: Duration,
    scopes: Vec<String>,
    user_type: Option<String>,
    company_id: Option<CompanyId>,
    location_id: Option<LocationId>,
    user_id: Option<UserId>,
    /// The locations that the owner chose when the app was installed on a company.
    pub(super) approved_locations: Vec<LocationId>,
}

impl TokenResponse {
    /// Reads the body of a response. Returns `None` if it contains no access token.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let json: Map<String, Value> = serde_json::from_slice(body).ok()?;
        let field = |names| text(&json, names);
        Some(Self {
            access_token: field(["access_token", "accessToken"])?.into(),
            refresh_token: field(["refresh_token", "refreshToken"]).map(Into::into),
            lifetime: seconds(&json, ["expires_in", "expiresIn"]).unwrap_or(LIFETIME),
            scopes: words(&json, ["scope", "scopes"]),
            user_type: field(["userType", "user_type"]),
            company_id: field(["companyId", "company_id"]).map(Into::into),
            location_id: field(["locationId", "location_id"]).map(Into::into),
            user_id: field(["userId", "user_id"]).map(Into::into),
            approved_locations: words(&json, ["approvedLocations", "approved_locations"])
                .into_iter()
                .map(Into::into)
                .collect(),
        })
    }

    /// Returns the resource of the tokens, if the response names it.
    pub(super) fn resource(&self) -> Option<Resource> {
        let location = || self.location_id.clone().map(Resource::Location);
        let company = || self.company_id.clone().map(Resource::Company);
        match self.user_type.as_deref() {
            Some(company_token) if company_token.eq_ignore_ascii_case("company") => company(),
            _ => location().or_else(company),
        }
    }

    /// Returns the tokens of a resource. They were requested at `requested_at` and received at `now`. Fields that are missing
    /// in the response are taken from the previous tokens.
    pub(super) fn into_tokens(
        self,
        resource: &Resource,
        previous: Option<&TokenSet>,
        requested_at: SystemTime,
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
            expires_at: requested_at.checked_add(self.lifetime).unwrap_or(requested_at + LIFETIME),
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

/// Returns the first of some fields that is a text and not blank.
fn text(json: &Map<String, Value>, names: [&str; 2]) -> Option<String> {
    let found = names.into_iter().filter_map(|name| json.get(name)?.as_str());
    found.map(str::trim).find(|text| !text.is_empty()).map(str::to_owned)
}

/// Returns the first of some fields that is a number of seconds, written as a number or as a text.
fn seconds(json: &Map<String, Value>, names: [&str; 2]) -> Option<Duration> {
    let seconds = |value: &Value| match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    let found = names.into_iter().filter_map(|name| json.get(name));
    // A lifetime of zero is ignored: a token that is expired when it arrives would be refreshed for every call.
    found
        .filter_map(seconds)
        .find_map(|seconds| Duration::try_from_secs_f64(seconds).ok().filter(|lifetime| !lifetime.is_zero()))
}

/// Returns the words of the first of some fields that has any: a list, or a text separated by spaces or commas.
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
