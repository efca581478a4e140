//! The session cookie of the inspector.

use axum_extra::extract::cookie::Cookie;
use http::HeaderMap;
use http::header::{COOKIE, HOST};

/// Returns `true` if a cookie with the name of the session cookie has an accepted value. Programs on other ports of the host
/// may have set cookies of the same name, so all of them are tried.
pub(super) fn has_session(headers: &HeaderMap, is_session: impl Fn(&str) -> bool) -> bool {
    let name = cookie_name(headers);
    let values = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    values
        .flat_map(Cookie::split_parse)
        .filter_map(Result::ok)
        .any(|cookie| cookie.name() == name && is_session(cookie.value()))
}

/// Returns the name of the session cookie. It contains the port, because browsers share cookies between all ports of a host.
pub(crate) fn cookie_name(headers: &HeaderMap) -> String {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let port = host.rsplit_once(':').map_or("", |(_, port)| port);
    let port: String = port.chars().filter(char::is_ascii_digit).collect();
    format!("highlevel-sandbox-{port}")
}
