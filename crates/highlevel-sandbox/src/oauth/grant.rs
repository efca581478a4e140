//! `POST /oauth/token`: whether a code or a refresh token gives tokens, as a function of values.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::answer::{self, ACCESS_SECONDS, Fresh, Refusal};
use super::app::SandboxApp;
use super::form::Form;
use super::registry::{AccessToken, IssuedTokens, RefreshToken, Registry, Spent, Subject, Used};
use super::requests::Outcome;
use super::resource::TokenResource;

/// How long a refresh token lives.
const REFRESH_LIFE: TimeDelta = TimeDelta::days(365);

/// What to answer, and what is to change.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Decision {
    pub(crate) answer: Result<Value, Refusal>,
    pub(crate) change: Option<IssuedTokens>,
    /// What it was about, if anybody knows.
    pub(crate) resource: Option<TokenResource>,
    pub(crate) outcome: Outcome,
}

/// Decides on a request. Changes nothing.
pub(crate) fn decide(
    form: &Result<Form, String>,
    registry: &Registry,
    now: DateTime<Utc>,
    fresh: &Fresh,
) -> Decision {
    let token = form.as_ref().ok().and_then(|form| registry.refresh_token(form.get("refresh_token")?));
    let code = form.as_ref().ok().and_then(|form| registry.code(form.get("code")?));
    let resource = token
        .map(|token| &token.subject.choice)
        .or(code.map(|code| &code.choice))
        .map(|choice| choice.resource.clone());
    let refreshes = form.as_ref().is_ok_and(|form| form.get("grant_type") == Some("refresh_token"));
    let refused = if refreshes { Outcome::Refused } else { Outcome::CodeRefused };
    match grant(form, registry, now, fresh) {
        Ok((answer, change, outcome)) => Decision { answer: Ok(answer), change, resource, outcome },
        Err(refusal) => Decision { answer: Err(refusal), change: None, resource, outcome: refused },
    }
}

type Granted = (Value, Option<IssuedTokens>, Outcome);

fn grant(
    form: &Result<Form, String>,
    registry: &Registry,
    now: DateTime<Utc>,
    fresh: &Fresh,
) -> Result<Granted, Refusal> {
    let form = form.as_ref().map_err(Refusal::invalid_request)?;
    let grant_type = form.get("grant_type").ok_or_else(|| Refusal::missing("grant_type"))?;
    let app = client(form, registry)?;
    match grant_type {
        "authorization_code" => exchange(form, app, registry, now, fresh),
        "refresh_token" => refresh(form, app, registry, now, fresh),
        other => Err(Refusal::unsupported_grant_type(other)),
    }
}

/// The app that a form names, if the form has its secret.
pub(crate) fn client<'a>(form: &Form, registry: &'a Registry) -> Result<&'a SandboxApp, Refusal> {
    let id = form.get("client_id").ok_or_else(|| Refusal::missing("client_id"))?;
    let secret = form.get("client_secret").ok_or_else(|| Refusal::missing("client_secret"))?;
    registry.app(id).filter(|app| app.client_secret == secret).ok_or_else(Refusal::invalid_client)
}

fn exchange(
    form: &Form,
    app: &SandboxApp,
    registry: &Registry,
    now: DateTime<Utc>,
    fresh: &Fresh,
) -> Result<Granted, Refusal> {
    let text = form.get("code").ok_or_else(|| Refusal::missing("code"))?;
    let invalid = || Refusal::invalid_grant("authorization code is invalid");
    let code = registry.code(text).filter(|code| !code.used).ok_or_else(invalid)?;
    if code.client_id != app.client_id {
        return Err(invalid());
    }
    if code.expires_at <= now {
        return Err(Refusal::invalid_grant("authorization code has expired"));
    }
    // The documents call it optional, so only a wrong one is refused.
    if form.get("redirect_uri").is_some_and(|uri| uri != code.redirect_uri) {
        return Err(Refusal::invalid_request("Invalid request: `redirect_uri` is invalid"));
    }
    check_user_type(form, &code.choice.resource)?;
    check_active(registry, &code.choice.resource)?;
    let subject = Subject {
        client_id: app.client_id.clone(),
        choice: code.choice.clone(),
        scopes: code.scopes.clone(),
    };
    let answer = answer::tokens(&subject, fresh, registry.settings().camel_case);
    let change = issue(subject, Spent::Code(text.to_owned()), now, fresh);
    Ok((answer, Some(change), Outcome::CodeExchanged))
}

fn refresh(
    form: &Form,
    app: &SandboxApp,
    registry: &Registry,
    now: DateTime<Utc>,
    fresh: &Fresh,
) -> Result<Granted, Refusal> {
    let text = form.get("refresh_token").ok_or_else(|| Refusal::missing("refresh_token"))?;
    let invalid = || Refusal::invalid_grant("refresh token is invalid");
    let token = registry.refresh_token(text).ok_or_else(invalid)?;
    // Seen on the live API: the token of another app is taken for the wrong secret.
    if token.subject.client_id != app.client_id {
        return Err(Refusal::invalid_client());
    }
    if token.revoked || token.expires_at <= now {
        return Err(invalid());
    }
    let resource = &token.subject.choice.resource;
    check_user_type(form, resource)?;
    if let Some(used) = &token.used {
        return if used.is_repeated_at(now) {
            Ok((used.answer.clone(), None, Outcome::Repeated))
        } else {
            Err(invalid())
        };
    }
    check_active(registry, resource)?;
    let answer = answer::tokens(&token.subject, fresh, registry.settings().camel_case);
    let used = Used { at: now, answer: answer.clone() };
    let change = issue(token.subject.clone(), Spent::RefreshToken(text.to_owned(), used), now, fresh);
    Ok((answer, Some(change), Outcome::Rotated))
}

/// New tokens, by the names that they are told under.
pub(crate) fn issue(subject: Subject, spent: Spent, now: DateTime<Utc>, fresh: &Fresh) -> IssuedTokens {
    let access_token =
        AccessToken { subject: subject.clone(), expires_at: now + TimeDelta::seconds(ACCESS_SECONDS) };
    let refresh_token = RefreshToken {
        id: fresh.refresh_token_id.clone(),
        subject,
        expires_at: now + REFRESH_LIFE,
        used: None,
        revoked: false,
    };
    IssuedTokens {
        spent,
        access_token: (fresh.access_token.clone(), access_token),
        refresh_token: (fresh.refresh_token.clone(), refresh_token),
    }
}

fn check_user_type(form: &Form, resource: &TokenResource) -> Result<(), Refusal> {
    match form.get("user_type") {
        None => Ok(()),
        Some(asked) if asked == resource.user_type() => Ok(()),
        Some(asked @ ("Company" | "Location")) => Err(Refusal::other_user_type(asked, resource)),
        Some(asked) => Err(Refusal::invalid_request(format!(
            "Invalid request: `user_type` is `{asked}`, and has to be Company or Location"
        ))),
    }
}

fn check_active(registry: &Registry, resource: &TokenResource) -> Result<(), Refusal> {
    if registry.is_active(resource) { Ok(()) } else { Err(Refusal::location_not_active()) }
}

#[cfg(test)]
#[path = "grant/tests.rs"]
mod tests;
