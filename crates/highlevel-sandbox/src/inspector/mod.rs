//! The inspector, a web page at `/_sandbox/ui`: conversations, contacts, requests, webhooks and settings, updated live.
//!
//! Every URL is a complete page rendered on the server. A script follows the event stream and morphs the new page into
//! the current one, so that a reload never shows anything else. Actions are forms; they call the same functions as the
//! admin API. Untrusted content is rendered by templates that escape it.

mod appearance;
mod asset_route;
mod assets;
mod connect;
mod contacts;
mod controls;
mod conversations;
mod deliveries;
mod filter;
mod format;
mod highlight;
mod json;
mod live;
mod messages;
mod page;
mod pages;
mod requests;
mod response;
mod route;
mod sign_in;
mod theme;

use std::sync::Arc;

use axum::response::IntoResponse;
use http::header::{ACCEPT, ALLOW};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};

use crate::access::INSPECTOR_PATH as PATH;
use crate::api_error::ApiError;
use crate::engine::Engine;
use crate::routing;
use crate::traffic::Body;
use response::PageResponse;
use route::Route;
pub(crate) use route::{PageRequest, addresses};
use theme::Theme;

/// The route of a request.
pub(crate) type Matched = routing::Matched<route::PageHandler>;
/// The routes of a path.
pub(crate) type Routes = routing::Routes<route::PageHandler>;

/// Returns `true` if the base URL was opened in a browser. API clients do not request HTML.
pub(crate) fn is_for_a_person(method: &Method, headers: &HeaderMap) -> bool {
    let accepted = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    *method == Method::GET && accepted.contains("text/html")
}

/// Redirects to the inspector.
pub(crate) fn welcome(state: &Arc<Engine>) -> Response<Body> {
    PageResponse::See(PATH.to_owned()).into_response(state, Theme::default())
}

/// Handles a request.
pub(crate) fn respond(state: &Arc<Engine>, matched: &Matched, page_request: &PageRequest) -> Response<Body> {
    let theme = Theme::of(&page_request.headers);
    match matched {
        Matched::Route(route) => (route.handler)(state, page_request).into_response(state, theme),
        Matched::OtherMethod(allowed) => {
            let (method, path) = (&page_request.method, page_request.path());
            let message = format!("{method} is not allowed for {path}; allowed: {allowed}");
            let page = PageResponse::problem(StatusCode::METHOD_NOT_ALLOWED, message);
            ([(ALLOW, allowed.as_str())], page.into_response(state, theme)).into_response()
        }
        Matched::Unknown => {
            PageResponse::problem(StatusCode::NOT_FOUND, "page not found").into_response(state, theme)
        }
    }
}

/// Returns `true` if a request that is not authorised gets its response nevertheless, because the sign-in page needs it.
pub(crate) fn is_needed_to_sign_in(matched: &Matched, problem: &ApiError) -> bool {
    let is_asset = matches!(matched, Matched::Route(route) if asset_route::is_asset(route));
    is_asset && problem.status == StatusCode::UNAUTHORIZED
}

/// Responds to a request that is not authorised.
pub(crate) fn refused(state: &Arc<Engine>, page_request: &PageRequest, problem: ApiError) -> Response<Body> {
    let theme = Theme::of(&page_request.headers);
    let mut response = sign_in::refused(state, page_request, problem).into_response(state, theme);
    // Makes the script reload the page, which shows the sign-in form.
    if response.status() == StatusCode::UNAUTHORIZED && page_request.headers.contains_key("hx-request") {
        response.headers_mut().insert("hx-refresh", HeaderValue::from_static("true"));
    }
    response
}

/// Returns all routes.
pub(crate) fn routes() -> impl Iterator<Item = &'static Route> {
    pages::routes()
        .chain([appearance::ROUTES, asset_route::ROUTES, live::ROUTES, sign_in::ROUTES].into_iter().flatten())
}
