//! Responses of the inspector and their security headers.

use std::fmt::Write;

use askama::Template;
use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, LOCATION,
    REFERRER_POLICY, SET_COOKIE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, Response, StatusCode};

use super::page::Frame;
use super::theme::Theme;
use crate::api_error::ApiError;
use crate::engine::Engine;
use crate::traffic::Body;

/// The policy of the inspector's pages: only its own styles, scripts and frames, no forms to other origins, no framing
/// by other sites.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/// The policy of untrusted HTML from messages: inline styles and `data:` images only. It has an opaque origin, cannot
/// run scripts, load resources, submit forms or navigate, and only the inspector can frame it.
const FRAME_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; \
                            form-action 'none'; frame-ancestors 'self'; sandbox";

/// A response of the inspector.
pub(crate) enum PageResponse {
    Page {
        status: StatusCode,
        html: String,
    },
    /// Untrusted HTML, to be shown in a frame.
    Foreign(String),
    /// A redirect to another page after an action.
    See(String),
    /// A redirect that sets a cookie.
    SeeWithCookie {
        to: String,
        cookie: String,
    },
    Asset {
        media_type: &'static str,
        body: &'static [u8],
    },
    /// Untrusted bytes, to be downloaded as a file.
    File {
        name: String,
        body: Vec<u8>,
    },
    Stream(Body),
    ApiError(ApiError),
}

impl PageResponse {
    /// Renders a template, or returns the error page if that fails.
    pub(super) fn page(template: &impl Template) -> Self {
        Self::page_with(StatusCode::OK, template)
    }

    pub(super) fn page_with(status: StatusCode, template: &impl Template) -> Self {
        match template.render() {
            Ok(html) => Self::Page { status, html },
            Err(error) => Self::problem(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        }
    }

    pub(super) fn problem(status: StatusCode, message: impl Into<String>) -> Self {
        Self::ApiError(ApiError { status, message: message.into() })
    }

    pub(super) fn into_response(self, state: &Engine, theme: Theme) -> Response<Body> {
        let whole = |text: String| Body::from(text);
        let mut policy = POLICY;
        // With `no-referrer` browsers would send `Origin: null` with the inspector's own forms, which are rejected.
        let mut referrer = "same-origin";
        let mut cache = "no-store";
        let mut media_type = "text/html; charset=utf-8";
        let mut more: Vec<(HeaderName, String)> = Vec::new();
        let (status, body) = match self {
            Self::Page { status, html } => (status, whole(theme.apply(html))),
            Self::Foreign(html) => {
                (policy, referrer) = (FRAME_POLICY, "no-referrer");
                (StatusCode::OK, whole(inert(&html)))
            }
            Self::See(location) => {
                more.push((LOCATION, printable(&location)));
                (StatusCode::SEE_OTHER, whole(String::new()))
            }
            Self::SeeWithCookie { to, cookie } => {
                more.extend([(LOCATION, printable(&to)), (SET_COOKIE, cookie)]);
                (StatusCode::SEE_OTHER, whole(String::new()))
            }
            Self::Asset { media_type: own, body } => {
                // The URL changes with the content.
                (media_type, cache) = (own, "public, max-age=31536000, immutable");
                (StatusCode::OK, Body::from(Bytes::from_static(body)))
            }
            Self::File { name, body } => {
                media_type = "text/plain; charset=utf-8";
                more.push((CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")));
                (StatusCode::OK, Body::from(body))
            }
            Self::Stream(body) => {
                media_type = "text/event-stream";
                (StatusCode::OK, body)
            }
            Self::ApiError(ApiError { status, message }) => {
                let page = super::page::ProblemPage { frame: Frame::plain(state, "Error"), message };
                // Rendering cannot fail for such a simple page; if it does, send the message as it is.
                (status, whole(theme.apply(page.render().unwrap_or(page.message))))
            }
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        for (name, value) in [
            (CACHE_CONTROL, cache),
            (CONTENT_TYPE, media_type),
            (CONTENT_SECURITY_POLICY, policy),
            (REFERRER_POLICY, referrer),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            // A policy does not keep browsers from resolving the hosts of links, which would reveal that a link was
            // displayed.
            (HeaderName::from_static("x-dns-prefetch-control"), "off"),
            (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        if policy != FRAME_POLICY {
            // Sandboxed documents cannot have this header; browsers would refuse to show them in a frame.
            headers.insert(
                HeaderName::from_static("cross-origin-opener-policy"),
                HeaderValue::from_static("same-origin"),
            );
        }
        for (name, value) in more {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(name, value);
            }
        }
        response
    }
}

/// Renames the elements for which browsers connect to a host before they apply the policy. The policy blocks the
/// request itself, but the connection would reveal that the HTML was displayed.
fn inert(html: &str) -> String {
    const NAMES: [&str; 7] = ["embed", "frame", "iframe", "link", "meta", "object", "portal"];
    let mut parts = html.split('<');
    let mut inert = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let name = part.split(|letter: char| !letter.is_ascii_alphanumeric()).next().unwrap_or_default();
        let is_one = NAMES.iter().any(|each| name.eq_ignore_ascii_case(each));
        inert.push_str(if is_one { "<x-" } else { "<" });
        inert.push_str(part);
    }
    inert
}

/// Percent-encodes everything in a URL that a header value cannot contain.
fn printable(address: &str) -> String {
    address.bytes().fold(String::with_capacity(address.len()), |mut printable, byte| {
        if byte.is_ascii_graphic() {
            printable.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(printable, "%{byte:02X}");
        }
        printable
    })
}

impl From<ApiError> for PageResponse {
    fn from(problem: ApiError) -> Self {
        Self::ApiError(problem)
    }
}

/// Returns the response, or the error page.
pub(super) fn done(result: Result<PageResponse, ApiError>) -> PageResponse {
    result.unwrap_or_else(PageResponse::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_of_others_has_no_element_that_connects() {
        let cases = [
            ("<p>a < b</p>", "<p>a < b</p>"),
            ("<iframe src=x>", "<x-iframe src=x>"),
            ("<IFRAME\n/src=x></iframe>", "<x-IFRAME\n/src=x></iframe>"),
            ("<<link rel=preconnect><linked>", "<<x-link rel=preconnect><linked>"),
            ("<frameset><meta>", "<frameset><x-meta>"),
            ("", ""),
            ("<", "<"),
            ("é<objecté", "é<x-objecté"),
        ];
        for (html, expected) in cases {
            assert_eq!(inert(html), expected);
        }
    }

    #[test]
    fn an_address_has_nothing_in_it_that_ends_a_header() {
        for (address, expected) in
            [("/a?b=%20#c", "/a?b=%20#c"), ("/a\r\nb: c", "/a%0D%0Ab:%20c"), ("/é", "/%C3%A9")]
        {
            assert_eq!(printable(address), expected);
        }
    }
}
