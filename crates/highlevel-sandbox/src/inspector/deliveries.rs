//! The Webhooks tab: deliveries with their attempts, signatures and responses, resend and replay.

mod attempt;
mod countdown;
mod list;

use std::sync::Arc;

use askama::Template;
use http::{Method, StatusCode};

use super::connect::{self, Panel};
use super::filter::with_chosen;
use super::format::{self, Time};
use super::json::Shown;
use super::messages;
use super::page::Frame;
use super::response::PageResponse;
use super::route::{PageRequest, Route};
use crate::access::INSPECTOR_PATH as PATH;
use crate::api_error::ApiError;
use crate::engine::Engine;
use crate::spec::Spec;
use crate::webhook::{Replay, Summary, TamperMode, WebhookDelivery, time_text};
use attempt::Attempt;
use countdown::Next;
use list::{Badge, Row, Wanted};

pub(super) const ROUTES: &[Route] = &[
    Route {
        method: Method::GET,
        path: "deliveries",
        handler: |state, page_request| show(state, page_request),
    },
    Route {
        method: Method::GET,
        path: "deliveries/{id}",
        handler: |state, page_request| show(state, page_request),
    },
    Route {
        method: Method::GET,
        path: "deliveries/{id}/payload",
        handler: |state, page_request| payload(state, page_request),
    },
    Route {
        method: Method::POST,
        path: "deliveries/{id}/resend",
        handler: |state, page_request| resend(state, page_request),
    },
    Route {
        method: Method::POST,
        path: "deliveries/{id}/replay",
        handler: |state, page_request| replay(state, page_request),
    },
];

/// The maximum size of a payload that can be edited and is shown in full, in bytes.
const MOST_SHOWN: usize = 64 * 1024;
/// The number of attempts shown; earlier ones are collapsed.
const LATEST: usize = 6;
/// The statuses offered in the search form.
const STATUSES: [&str; 8] = ["pending", "delivered", "failed", "no response", "2xx", "3xx", "4xx", "5xx"];

#[derive(Template)]
#[template(path = "deliveries.html")]
struct DeliveriesPage<'a> {
    frame: Frame,
    channels: Vec<&'a str>,
    statuses: Vec<&'a str>,
    rows: Vec<Row>,
    longer: Option<String>,
    has_url: bool,
    open: Option<Open<'a>>,
    /// The Connect panel, while there are no deliveries.
    connect: Option<Panel>,
}

/// The delivery that is open.
struct Open<'a> {
    delivery: &'a WebhookDelivery,
    badge: Badge,
    created: Time,
    next: Option<Next>,
    /// The number of attempts in progress or queued.
    in_progress: u32,
    message: Option<MessageLink>,
    /// The attempts, newest first.
    attempts: Vec<Attempt<'a>>,
    /// `true` if all attempts are still stored.
    is_complete: bool,
    payload: Payload<'a>,
    modes: [TamperMode; 11],
    /// The action of the forms.
    path: String,
    query: String,
}

/// The link to the message of a delivery.
struct MessageLink {
    id: String,
    /// The URL of its timeline.
    address: String,
    is_stored: bool,
}

/// The original payload.
struct Payload<'a> {
    shown: Shown<'a>,
    /// The beginning of the raw payload.
    start: &'a str,
    length: usize,
    can_be_edited: bool,
    /// The ID of the element that contains the complete raw payload, if any.
    whole: Option<&'static str>,
}

fn show(state: &Arc<Engine>, page_request: &PageRequest) -> PageResponse {
    let filter = page_request.filter();
    let mut frame = Frame::new(state, "deliveries", "Webhooks", filter.clone());
    let now = state.clock.now();
    let open = page_request.parameter(0);
    let id = open.parse().ok();
    let delivery = id.and_then(|id| Some((state.outbox.delivery(id)?, state.outbox.summary(id)?)));
    if !open.is_empty() && delivery.is_none() {
        return gone(open);
    }
    if let Some((delivery, _)) = &delivery {
        let state = Badge::of(delivery.state).label;
        frame.show(&format!("{} {}: {state}", delivery.event, delivery.id));
    }
    let wanted = Wanted::new(&filter, state.model().contacts());
    let (found, more) = state.outbox.search(filter.rows, |summary| wanted.fits(summary));
    let rows: Vec<Row> = found
        .iter()
        .map(|summary| {
            let link = frame.link(&format!("deliveries/{}", summary.id));
            let is_open = Some(summary.id) == id;
            Row::new(summary, link, is_open, now)
        })
        .collect();
    let longer = if more { filter.longer() } else { None };
    let longer = longer.map(|longer| format!("{PATH}/deliveries{}", longer.query()));
    let open = delivery.as_ref().map(|(delivery, summary)| Open::new(state, &frame, delivery, summary));
    let connect = (open.is_none() && rows.is_empty() && filter.is_open())
        .then(|| connect::for_no_deliveries(state, page_request, &mut frame));
    PageResponse::page(&DeliveriesPage {
        connect,
        channels: with_chosen(Spec::embedded().allowed_values("EventMessageType"), &filter.channel),
        statuses: with_chosen(STATUSES.to_vec(), &filter.status),
        frame,
        rows,
        longer,
        has_url: state.outbox.url().is_some(),
        open,
    })
}

fn gone(id: &str) -> PageResponse {
    PageResponse::problem(
        StatusCode::NOT_FOUND,
        format!("delivery {id} not found; it may no longer be stored"),
    )
}

/// Returns the raw payload as a file.
fn payload(state: &Arc<Engine>, page_request: &PageRequest) -> PageResponse {
    let id = page_request.parameter(0);
    match id.parse().ok().and_then(|id| state.outbox.delivery(id)) {
        Some(delivery) => {
            PageResponse::File { name: format!("delivery-{}.txt", delivery.id), body: delivery.body.to_vec() }
        }
        None => gone(id),
    }
}

impl<'a> Open<'a> {
    /// Returns the attempts that are not collapsed.
    fn latest(&self) -> &[Attempt<'a>] {
        &self.attempts[..self.attempts.len().min(LATEST)]
    }

    fn earlier(&self) -> &[Attempt<'a>] {
        self.attempts.get(LATEST..).unwrap_or_default()
    }

    fn new(state: &Engine, frame: &Frame, delivery: &'a WebhookDelivery, summary: &Summary) -> Self {
        let keyring = state.outbox.keyring();
        let keys = keyring.published();
        let all = &delivery.attempts;
        let attempt = |index: usize| {
            let before = index.checked_sub(1).map(|before| &*all[before]);
            Attempt::new(&all[index], before, index + 1 == all.len(), &delivery.body, &keyring, &keys)
        };
        Self {
            badge: Badge::of(delivery.state),
            created: delivery.created_at.clone().into(),
            next: summary.next.map(|at| Next::new(time_text(at), at - state.clock.now())),
            in_progress: summary.open,
            message: delivery.message_id.clone().map(|id| MessageLink::new(state, id)),
            attempts: (0..all.len()).rev().map(attempt).collect(),
            is_complete: delivery.attempts.len() >= usize::try_from(summary.ended).unwrap_or(usize::MAX),
            payload: Payload::new(&delivery.body),
            modes: TamperMode::ALL,
            path: format!("{PATH}/deliveries/{}", delivery.id),
            query: frame.filter.query(),
            delivery,
        }
    }
}

impl MessageLink {
    fn new(state: &Engine, id: String) -> Self {
        Self { address: messages::address(&id), is_stored: state.model().message(&id).is_some(), id }
    }
}

impl<'a> Payload<'a> {
    fn new(body: &'a [u8]) -> Self {
        let text = std::str::from_utf8(body).ok();
        let start = format::beginning(text.unwrap_or_default(), MOST_SHOWN);
        let can_be_edited = text.is_some() && body.len() <= MOST_SHOWN;
        let shown = Shown::of(body, &[]);
        let whole = match &shown {
            Shown::Json(_) if can_be_edited => Some("payload-raw"),
            Shown::Text { is_cut: false, .. } => Some("payload"),
            _ => None,
        };
        Self { shown, start, length: body.len(), can_be_edited, whole }
    }
}

fn resend(state: &Arc<Engine>, page_request: &PageRequest) -> PageResponse {
    let mode = match page_request.field("tamper").map(|mode| mode.parse::<TamperMode>()).transpose() {
        Ok(mode) => mode,
        Err(words) => return PageResponse::problem(StatusCode::BAD_REQUEST, words),
    };
    done(page_request, |id| state.resend(id, mode))
}

fn replay(state: &Arc<Engine>, page_request: &PageRequest) -> PageResponse {
    let mut replay = Replay::new();
    if let Some(number) = page_request.field("attempt") {
        let Ok(number) = number.parse() else {
            let words = format!("attempt number {number:?} is invalid; select an attempt from the list");
            return PageResponse::problem(StatusCode::BAD_REQUEST, words);
        };
        replay = replay.attempt(number);
    }
    if let Some(body) = page_request.text_area("body") {
        replay = replay.body(body);
    }
    if page_request.field("signed").is_some() {
        replay = replay.signed();
    }
    done(page_request, |id| state.replay(id, replay))
}

/// Performs an action on the delivery in the path and redirects to its page.
fn done(
    page_request: &PageRequest,
    action: impl FnOnce(u64) -> std::io::Result<WebhookDelivery>,
) -> PageResponse {
    let id = page_request.parameter(0);
    // Delivery IDs start at 1.
    match action(id.parse().unwrap_or_default()) {
        Ok(_) => PageResponse::See(format!("{PATH}/deliveries/{id}{}", page_request.filter().query())),
        Err(error) => ApiError::from(error).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_copied_is_all_of_the_payload_as_it_is() {
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(MOST_SHOWN));
        let cases: [(&[u8], Option<&str>); 6] = [
            (b"{\"a\":1}", Some("payload-raw")),
            (b"not JSON", Some("payload")),
            (long.as_bytes(), None),
            (&long.as_bytes()[1..], None),
            (b"\xff", None),
            (b"", None),
        ];
        for (body, expected) in cases {
            let payload = Payload::new(body);
            assert_eq!(payload.whole, expected, "{} bytes", body.len());
            if expected == Some("payload-raw") {
                assert_eq!(payload.start.as_bytes(), body);
            }
        }
    }
}
