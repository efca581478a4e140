//! `POST /oauth/token`, which issues tokens for a code or a refresh token.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::app::SandboxApp;
use super::form::Form;
use super::registry::{AccessToken, IssuedTokens, RefreshToken, Registry, Subject, Used, UsedCredential};
use super::requests::Outcome;
use super::resource::{Choice, TokenResource};
use super::token_response::{self, ACCESS_SECONDS, GeneratedTokens, TokenError};
use super::version::OAuthVersion;
use crate::fidelity::{Quirk, Settings};

/// The lifetime of a refresh token.
const REFRESH_LIFETIME: TimeDelta = TimeDelta::days(365);

/// A token request, and the settings that its response depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TokenRequest<'a> {
    pub(crate) form: &'a Result<Form, String>,
    pub(crate) version: OAuthVersion,
    pub(crate) settings: &'a Settings,
}

/// The response to a token request, and the change to apply.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct GrantDecision {
    pub(crate) response: Result<Value, TokenError>,
    pub(crate) change: Option<IssuedTokens>,
    /// The location or company of the code or refresh token, if it is known.
    pub(crate) resource: Option<TokenResource>,
    pub(crate) outcome: Outcome,
    /// The quirk that determined the response.
    pub(crate) quirk: Option<Quirk>,
}

/// Determines the response to a request.
pub(crate) fn decide(
    request: TokenRequest<'_>,
    registry: &Registry,
    now: DateTime<Utc>,
    generated: &GeneratedTokens,
) -> GrantDecision {
    let form = request.form.as_ref().ok();
    let token = form.and_then(|form| registry.refresh_token(form.get("refresh_token")?));
    let code = form.and_then(|form| registry.code(form.get("code")?));
    let resource = token
        .map(|token| &token.subject.choice)
        .or(code.map(|code| &code.choice))
        .map(|choice| choice.resource.clone());
    let is_refresh = form.is_some_and(|form| form.get("grant_type") == Some("refresh_token"));
    let rejected = if is_refresh { Outcome::Refused } else { Outcome::CodeRefused };
    match grant(request, registry, now, generated) {
        Ok(GrantResult { response, change, outcome, quirk }) => {
            GrantDecision { response: Ok(response), change, resource, outcome, quirk }
        }
        Err(error) => {
            let quirk =
                (error == TokenError::unauthorized_refresh_token()).then_some(Quirk::UsedRefreshToken401);
            GrantDecision { response: Err(error), change: None, resource, outcome: rejected, quirk }
        }
    }
}

/// The response and the change of a successful request.
struct GrantResult {
    response: Value,
    change: Option<IssuedTokens>,
    outcome: Outcome,
    quirk: Option<Quirk>,
}

fn grant(
    request: TokenRequest<'_>,
    registry: &Registry,
    now: DateTime<Utc>,
    generated: &GeneratedTokens,
) -> Result<GrantResult, TokenError> {
    let form = request.form.as_ref().map_err(TokenError::invalid_request)?;
    let grant_type = form
        .get("grant_type")
        .filter(|found| !found.is_empty())
        .ok_or_else(TokenError::missing_grant_type)?;
    match grant_type {
        "authorization_code" => exchange(form, request, registry, now, generated),
        "refresh_token" => refresh(form, request, registry, now, generated),
        other => Err(TokenError::unsupported_grant_type(other)),
    }
}

impl TokenRequest<'_> {
    /// Returns the body of the response that issues tokens.
    fn tokens(&self, subject: &Subject, registry: &Registry, generated: &GeneratedTokens) -> Value {
        let camel_case = registry.settings().camel_case || self.version == OAuthVersion::V3;
        token_response::body(subject, generated, camel_case)
    }
}

/// Returns the app with the form's client ID, if the form has its secret.
pub(crate) fn client<'a>(form: &Form, registry: &'a Registry) -> Result<&'a SandboxApp, TokenError> {
    let id = form.get("client_id").ok_or_else(|| TokenError::missing("client_id"))?;
    let secret = form.get("client_secret").ok_or_else(|| TokenError::missing("client_secret"))?;
    registry.app(id).filter(|app| app.client_secret == secret).ok_or_else(TokenError::invalid_client)
}

fn exchange(
    form: &Form,
    request: TokenRequest<'_>,
    registry: &Registry,
    now: DateTime<Utc>,
    generated: &GeneratedTokens,
) -> Result<GrantResult, TokenError> {
    let text = form.get("code").ok_or_else(|| TokenError::missing("code"))?;
    let client_id = form.get("client_id").ok_or_else(|| TokenError::missing("client_id"))?;
    let code = registry
        .code(text)
        .filter(|code| !code.used && code.client_id == client_id && code.expires_at > now)
        .ok_or_else(TokenError::code_not_found)?;
    let app = client(form, registry)?;
    // The documents call this field optional, so only a wrong value is rejected.
    if form.get("redirect_uri").is_some_and(|uri| uri != code.redirect_uri) {
        return Err(TokenError::invalid_request("Invalid request: `redirect_uri` is invalid"));
    }
    check_user_type(form, request.version, &code.choice.resource)?;
    check_active(registry, &code.choice.resource)?;
    let is_location = matches!(code.choice.resource, TokenResource::Location(_));
    let quirk = (is_location && request.settings.has(Quirk::CompanyTokenForLocation))
        .then_some(Quirk::CompanyTokenForLocation);
    let choice = match quirk {
        Some(_) => Choice::company(&code.choice.company_id, Vec::new()),
        None => code.choice.clone(),
    };
    let subject = Subject { client_id: app.client_id.clone(), choice, scopes: code.scopes.clone() };
    let response = request.tokens(&subject, registry, generated);
    let change = issue(subject, UsedCredential::Code(text.to_owned()), now, generated);
    Ok(GrantResult { response, change: Some(change), outcome: Outcome::CodeExchanged, quirk })
}

fn refresh(
    form: &Form,
    request: TokenRequest<'_>,
    registry: &Registry,
    now: DateTime<Utc>,
    generated: &GeneratedTokens,
) -> Result<GrantResult, TokenError> {
    let app = client(form, registry)?;
    let text = form.get("refresh_token").ok_or_else(|| TokenError::missing("refresh_token"))?;
    let invalid = || {
        if request.settings.has(Quirk::UsedRefreshToken401) {
            TokenError::unauthorized_refresh_token()
        } else {
            TokenError::invalid_grant("refresh token is invalid")
        }
    };
    let token = registry.refresh_token(text).ok_or_else(invalid)?;
    // The live API has been observed to respond to the token of another app as to a wrong secret.
    if token.subject.client_id != app.client_id {
        return Err(TokenError::invalid_client());
    }
    if token.revoked || token.expires_at <= now {
        return Err(invalid());
    }
    let resource = &token.subject.choice.resource;
    check_user_type(form, request.version, resource)?;
    if let Some(used) = &token.used {
        return if used.is_repeatable_at(now) {
            let (response, outcome) = (used.response.clone(), Outcome::Repeated);
            Ok(GrantResult { response, change: None, outcome, quirk: None })
        } else {
            Err(invalid())
        };
    }
    check_active(registry, resource)?;
    let response = request.tokens(&token.subject, registry, generated);
    let used = Used { at: now, response: response.clone() };
    let change =
        issue(token.subject.clone(), UsedCredential::RefreshToken(text.to_owned(), used), now, generated);
    Ok(GrantResult { response, change: Some(change), outcome: Outcome::Rotated, quirk: None })
}

/// Returns the change that issues new tokens.
pub(crate) fn issue(
    subject: Subject,
    used: UsedCredential,
    now: DateTime<Utc>,
    generated: &GeneratedTokens,
) -> IssuedTokens {
    let access_token =
        AccessToken { subject: subject.clone(), expires_at: now + TimeDelta::seconds(ACCESS_SECONDS) };
    let refresh_token = RefreshToken {
        id: generated.refresh_token_id.clone(),
        subject,
        expires_at: now + REFRESH_LIFETIME,
        used: None,
        revoked: false,
    };
    IssuedTokens {
        used,
        access_token: (generated.access_token.clone(), access_token),
        refresh_token: Some((generated.refresh_token.clone(), refresh_token)),
    }
}

fn check_user_type(form: &Form, version: OAuthVersion, resource: &TokenResource) -> Result<(), TokenError> {
    let Some(requested) = form.get("user_type") else { return Ok(()) };
    match version.user_type(requested) {
        requested if requested == resource.user_type() => Ok(()),
        requested @ ("Company" | "Location") => Err(TokenError::user_type_mismatch(requested, resource)),
        requested => Err(TokenError::invalid_request(format!(
            "Invalid request: `user_type` is `{requested}`, but must be Company or Location"
        ))),
    }
}

fn check_active(registry: &Registry, resource: &TokenResource) -> Result<(), TokenError> {
    if registry.is_active(resource) { Ok(()) } else { Err(TokenError::location_not_active()) }
}

#[cfg(test)]
#[path = "grant/tests.rs"]
mod tests;
