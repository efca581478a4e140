//! The paths of OAuth.

use http::Method;
use http::request::Parts;

use crate::access::is_navigation;

pub(crate) const AUTHORIZE: &str = "/v2/oauth/chooselocation";
pub(crate) const TOKEN: &str = "/oauth/token";
pub(crate) const LOCATION_TOKEN: &str = "/oauth/locationToken";

/// Whether a path is one of OAuth's.
pub(crate) fn serves(path: &str) -> bool {
    path.starts_with("/oauth/") || path.starts_with("/v2/oauth/")
}

/// Returns `true` for a request that opens the page on which a location is chosen, which pages of other sites may do:
/// a link to it is how an app is installed.
pub(crate) fn is_page(head: &Parts) -> bool {
    head.method == Method::GET
        && head.uri.path() == AUTHORIZE
        && (is_navigation(&head.headers) || !head.headers.contains_key("sec-fetch-site"))
}
