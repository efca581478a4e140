//! The event stream: server-sent events.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use http_body_util::channel::{Channel, Sender};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::response::{AdminBody, Output};
use super::route::{Input, Route};
use crate::api_error::ApiError;
use crate::engine::Engine;
use crate::engine::LONG_EVENTS;
use crate::ledger::{Entries, LedgerEvent};

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
    let seen = input.header("last-event-id").map(str::to_owned).or_else(|| input.query("after"));
    let (entries, lost) = match seen.as_deref() {
        None => (state.ledger.follow_new(), false),
        Some(id) => match id.split_once('.').map(|(run, number)| (run, number.parse())) {
            Some((run, Ok(number))) if run == state.run => (state.ledger.follow_from(number), false),
            Some((_, Ok(_))) => (state.ledger.follow(), true),
            _ => return Err(ApiError::bad_request(format!("{id:?} is no id that an event had"))),
        },
    };
    let place = Arc::clone(&state.streams).try_acquire_owned();
    let Ok(place) = place else {
        let message = "there are too many event streams; end one".to_owned();
        return Err(ApiError { status: StatusCode::SERVICE_UNAVAILABLE, message });
    };
    let (sender, body) = Channel::new(1);
    let teller = Teller { state: Arc::clone(state), entries, sender, only, heartbeat };
    tokio::spawn(async move {
        teller.tell(lost).await;
        drop(place);
    });
    Ok(Output {
        status: StatusCode::OK,
        content: AdminBody::Other { media_type: "text/event-stream", body: body.boxed() },
    })
}

/// Writes events to one client, no faster than it reads. Unread events stay in the ledger until they are evicted;
/// evicted events are counted.
struct Teller {
    state: Arc<Engine>,
    entries: Entries,
    sender: Sender<Bytes>,
    only: Vec<String>,
    heartbeat: Duration,
}

impl Teller {
    /// Runs until the client disconnects or the sandbox stops.
    async fn tell(mut self, lost: bool) {
        let state = Arc::clone(&self.state);
        tokio::select! {
            _ = self.tell_all(lost) => {}
            () = state.stopped() => {}
        }
    }

    async fn tell_all(&mut self, lost: bool) -> Result<(), Left> {
        self.say("connected", &json!({ "version": env!("CARGO_PKG_VERSION") })).await?;
        if lost {
            self.say("missed", &json!({ "entries": null })).await?;
        }
        loop {
            let Ok(entry) = timeout(self.heartbeat, self.entries.next_shared()).await else {
                self.send(":\n\n".to_owned()).await?;
                continue;
            };
            if self.only.iter().any(|each| each == entry.name()) {
                self.tell_entry(&entry).await?;
            }
        }
    }

    /// Sends an entry. Long events wait for capacity, which they hold until the client has read them.
    async fn tell_entry(&mut self, entry: &LedgerEvent) -> Result<(), Left> {
        let kibibytes = entry.weight() / 1024;
        if kibibytes <= 16 {
            return self.say(entry.name(), &entry.to_json()).await;
        }
        let state = Arc::clone(&self.state);
        let kibibytes = u32::try_from(2 * kibibytes.min(LONG_EVENTS / 2)).unwrap_or(1);
        let _permit = state.long_events.acquire_many(kibibytes).await.map_err(|_| Left)?;
        self.say(entry.name(), &entry.to_json()).await?;
        // The channel accepts this after the previous event has been read.
        self.send(":\n\n".to_owned()).await
    }

    async fn say(&mut self, event: &str, data: &Value) -> Result<(), Left> {
        // A client that reconnects with this ID continues after this event.
        let id = format!("{}.{}", self.state.run, self.entries.position());
        // JSON on one line contains no line break that could end the field.
        self.send(format!("id: {id}\nevent: {event}\ndata: {data}\n\n")).await
    }

    async fn send(&mut self, text: String) -> Result<(), Left> {
        self.sender.send_data(Bytes::from(text)).await.map_err(|_| Left)
    }
}

/// The client has disconnected.
struct Left;
