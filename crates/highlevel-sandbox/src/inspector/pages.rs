//! The pages of the inspector, whose URLs the sign-in form returns to.

use std::sync::OnceLock;

use http::Method;

use super::route::{Route, addresses};
use super::{connect, contacts, controls, conversations, deliveries, messages, requests};

/// Returns the routes of the tabs.
pub(super) fn routes() -> impl Iterator<Item = &'static Route> {
    [
        connect::ROUTES,
        contacts::ROUTES,
        controls::ROUTES,
        conversations::ROUTES,
        deliveries::ROUTES,
        messages::ROUTES,
        requests::ROUTES,
    ]
    .into_iter()
    .flatten()
}

/// The addresses of the pages, matched as the router matches them.
fn pages() -> &'static matchit::Router<()> {
    static PAGES: OnceLock<matchit::Router<()>> = OnceLock::new();
    PAGES.get_or_init(|| {
        let mut pages = matchit::Router::new();
        for route in routes().filter(|route| route.method == Method::GET) {
            for address in addresses(route.path) {
                // The router is built from the same table, so that no address conflicts with another one.
                let _ = pages.insert(address, ());
            }
        }
        pages
    })
}

/// Returns `true` if a URL is a page of the inspector and browsers do not normalise it to another one.
pub(super) fn is_page(address: &str) -> bool {
    let path = address.split('?').next().unwrap_or_default();
    let leaves = path.split('/').any(|segment| {
        let segment = segment.to_ascii_lowercase().replace("%2e", ".");
        segment == "." || segment == ".."
    });
    address.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\' && byte != b'#')
        && !leaves
        && pages().at(path).is_ok()
}
