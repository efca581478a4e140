//! The session cookie of the inspector.

use http::HeaderMap;
use http::header::{COOKIE, HOST};

/// Returns the value of the session cookie.
pub(super) fn session_of(headers: &HeaderMap) -> Option<&str> {
    let name = cookie_name(headers);
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(each, _)| *each == name).map(|(_, value)| value)
}

/// Returns the name of the session cookie. It contains the port, because browsers share cookies between all ports of a host.
pub(crate) fn cookie_name(headers: &HeaderMap) -> String {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let port = host.rsplit_once(':').map_or("", |(_, port)| port);
    let port: String = port.chars().filter(char::is_ascii_digit).collect();
    format!("highlevel-sandbox-{port}")
}
