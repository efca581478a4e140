//! Who may use the admin API, as a function of values.
//!
//! On a loopback address everybody on this machine may, without a token. But a page in a browser is on this machine too:
//! so what a page of another origin sends changes nothing, and a name that somebody else's DNS server leads here is not
//! answered. On every other address a token is asked for.

use http::header::{AUTHORIZATION, HOST, ORIGIN};
use http::{HeaderMap, HeaderName, Method, StatusCode};

use super::{PREFIX, Problem};
use crate::api::bearer;
use crate::inspector;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Who may use it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Access {
    /// What everybody has to have; `None` for nothing.
    token: Option<String>,
    /// What a browser has that was given the token: of this run, and for the inspector alone.
    session: String,
    /// Whether only this machine can connect.
    loopback: bool,
}

impl Access {
    /// `session` is what nobody can guess, and another one each time.
    pub(crate) fn new(token: Option<String>, session: String, loopback: bool) -> Self {
        Self { token, session, loopback }
    }

    /// What a browser is given in place of the token.
    pub(crate) fn session(&self) -> &str {
        &self.session
    }

    /// Whether this is the token that everybody has to have.
    pub(crate) fn is_token(&self, given: &str) -> bool {
        self.token.as_deref().is_some_and(|token| same(given, token))
    }

    /// Whether the admin API does what a request asks for.
    pub(crate) fn check(&self, method: &Method, path: &str, headers: &HeaderMap) -> Result<(), Problem> {
        let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let host = text(&HOST).unwrap_or_default();
        if self.loopback && !is_this_machine(host) {
            return Err(forbidden(format!(
                "the Host header is {host:?}, which is no name of this machine; use 127.0.0.1 or localhost"
            )));
        }
        if !method.is_safe() {
            let site = text(&SEC_FETCH_SITE).unwrap_or("none");
            let foreign = text(&ORIGIN).filter(|origin| origin.strip_prefix("http://") != Some(host));
            if !matches!(site, "none" | "same-origin") || foreign.is_some() {
                let origin =
                    foreign.map_or_else(|| "another site".to_owned(), |origin| format!("{origin:?}"));
                return Err(forbidden(format!("a page of {origin} may change nothing here")));
            }
        }
        match &self.token {
            Some(token) if path != format!("{PREFIX}health") => {
                // A browser cannot send the header by itself: the inspector gives it a cookie.
                let has_session = || {
                    inspector::serves(path)
                        && inspector::session_of(headers).is_some_and(|given| same(given, &self.session))
                };
                let given = text(&AUTHORIZATION).and_then(bearer);
                if given.map_or_else(has_session, |given| same(given, token)) {
                    return Ok(());
                }
                let message =
                    "the admin token is missing or wrong: send `Authorization: Bearer <admin token>`"
                        .to_owned();
                Err(Problem { status: StatusCode::UNAUTHORIZED, message })
            }
            _ => Ok(()),
        }
    }
}

/// Whether a `Host` header names this machine, whatever the port.
fn is_this_machine(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        // Of `[::1]`, the colons belong to the address.
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.to_ascii_lowercase();
    if let Some(address) = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address.parse().is_ok_and(|address: std::net::Ipv6Addr| address.is_loopback());
    }
    name == "localhost"
        || name.ends_with(".localhost")
        || name.parse().is_ok_and(|address: std::net::Ipv4Addr| address.is_loopback())
}

/// Takes as long for every wrong token of the right length.
fn same(given: &str, expected: &str) -> bool {
    given.len() == expected.len()
        && given
            .bytes()
            .zip(expected.bytes())
            .fold(0, |differences, (one, other)| differences | (one ^ other))
            == 0
}

fn forbidden(message: String) -> Problem {
    Problem { status: StatusCode::FORBIDDEN, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(access: &Access, method: &Method, path: &str, headers: &[(&'static str, &str)]) -> u16 {
        let headers =
            headers.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        match access.check(method, path, &headers.collect()) {
            Ok(()) => 200,
            Err(problem) => problem.status.as_u16(),
        }
    }

    #[test]
    fn only_names_of_this_machine_are_answered_on_loopback() {
        let here = [
            "127.0.0.1",
            "127.0.0.1:80",
            "127.9.9.9:1",
            "LOCALHOST:8080",
            "a.localhost",
            "[::1]:8080",
            "[::1]",
        ];
        let elsewhere = [
            "",
            "evil.example",
            "evil.example:80",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "10.0.0.1",
            "[::2]:80",
            "::1",
            "localhostx",
            "0.0.0.0:80",
        ];
        let access = Access::new(None, String::new(), true);
        for (hosts, status) in [(&here[..], 200), (&elsewhere[..], 403)] {
            for host in hosts {
                assert_eq!(
                    check(&access, &Method::GET, "/_sandbox/clock", &[("host", host)]),
                    status,
                    "{host}"
                );
            }
        }
        let public = Access::new(Some("secret".to_owned()), String::new(), false);
        let headers = [("host", "sandbox:80"), ("authorization", "Bearer secret")];
        assert_eq!(check(&public, &Method::GET, "/_sandbox/clock", &headers), 200);
    }

    #[test]
    fn pages_of_other_origins_change_nothing() {
        let cases: [(&[(&'static str, &str)], u16); 10] = [
            (&[], 200),
            (&[("origin", "http://127.0.0.1:80")], 200),
            (&[("origin", "http://127.0.0.1:81")], 403),
            (&[("origin", "https://127.0.0.1:80")], 403),
            (&[("origin", "http://localhost:80")], 403),
            (&[("origin", "null")], 403),
            (&[("sec-fetch-site", "same-origin"), ("origin", "http://127.0.0.1:80")], 200),
            (&[("sec-fetch-site", "none")], 200),
            (&[("sec-fetch-site", "same-site")], 403),
            (&[("sec-fetch-site", "cross-site")], 403),
        ];
        let access = Access::new(None, String::new(), true);
        for (headers, status) in cases {
            let headers = [&[("host", "127.0.0.1:80")], headers].concat();
            for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
                assert_eq!(check(&access, &method, "/_sandbox/reset", &headers), status, "{headers:?}");
            }
            assert_eq!(check(&access, &Method::GET, "/_sandbox/clock", &headers), 200, "{headers:?}");
        }
    }

    #[test]
    fn the_admin_token_is_asked_for_except_for_health() {
        let cases = [
            ("", 401),
            ("Bearer secret", 200),
            ("bearer secret", 200),
            ("Bearer Secret", 401),
            ("Bearer secre", 401),
            ("Basic secret", 401),
            ("Bearer session", 401),
        ];
        for loopback in [true, false] {
            let access = Access::new(Some("secret".to_owned()), "session".to_owned(), loopback);
            for (authorization, status) in cases {
                let headers = [("host", "127.0.0.1"), ("authorization", authorization)];
                assert_eq!(
                    check(&access, &Method::GET, "/_sandbox/clock", &headers),
                    status,
                    "{authorization}"
                );
                assert_eq!(check(&access, &Method::GET, "/_sandbox/health", &headers), 200);
            }
            let cases = [
                ("highlevel-sandbox-80=session", "/_sandbox/ui", 200),
                ("a=b; highlevel-sandbox-80=session", "/_sandbox/ui/requests", 200),
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
