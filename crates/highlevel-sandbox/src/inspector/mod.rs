//! The inspector, a page at `/_sandbox/ui`: conversations, requests, deliveries and switches, as they change.
//!
//! Every address is a whole page, made on the server. A script follows what happens and puts the new page in place of the
//! old one, so a page that is loaded anew never shows anything else. What a button does is a form; the functions behind
//! it are those of the admin API. Whatever comes from outside goes through templates that escape it.

mod answer;
mod assets;
mod controls;
mod conversations;
mod deliveries;
mod filter;
mod format;
mod live;
mod page;
mod requests;
mod sign_in;

use std::sync::Arc;

use http::{HeaderMap, Method, Response};

use crate::admin::{Problem, fit};
use crate::server::{Body, State};
use answer::Answer;
use filter::Filter;
pub(crate) use sign_in::token_of;

/// Where the page is.
pub(crate) const PATH: &str = "/_sandbox/ui";

/// One address of the inspector.
struct Route {
    method: Method,
    /// The path below `/_sandbox/ui/`; a segment in braces is a parameter.
    path: &'static str,
    handler: fn(&Arc<State>, &Asked<'_>) -> Answer,
}

/// What was asked for.
pub(crate) struct Asked<'a> {
    /// The parameters in the path, in order, decoded.
    parameters: Vec<String>,
    /// The path and the query, as they came.
    target: &'a str,
    headers: &'a HeaderMap,
    body: &'a [u8],
}

/// Whether a path is the inspector's.
pub(crate) fn serves(path: &str) -> bool {
    path.strip_prefix(PATH).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Answers a request.
pub(crate) fn answer(state: &Arc<State>, method: &Method, mut asked: Asked<'_>) -> Response<Body> {
    let path = asked.target.split('?').next().unwrap_or_default();
    let path = path.strip_prefix(PATH).unwrap_or_default().trim_matches('/');
    let segments: Vec<&str> = path.split('/').collect();
    let there: Vec<_> = routes().filter_map(|route| Some((route, fit(route.path, &segments)?))).collect();
    let answer = match there.into_iter().find(|(route, _)| route.method == *method) {
        Some((route, parameters)) => {
            asked.parameters = parameters;
            (route.handler)(state, &asked)
        }
        None => Answer::problem(http::StatusCode::NOT_FOUND, "there is no such page"),
    };
    answer.into_response(state)
}

/// The answer to somebody who may not see the page, or not do this.
pub(crate) fn refused(
    state: &Arc<State>,
    method: &Method,
    asked: &Asked<'_>,
    problem: Problem,
) -> Response<Body> {
    sign_in::refused(state, method, asked, problem).into_response(state)
}

fn routes() -> impl Iterator<Item = &'static Route> {
    [
        assets::ROUTES,
        controls::ROUTES,
        conversations::ROUTES,
        deliveries::ROUTES,
        live::ROUTES,
        requests::ROUTES,
    ]
    .into_iter()
    .flatten()
}

impl<'a> Asked<'a> {
    pub(crate) fn new(target: &'a str, headers: &'a HeaderMap, body: &'a [u8]) -> Self {
        Self { parameters: Vec::new(), target, headers, body }
    }

    /// A parameter of the path, by its place.
    fn parameter(&self, place: usize) -> &str {
        self.parameters.get(place).map_or("", String::as_str)
    }

    fn filter(&self) -> Filter {
        Filter::of(self.target.split_once('?').map_or("", |(_, query)| query))
    }

    /// A field of the form that was sent, if it is there and not blank.
    fn field(&self, name: &str) -> Option<String> {
        form_urlencoded::parse(self.body)
            .find(|(field, _)| field == name)
            .map(|(_, value)| value.into_owned())
            .filter(|value| !value.trim().is_empty())
    }
}
