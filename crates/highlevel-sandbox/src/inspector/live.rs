//! Notifies open pages of events, so that they refresh.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::{StreamExt, stream};
use http::{Method, StatusCode};
use tokio::time::sleep;

use super::response::PageResponse;
use super::route::Route;
use crate::engine::Engine;

pub(super) const ROUTES: &[Route] = &[
    Route { method: Method::GET, path: "live", handler: |state, _| open(state) },
    Route { method: Method::GET, path: "live/failures", handler: |state, _| count(state) },
];

/// The interval of comments that keep idle connections open.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// The minimum time between two events. The first one is sent immediately; later ones are merged.
const PAUSE: Duration = Duration::from_millis(40);

/// Returns the number of failures since the start, for pages that are not connected.
fn count(state: &Engine) -> PageResponse {
    PageResponse::Page { status: StatusCode::OK, html: state.ledger.failures().to_string() }
}

fn open(state: &Arc<Engine>) -> PageResponse {
    // Browsers ignore events without data.
    let connected = Event::default().event("connected").data(env!("CARGO_PKG_VERSION"));
    let entries = state.ledger.follow_new();
    let changes = stream::unfold((entries, Duration::ZERO), async |(mut entries, pause)| {
        sleep(pause).await;
        let names: Vec<_> = entries.names().await.into_iter().collect();
        Some((Event::default().event("happened").data(names.join(" ")), (entries, PAUSE)))
    });
    let state = Arc::clone(state);
    let events = stream::iter([connected])
        .chain(changes)
        .take_until(async move { state.stopped().await })
        .map(Ok::<_, Infallible>);
    let events = Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT));
    PageResponse::Stream(events.into_response().into_body())
}
