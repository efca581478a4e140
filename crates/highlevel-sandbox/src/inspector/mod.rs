//! The inspector, a web page at `/_sandbox/ui`: conversations, requests, webhooks and settings, updated live.
//!
//! Every URL is a complete page rendered on the server. A script follows the event stream and morphs the new page into
//! the current one, so that a reload never shows anything else. Actions are forms; they call the same functions as the
//! admin API. Untrusted content is rendered by templates that escape it.

mod answer;
mod assets;
mod controls;
mod conversations;
mod deliveries;
mod filter;
mod format;
mod json;
mod live;
mod page;
mod requests;
mod sign_in;

use std::sync::Arc;

use http::header::{ACCEPT, ALLOW};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};

pub(crate) use crate::access::INSPECTOR_PATH as PATH;
use crate::admin::fit;
use crate::api_error::ApiError;
use crate::engine::Engine;
use crate::traffic::Body;
use answer::Answer;
use filter::Filter;

/// A route of the inspector.
struct Route {
    method: Method,
    /// The path relative to `/_sandbox/ui/`; a segment in braces is a parameter.
    path: &'static str,
    handler: fn(&Arc<Engine>, &Asked<'_>) -> Answer,
}

/// A request to the inspector.
pub(crate) struct Asked<'a> {
    /// The decoded path parameters, in order.
    parameters: Vec<String>,
    /// The path and query as received.
    target: &'a str,
    headers: &'a HeaderMap,
    body: &'a [u8],
}

/// Returns `true` if the base URL was opened in a browser. The API has no such path, and API clients do not request
/// HTML.
pub(crate) fn is_for_a_person(method: &Method, path: &str, headers: &HeaderMap) -> bool {
    let accepted = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    *method == Method::GET && path == "/" && accepted.contains("text/html")
}

/// Redirects to the inspector.
pub(crate) fn welcome(state: &Arc<Engine>) -> Response<Body> {
    Answer::See(PATH.to_owned()).into_response(state)
}

/// Handles a request.
pub(crate) fn answer(state: &Arc<Engine>, method: &Method, mut asked: Asked<'_>) -> Response<Body> {
    let path = asked.target.split('?').next().unwrap_or_default();
    let there = at(routes(), path);
    let mut allowed: Vec<&str> = there.iter().map(|(route, _)| route.method.as_str()).collect();
    if allowed.contains(&"GET") {
        allowed.push("HEAD");
    }
    allowed.sort_unstable();
    allowed.dedup();
    let allowed = allowed.join(", ");
    // HEAD is handled as GET; the body is not sent.
    let wanted = if *method == Method::HEAD { &Method::GET } else { method };
    let answer = match there.into_iter().find(|(route, _)| route.method == *wanted) {
        Some((route, parameters)) => {
            asked.parameters = parameters;
            (route.handler)(state, &asked)
        }
        None if allowed.is_empty() => Answer::problem(StatusCode::NOT_FOUND, "page not found"),
        None => Answer::problem(
            StatusCode::METHOD_NOT_ALLOWED,
            format!("{method} is not allowed for {path}; allowed: {allowed}"),
        ),
    };
    let mut response = answer.into_response(state);
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
    asked: &Asked<'_>,
    problem: ApiError,
) -> Response<Body> {
    let path = asked.target.split('?').next().unwrap_or_default();
    // The sign-in page needs its assets.
    if problem.status == StatusCode::UNAUTHORIZED && !at(assets::ROUTES, path).is_empty() {
        return answer(state, method, Asked::new(asked.target, asked.headers, asked.body));
    }
    let mut response = sign_in::refused(state, method, asked, problem).into_response(state);
    // Makes the script reload the page, which shows the sign-in form.
    if response.status() == StatusCode::UNAUTHORIZED && asked.headers.contains_key("hx-request") {
        response.headers_mut().insert("hx-refresh", HeaderValue::from_static("true"));
    }
    response
}

fn routes() -> impl Iterator<Item = &'static Route> {
    pages().chain([assets::ROUTES, live::ROUTES, sign_in::ROUTES].into_iter().flatten())
}

fn pages() -> impl Iterator<Item = &'static Route> {
    [controls::ROUTES, conversations::ROUTES, deliveries::ROUTES, requests::ROUTES].into_iter().flatten()
}

/// Returns the routes that match a path, with their parameters.
fn at(routes: impl IntoIterator<Item = &'static Route>, path: &str) -> Vec<(&'static Route, Vec<String>)> {
    let path = path.strip_prefix(PATH).unwrap_or_default().trim_matches('/');
    let segments: Vec<&str> = path.split('/').collect();
    routes.into_iter().filter_map(|route| Some((route, fit(route.path, &segments)?))).collect()
}

/// Returns `true` if a URL is a page of the inspector and browsers do not normalise it to another one.
fn is_page(address: &str) -> bool {
    let path = address.split('?').next().unwrap_or_default();
    let leaves = path.split('/').any(|segment| {
        let segment = segment.to_ascii_lowercase().replace("%2e", ".");
        segment == "." || segment == ".."
    });
    address.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\' && byte != b'#')
        && crate::access::is_inspector_path(path)
        && !leaves
        && at(pages(), path).iter().any(|(route, _)| route.method == Method::GET)
}

impl<'a> Asked<'a> {
    pub(crate) fn new(target: &'a str, headers: &'a HeaderMap, body: &'a [u8]) -> Self {
        Self { parameters: Vec::new(), target, headers, body }
    }

    /// Returns a path parameter by its position.
    fn parameter(&self, place: usize) -> &str {
        self.parameters.get(place).map_or("", String::as_str)
    }

    fn filter(&self) -> Filter {
        Filter::of(self.target.split_once('?').map_or("", |(_, query)| query))
    }

    /// Returns a form field, unless it is missing or blank.
    fn field(&self, name: &str) -> Option<String> {
        form_urlencoded::parse(self.body)
            .find(|(field, _)| field == name)
            .map(|(_, value)| value.into_owned())
            .filter(|value| !value.trim().is_empty())
    }
}
