//! Serves the assets.

use http::{Method, StatusCode};

use super::assets;
use super::response::PageResponse;
use super::route::{PageRequest, Route};

pub(super) const ROUTES: &[Route] =
    &[Route { method: Method::GET, path: "assets/{name}", handler: |_, page_request| get(page_request) }];

/// Returns `true` for the route of the assets.
pub(super) fn is_asset(route: &Route) -> bool {
    ROUTES.iter().any(|asset| asset.path == route.path)
}

fn get(page_request: &PageRequest) -> PageResponse {
    let name = page_request.parameter(0);
    match assets::find(name) {
        Some(asset) => PageResponse::Asset { media_type: asset.media_type, body: asset.body },
        None => PageResponse::problem(StatusCode::NOT_FOUND, format!("asset {name} not found")),
    }
}
