//! Sign-in for sandboxes with an admin token. Browsers cannot send the token as a header, so a session cookie replaces
//! it.

use std::sync::Arc;

use askama::Template;
use axum_extra::extract::cookie::{Cookie, SameSite};
use http::{Method, StatusCode};

use super::page::Frame;
use super::pages::is_page;
use super::response::PageResponse;
use super::route::{PageRequest, Route};
use crate::access::INSPECTOR_PATH as PATH;
use crate::access::cookie_name;
use crate::api_error::ApiError;
use crate::engine::Engine;

/// The routes for clients that are already signed in or need not sign in.
pub(super) const ROUTES: &[Route] = &[
    Route { method: Method::GET, path: "sign-in", handler: |_, _| PageResponse::See(PATH.to_owned()) },
    Route {
        method: Method::POST,
        path: "sign-in",
        handler: |_, page_request| PageResponse::See(wanted(page_request)),
    },
];

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    frame: Frame,
    /// `true` if the submitted token was incorrect.
    wrong: bool,
    /// The URL to return to.
    to: String,
}

/// Responds to a request that is not authorised: with the sign-in form if the token is missing.
pub(super) fn refused(state: &Arc<Engine>, page_request: &PageRequest, problem: ApiError) -> PageResponse {
    if problem.status != StatusCode::UNAUTHORIZED {
        return problem.into();
    }
    let is_form =
        page_request.method == Method::POST && page_request.target.strip_prefix(PATH) == Some("/sign-in");
    let to = if is_form { wanted(page_request) } else { page_or_first(&page_request.target) };
    let token = if is_form { page_request.field("token") } else { None };
    if token.as_deref().is_some_and(|token| state.access.is_token(token.trim())) {
        // The cookie does not contain the token: browsers send cookies to all ports of a host, where other programs can
        // read them.
        let (name, value) = (cookie_name(&page_request.headers), state.access.session());
        let cookie =
            Cookie::build((name, value.to_owned())).path(PATH).http_only(true).same_site(SameSite::Strict);
        return PageResponse::SeeWithCookie { to, cookie: cookie.to_string() };
    }
    let page = SignInPage { frame: Frame::plain(state, "Sign in"), wrong: token.is_some(), to };
    PageResponse::page_with(StatusCode::UNAUTHORIZED, &page)
}

/// Returns the URL to which the sign-in form redirects.
fn wanted(page_request: &PageRequest) -> String {
    page_or_first(&page_request.field("to").unwrap_or_default())
}

/// Returns the URL if it is a page of the inspector, and its start page otherwise.
fn page_or_first(address: &str) -> String {
    if is_page(address) { address } else { PATH }.to_owned()
}
