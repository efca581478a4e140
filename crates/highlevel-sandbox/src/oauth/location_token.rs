//! `POST /oauth/locationToken`, which issues a token for a location in exchange for the token of its company.
//!
//! Only the request and the successful response are documented. The statuses of errors are guesses.

use chrono::{DateTime, Utc};
use http::StatusCode;
use serde_json::Value;

use super::company::{check_company, company_of};
use super::form::Form;
use super::grant::issue;
use super::registry::{IssuedTokens, Registry, Subject, UsedCredential};
use super::rejection::Rejection;
use super::resource::{Choice, TokenResource};
use super::token_response::{self, GeneratedTokens};
use super::version::OAuthVersion;

/// The scope that the company's token must have.
pub(crate) const SCOPE: &str = "oauth.write";

/// The format of the response.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Format {
    pub(crate) version: OAuthVersion,
    /// The response contains no refresh token.
    pub(crate) omits_refresh_token: bool,
}

/// Determines the response to a request that is authorized with a token of `caller`.
pub(crate) fn decide(
    form: &Result<Form, String>,
    format: Format,
    caller: &Subject,
    registry: &Registry,
    now: DateTime<Utc>,
    generated: &GeneratedTokens,
) -> Result<(Value, IssuedTokens), Rejection> {
    let own_company = company_of(caller, SCOPE)?;
    let form = form.as_ref().map_err(|message| Rejection::new(StatusCode::BAD_REQUEST, message))?;
    let missing = ["companyId", "locationId"].into_iter().filter(|name| form.get(name).is_none());
    let missing: Vec<String> = missing.map(|name| format!("{name} should not be empty")).collect();
    let (Some(company_id), Some(location_id)) = (form.get("companyId"), form.get("locationId")) else {
        return Err(Rejection::invalid(&missing));
    };
    check_company(own_company, company_id)?;
    if !registry.is_installed_on(&caller.client_id, company_id, location_id) {
        return Err(Rejection::new(StatusCode::BAD_REQUEST, "Location does not belong to the company"));
    }
    if !registry.is_active(&TokenResource::location(location_id)) {
        return Err(Rejection::new(StatusCode::BAD_REQUEST, "Location is not active"));
    }
    let subject = Subject {
        client_id: caller.client_id.clone(),
        choice: Choice::location(location_id, company_id),
        scopes: caller.scopes.clone(),
    };
    let camel_case = registry.settings().camel_case || format.version == OAuthVersion::V3;
    let mut body = token_response::body(&subject, generated, camel_case);
    let mut tokens = issue(subject, UsedCredential::None, now, generated);
    if format.omits_refresh_token {
        body = token_response::without_refresh_token(body);
        tokens.refresh_token = None;
    }
    Ok((body, tokens))
}
