//! `GET /oauth/installedLocations`, which lists the locations of a company with the status of an app.
//!
//! The fields of the request and of the successful response are documented. The texts of errors are guesses.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::company::{check_company, company_of};
use super::events::TRIAL_DAYS;
use super::form::Form;
use super::registry::{Installation, Registry, Subject};
use super::rejection::Rejection;
use super::resource::TokenResource;
use super::token_response::PLAN_ID;
use super::version::OAuthVersion;
use crate::model::{Location, Model};
use crate::search_term::SearchTerm;

/// The scope that the company's token must have.
pub(crate) const SCOPE: &str = "oauth.readonly";

/// The documented size of a page by default.
const DEFAULT_PAGE: usize = 20;
/// The documented maximum size of a page in version `v3`. No maximum is documented for the other versions, whose pages have
/// at most [`MAX_PAGE`] locations.
const MAX_PAGE_V3: usize = 100;
const MAX_PAGE: usize = 1_000;

/// The content of a page token.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PageToken {
    skip: usize,
}

/// The locations to skip, and the maximum number of locations on the page.
struct Page {
    skip: usize,
    limit: usize,
}

/// The conditions that a listed location has to meet.
struct Filter<'a> {
    app_id: &'a str,
    name: Option<SearchTerm>,
    location_id: Option<&'a str>,
    is_installed: Option<bool>,
    on_trial: Option<bool>,
    plan_id: Option<&'a str>,
    version_id: Option<&'a str>,
}

/// Determines the response to a request that is authorized with a token of `caller`.
pub(crate) fn decide(
    query: &Form,
    version: OAuthVersion,
    caller: &Subject,
    registry: &Registry,
    model: &Model,
    now: DateTime<Utc>,
    trace_id: &str,
) -> Result<Value, Rejection> {
    let own_company = company_of(caller, SCOPE)?;
    let mut violations = Vec::new();
    let company_id = required(query, "companyId", &mut violations);
    let filter = Filter {
        app_id: required(query, "appId", &mut violations),
        name: query.get("query").map(SearchTerm::new),
        location_id: query.get("locationId"),
        is_installed: boolean(query, "isInstalled", &mut violations),
        on_trial: boolean(query, "onTrial", &mut violations),
        plan_id: query.get("planId"),
        version_id: query.get("versionId"),
    };
    let page = page(query, version, &mut violations)?;
    if !violations.is_empty() {
        return Err(Rejection::invalid(&violations));
    }
    check_company(own_company, company_id)?;
    let app = registry.app(&caller.client_id).filter(|app| app.app_id == filter.app_id);
    let app = app.ok_or_else(|| app_not_found(version, filter.app_id))?;

    let all = model.locations().filter(|location| location.company_id == company_id);
    let all = all
        .map(|location| (location, registry.install(&app.client_id, &TokenResource::location(&location.id))));
    let matching: Vec<_> =
        all.filter(|(location, install)| filter.matches(location, *install, now)).collect();
    let shown = matching.iter().skip(page.skip).take(page.limit);
    let shown: Vec<Value> = shown.map(|(location, install)| entry(location, *install, &app.app_id)).collect();
    let company = registry.install(&app.client_id, &TokenResource::company(company_id));
    let mut body = match version {
        OAuthVersion::Dated => json!({ "locations": shown, "count": matching.len() }),
        OAuthVersion::V3 => json!({
            "pagination": pagination(&page, shown.len(), matching.len()),
            "items": shown,
            "metadata": { "filterApplied": applied(query) },
        }),
    };
    body["installToFutureLocations"] =
        json!(company.is_some_and(|install| install.choice.install_to_future_locations));
    body["traceId"] = json!(trace_id);
    Ok(body)
}

impl Filter<'_> {
    fn matches(&self, location: &Location, install: Option<&Installation>, now: DateTime<Utc>) -> bool {
        let on_trial =
            || install.is_some_and(|install| now < install.installed_at + TimeDelta::days(TRIAL_DAYS.into()));
        let is_equal = |wanted: Option<&str>, found: &str| {
            wanted.is_none_or(|wanted| install.is_some() && wanted == found)
        };
        self.location_id.is_none_or(|id| id == location.id)
            && self.name.as_ref().is_none_or(|term| term.is_in(location.name.as_deref().unwrap_or_default()))
            && self.is_installed.is_none_or(|wanted| wanted == install.is_some())
            && self.on_trial.is_none_or(|wanted| wanted == on_trial())
            && is_equal(self.plan_id, PLAN_ID)
            && is_equal(self.version_id, self.app_id)
    }
}

/// Returns a location in the documented format. A location of the sandbox has no address.
fn entry(location: &Location, install: Option<&Installation>, app_id: &str) -> Value {
    let mut entry = json!({
        "_id": location.id,
        "name": location.name.as_deref().unwrap_or_default(),
        "address": "",
        "isInstalled": install.is_some(),
    });
    if let Some(install) = install {
        entry["versionId"] = json!(app_id);
        entry["installedAt"] = json!(install.installed_at.to_rfc3339_opts(SecondsFormat::Millis, true));
    }
    entry
}

fn page(query: &Form, version: OAuthVersion, violations: &mut Vec<String>) -> Result<Page, Rejection> {
    match version {
        OAuthVersion::Dated => Ok(Page {
            skip: number(query, "skip", 0..=usize::MAX, violations).unwrap_or(0),
            limit: number(query, "limit", 1..=usize::MAX, violations).unwrap_or(DEFAULT_PAGE).min(MAX_PAGE),
        }),
        OAuthVersion::V3 => Ok(Page {
            skip: query.get("pageToken").map_or(Ok(0), skip_of)?,
            limit: number(query, "pageSize", 1..=MAX_PAGE_V3, violations).unwrap_or(DEFAULT_PAGE),
        }),
    }
}

fn pagination(page: &Page, shown: usize, total: usize) -> Value {
    let end = page.skip.saturating_add(shown);
    let (has_next, has_previous) = (shown > 0 && end < total, page.skip > 0);
    let mut pagination = json!({
        "totalRecords": total,
        "hasNextPage": has_next,
        "hasPrevPage": has_previous,
        "currentPageSize": shown,
    });
    if has_next {
        pagination["nextPageToken"] = json!(token_of(end));
    }
    if has_previous {
        pagination["prevPageToken"] = json!(token_of(page.skip.saturating_sub(page.limit)));
    }
    pagination
}

fn token_of(skip: usize) -> String {
    URL_SAFE_NO_PAD.encode(json!(PageToken { skip }).to_string())
}

fn skip_of(token: &str) -> Result<usize, Rejection> {
    let decoded = URL_SAFE_NO_PAD.decode(token.trim_end_matches('=')).ok();
    let token = decoded.and_then(|json| serde_json::from_slice::<PageToken>(&json).ok());
    let invalid = "pageToken is not a token of a previous response";
    let invalid = || Rejection::with_code(StatusCode::BAD_REQUEST, "INVALID_ARGUMENT", invalid);
    token.map(|token| token.skip).ok_or_else(invalid)
}

fn app_not_found(version: OAuthVersion, app_id: &str) -> Rejection {
    let message = format!("The requested App '{app_id}' was not found.");
    match version {
        OAuthVersion::Dated => Rejection::new(StatusCode::BAD_REQUEST, message),
        OAuthVersion::V3 => Rejection::with_code(StatusCode::NOT_FOUND, "RESOURCE_NOT_FOUND", message),
    }
}

/// Returns the fields of the query that select locations.
fn applied(query: &Form) -> Value {
    const FILTERS: [&str; 7] =
        ["companyId", "isInstalled", "locationId", "onTrial", "planId", "query", "versionId"];
    let given = FILTERS.iter().filter_map(|name| Some(((*name).to_owned(), json!(query.get(name)?))));
    Value::Object(given.collect::<Map<_, _>>())
}

fn required<'a>(query: &'a Form, name: &str, violations: &mut Vec<String>) -> &'a str {
    query.get(name).unwrap_or_else(|| {
        violations.push(format!("{name} should not be empty"));
        ""
    })
}

fn boolean(query: &Form, name: &str, violations: &mut Vec<String>) -> Option<bool> {
    let text = query.get(name)?;
    let parsed = text.parse().ok();
    if parsed.is_none() {
        violations.push(format!("{name} must be a boolean value"));
    }
    parsed
}

/// Parses a number. Clients that are generated from the documents send `20.0`, because the type is not `integer`.
fn number(
    query: &Form,
    name: &str,
    range: std::ops::RangeInclusive<usize>,
    violations: &mut Vec<String>,
) -> Option<usize> {
    let text = query.get(name)?;
    let parsed = text.strip_suffix(".0").unwrap_or(text).parse().ok().filter(|number| range.contains(number));
    if parsed.is_none() {
        violations.push(if *range.end() == usize::MAX {
            format!("{name} must be a number not less than {}", range.start())
        } else {
            format!("{name} must be a number from {} to {}", range.start(), range.end())
        });
    }
    parsed
}

#[cfg(test)]
#[path = "installed_locations/tests.rs"]
mod tests;
