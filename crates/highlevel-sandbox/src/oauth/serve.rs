//! The requests of OAuth: reading them, doing what is decided, recording them without their secrets.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, PRAGMA, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::{Value, json};

use super::authorize::{self, Answer};
use super::form::Form;
use super::grant::{self, Decision};
use super::install::{announce_install, fresh, note_install};
use super::page::{self, Page};
use super::registry::Spent;
use super::requests::Outcome;
use super::settings::InstallEvents;
use super::{location_token, redact};
use crate::api::{self, Call};
use crate::identifiers;
use crate::server::State;

const AUTHORIZE: &str = "/v2/oauth/chooselocation";
const TOKEN: &str = "/oauth/token";
const LOCATION_TOKEN: &str = "/oauth/locationToken";

/// What goes back.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    /// The body as the ledger may have it.
    pub(crate) recorded: String,
}

/// Whether a path is one of OAuth's.
pub(crate) fn serves(path: &str) -> bool {
    path.starts_with("/oauth/") || path.starts_with("/v2/oauth/")
}

/// Answers a request. `trace_id` is what the answer calls it.
pub(crate) fn answer(state: &Arc<State>, call: Call<'_>, now: DateTime<Utc>, trace_id: &str) -> Reply {
    let (path, query) = call.target.split_once('?').unwrap_or((call.target, ""));
    match (call.method, path) {
        ("GET", AUTHORIZE) => choose_location(state, query, now),
        ("POST", TOKEN) => token(state, call, now, trace_id),
        ("POST", LOCATION_TOKEN) => location_token(state, call, now, trace_id),
        (method, path) => plain(StatusCode::NOT_FOUND, &format!("Cannot {method} {path}")),
    }
}

fn choose_location(state: &Arc<State>, query: &str, now: DateTime<Utc>) -> Reply {
    let query = Form::of_query(query);
    let text = identifiers::secret("code");
    let world = state.world();
    let mut credentials = state.credentials_mut();
    match authorize::decide(&query, &credentials.oauth, &world, now, &text) {
        Answer::Ask => {
            shown(StatusCode::OK, page::choose(&query, &world, AUTHORIZE, &identifiers::object_id()))
        }
        Answer::Wrong(words) => {
            shown(StatusCode::BAD_REQUEST, page::wrong(&words, &identifiers::object_id()))
        }
        Answer::Redirect { location, code } => {
            let Ok(location) = HeaderValue::from_str(&location) else {
                let page =
                    page::wrong("the redirect_uri cannot stand in a header", &identifiers::object_id());
                return shown(StatusCode::BAD_REQUEST, page);
            };
            let registry = &mut credentials.oauth;
            note_install(registry, &code.client_id, &code.choice, now, false);
            if registry.settings.install_events == InstallEvents::OnAuthorization
                && let Some(app) = registry.app(&code.client_id).cloned()
            {
                announce_install(state, registry, &app, &code.choice, now);
            }
            registry.put_code(text, code, now);
            let headers =
                headers([(LOCATION, location), (CACHE_CONTROL, HeaderValue::from_static("no-store"))]);
            Reply { status: StatusCode::FOUND, headers, body: String::new(), recorded: String::new() }
        }
    }
}

fn token(state: &Arc<State>, call: Call<'_>, now: DateTime<Utc>, trace_id: &str) -> Reply {
    let form = Form::of_body(content_type(call), call.body);
    let fresh = fresh(trace_id);
    let mut credentials = state.credentials_mut();
    let registry = &mut credentials.oauth;
    let Decision { answer, change, resource, outcome } = grant::decide(&form, registry, now, &fresh);
    registry.count(resource, outcome);
    if let Some(change) = change {
        let subject = change.access_token.1.subject.clone();
        let exchanged = matches!(change.spent, Spent::Code(_));
        registry.apply(change, now);
        if exchanged && let Some(app) = registry.app(&subject.client_id).cloned() {
            announce_install(state, registry, &app, &subject.choice, now);
        }
    }
    match answer {
        Ok(body) => tokens(&body),
        Err(refusal) => json_reply(refusal.status, &refusal.body(&fresh.trace_id)),
    }
}

fn location_token(state: &Arc<State>, call: Call<'_>, now: DateTime<Utc>, trace_id: &str) -> Reply {
    let form = Form::of_body(content_type(call), call.body);
    let fresh = fresh(trace_id);
    let mut credentials = state.credentials_mut();
    let caller = api::authenticate(call.headers, &credentials, now);
    let versions = state.contract.allowed_values("ApiVersion");
    let checked = caller.and_then(|_| api::check_version(call.headers, &versions));
    if let Err(refusal) = checked {
        credentials.oauth.count(None, Outcome::LocationTokenRefused);
        let answer = refusal.answer(&fresh.trace_id);
        return json_reply(answer.status, &answer.body);
    }
    let bearer = call.headers.get(AUTHORIZATION).and_then(|header| api::bearer(header.to_str().ok()?));
    let registry = &mut credentials.oauth;
    let subject = bearer.and_then(|token| registry.access_token(token)).map(|token| token.subject.clone());
    let decision = match &subject {
        Some(subject) => location_token::decide(&form, subject, registry, now, &fresh),
        None => Err(location_token::unauthorized(
            "The token is not authorized for this scope: it is a private integration token, and a company's access \
             token is needed",
        )),
    };
    let resource = match &decision {
        Ok((_, change)) => Some(change.access_token.1.subject.choice.resource.clone()),
        Err(_) => form.as_ref().ok().and_then(|form| form.get("locationId")).map(super::Resource::location),
    };
    match decision {
        Ok((body, change)) => {
            registry.count(resource, Outcome::LocationToken);
            registry.apply(change, now);
            tokens(&body)
        }
        Err((status, words)) => {
            registry.count(resource, Outcome::LocationTokenRefused);
            let body = json!({
                "statusCode": status.as_u16(),
                "message": words,
                "error": status.canonical_reason(),
                "traceId": fresh.trace_id,
            });
            json_reply(status, &body)
        }
    }
}

fn content_type(call: Call<'_>) -> Option<&str> {
    call.headers.get(CONTENT_TYPE)?.to_str().ok()
}

/// Tokens. Nobody may keep them on the way (RFC 6749, section 5.1).
fn tokens(body: &Value) -> Reply {
    let mut reply = json_reply(StatusCode::OK, body);
    reply.headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    reply
}

/// An answer that says no, in the shape of the API.
pub(crate) fn plain(status: StatusCode, words: &str) -> Reply {
    let body = json!({ "statusCode": status.as_u16(), "message": words, "error": status.canonical_reason() });
    json_reply(status, &body)
}

fn json_reply(status: StatusCode, body: &Value) -> Reply {
    let headers = headers([
        (CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ]);
    Reply { status, headers, body: body.to_string(), recorded: redact::answer(body).to_string() }
}

fn shown(status: StatusCode, page: Page) -> Reply {
    let policy = HeaderValue::from_str(&page.policy);
    let headers = headers([
        (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        // A policy that cannot be said forbids everything.
        (CONTENT_SECURITY_POLICY, policy.unwrap_or(HeaderValue::from_static("default-src 'none'"))),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ]);
    Reply { status, headers, recorded: page.html.clone(), body: page.html }
}

fn headers<const N: usize>(headers: [(HeaderName, HeaderValue); N]) -> HeaderMap {
    headers.into_iter().collect()
}
