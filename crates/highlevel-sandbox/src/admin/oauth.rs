//! Apps, installs and tokens.

use std::io;
use std::sync::Arc;

use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::response::{AdminBody, Output};
use super::route::{Input, Route};
use crate::api_error::ApiError;
use crate::engine::Engine;
use crate::oauth::{Registry, SandboxApp, Settings, TokenResource};
use crate::sync::lock;

pub(super) const ROUTES: &[Route] = &[
    Route { method: Method::GET, path: "oauth/apps", handler: |state, _| Ok(apps(state)) },
    Route { method: Method::POST, path: "oauth/apps", handler: add_app },
    Route { method: Method::GET, path: "oauth/settings", handler: |state, _| Ok(settings(state)) },
    Route { method: Method::PUT, path: "oauth/settings", handler: change },
    Route { method: Method::GET, path: "oauth/installs", handler: |state, _| Ok(installs(state)) },
    Route { method: Method::POST, path: "oauth/installs", handler: install },
    Route { method: Method::POST, path: "oauth/uninstall", handler: uninstall },
    Route { method: Method::GET, path: "oauth/tokens", handler: |state, _| Ok(tokens(state)) },
    Route { method: Method::POST, path: "oauth/tokens", handler: issue_tokens },
    Route { method: Method::POST, path: "oauth/revoke", handler: revoke },
    Route { method: Method::POST, path: "oauth/expire", handler: expire },
    Route { method: Method::GET, path: "oauth/requests", handler: |state, _| Ok(requests(state)) },
];

/// An install of an app on a location or company.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Place {
    /// Defaults to the default app.
    client_id: Option<String>,
    location_id: Option<String>,
    company_id: Option<String>,
    /// For a company, the locations that the app may access. Defaults to all.
    #[serde(default)]
    locations: Vec<String>,
    /// For a company, installs the app on the locations that are created later. Defaults to the setting.
    install_to_future_locations: Option<bool>,
}

/// The uninstallation of an app from a location or company.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Uninstallation {
    /// Defaults to the default app.
    client_id: Option<String>,
    location_id: Option<String>,
    company_id: Option<String>,
    /// The reason in the event.
    reason: Option<String>,
}

/// The tokens to issue.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wanted {
    client_id: Option<String>,
    location_id: Option<String>,
    company_id: Option<String>,
    scopes: Vec<String>,
}

/// Selects a token, or all tokens of a location or company.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Meant {
    token: Option<String>,
    location_id: Option<String>,
    company_id: Option<String>,
}

fn apps(state: &Engine) -> Output {
    read(state, |registry| json!({ "apps": registry.apps() }))
}

fn add_app(state: &Arc<Engine>, input: &Input<'_>) -> Result<Output, ApiError> {
    let app = state.put_app(input.json::<SandboxApp>()?).map_err(|error| problem(&error))?;
    Ok(Output { status: StatusCode::CREATED, content: AdminBody::Json(json!(app)) })
}

fn settings(state: &Engine) -> Output {
    read(state, |registry| json!(registry.settings()))
}

fn change(state: &Arc<Engine>, input: &Input<'_>) -> Result<Output, ApiError> {
    *state.credentials_mut().oauth.settings_mut() = input.json::<Settings>()?;
    Ok(settings(state))
}

fn installs(state: &Engine) -> Output {
    read(state, |registry| {
        let each = registry.installs().map(|install| {
            json!({
                "clientId": install.client_id,
                "resource": install.choice.resource,
                "companyId": install.choice.company_id,
                "locations": install.choice.locations,
                "installedAt": install.installed_at,
                "installToFutureLocations": install.choice.install_to_future_locations,
            })
        });
        json!({ "installs": each.collect::<Vec<Value>>() })
    })
}

fn install(state: &Arc<Engine>, input: &Input<'_>) -> Result<Output, ApiError> {
    let Place { client_id, location_id, company_id, locations, install_to_future_locations } =
        input.json()?;
    let resource = resource(location_id, company_id)?;
    state
        .install_app(client_id.as_deref(), &resource, locations, install_to_future_locations)
        .map_err(|error| problem(&error))?;
    Ok(Output::no_content())
}

fn uninstall(state: &Arc<Engine>, input: &Input<'_>) -> Result<Output, ApiError> {
    let Uninstallation { client_id, location_id, company_id, reason } = input.json()?;
    state
        .uninstall_app(client_id.as_deref(), &resource(location_id, company_id)?, reason.as_deref())
        .map_err(|error| problem(&error))?;
    Ok(Output::no_content())
}

/// Lists the refresh tokens without their values.
fn tokens(state: &Engine) -> Output {
    read(state, |registry| {
        let each = registry.refresh_tokens().map(|token| {
            json!({
                "refreshTokenId": token.id,
                "clientId": token.subject.client_id,
                "resource": token.subject.choice.resource,
                "scopes": token.subject.scopes,
                "expiresAt": token.expires_at,
                "usedAt": token.used.as_ref().map(|used| used.at),
                "revoked": token.revoked,
            })
        });
        json!({ "refreshTokens": each.collect::<Vec<Value>>() })
    })
}

fn issue_tokens(state: &Arc<Engine>, input: &Input<'_>) -> Result<Output, ApiError> {
    let Wanted { client_id, location_id, company_id, scopes } = input.json()?;
    let resource = resource(location_id, company_id)?;
    let response =
        state.issue_tokens(client_id.as_deref(), &resource, &scopes).map_err(|error| problem(&error))?;
    Ok(Output { status: StatusCode::CREATED, content: AdminBody::Json(response) })
}

fn revoke(state: &Arc<Engine>, input: &Input<'_>) -> Result<Output, ApiError> {
    let meant = input.json::<Meant>()?;
    let change = |registry: &mut Registry, token: &str| registry.revoke(token);
    act(state, meant, change, Registry::revoke_all)
}

fn expire(state: &Arc<Engine>, input: &Input<'_>) -> Result<Output, ApiError> {
    let now = state.clock.now();
    let meant = input.json::<Meant>()?;
    let one = |registry: &mut Registry, token: &str| registry.expire_token(token, now);
    act(state, meant, one, |registry, resource| registry.expire(resource, now))
}

/// Applies an action to one token, or to all tokens of a location or company, and returns their number.
fn act(
    state: &Engine,
    meant: Meant,
    one: impl FnOnce(&mut Registry, &str) -> bool,
    all: impl FnOnce(&mut Registry, &TokenResource) -> usize,
) -> Result<Output, ApiError> {
    let mut credentials = state.credentials_mut();
    let count = match meant {
        Meant { token: Some(token), location_id: None, company_id: None } => {
            usize::from(one(&mut credentials.oauth, &token))
        }
        Meant { token: None, location_id, company_id } => {
            all(&mut credentials.oauth, &resource(location_id, company_id)?)
        }
        Meant { .. } => {
            return Err(ApiError::bad_request("name a token, or a location or company, and not both"));
        }
    };
    Ok(Output::ok(json!({ "tokens": count })))
}

fn requests(state: &Engine) -> Output {
    read(state, |registry| json!({ "requests": registry.requests() }))
}

fn read(state: &Engine, show: impl FnOnce(&Registry) -> Value) -> Output {
    Output::ok(show(&lock(&state.credentials).oauth))
}

fn resource(location_id: Option<String>, company_id: Option<String>) -> Result<TokenResource, ApiError> {
    match (location_id, company_id) {
        (Some(location), None) => Ok(TokenResource::Location(location)),
        (None, Some(company)) => Ok(TokenResource::Company(company)),
        _ => Err(ApiError::bad_request("name either a locationId or a companyId")),
    }
}

fn problem(error: &io::Error) -> ApiError {
    match error.kind() {
        io::ErrorKind::NotFound => ApiError::not_found(error.to_string()),
        io::ErrorKind::QuotaExceeded => ApiError::capacity_exceeded(error.to_string()),
        _ => ApiError::bad_request(error.to_string()),
    }
}
