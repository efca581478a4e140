//! Access control as pure functions: the served `Host` names, the requests of pages of other sites, and the admin token.
//!
//! On a loopback address any program on this machine may use the admin API without a token. Pages in a browser also run on
//! this machine, so requests of pages of other sites are rejected before they are counted, recorded or matched against
//! fault rules. Host names that a foreign DNS server resolves to this address are not served.

mod guesses;
mod hosts;
mod paths;
mod session;
mod site;

use http::header::{AUTHORIZATION, HOST};
use http::{HeaderMap, Method, StatusCode, Uri};

use crate::api_error::ApiError;
use crate::headers::bearer;
pub(crate) use guesses::Guesses;
pub(crate) use hosts::{Hosts, is_loopback_name};
pub(crate) use paths::{ADMIN_PREFIX, INSPECTOR_PATH, is_inspector_path};
pub(crate) use session::cookie_name;
pub(crate) use site::{Site, is_navigation, is_of_this_host};

/// The access rules of a sandbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Access {
    /// The admin token, if the admin API requires one.
    token: Option<String>,
    /// The session cookie of a browser that has signed in with the admin token. New in each run; accepted by the inspector
    /// only.
    session: String,
    /// Proves that the form of the authorization page was issued by this run of the sandbox.
    choice_token: String,
    hosts: Hosts,
}

impl Access {
    /// Creates the access rules. `session` and `choice_token` must be unguessable and new in each run.
    pub(crate) fn new(token: Option<String>, session: String, choice_token: String, hosts: Hosts) -> Self {
        Self { token, session, choice_token, hosts }
    }

    /// Returns the value of the session cookie.
    pub(crate) fn session(&self) -> &str {
        &self.session
    }

    /// Returns the value of the hidden field in the form of the authorization page.
    pub(crate) fn choice_token(&self) -> &str {
        &self.choice_token
    }

    /// Returns `true` if a form contains the choice token of this run.
    pub(crate) fn is_choice_token(&self, given: &str) -> bool {
        same(given, &self.choice_token)
    }

    /// Returns `true` if this is the admin token.
    pub(crate) fn is_token(&self, given: &str) -> bool {
        self.token.as_deref().is_some_and(|token| same(given, token))
    }

    /// Rejects a request whose `Host` is not a name of the sandbox. A browser that resolves a foreign name to this address
    /// sends that name.
    pub(crate) fn check_host(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), ApiError> {
        let authority = uri.authority().map(http::uri::Authority::as_str);
        let mut names = headers.get_all(HOST).iter().map(|value| value.to_str().unwrap_or("\u{fffd}"));
        let (name, second) = (names.next().or(authority).unwrap_or_default(), names.next());
        for name in [Some(name), second, authority].into_iter().flatten() {
            if !self.hosts.serves(name) {
                return Err(forbidden(format!(
                    "the Host header is {name:?}, which is not a name of this sandbox; use 127.0.0.1 or localhost, or \
                     allow the name with --base-url"
                )));
            }
        }
        Ok(())
    }

    /// Returns the origin of a request, as far as a browser reveals it.
    pub(crate) fn site(&self, headers: &HeaderMap) -> Site {
        Site::of(headers, &self.hosts)
    }

    /// Rejects requests of pages of other sites to the API and to the token endpoints. A page cannot send an `Authorization`
    /// header to another site, because the sandbox allows no cross-origin requests.
    pub(crate) fn check_page(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        match self.site(headers) {
            Site::Other(origin) if !headers.contains_key(AUTHORIZATION) => Err(foreign_page(&origin)),
            _ => Ok(()),
        }
    }

    /// Checks a request for the admin API or the inspector.
    pub(crate) fn check(&self, method: &Method, path: &str, headers: &HeaderMap) -> Result<(), ApiError> {
        if let Site::Other(origin) = self.site(headers) {
            let opens_a_page = method.is_safe() && is_inspector_path(path) && is_navigation(headers);
            if !opens_a_page {
                return Err(foreign_page(&origin));
            }
        }
        match &self.token {
            Some(token) if path != format!("{ADMIN_PREFIX}health") => {
                // A browser does not send the header when it loads a page, so the inspector accepts a session cookie.
                let has_session = || {
                    is_inspector_path(path)
                        && session::has_session(headers, |given| same(given, &self.session))
                };
                let given = headers.get(AUTHORIZATION).and_then(|value| bearer(value.to_str().ok()?));
                if given.map_or_else(has_session, |given| same(given, token)) {
                    return Ok(());
                }
                let message =
                    "the admin token is missing or invalid; send `Authorization: Bearer <admin token>`"
                        .to_owned();
                Err(ApiError { status: StatusCode::UNAUTHORIZED, message })
            }
            _ => Ok(()),
        }
    }
}

/// Compares in constant time for tokens of the same length.
fn same(given: &str, expected: &str) -> bool {
    given.len() == expected.len()
        && given
            .bytes()
            .zip(expected.bytes())
            .fold(0, |differences, (given, expected)| differences | (given ^ expected))
            == 0
}

fn foreign_page(origin: &str) -> ApiError {
    forbidden(format!(
        "the request was sent by a page of {origin}; the sandbox rejects requests of other sites, send it from a program"
    ))
}

fn forbidden(message: String) -> ApiError {
    ApiError { status: StatusCode::FORBIDDEN, message }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, Request};

    use super::*;

    fn access(token: Option<&str>, hosts: Hosts) -> Access {
        Access::new(token.map(str::to_owned), "session".to_owned(), "choice".to_owned(), hosts)
    }

    fn map(headers: &[(&'static str, &str)]) -> HeaderMap {
        headers.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    fn status(result: Result<(), ApiError>) -> u16 {
        result.map_or_else(|error| error.status.as_u16(), |()| 200)
    }

    fn check(access: &Access, method: &Method, path: &str, headers: &[(&'static str, &str)]) -> u16 {
        status(access.check(method, path, &map(headers)))
    }

    #[test]
    fn all_hosts_of_a_request_must_be_served() {
        let access = access(None, Hosts::loopback());
        for (target, hosts, expected) in [
            ("/", &["127.0.0.1:80"][..], 200),
            ("/", &["localhost"], 200),
            ("/", &[], 403),
            ("/", &["evil.example"], 403),
            ("/", &["127.0.0.1", "evil.example"], 403),
            ("/", &["evil.example", "127.0.0.1"], 403),
            ("http://evil.example/", &["127.0.0.1"], 403),
            ("http://127.0.0.1:80/", &[], 200),
        ] {
            let mut request = Request::builder().uri(target);
            for host in hosts {
                request = request.header("host", *host);
            }
            let (head, ()) = request.body(()).unwrap().into_parts();
            assert_eq!(status(access.check_host(&head.uri, &head.headers)), expected, "{target} {hosts:?}");
        }
    }

    #[test]
    fn pages_of_other_sites_cannot_use_the_admin_api() {
        let own = "http://127.0.0.1:80";
        let cases: [(&[(&'static str, &str)], u16); 12] = [
            (&[], 200),
            (&[("origin", own)], 200),
            (&[("origin", "http://127.0.0.1:81")], 403),
            (&[("origin", "https://127.0.0.1:80")], 403),
            (&[("origin", "http://localhost:80")], 403),
            (&[("origin", "null")], 403),
            (&[("origin", own), ("origin", "http://evil.example")], 403),
            (&[("sec-fetch-site", "same-origin"), ("origin", own)], 200),
            (&[("sec-fetch-site", "none")], 200),
            (&[("sec-fetch-site", "same-site")], 403),
            (&[("sec-fetch-site", "cross-site")], 403),
            (
                &[
                    ("sec-fetch-site", "cross-site"),
                    ("sec-fetch-mode", "navigate"),
                    ("sec-fetch-dest", "document"),
                ],
                403,
            ),
        ];
        let access = access(None, Hosts::loopback());
        for (headers, expected) in cases {
            let mut map = HeaderMap::new();
            map.insert("host", "127.0.0.1:80".parse().unwrap());
            for (name, value) in headers {
                map.append(HeaderName::from_static(name), value.parse().unwrap());
            }
            for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
                let found = status(access.check(&method, "/_sandbox/reset", &map));
                assert_eq!(found, expected, "{method} {headers:?}");
            }
        }
    }

    #[test]
    fn links_of_other_sites_can_only_open_inspector_pages() {
        let access = access(None, Hosts::loopback());
        let link =
            [("host", "127.0.0.1:80"), ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")];
        for (method, destination, expected) in [
            (Method::GET, "document", 200),
            (Method::GET, "iframe", 403),
            (Method::GET, "image", 403),
            (Method::POST, "document", 403),
        ] {
            let headers = [&link[..], &[("sec-fetch-dest", destination)]].concat();
            assert_eq!(check(&access, &method, "/_sandbox/ui/requests", &headers), expected, "{destination}");
        }
    }

    #[test]
    fn pages_of_other_sites_cannot_use_the_api_without_a_token() {
        let access = access(None, Hosts::loopback());
        for (headers, expected) in [
            (&[("sec-fetch-site", "cross-site")][..], 403),
            (&[("sec-fetch-site", "same-site")], 403),
            (&[("origin", "http://evil.example")], 403),
            (&[("sec-fetch-site", "cross-site"), ("authorization", "Bearer a")], 200),
            (&[("sec-fetch-site", "same-origin")], 200),
            (&[], 200),
        ] {
            let headers = [&[("host", "127.0.0.1:80")], headers].concat();
            assert_eq!(status(access.check_page(&map(&headers))), expected, "{headers:?}");
        }
    }

    #[test]
    fn the_admin_token_is_required_except_for_health() {
        let cases = [
            ("", 401),
            ("Bearer secret", 200),
            ("bearer secret", 200),
            ("Bearer Secret", 401),
            ("Bearer secre", 401),
            ("Basic secret", 401),
            ("Bearer session", 401),
        ];
        for hosts in [Hosts::loopback(), Hosts::public([])] {
            let access = access(Some("secret"), hosts);
            for (authorization, status) in cases {
                let headers = [("host", "127.0.0.1"), ("authorization", authorization)];
                let found = check(&access, &Method::GET, "/_sandbox/clock", &headers);
                assert_eq!(found, status, "{authorization}");
                assert_eq!(check(&access, &Method::GET, "/_sandbox/health", &headers), 200);
            }
            let cases = [
                ("highlevel-sandbox-80=session", "/_sandbox/ui", 200),
                ("a=b; highlevel-sandbox-80=session", "/_sandbox/ui/requests", 200),
                ("highlevel-sandbox-80=other; highlevel-sandbox-80=session", "/_sandbox/ui", 200),
                ("highlevel-sandbox-80=session; highlevel-sandbox-80=other", "/_sandbox/ui", 200),
                ("highlevel-sandbox-80=session", "/_sandbox/clock", 401),
                ("highlevel-sandbox-80=secret", "/_sandbox/ui", 401),
                ("highlevel-sandbox-80=c2VjcmV0", "/_sandbox/ui", 401),
                ("highlevel-sandbox-80=", "/_sandbox/ui", 401),
                ("highlevel-sandbox-81=session", "/_sandbox/ui", 401),
            ];
            for (cookie, path, status) in cases {
                let headers = [("host", "127.0.0.1:80"), ("cookie", cookie)];
                assert_eq!(check(&access, &Method::GET, path, &headers), status, "{cookie} {path}");
            }
        }
    }
}
