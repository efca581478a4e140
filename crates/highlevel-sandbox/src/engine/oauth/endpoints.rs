//! The requests of OAuth: reading them, doing what is decided, recording them without their secrets.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, PRAGMA, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::{Value, json};

use super::installs::note_install;
use crate::access::{Site, is_of_this_host};
use crate::api::{self, Call};
use crate::engine::state::Engine;
use crate::oauth::InstallEvents;
use crate::oauth::authorize::{self, Answer};
use crate::oauth::form::Form;
use crate::oauth::grant::{self, Decision};
use crate::oauth::page::{self, Page};
use crate::oauth::paths::{AUTHORIZE, LOCATION_TOKEN, TOKEN};
use crate::oauth::registry::Spent;
use crate::oauth::requests::Outcome;
use crate::oauth::{location_token, redact};
use crate::sync::lock;

/// What goes back.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    /// The body as the ledger may have it.
    pub(crate) recorded: String,
}

/// Returns `true` if a request has valid credentials: the id and the secret of an app, or a bearer token where the path
/// takes one. The page on which a location is chosen takes none.
pub(crate) fn is_authenticated(state: &Engine, call: Call<'_>, now: DateTime<Utc>) -> bool {
    let credentials = lock(&state.credentials);
    match (call.method, call.path()) {
        ("POST", TOKEN) => Form::of_body(content_type(call), call.body)
            .is_ok_and(|form| grant::client(&form, &credentials.oauth).is_ok()),
        ("POST", LOCATION_TOKEN) => api::authenticate(call.headers, &credentials, now).is_ok(),
        _ => false,
    }
}

/// Answers a request. `trace_id` is what the answer calls it.
pub(crate) fn answer(state: &Arc<Engine>, call: Call<'_>, now: DateTime<Utc>, trace_id: &str) -> Reply {
    let (path, query) = call.target.split_once('?').unwrap_or((call.target, ""));
    match (call.method, path) {
        ("GET", AUTHORIZE) => {
            let may_choose = match state.access.site(call.headers) {
                Site::Program => true,
                // An app under development on this machine sends its user here.
                _ => is_of_this_host(call.headers),
            };
            match Form::of_query(query) {
                Ok(query) => choose_location(state, &query, now, may_choose),
                Err(message) => {
                    let nonce = state.identifiers.object_id();
                    shown(StatusCode::BAD_REQUEST, page::wrong(&message, &nonce))
                }
            }
        }
        ("POST", AUTHORIZE) => chosen_location(state, call, now),
        ("POST", TOKEN) => token(state, call, now, trace_id),
        ("POST", LOCATION_TOKEN) => location_token(state, call, now, trace_id),
        (method, path) => plain(StatusCode::NOT_FOUND, &format!("Cannot {method} {path}")),
    }
}

/// The form of the page on which a location is chosen.
fn chosen_location(state: &Arc<Engine>, call: Call<'_>, now: DateTime<Utc>) -> Reply {
    let wrong =
        |message: &str| shown(StatusCode::BAD_REQUEST, page::wrong(message, &state.identifiers.object_id()));
    let form = match Form::of_body(content_type(call), call.body) {
        Ok(form) => form,
        Err(message) => return wrong(&message),
    };
    let is_own = form.get(page::TOKEN_FIELD).is_some_and(|token| state.access.is_choice_token(token));
    if !is_own || matches!(state.access.site(call.headers), Site::Other(_)) {
        return wrong("the form is not of this run of the sandbox; go back to the app and begin again");
    }
    let Some((name, value)) = page::choice_of(&form) else {
        return wrong("the form has no choice");
    };
    let (name, value) = (name.to_owned(), value.to_owned());
    let mut reply = choose_location(state, &form.with(&name, &value), now, true);
    if reply.status == StatusCode::FOUND {
        // The browser goes on with GET.
        reply.status = StatusCode::SEE_OTHER;
    }
    reply
}

fn choose_location(state: &Arc<Engine>, query: &Form, now: DateTime<Utc>, may_choose: bool) -> Reply {
    let text = state.identifiers.secret("code");
    let model = state.model();
    let mut credentials = state.credentials_mut();
    match authorize::decide(query, &credentials.oauth, &model, now, &text, may_choose) {
        Answer::Ask => {
            let (token, nonce) = (state.access.choice_token(), state.identifiers.object_id());
            shown(StatusCode::OK, page::choose(query, &model, AUTHORIZE, token, &nonce))
        }
        Answer::Wrong(words) => {
            shown(StatusCode::BAD_REQUEST, page::wrong(&words, &state.identifiers.object_id()))
        }
        Answer::Redirect { location, code } => {
            let Ok(location) = HeaderValue::from_str(&location) else {
                let page =
                    page::wrong("the redirect_uri cannot stand in a header", &state.identifiers.object_id());
                return shown(StatusCode::BAD_REQUEST, page);
            };
            let registry = &mut credentials.oauth;
            note_install(registry, &code.client_id, &code.choice, now, false);
            if registry.settings().install_events == InstallEvents::OnAuthorization
                && let Some(app) = registry.app(&code.client_id).cloned()
            {
                state.publish_install(registry, &app, &code.choice, now);
            }
            registry.put_code(text, code, now);
            let headers =
                headers([(LOCATION, location), (CACHE_CONTROL, HeaderValue::from_static("no-store"))]);
            Reply { status: StatusCode::FOUND, headers, body: String::new(), recorded: String::new() }
        }
    }
}

fn token(state: &Arc<Engine>, call: Call<'_>, now: DateTime<Utc>, trace_id: &str) -> Reply {
    let form = Form::of_body(content_type(call), call.body);
    let fresh = state.fresh_tokens(trace_id);
    let mut credentials = state.credentials_mut();
    let registry = &mut credentials.oauth;
    let Decision { answer, change, resource, outcome } = grant::decide(&form, registry, now, &fresh);
    registry.count(resource, outcome);
    if let Some(change) = change {
        let subject = change.access_token.1.subject.clone();
        let exchanged = matches!(change.spent, Spent::Code(_));
        registry.apply(change, now);
        if exchanged && let Some(app) = registry.app(&subject.client_id).cloned() {
            state.publish_install(registry, &app, &subject.choice, now);
        }
    }
    match answer {
        Ok(body) => tokens(&body),
        Err(refusal) => json_reply(refusal.status, &refusal.body(&fresh.trace_id)),
    }
}

fn location_token(state: &Arc<Engine>, call: Call<'_>, now: DateTime<Utc>, trace_id: &str) -> Reply {
    let form = Form::of_body(content_type(call), call.body);
    let fresh = state.fresh_tokens(trace_id);
    let mut credentials = state.credentials_mut();
    let caller = api::authenticate(call.headers, &credentials, now);
    let versions = state.spec.allowed_values("ApiVersion");
    let checked = caller.and_then(|_| api::check_version(call.headers, &versions));
    if let Err(refusal) = checked {
        credentials.oauth.count(None, Outcome::LocationTokenRefused);
        let answer = refusal.answer(&fresh.trace_id);
        return json_reply(answer.status, &answer.body);
    }
    let bearer =
        call.headers.get(AUTHORIZATION).and_then(|header| crate::headers::bearer(header.to_str().ok()?));
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
        Err(_) => form
            .as_ref()
            .ok()
            .and_then(|form| form.get("locationId"))
            .map(crate::oauth::TokenResource::location),
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
