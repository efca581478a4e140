//! For a sandbox that asks for an admin token: a browser cannot send a header by itself, so it is given a cookie.

use std::sync::Arc;

use askama::Template;
use http::{Method, StatusCode};

use super::page::Frame;
use super::{Answer, Asked, PATH, Route};
use crate::access::cookie_name;
use crate::api_error::ApiError;
use crate::engine::Engine;

/// What somebody gets who is signed in already, in another tab perhaps, or does not have to be.
pub(super) const ROUTES: &[Route] = &[
    Route { method: Method::GET, path: "sign-in", handler: |_, _| Answer::See(PATH.to_owned()) },
    Route { method: Method::POST, path: "sign-in", handler: |_, asked| Answer::See(wanted(asked)) },
];

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    frame: Frame,
    /// Whether a token was given, and was wrong.
    wrong: bool,
    /// Where to go then.
    to: String,
}

/// What somebody gets who may not do what was asked for: the form, if a token is what is missing.
pub(super) fn refused(state: &Arc<Engine>, method: &Method, asked: &Asked<'_>, problem: ApiError) -> Answer {
    if problem.status != StatusCode::UNAUTHORIZED {
        return problem.into();
    }
    let is_form = *method == Method::POST && asked.target.strip_prefix(PATH) == Some("/sign-in");
    let to = if is_form { wanted(asked) } else { page_or_first(asked.target) };
    let token = if is_form { asked.field("token") } else { None };
    if token.as_deref().is_some_and(|token| state.access.is_token(token.trim())) {
        // Not the token: browsers send a cookie to every port of a host, so whoever listens at another one sees it.
        let (name, value) = (cookie_name(asked.headers), state.access.session());
        let cookie = format!("{name}={value}; Path={PATH}; HttpOnly; SameSite=Strict");
        return Answer::SignedIn { to, cookie };
    }
    let page = SignInPage { frame: Frame::plain(state, "Sign in"), wrong: token.is_some(), to };
    Answer::page_with(StatusCode::UNAUTHORIZED, &page)
}

/// Where somebody wanted to go who has filled in the form.
fn wanted(asked: &Asked<'_>) -> String {
    page_or_first(&asked.field("to").unwrap_or_default())
}

/// A page of the inspector, and nothing else.
fn page_or_first(address: &str) -> String {
    if super::is_page(address) { address } else { PATH }.to_owned()
}
