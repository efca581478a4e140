//! The endpoints that require the token of a company.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use http::StatusCode;
use http::header::AUTHORIZATION;

use super::reply::{Reply, content_type, error_reply, json_reply, rejected, tokens};
use crate::api::{self, Call, ErrorResponse};
use crate::credentials::Credentials;
use crate::engine::state::Engine;
use crate::fidelity::Quirk;
use crate::oauth::form::Form;
use crate::oauth::location_token::Format;
use crate::oauth::paths::{INSTALLED_LOCATIONS, LOCATION_TOKEN};
use crate::oauth::registry::Subject;
use crate::oauth::requests::Outcome;
use crate::oauth::{OAuthVersion, Rejection, TokenResource, installed_locations, location_token};
use crate::spec::Spec;
use crate::sync::lock;

/// Exchanges the token of a company for a location token.
pub(crate) fn location_token(
    state: &Arc<Engine>,
    call: Call<'_>,
    now: DateTime<Utc>,
    trace_id: &str,
) -> Reply {
    if let Some(reply) = check_path(call) {
        return reply;
    }
    let version = OAuthVersion::of(call.headers);
    let form = Form::parse_token_request(content_type(call), call.body, version);
    let generated = state.generate_tokens(trace_id);
    let omits_refresh_token = lock(&state.settings).has(Quirk::LocationTokenWithoutRefresh);
    let mut credentials = state.credentials_mut();
    let caller = match caller(state, &credentials, call, now) {
        Ok(caller) => caller,
        Err(error) => {
            credentials.oauth.count(None, Outcome::LocationTokenRefused);
            return unauthenticated(error, trace_id);
        }
    };
    let registry = &mut credentials.oauth;
    let format = Format { version, omits_refresh_token };
    let decision =
        caller.and_then(|caller| location_token::decide(&form, format, &caller, registry, now, &generated));
    match decision {
        Ok((body, change)) => {
            let resource = change.access_token.1.subject.choice.resource.clone();
            registry.count(Some(resource), Outcome::LocationToken);
            registry.apply(change, now);
            tokens(&body).with_quirk(omits_refresh_token.then_some(Quirk::LocationTokenWithoutRefresh))
        }
        Err(rejection) => {
            let resource = form.as_ref().ok().and_then(|form| form.get("locationId"));
            registry.count(resource.map(TokenResource::location), Outcome::LocationTokenRefused);
            rejected(&rejection, trace_id)
        }
    }
}

/// Lists the locations of a company with the status of the app.
pub(crate) fn installed_locations(
    state: &Arc<Engine>,
    call: Call<'_>,
    now: DateTime<Utc>,
    trace_id: &str,
) -> Reply {
    if let Some(reply) = check_path(call) {
        return reply;
    }
    let version = OAuthVersion::of(call.headers);
    let query = call.target.split_once('?').map_or("", |(_, query)| query);
    let model = state.shared_model();
    let credentials = lock(&state.credentials);
    let caller = match caller(state, &credentials, call, now) {
        Ok(caller) => caller,
        Err(error) => return unauthenticated(error, trace_id),
    };
    let decision = caller.and_then(|caller| {
        let query =
            Form::parse_query(query).map_err(|message| Rejection::new(StatusCode::BAD_REQUEST, message))?;
        installed_locations::decide(&query, version, &caller, &credentials.oauth, &model, now, trace_id)
    });
    match decision {
        Ok(body) => json_reply(StatusCode::OK, &body),
        Err(rejection) => rejected(&rejection, trace_id),
    }
}

/// Returns the app and company of the token of a request.
///
/// # Errors
///
/// Returns an error if the token or the version is invalid.
fn caller(
    state: &Engine,
    credentials: &Credentials,
    call: Call<'_>,
    now: DateTime<Utc>,
) -> Result<Result<Subject, Rejection>, ErrorResponse> {
    let versions = Spec::embedded().allowed_values("ApiVersion");
    api::authenticate(call.headers, credentials, now)?;
    api::check_version(&lock(&state.settings), call.headers, &versions)?;
    let header = call.headers.get(AUTHORIZATION);
    let bearer = header.and_then(|header| crate::headers::bearer(header.to_str().ok()?));
    let token = bearer.and_then(|token| credentials.oauth.access_token(token));
    Ok(token.map(|token| token.subject.clone()).ok_or_else(|| {
        Rejection::unauthorized(
            "The token is not authorized for this scope: it is a private integration token, and a company's access \
             token is needed",
        )
    }))
}

fn unauthenticated(error: ErrorResponse, trace_id: &str) -> Reply {
    let response = error.into_response(trace_id);
    json_reply(response.status, &response.body)
}

/// Rejects a path that the version of a request does not have. Users of the live API report the text for `v3`; that for
/// other versions is a guess.
fn check_path(call: Call<'_>) -> Option<Reply> {
    let is_old = [LOCATION_TOKEN, INSTALLED_LOCATIONS].contains(&call.path());
    let version = call.headers.get("version")?.to_str().ok()?;
    let reason = match (OAuthVersion::of(call.headers), is_old) {
        (OAuthVersion::V3, true) => {
            "This endpoint was removed in version v3. Please use a version before v3."
        }
        (OAuthVersion::Dated, false) => "This endpoint was added in version v3. Please use version v3.",
        _ => return None,
    };
    let message = format!("Endpoint {} not available in API version {version}. {reason}", call.target);
    Some(error_reply(StatusCode::BAD_REQUEST, &message))
}
