//! The inspector, a web page at `/_sandbox/ui`: conversations, requests, webhooks and settings, updated live.
//!
//! Every URL is a complete page rendered on the server. A script follows the event stream and morphs the new page into
//! the current one, so that a reload never shows anything else. Actions are forms; they call the same functions as the
//! admin API. Untrusted content is rendered by templates that escape it.

mod asset_route;
mod assets;
mod controls;
mod conversations;
mod deliveries;
mod filter;
mod format;
mod json;
mod live;
mod page;
mod pages;
mod requests;
mod response;
mod route;
mod sign_in;

use std::sync::Arc;

use http::header::{ACCEPT, ALLOW};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};

use crate::access::INSPECTOR_PATH as PATH;
use crate::api_error::ApiError;
use crate::engine::Engine;
use crate::traffic::Body;
use response::PageResponse;
pub(crate) use route::PageRequest;
use route::{Route, matching};

/// Returns `true` if the base URL was opened in a browser. The API has no such path, and API clients do not request
/// HTML.
pub(crate) fn is_for_a_person(method: &Method, path: &str, headers: &HeaderMap) -> bool {
    let accepted = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    *method == Method::GET && path == "/" && accepted.contains("text/html")
}

/// Redirects to the inspector.
pub(crate) fn welcome(state: &Arc<Engine>) -> Response<Body> {
    PageResponse::See(PATH.to_owned()).into_response(state)
}

/// Handles a request.
pub(crate) fn respond(
    state: &Arc<Engine>,
    method: &Method,
    mut page_request: PageRequest<'_>,
) -> Response<Body> {
    let path = page_request.target.split('?').next().unwrap_or_default();
    let there = matching(routes(), path);
    let mut allowed: Vec<&str> = there.iter().map(|(route, _)| route.method.as_str()).collect();
    if allowed.contains(&"GET") {
        allowed.push("HEAD");
    }
    allowed.sort_unstable();
    allowed.dedup();
    let allowed = allowed.join(", ");
    // HEAD is handled as GET; the body is not sent.
    let wanted = if *method == Method::HEAD { &Method::GET } else { method };
    let response = match there.into_iter().find(|(route, _)| route.method == *wanted) {
        Some((route, parameters)) => {
            page_request.parameters = parameters;
            (route.handler)(state, &page_request)
        }
        None if allowed.is_empty() => PageResponse::problem(StatusCode::NOT_FOUND, "page not found"),
        None => PageResponse::problem(
            StatusCode::METHOD_NOT_ALLOWED,
            format!("{method} is not allowed for {path}; allowed: {allowed}"),
        ),
    };
    let mut response = response.into_response(state);
    if response.status() == StatusCode::METHOD_NOT_ALLOWED
        && let Ok(allowed) = HeaderValue::try_from(allowed)
    {
        response.headers_mut().insert(ALLOW, allowed);
    }
    response
}

/// Responds to a request that is not authorised.
pub(crate) fn refused(
    state: &Arc<Engine>,
    method: &Method,
    page_request: &PageRequest<'_>,
    problem: ApiError,
) -> Response<Body> {
    let path = page_request.target.split('?').next().unwrap_or_default();
    // The sign-in page needs its assets.
    if problem.status == StatusCode::UNAUTHORIZED && !matching(asset_route::ROUTES, path).is_empty() {
        return respond(
            state,
            method,
            PageRequest::new(page_request.target, page_request.headers, page_request.body),
        );
    }
    let mut response = sign_in::refused(state, method, page_request, problem).into_response(state);
    // Makes the script reload the page, which shows the sign-in form.
    if response.status() == StatusCode::UNAUTHORIZED && page_request.headers.contains_key("hx-request") {
        response.headers_mut().insert("hx-refresh", HeaderValue::from_static("true"));
    }
    response
}

fn routes() -> impl Iterator<Item = &'static Route> {
    pages::routes().chain([asset_route::ROUTES, live::ROUTES, sign_in::ROUTES].into_iter().flatten())
}
