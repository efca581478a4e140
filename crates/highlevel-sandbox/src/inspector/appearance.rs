//! The theme of the pages, stored in a cookie so that the first paint already has it.

use axum_extra::extract::CookieJar;
use axum_extra::extract::cookie::{Cookie, SameSite};
use http::header::REFERER;
use http::{HeaderMap, Method, Uri};

use super::pages::is_page;
use super::response::PageResponse;
use super::route::{PageRequest, Route};
use crate::access::INSPECTOR_PATH as PATH;

pub(super) const ROUTES: &[Route] =
    &[Route { method: Method::POST, path: "appearance", handler: |_, page_request| set(page_request) }];

const COOKIE: &str = "highlevel-sandbox-theme";
/// The attribute in the templates.
const SYSTEM: &str = "data-theme=\"system\"";

/// The colour scheme of the pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Theme {
    /// That of the operating system.
    #[default]
    System,
    Light,
    Dark,
}

impl Theme {
    /// Returns the theme of the cookie. Invalid values are ignored.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        CookieJar::from_headers(headers)
            .get(COOKIE)
            .and_then(|cookie| Self::named(cookie.value()))
            .unwrap_or_default()
    }

    fn named(name: &str) -> Option<Self> {
        [Self::System, Self::Light, Self::Dark].into_iter().find(|theme| theme.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    /// Sets the theme of a rendered page.
    pub(super) fn apply(self, mut html: String) -> String {
        // The attribute is at the start of the page, before any content.
        if let Some(start) = html.find(SYSTEM).filter(|_| self != Self::System) {
            html.replace_range(start..start + SYSTEM.len(), &format!("data-theme=\"{}\"", self.name()));
        }
        html
    }
}

/// Stores the theme of the form and returns to the page that contains it.
fn set(page_request: &PageRequest) -> PageResponse {
    let theme = page_request.field("theme").and_then(|name| Theme::named(&name)).unwrap_or_default();
    let cookie = Cookie::build((COOKIE, theme.name())).path(PATH).http_only(true).same_site(SameSite::Strict);
    let cookie = format!("{cookie}; Max-Age=31536000");
    PageResponse::SeeWithCookie { to: previous(&page_request.headers), cookie }
}

/// Returns the page from which a form was sent, or the first page.
fn previous(headers: &HeaderMap) -> String {
    let referrer = headers.get(REFERER).and_then(|value| value.to_str().ok());
    let target = referrer
        .and_then(|url| url.parse::<Uri>().ok())
        .and_then(|url| url.path_and_query().map(ToString::to_string));
    target.filter(|target| is_page(target)).unwrap_or_else(|| PATH.to_owned())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::COOKIE as HEADER;

    use super::*;

    #[test]
    fn only_known_themes_change_the_page() {
        let page = "<html data-theme=\"system\"><p>data-theme=\"system\"</p>";
        let cases = [
            ("", "system"),
            ("highlevel-sandbox-theme=dark", "dark"),
            ("a=b; highlevel-sandbox-theme=light", "light"),
            ("highlevel-sandbox-theme=system", "system"),
            ("highlevel-sandbox-theme=\"><script>", "system"),
            ("other=dark", "system"),
        ];
        for (cookie, expected) in cases {
            let headers = HeaderMap::from_iter([(HEADER, HeaderValue::from_str(cookie).unwrap())]);
            let html = Theme::of(&headers).apply(page.to_owned());
            let expected = format!("<html data-theme=\"{expected}\"><p>data-theme=\"system\"</p>");
            assert_eq!(html, expected, "{cookie}");
        }
    }

    #[test]
    fn the_form_returns_to_pages_of_the_inspector_only() {
        let cases = [
            ("http://127.0.0.1:1/_sandbox/ui/requests?text=a", "/_sandbox/ui/requests?text=a"),
            ("http://127.0.0.1:1/_sandbox/ui", "/_sandbox/ui"),
            ("http://127.0.0.1:1/_sandbox/reset", PATH),
            ("https://other.example//evil.example/", PATH),
            ("not a URL", PATH),
        ];
        for (referrer, expected) in cases {
            let headers = HeaderMap::from_iter([(REFERER, HeaderValue::from_str(referrer).unwrap())]);
            assert_eq!(previous(&headers), expected, "{referrer}");
        }
        assert_eq!(previous(&HeaderMap::new()), PATH);
    }
}
