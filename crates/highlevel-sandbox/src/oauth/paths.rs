//! The paths of the OAuth endpoints.

use http::Method;
use http::request::Parts;

use crate::access::is_navigation;

/// An endpoint of the OAuth server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// The authorization page.
    Authorize,
    Token,
    LocationToken,
    InstalledLocations,
    /// An endpoint that HighLevel removed in September 2026.
    Reconnect,
    /// A path of no endpoint.
    Unknown,
}

/// The paths that version `v3` has renamed.
pub(crate) const LOCATION_TOKEN: &str = "/oauth/locationToken";
pub(crate) const INSTALLED_LOCATIONS: &str = "/oauth/installedLocations";

/// The path templates of the endpoints.
pub(crate) const ROUTES: [(&str, Endpoint); 12] = [
    ("/v2/oauth/chooselocation", Endpoint::Authorize),
    // The older path, which the official JavaScript SDK and most programs open.
    ("/oauth/chooselocation", Endpoint::Authorize),
    ("/oauth/token", Endpoint::Token),
    (LOCATION_TOKEN, Endpoint::LocationToken),
    ("/oauth/location-token", Endpoint::LocationToken),
    (INSTALLED_LOCATIONS, Endpoint::InstalledLocations),
    ("/oauth/installed-locations", Endpoint::InstalledLocations),
    ("/oauth/reconnect", Endpoint::Reconnect),
    ("/oauth/", Endpoint::Unknown),
    ("/oauth/{*path}", Endpoint::Unknown),
    ("/v2/oauth/", Endpoint::Unknown),
    ("/v2/oauth/{*path}", Endpoint::Unknown),
];

/// Returns `true` if a request to the authorization page opens it. Pages of other sites may link to it, because that is how
/// an app is installed.
pub(crate) fn opens_page(head: &Parts) -> bool {
    head.method == Method::GET
        && (is_navigation(&head.headers) || !head.headers.contains_key("sec-fetch-site"))
}
