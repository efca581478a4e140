//! The OAuth endpoints: they parse a request, apply the decision of a pure function, and build the reply.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use http::header::{CACHE_CONTROL, LOCATION};
use http::{HeaderValue, StatusCode};

use super::companies;
use super::installs::record_install;
use super::reply::{Reply, content_type, error_reply, headers, html_reply, json_reply, tokens};
use crate::access::{Site, is_of_this_host};
use crate::api::{self, Call};
use crate::engine::requests::add_note;
use crate::engine::state::Engine;
use crate::fidelity::Quirk;
use crate::oauth::authorize::{self, AuthorizeResponse, FUTURE_LOCATIONS, NO_VERSION_ID, Policy};
use crate::oauth::form::Form;
use crate::oauth::grant::{self, GrantDecision, TokenRequest};
use crate::oauth::page;
use crate::oauth::registry::UsedCredential;
use crate::oauth::{Endpoint, InstallEvents, OAuthVersion};
use crate::sync::lock;
use crate::unserved;

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
        ("POST", Endpoint::Token) => {
            Form::parse_token_request(content_type(call), call.body, OAuthVersion::of(call.headers))
                .is_ok_and(|form| grant::client(&form, &credentials.oauth).is_ok())
        }
        ("POST", Endpoint::LocationToken) | ("GET", Endpoint::InstalledLocations) => {
            api::authenticate(call.headers, &credentials, now).is_ok()
        }
        _ => false,
    }
}

/// Handles a request. `trace_id` appears in error responses.
pub(crate) fn respond(
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
        ("POST", Endpoint::LocationToken) => companies::location_token(state, call, now, trace_id),
        ("GET", Endpoint::InstalledLocations) => companies::installed_locations(state, call, now, trace_id),
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
    // A browser omits the checkbox if it is not checked.
    let form = match form.get(FUTURE_LOCATIONS) {
        Some(_) => form,
        None => form.with(FUTURE_LOCATIONS, "false"),
    };
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
    let requires_version_id = lock(&state.settings).has(Quirk::VersionIdRequired);
    let policy = Policy { may_choose, requires_version_id };
    let model = state.model();
    let mut credentials = state.credentials_mut();
    match authorize::decide(query, &credentials.oauth, &model, now, &text, policy) {
        AuthorizeResponse::ShowPage => {
            let (token, nonce) = (state.access.choice_token(), state.identifiers.object_id());
            let future_locations =
                authorize::includes_future_locations(query, &credentials.oauth).unwrap_or_default();
            let page = page::choose(query, &model, path, (token, &nonce), future_locations);
            html_reply(StatusCode::OK, page)
        }
        AuthorizeResponse::Error(message) => {
            let quirk = (message == NO_VERSION_ID).then_some(Quirk::VersionIdRequired);
            let page = page::error(&message, &state.identifiers.object_id());
            html_reply(StatusCode::BAD_REQUEST, page).with_quirk(quirk)
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
            Reply {
                status: StatusCode::FOUND,
                headers,
                body: String::new(),
                recorded: String::new(),
                quirk: None,
            }
        }
    }
}

fn token(state: &Arc<Engine>, call: Call<'_>, now: DateTime<Utc>, trace_id: &str) -> Reply {
    let version = OAuthVersion::of(call.headers);
    let form = Form::parse_token_request(content_type(call), call.body, version);
    let generated = state.generate_tokens(trace_id);
    let settings = lock(&state.settings).clone();
    let mut credentials = state.credentials_mut();
    let registry = &mut credentials.oauth;
    let code = form.as_ref().ok().and_then(|form| registry.code(form.get("code")?));
    let installed = code.map(|code| code.choice.clone());
    let request = TokenRequest { form: &form, version, settings: &settings };
    let GrantDecision { response, change, resource, outcome, quirk } =
        grant::decide(request, registry, now, &generated);
    registry.count(resource, outcome);
    if let Some(change) = change {
        let client_id = change.access_token.1.subject.client_id.clone();
        let exchanged = matches!(change.used, UsedCredential::Code(_));
        registry.apply(change, now);
        if exchanged
            && let Some(choice) = installed
            && let Some(app) = registry.app(&client_id).cloned()
        {
            state.publish_install(registry, &app, &choice, now);
        }
    }
    match response {
        Ok(body) => tokens(&body),
        Err(error) => json_reply(error.status, &error.body(&generated.trace_id, version)),
    }
    .with_quirk(quirk)
}
