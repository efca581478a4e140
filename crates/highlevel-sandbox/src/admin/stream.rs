//! The event stream: server-sent events.

use std::convert::Infallible;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::StreamExt;
use futures_util::stream;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;

use super::response::{AdminBody, Output};
use super::route::{Input, Route};
use crate::api_error::ApiError;
use crate::engine::Engine;
use crate::engine::LONG_EVENTS;
use crate::ledger::Entries;

pub(super) const ROUTES: &[Route] = &[Route { method: Method::GET, path: "events", handler: open }];

/// The interval of comments that keep proxies from closing idle connections.
const HEARTBEAT: Duration = Duration::from_secs(15);
const EVENTS: [&str; 5] = ["request", "message", "delivery", "changed", "missed"];

/// Starts a stream, which stays open until the client disconnects.
fn open(state: &Arc<Engine>, input: &Input<'_>) -> Result<Output, ApiError> {
    input.allow(&["after", "heartbeatMs", "only"])?;
    let heartbeat = match input.query("heartbeatMs") {
        None => HEARTBEAT,
        Some(text) => text.parse().ok().filter(|ms| *ms > 0).map(Duration::from_millis).ok_or_else(|| {
            ApiError::bad_request(format!("heartbeatMs is {text:?}, and has to be a number of milliseconds"))
        })?,
    };
    let only = match input.query("only") {
        None => EVENTS.map(str::to_owned).to_vec(),
        Some(names) => names.split(',').map(str::to_owned).collect(),
    };
    if let Some(unknown) = only.iter().find(|name| !EVENTS.contains(&name.as_str())) {
        return Err(ApiError::bad_request(format!(
            "there are no {unknown:?} events; there are {}",
            EVENTS.join(", ")
        )));
    }
    let seen = input.header("last-event-id").or_else(|| input.query("after"));
    let (entries, lost) = match seen {
        None => (state.ledger.follow_new(), false),
        Some(id) => match id.split_once('.').map(|(run, number)| (run, number.parse())) {
            Some((run, Ok(number))) if run == state.run => (state.ledger.follow_from(number), false),
            Some((_, Ok(_))) => (state.ledger.follow(), true),
            _ => return Err(ApiError::bad_request(format!("{id:?} is no id that an event had"))),
        },
    };
    let Ok(slot) = Arc::clone(&state.streams).try_acquire_owned() else {
        let message = "there are too many event streams; end one".to_owned();
        return Err(ApiError { status: StatusCode::SERVICE_UNAVAILABLE, message });
    };
    let feed = Feed { state: Arc::clone(state), entries, only, _slot: slot, long_event: None };
    let mut first = vec![feed.event("connected", &json!({ "version": env!("CARGO_PKG_VERSION") }))];
    if lost {
        first.push(feed.event("missed", &json!({ "entries": null })));
    }
    let following = stream::unfold(feed, async |mut feed| Some((feed.next().await, feed)));
    let state = Arc::clone(state);
    let events = stream::iter(first)
        .chain(following)
        .take_until(async move { state.stopped().await })
        .map(Ok::<_, Infallible>);
    let events = Sse::new(events).keep_alive(KeepAlive::new().interval(heartbeat));
    Ok(Output {
        status: StatusCode::OK,
        content: AdminBody::Other {
            media_type: "text/event-stream",
            body: events.into_response().into_body(),
        },
    })
}

/// The events of one stream, generated when the client is ready to receive them. Unread events stay in the ledger until
/// they are evicted; evicted events are counted.
struct Feed {
    state: Arc<Engine>,
    entries: Entries,
    only: Vec<String>,
    _slot: OwnedSemaphorePermit,
    /// The capacity of the previous event, if it was a long one. It is in flight until the client is ready for the next.
    long_event: Option<OwnedSemaphorePermit>,
}

impl Feed {
    /// Waits for the next event. Long events wait for capacity.
    async fn next(&mut self) -> Event {
        self.long_event = None;
        loop {
            let entry = self.entries.next_shared().await;
            if !self.only.iter().any(|each| each == entry.name()) {
                continue;
            }
            let kibibytes = entry.weight() / 1024;
            if kibibytes > 16 {
                let kibibytes = u32::try_from(2 * kibibytes.min(LONG_EVENTS / 2)).unwrap_or(1);
                // The semaphore is never closed.
                self.long_event =
                    Arc::clone(&self.state.long_events).acquire_many_owned(kibibytes).await.ok();
            }
            return self.event(entry.name(), &entry.to_json());
        }
    }

    fn event(&self, name: &str, data: &Value) -> Event {
        // A client that reconnects with this ID continues after this event.
        let id = format!("{}.{}", self.state.run, self.entries.position());
        let mut event = Event::default().id(id).event(name).into_data_writer();
        // Writing to a buffer cannot fail.
        let _ = write!(event, "{data}");
        event.into_event()
    }
}
