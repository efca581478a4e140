//! The installation of the app, which gives the bridge its tokens.

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{AppendHeaders, IntoResponse, Redirect};
use axum::routing::get;
use highlevel::auth::{App, CsrfState, Scope};

type Failure = (StatusCode, String);

/// The last two are for reading back.
const SCOPES: [Scope; 4] = [
    Scope::CONTACTS_WRITE,
    Scope::CONVERSATIONS_MESSAGE_WRITE,
    Scope::CONVERSATIONS_READONLY,
    Scope::CONVERSATIONS_MESSAGE_READONLY,
];

/// Returns the routes: the owner of the location opens `/install`, and HighLevel redirects to `/installed`.
pub(crate) fn router(app: App) -> Router {
    Router::new().route("/install", get(install)).route("/installed", get(installed)).with_state(app)
}

async fn install(State(app): State<App>) -> Result<impl IntoResponse, Failure> {
    let state = CsrfState::random().map_err(failure)?;
    let url = app.authorize_url().scopes(SCOPES).state(state.as_str()).build().map_err(failure)?;
    let cookie = format!("state={}; HttpOnly; SameSite=Lax; Path=/; Max-Age=3600", state.as_str());
    Ok((AppendHeaders([(SET_COOKIE, cookie)]), Redirect::to(&url)))
}

async fn installed(
    State(app): State<App>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<String, Failure> {
    let query = query.unwrap_or_default();
    let parameter = |name: &str| {
        let found = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name);
        found.map(|(_, value)| value.into_owned()).unwrap_or_default()
    };
    let cookies = headers.get(COOKIE).and_then(|cookies| cookies.to_str().ok()).unwrap_or_default();
    let stored = cookies.split(';').find_map(|cookie| cookie.trim().strip_prefix("state="));
    if !stored.is_some_and(|stored| CsrfState::from_text(stored).matches(&parameter("state"))) {
        return Err((StatusCode::FORBIDDEN, "this installation was not started in this browser".to_owned()));
    }
    app.exchange(parameter("code")).await.map_err(failure)?;
    Ok("The bridge is installed.".to_owned())
}

fn failure(error: impl std::fmt::Display) -> Failure {
    (StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}
