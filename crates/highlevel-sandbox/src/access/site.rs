//! The origin of a request, as far as a browser reveals it.

use http::header::{HOST, ORIGIN, USER_AGENT};
use http::{HeaderMap, HeaderName};

use super::Hosts;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// The origin of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Site {
    /// A program: the request has no characteristics of a browser.
    Program,
    /// A page of the sandbox, or an address entered by the user.
    Own,
    /// A browser that does not reveal the site, because it is outdated or the connection is not trustworthy.
    Unknown,
    /// A page of another site, with its origin or a description.
    Other(String),
}

impl Site {
    pub(super) fn of(headers: &HeaderMap, hosts: &Hosts) -> Self {
        let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let host = text(&HOST).unwrap_or_default();
        let mut foreign = headers.get_all(ORIGIN).iter().filter_map(|value| match value.to_str() {
            Ok(origin) if hosts.is_own_origin(origin, host) => None,
            Ok(origin) => Some(format!("{origin:?}")),
            Err(_) => Some("another site".to_owned()),
        });
        if let Some(origin) = foreign.next() {
            return Self::Other(origin);
        }
        match headers.get(SEC_FETCH_SITE).map(|value| value.to_str().unwrap_or_default()) {
            Some("none" | "same-origin") => Self::Own,
            Some(_) => Self::Other("another site".to_owned()),
            None if headers.contains_key(ORIGIN) => Self::Own,
            None if text(&USER_AGENT).is_some_and(|agent| agent.starts_with("Mozilla/")) => Self::Unknown,
            None => Self::Program,
        }
    }
}

/// Returns `true` if a browser opens the address as a top-level page, not as a frame, an image or a script.
pub(crate) fn is_navigation(headers: &HeaderMap) -> bool {
    let is = |name: &HeaderName, expected: &str| headers.get(name).is_some_and(|value| value == expected);
    is(&SEC_FETCH_MODE, "navigate") && is(&SEC_FETCH_DEST, "document")
}

/// Returns `true` if the address was opened by a page of the same host on any port, for example by an app under development
/// that redirects its user.
pub(crate) fn is_of_this_host(headers: &HeaderMap) -> bool {
    headers
        .get(SEC_FETCH_SITE)
        .is_some_and(|site| site == "same-site" || site == "same-origin" || site == "none")
        && is_navigation(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_and_programs_are_distinguished() {
        for (headers, expected) in [
            (&[][..], Site::Program),
            (&[("user-agent", "curl/8")], Site::Program),
            (&[("user-agent", "Mozilla/5.0 (X11)")], Site::Unknown),
            (&[("sec-fetch-site", "none")], Site::Own),
            (&[("sec-fetch-site", "same-origin")], Site::Own),
            (&[("sec-fetch-site", "same-site")], Site::Other("another site".to_owned())),
            (&[("sec-fetch-site", "new-kind")], Site::Other("another site".to_owned())),
            (&[("origin", "http://127.0.0.1:80")], Site::Own),
            (&[("origin", "http://evil.example")], Site::Other("\"http://evil.example\"".to_owned())),
            (
                &[("origin", "http://evil.example"), ("sec-fetch-site", "same-origin")],
                Site::Other("\"http://evil.example\"".to_owned()),
            ),
        ] {
            let mut map = HeaderMap::new();
            map.insert(HOST, "127.0.0.1:80".parse().unwrap());
            for (name, value) in headers {
                map.append(HeaderName::from_static(name), value.parse().unwrap());
            }
            assert_eq!(Site::of(&map, &Hosts::loopback()), expected, "{headers:?}");
        }
    }

    #[test]
    fn a_non_ascii_origin_is_foreign() {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, "127.0.0.1:80".parse().unwrap());
        headers.insert(ORIGIN, http::HeaderValue::from_bytes(b"http://127.0.0.1:80\xff").unwrap());
        assert_eq!(Site::of(&headers, &Hosts::loopback()), Site::Other("another site".to_owned()));
    }
}
