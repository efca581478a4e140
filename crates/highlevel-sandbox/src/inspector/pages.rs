//! The pages of the inspector, whose URLs the sign-in form returns to.

use http::Method;

use super::route::{Route, matching};
use super::{controls, conversations, deliveries, requests};
use crate::access::is_inspector_path;

/// Returns the routes of the tabs.
pub(super) fn routes() -> impl Iterator<Item = &'static Route> {
    [controls::ROUTES, conversations::ROUTES, deliveries::ROUTES, requests::ROUTES].into_iter().flatten()
}

/// Returns `true` if a URL is a page of the inspector and browsers do not normalise it to another one.
pub(super) fn is_page(address: &str) -> bool {
    let path = address.split('?').next().unwrap_or_default();
    let leaves = path.split('/').any(|segment| {
        let segment = segment.to_ascii_lowercase().replace("%2e", ".");
        segment == "." || segment == ".."
    });
    address.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\' && byte != b'#')
        && is_inspector_path(path)
        && !leaves
        && matching(routes(), path).iter().any(|(route, _)| route.method == Method::GET)
}
