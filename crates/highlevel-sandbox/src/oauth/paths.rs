//! The paths of the OAuth endpoints.

use http::Method;
use http::request::Parts;

use crate::access::is_navigation;

/// The documented path of the authorization page, and the older one, which the official JavaScript SDK and most programs open.
pub(crate) const AUTHORIZE: [&str; 2] = ["/v2/oauth/chooselocation", "/oauth/chooselocation"];
/// An endpoint that HighLevel removed in September 2026.
pub(crate) const RECONNECT: &str = "/oauth/reconnect";
pub(crate) const TOKEN: &str = "/oauth/token";
pub(crate) const LOCATION_TOKEN: &str = "/oauth/locationToken";

/// Returns `true` if a path belongs to an OAuth endpoint.
pub(crate) fn serves(path: &str) -> bool {
    path.starts_with("/oauth/") || path.starts_with("/v2/oauth/")
}

/// Returns `true` if a request opens the authorization page. Pages of other sites may link to it, because that is how an
/// app is installed.
pub(crate) fn is_page(head: &Parts) -> bool {
    head.method == Method::GET
        && AUTHORIZE.contains(&head.uri.path())
        && (is_navigation(&head.headers) || !head.headers.contains_key("sec-fetch-site"))
}
