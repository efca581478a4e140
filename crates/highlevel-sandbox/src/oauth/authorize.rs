//! `GET /v2/oauth/chooselocation`, the page for choosing the location or company to install an app on.
//!
//! Errors are shown to the user and never sent to the redirect URI, which may belong to another party.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use http::Uri;

use super::form::Form;
use super::registry::{Code, Registry};
use super::resource::{Choice, TokenResource};
use crate::access::is_loopback_name;
use crate::model::{COMPANY_ID, Model};

/// The lifetime of a code. Not documented; this is the maximum that RFC 6749, section 4.1.2, recommends.
const CODE_LIFETIME: TimeDelta = TimeDelta::minutes(10);

/// The fields of the request, each allowed once.
pub(crate) const FIELDS: [&str; 7] =
    ["response_type", "client_id", "redirect_uri", "scope", "state", "loginWindowOpenMode", "version_id"];
/// The maximum length of a field's value, in bytes. For `scope`, this covers all scopes together.
const MAX_LENGTH: usize = 8 * 1024;
/// The field with which a request includes the locations of a company that are created later.
pub(crate) const FUTURE_LOCATIONS: &str = "install_to_future_locations";
/// The text of HighLevel's page for a private app whose URL has no version.
pub(crate) const NO_VERSION_ID: &str = "error.noversionid";
/// The maximum number of distinct scopes.
const MAX_SCOPES: usize = 200;
/// The maximum length of a scope, in bytes.
const MAX_SCOPE_LENGTH: usize = 200;

/// The rules for an authorization request.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Policy {
    /// Redirect to the app with a code if the request or the settings specify a location or company. Otherwise, a valid
    /// request only shows the page, and the user chooses.
    pub(crate) may_choose: bool,
    /// Reject a request without a version of the app, as HighLevel does for private apps.
    pub(crate) requires_version_id: bool,
}

/// The response to an authorization request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum AuthorizeResponse {
    /// Show the page for choosing.
    ShowPage,
    /// Redirect to the app with a code.
    Redirect { location: String, code: Code },
    /// Show a page with an error message.
    Error(String),
}

/// Determines the response to a request. The caller has to store the code.
///
pub(crate) fn decide(
    query: &Form,
    registry: &Registry,
    model: &Model,
    now: DateTime<Utc>,
    code: &str,
    policy: Policy,
) -> AuthorizeResponse {
    match request(query, registry, policy).and_then(|request| Ok((chosen(query, registry, model)?, request)))
    {
        Err(message) => AuthorizeResponse::Error(message),
        Ok((Some(choice), request)) if policy.may_choose => AuthorizeResponse::Redirect {
            location: with_code(&request.redirect_uri, code, query.get("state")),
            code: Code { choice, expires_at: now + CODE_LIFETIME, ..request },
        },
        Ok(_) => AuthorizeResponse::ShowPage,
    }
}

/// Validates a request, and returns its code without the choice and the expiry.
fn request(query: &Form, registry: &Registry, policy: Policy) -> Result<Code, String> {
    if let Some(name) = FIELDS.iter().find(|name| query.all(name).count() > 1) {
        return Err(format!("{name} appears more than once"));
    }
    if let Some(name) =
        FIELDS.iter().find(|name| query.get(name).is_some_and(|value| value.len() > MAX_LENGTH))
    {
        return Err(format!("{name} is longer than {MAX_LENGTH} bytes"));
    }
    let field = |name: &str| query.get(name).ok_or_else(|| format!("{name} is missing"));
    let client_id = field("client_id")?;
    let app = registry.app(client_id).ok_or_else(|| format!("no app has the client_id {client_id}"))?;
    let redirect_uri = field("redirect_uri")?;
    check_redirect_uri(redirect_uri)?;
    if app.redirect_uris.is_empty() {
        if !is_on_this_machine(redirect_uri) {
            return Err(format!(
                "the redirect_uri {redirect_uri} is on another machine and not registered with the app; register it with \
                 --redirect-uri {redirect_uri}"
            ));
        }
    } else if !app.redirect_uris.iter().any(|uri| uri == redirect_uri) {
        return Err(format!(
            "the redirect_uri {redirect_uri} is not registered with the app; use {}",
            app.redirect_uris.join(" or ")
        ));
    }
    let response_type = field("response_type")?;
    if response_type != "code" {
        return Err(format!("response_type is {response_type}, but must be code"));
    }
    let scopes = distinct_scopes(field("scope")?.split(' '))?;
    if let Some(scope) = scopes.iter().find(|scope| !app.scopes.is_empty() && !app.scopes.contains(scope)) {
        return Err(format!("the scope {scope} is not registered with the app"));
    }
    if let Some(mode) = query.get("loginWindowOpenMode").filter(|mode| *mode != "self") {
        return Err(format!("loginWindowOpenMode is {mode}, but the only supported mode is self"));
    }
    if policy.requires_version_id && query.get("version_id").is_none() {
        return Err(NO_VERSION_ID.to_owned());
    }
    Ok(Code {
        client_id: client_id.to_owned(),
        redirect_uri: redirect_uri.to_owned(),
        scopes,
        choice: Choice::location("", ""),
        expires_at: DateTime::UNIX_EPOCH,
        used: false,
    })
}

/// Returns the distinct scopes, in the order of their first appearance.
pub(crate) fn distinct_scopes<'a>(scopes: impl IntoIterator<Item = &'a str>) -> Result<Vec<String>, String> {
    let mut seen = HashSet::new();
    let mut distinct = Vec::new();
    for scope in scopes.into_iter().filter(|scope| !scope.is_empty()) {
        if scope.len() > MAX_SCOPE_LENGTH {
            return Err(format!("a scope is longer than {MAX_SCOPE_LENGTH} bytes"));
        }
        if seen.insert(scope) {
            if distinct.len() == MAX_SCOPES {
                return Err(format!("there are more than {MAX_SCOPES} scopes"));
            }
            distinct.push(scope.to_owned());
        }
    }
    Ok(distinct)
}

/// Returns the choice of the query, or else of the settings. Returns `None` if neither specifies one.
fn chosen(query: &Form, registry: &Registry, model: &Model) -> Result<Option<Choice>, String> {
    let future_locations = includes_future_locations(query, registry)?;
    let locations: Vec<String> = query.all("location_id").map(str::to_owned).collect();
    let resource = match (query.get("company"), locations.as_slice()) {
        (Some("own"), _) => TokenResource::company(COMPANY_ID),
        (Some(company), _) => TokenResource::company(company),
        (None, [location]) => {
            return Choice::of(model, TokenResource::location(location), Vec::new()).map(Some);
        }
        (None, [_, _, ..]) => return Err("more than one location_id requires a company".to_owned()),
        (None, []) => match &registry.settings().choose_on_authorize {
            Some(resource) => resource.clone(),
            None => return Ok(None),
        },
    };
    let choice = Choice::of(model, resource, locations)?;
    Ok(Some(choice.with_future_locations(future_locations)))
}

/// Returns `true` if an installation on a company includes the locations that are created later.
pub(crate) fn includes_future_locations(query: &Form, registry: &Registry) -> Result<bool, String> {
    match query.get(FUTURE_LOCATIONS) {
        Some("true") => Ok(true),
        Some("false") => Ok(false),
        Some(other) => Err(format!("{FUTURE_LOCATIONS} is {other}, but must be true or false")),
        None => Ok(registry.settings().install_to_future_locations),
    }
}

fn check_redirect_uri(text: &str) -> Result<(), String> {
    let wrong = |reason: &str| format!("the redirect_uri {text} is invalid: {reason}");
    let uri: Uri = text.parse().map_err(|error: http::uri::InvalidUri| wrong(&error.to_string()))?;
    match (uri.scheme_str(), uri.authority()) {
        _ if text.contains('#') => Err(wrong("it has a fragment")),
        (Some("http" | "https"), Some(authority)) if authority.as_str().contains('@') => {
            Err(wrong("it contains user information"))
        }
        (Some("http" | "https"), Some(_)) => Ok(()),
        _ => Err(wrong("it does not start with http:// or https://")),
    }
}

/// Returns `true` if the host of a URI is a loopback address or a loopback name.
fn is_on_this_machine(uri: &str) -> bool {
    uri.parse::<Uri>().is_ok_and(|uri| uri.host().is_some_and(is_loopback_name))
}

fn with_code(redirect_uri: &str, code: &str, state: Option<&str>) -> String {
    let mut fields = form_urlencoded::Serializer::new(String::new());
    fields.append_pair("code", code);
    if let Some(state) = state {
        fields.append_pair("state", state);
    }
    let separator = if redirect_uri.contains('?') { '&' } else { '?' };
    format!("{redirect_uri}{separator}{}", fields.finish())
}

#[cfg(test)]
#[path = "authorize/tests.rs"]
mod tests;
