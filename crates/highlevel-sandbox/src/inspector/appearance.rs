//! The theme of the pages, stored in a cookie so that the first paint already has it.

use axum_extra::extract::cookie::{Cookie, SameSite};
use http::header::REFERER;
use http::{HeaderMap, Method, Uri};

use super::pages::is_page;
use super::response::PageResponse;
use super::route::{PageRequest, Route};
use super::theme::{COOKIE, Theme};
use crate::access::INSPECTOR_PATH as PATH;

pub(super) const ROUTES: &[Route] =
    &[Route { method: Method::POST, path: "appearance", handler: |_, page_request| set(page_request) }];

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

    use super::*;

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
