//! Notifies open pages of events, so that they refresh.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http_body_util::BodyExt;
use http_body_util::channel::{Channel, Sender};
use tokio::time::{sleep, timeout};

use super::response::PageResponse;
use super::route::Route;
use crate::engine::Engine;
use crate::ledger::Entries;

pub(super) const ROUTES: &[Route] =
    &[Route { method: Method::GET, path: "live", handler: |state, _| open(state) }];

/// The interval of comments that keep idle connections open.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// The minimum time between two events. The first one is sent immediately; later ones are merged.
const PAUSE: Duration = Duration::from_millis(40);

fn open(state: &Arc<Engine>) -> PageResponse {
    let (sender, body) = Channel::new(1);
    let (state, entries) = (Arc::clone(state), state.ledger.follow_new());
    tokio::spawn(async move {
        tokio::select! {
            _ = tell(entries, sender) => {}
            () = state.stopped() => {}
        }
    });
    PageResponse::Stream(body.boxed())
}

/// Runs until the client disconnects.
async fn tell(
    mut entries: Entries,
    mut sender: Sender<Bytes>,
) -> Result<(), http_body_util::channel::SendError> {
    sender.send_data(Bytes::from_static(b"event: connected\ndata:\n\n")).await?;
    loop {
        let text = match timeout(HEARTBEAT, entries.names()).await {
            Ok(names) => {
                let names: Vec<_> = names.into_iter().collect();
                format!("event: happened\ndata: {}\n\n", names.join(" "))
            }
            Err(_) => ":\n\n".to_owned(),
        };
        sender.send_data(Bytes::from(text)).await?;
        sleep(PAUSE).await;
    }
}
