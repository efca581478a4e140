//! Serves the assets.

use http::{Method, StatusCode};

use super::assets;
use super::response::Answer;
use super::route::{Asked, Route};

pub(super) const ROUTES: &[Route] =
    &[Route { method: Method::GET, path: "assets/{name}", handler: |_, asked| get(asked) }];

fn get(asked: &Asked<'_>) -> Answer {
    let name = asked.parameter(0);
    match assets::find(name) {
        Some(asset) => Answer::Asset { media_type: asset.media_type, body: asset.body },
        None => Answer::problem(StatusCode::NOT_FOUND, format!("asset {name} not found")),
    }
}
