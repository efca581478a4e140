//! The OAuth endpoints: they parse a request, apply the decision of a pure function, and build the reply.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, PRAGMA, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::{Value, json};

use super::installs::record_install;
use crate::access::{Site, is_of_this_host};
use crate::api::{self, Call};
use crate::engine::requests::add_note;
use crate::engine::state::Engine;
use crate::oauth::authorize::{self, AuthorizeResponse};
use crate::oauth::form::Form;
use crate::oauth::grant::{self, GrantDecision};
use crate::oauth::page::{self, Page};
use crate::oauth::registry::UsedCredential;
use crate::oauth::requests::Outcome;
use crate::oauth::{Endpoint, InstallEvents};
use crate::oauth::{location_token, redact};
use crate::sync::lock;
use crate::unserved;

/// The response to an OAuth request.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    /// The body with secrets redacted, for the ledger.
    pub(crate) recorded: String,
}

/// Returns `true` if a request has valid credentials: the client ID and secret of an app, or a bearer token, depending on
/// the path. Always `false` for the authorization page, which has no credentials.
pub(crate) fn is_authenticated(
    state: &Engine,
    endpoint: Endpoint,
    call: Call<'_>,
    now: DateTime<Utc>,
) -> bool {
    let credentials = lock(&state.credentials);
    match (call.method, endpoint) {
        ("POST", Endpoint::Token) => Form::parse_body(content_type(call), call.body)
            .is_ok_and(|form| grant::client(&form, &credentials.oauth).is_ok()),
        ("POST", Endpoint::LocationToken) => api::authenticate(call.headers, &credentials, now).is_ok(),
        _ => false,
    }
}

/// Handles a request. `trace_id` appears in error responses.
pub(crate) fn reply(
    state: &Arc<Engine>,
    endpoint: Endpoint,
    call: Call<'_>,
    now: DateTime<Utc>,
    trace_id: &str,
) -> Reply {
    let (path, query) = call.target.split_once('?').unwrap_or((call.target, ""));
    match (call.method, endpoint) {
        ("GET", Endpoint::Authorize) => {
            let may_choose = match state.access.site(call.headers) {
                Site::Program => true,
                // An app under development on this machine redirects its user to this page.
                _ => is_of_this_host(call.headers),
            };
            match Form::parse_query(query) {
                Ok(query) => authorize(state, path, &query, now, may_choose),
                Err(message) => {
                    let nonce = state.identifiers.object_id();
                    html_reply(StatusCode::BAD_REQUEST, page::error(&message, &nonce))
                }
            }
        }
        ("POST", Endpoint::Authorize) => submit_choice(state, call, now),
        ("POST", Endpoint::Token) => token(state, call, now, trace_id),
        ("POST", Endpoint::LocationToken) => location_token(state, call, now, trace_id),
        (_, Endpoint::Reconnect) => error_reply(StatusCode::BAD_REQUEST, "API endpoint has been removed"),
        (method, _) => {
            let note = unserved::note(method, path);
            state.report_unserved(method, path, &note);
            let mut reply = error_reply(StatusCode::NOT_FOUND, &format!("Cannot {method} {path}"));
            add_note(&mut reply.headers, &note);
            reply
        }
    }
}

/// Handles the submitted form of the authorization page.
fn submit_choice(state: &Arc<Engine>, call: Call<'_>, now: DateTime<Utc>) -> Reply {
    let wrong = |message: &str| {
        html_reply(StatusCode::BAD_REQUEST, page::error(message, &state.identifiers.object_id()))
    };
    let form = match Form::parse_body(content_type(call), call.body) {
        Ok(form) => form,
        Err(message) => return wrong(&message),
    };
    let is_own = form.get(page::TOKEN_FIELD).is_some_and(|token| state.access.is_choice_token(token));
    if !is_own || matches!(state.access.site(call.headers), Site::Other(_)) {
        return wrong(
            "the form was not issued by this run of the sandbox; restart the authorization in the app",
        );
    }
    let Some((name, value)) = page::choice_of(&form) else {
        return wrong("the form has no field `choice`; open the authorization page again");
    };
    let (name, value) = (name.to_owned(), value.to_owned());
    let mut reply = authorize(state, call.path(), &form.with(&name, &value), now, true);
    if reply.status == StatusCode::FOUND {
        // The browser follows this redirect with GET.
        reply.status = StatusCode::SEE_OTHER;
    }
    reply
}

/// Shows the authorization page, or redirects to the app with a code.
fn authorize(state: &Arc<Engine>, path: &str, query: &Form, now: DateTime<Utc>, may_choose: bool) -> Reply {
    let text = state.identifiers.secret("code");
    let model = state.model();
    let mut credentials = state.credentials_mut();
    match authorize::decide(query, &credentials.oauth, &model, now, &text, may_choose) {
        AuthorizeResponse::ShowPage => {
            let (token, nonce) = (state.access.choice_token(), state.identifiers.object_id());
            html_reply(StatusCode::OK, page::choose(query, &model, path, token, &nonce))
        }
        AuthorizeResponse::Error(message) => {
            html_reply(StatusCode::BAD_REQUEST, page::error(&message, &state.identifiers.object_id()))
        }
        AuthorizeResponse::Redirect { location, code } => {
            let Ok(location) = HeaderValue::from_str(&location) else {
                let page = page::error(
                    "the redirect_uri is not a valid header value",
                    &state.identifiers.object_id(),
                );
                return html_reply(StatusCode::BAD_REQUEST, page);
            };
            let registry = &mut credentials.oauth;
            record_install(registry, &code.client_id, &code.choice, now, false);
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
    let form = Form::parse_body(content_type(call), call.body);
    let generated = state.generate_tokens(trace_id);
    let mut credentials = state.credentials_mut();
    let registry = &mut credentials.oauth;
    let GrantDecision { response, change, resource, outcome } =
        grant::decide(&form, registry, now, &generated);
    registry.count(resource, outcome);
    if let Some(change) = change {
        let subject = change.access_token.1.subject.clone();
        let exchanged = matches!(change.used, UsedCredential::Code(_));
        registry.apply(change, now);
        if exchanged && let Some(app) = registry.app(&subject.client_id).cloned() {
            state.publish_install(registry, &app, &subject.choice, now);
        }
    }
    match response {
        Ok(body) => tokens(&body),
        Err(error) => json_reply(error.status, &error.body(&generated.trace_id)),
    }
}

fn location_token(state: &Arc<Engine>, call: Call<'_>, now: DateTime<Utc>, trace_id: &str) -> Reply {
    let form = Form::parse_body(content_type(call), call.body);
    let generated = state.generate_tokens(trace_id);
    let mut credentials = state.credentials_mut();
    let caller = api::authenticate(call.headers, &credentials, now);
    let versions = state.spec.allowed_values("ApiVersion");
    let checked = caller.and_then(|_| api::check_version(call.headers, &versions));
    if let Err(error) = checked {
        credentials.oauth.count(None, Outcome::LocationTokenRefused);
        let response = error.into_response(&generated.trace_id);
        return json_reply(response.status, &response.body);
    }
    let bearer =
        call.headers.get(AUTHORIZATION).and_then(|header| crate::headers::bearer(header.to_str().ok()?));
    let registry = &mut credentials.oauth;
    let subject = bearer.and_then(|token| registry.access_token(token)).map(|token| token.subject.clone());
    let decision = match &subject {
        Some(subject) => location_token::decide(&form, subject, registry, now, &generated),
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
        Err((status, message)) => {
            registry.count(resource, Outcome::LocationTokenRefused);
            let body = json!({
                "statusCode": status.as_u16(),
                "message": message,
                "error": status.canonical_reason(),
                "traceId": generated.trace_id,
            });
            json_reply(status, &body)
        }
    }
}

fn content_type(call: Call<'_>) -> Option<&str> {
    call.headers.get(CONTENT_TYPE)?.to_str().ok()
}

/// Returns a token response. Intermediaries must not cache it (RFC 6749, section 5.1).
fn tokens(body: &Value) -> Reply {
    let mut reply = json_reply(StatusCode::OK, body);
    reply.headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    reply
}

/// Returns an error response in the format of the API.
pub(crate) fn error_reply(status: StatusCode, message: &str) -> Reply {
    let body =
        json!({ "statusCode": status.as_u16(), "message": message, "error": status.canonical_reason() });
    json_reply(status, &body)
}

fn json_reply(status: StatusCode, body: &Value) -> Reply {
    let headers = headers([
        (CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ]);
    Reply { status, headers, body: body.to_string(), recorded: redact::response(body).to_string() }
}

fn html_reply(status: StatusCode, page: Page) -> Reply {
    let policy = HeaderValue::from_str(&page.policy);
    let headers = headers([
        (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        // Falls back to a policy that forbids everything if the page's policy is not a valid header value.
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
