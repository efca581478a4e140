//! Webhook events on their way: each attempt, its signature, its answer, what comes next, and the same once more.

mod attempt;
mod countdown;
mod list;

use std::sync::Arc;

use askama::Template;
use http::{Method, StatusCode};

use super::filter::with_chosen;
use super::format::{self, Time};
use super::json::Shown;
use super::page::Frame;
use super::{Answer, Asked, PATH, Route, conversations};
use crate::api_error::ApiError;
use crate::engine::Engine;
use crate::webhook::{Replay, Summary, TamperMode, WebhookDelivery, time_text};
use attempt::Attempt;
use countdown::Next;
use list::{Badge, Row, Wanted};

pub(super) const ROUTES: &[Route] = &[
    Route { method: Method::GET, path: "deliveries", handler: |state, asked| show(state, asked) },
    Route { method: Method::GET, path: "deliveries/{id}", handler: |state, asked| show(state, asked) },
    Route {
        method: Method::GET,
        path: "deliveries/{id}/payload",
        handler: |state, asked| payload(state, asked),
    },
    Route {
        method: Method::POST,
        path: "deliveries/{id}/resend",
        handler: |state, asked| resend(state, asked),
    },
    Route {
        method: Method::POST,
        path: "deliveries/{id}/replay",
        handler: |state, asked| replay(state, asked),
    },
];

/// Up to how many bytes a payload is shown as it was sent, and can be edited.
const MOST_SHOWN: usize = 64 * 1024;
/// How many attempts are shown at once; the earlier ones are folded.
const LATEST: usize = 6;
/// What a status can be searched for.
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
    /// The last one first.
    attempts: Vec<Attempt<'a>>,
    /// Whether those are all that there were.
    is_complete: bool,
    payload: Payload<'a>,
    modes: [TamperMode; 11],
    /// Where the forms go.
    path: String,
    query: String,
}

/// Where the message is shown that a delivery is about.
struct MessageLink {
    id: String,
    /// Not if the message is forgotten.
    conversation: Option<String>,
    requests: String,
}

/// The payload as it was made.
struct Payload<'a> {
    shown: Shown<'a>,
    /// The beginning of it, as it is.
    start: &'a str,
    length: usize,
    can_be_edited: bool,
    /// Which element has all of it as it is, if one has.
    whole: Option<&'static str>,
}

fn show(state: &Arc<Engine>, asked: &Asked<'_>) -> Answer {
    let filter = asked.filter();
    let frame = Frame::new(state, "deliveries", "Deliveries", filter.clone());
    let now = state.clock.now();
    let open = asked.parameter(0);
    let id = open.parse().ok();
    let delivery = id.and_then(|id| Some((state.outbox.delivery(id)?, state.outbox.summary(id)?)));
    if !open.is_empty() && delivery.is_none() {
        return gone(open);
    }
    let wanted = Wanted::new(&filter, state.model().contacts());
    let (found, more) = state.outbox.search(filter.rows, |summary| wanted.fits(summary));
    let rows = found
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
    Answer::page(&DeliveriesPage {
        channels: with_chosen(state.spec.allowed_values("EventMessageType"), &filter.channel),
        statuses: with_chosen(STATUSES.to_vec(), &filter.status),
        frame,
        rows,
        longer,
        has_url: state.outbox.url().is_some(),
        open,
    })
}

fn gone(id: &str) -> Answer {
    Answer::problem(StatusCode::NOT_FOUND, format!("delivery {id} not found; it may no longer be stored"))
}

/// The payload as it was made, as a file.
fn payload(state: &Arc<Engine>, asked: &Asked<'_>) -> Answer {
    let id = asked.parameter(0);
    match id.parse().ok().and_then(|id| state.outbox.delivery(id)) {
        Some(delivery) => {
            Answer::File { name: format!("delivery-{}.txt", delivery.id), body: delivery.body.to_vec() }
        }
        None => gone(id),
    }
}

impl<'a> Open<'a> {
    /// The attempts that are shown at once, and those that are folded.
    fn latest(&self) -> &[Attempt<'a>] {
        &self.attempts[..self.attempts.len().min(LATEST)]
    }

    fn earlier(&self) -> &[Attempt<'a>] {
        self.attempts.get(LATEST..).unwrap_or_default()
    }

    fn new(state: &Engine, frame: &Frame, delivery: &'a WebhookDelivery, summary: &Summary) -> Self {
        let keyring = state.outbox.keyring();
        let keys = keyring.published();
        let attempts = delivery.attempts.iter().rev();
        Self {
            badge: Badge::of(delivery.state),
            created: delivery.created_at.clone().into(),
            next: summary.next.map(|at| Next::new(time_text(at), at - state.clock.now())),
            in_progress: summary.open,
            message: delivery.message_id.clone().map(|id| MessageLink::new(state, id)),
            attempts: attempts
                .map(|attempt| Attempt::new(attempt, &delivery.body, &keyring, &keys))
                .collect(),
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
        let contact = state.model().message(&id).map(|message| message.contact_id.clone());
        let query = super::Filter { text: id.clone(), ..super::Filter::default() }.query();
        Self {
            // Found by its id it is shown, however many came after it.
            conversation: contact.map(|contact| format!("{PATH}/{}{query}", conversations::path(&contact))),
            requests: format!("{PATH}/requests{query}"),
            id,
        }
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

fn resend(state: &Arc<Engine>, asked: &Asked<'_>) -> Answer {
    let mode = match asked.field("tamper").map(|mode| mode.parse::<TamperMode>()).transpose() {
        Ok(mode) => mode,
        Err(words) => return Answer::problem(StatusCode::BAD_REQUEST, words),
    };
    done(asked, |id| state.resend(id, mode))
}

fn replay(state: &Arc<Engine>, asked: &Asked<'_>) -> Answer {
    let mut replay = Replay::new();
    if let Some(number) = asked.field("attempt") {
        let Ok(number) = number.parse() else {
            let words = format!("attempt number {number:?} is invalid; select an attempt from the list");
            return Answer::problem(StatusCode::BAD_REQUEST, words);
        };
        replay = replay.attempt(number);
    }
    if let Some(body) = edited(asked.body) {
        replay = replay.body(body);
    }
    if asked.field("signed").is_some() {
        replay = replay.signed();
    }
    done(asked, |id| state.replay(id, replay))
}

/// The body that was typed, if there was a field for it. A browser ends the lines of a field in its own way, and
/// nobody can type another one.
fn edited(form: &[u8]) -> Option<String> {
    let body = form_urlencoded::parse(form).find(|(field, _)| field == "body");
    body.map(|(_, value)| value.replace("\r\n", "\n"))
}

/// Does something with the delivery of the address, and shows it again.
fn done(asked: &Asked<'_>, action: impl FnOnce(u64) -> std::io::Result<WebhookDelivery>) -> Answer {
    let id = asked.parameter(0);
    // No delivery has the id 0.
    match action(id.parse().unwrap_or_default()) {
        Ok(_) => Answer::See(format!("{PATH}/deliveries/{id}{}", asked.filter().query())),
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

    #[test]
    fn what_was_typed_is_sent() {
        let cases = [
            ("attempt=1", None),
            ("body=", Some("")),
            ("body=+a%0D%0Ab%0D%0A", Some(" a\nb\n")),
            ("attempt=&body=%7B%22a%22%3A%22%5Cr%5Cn%22%7D", Some(r#"{"a":"\r\n"}"#)),
        ];
        for (form, expected) in cases {
            assert_eq!(edited(form.as_bytes()).as_deref(), expected, "{form}");
        }
    }
}
