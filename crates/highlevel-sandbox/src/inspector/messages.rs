//! One message from its request to its webhooks, as a timeline with a separate URL.

use std::sync::Arc;

use askama::Template;
use chrono::DateTime;
use http::{Method, StatusCode};

use super::conversations::{self, segment};
use super::filter::Filter;
use super::format::{self, Time};
use super::page::Frame;
use super::response::PageResponse;
use super::route::{PageRequest, Route};
use crate::access::INSPECTOR_PATH as PATH;
use crate::engine::Engine;
use crate::ledger::RecordedRequest;
use crate::model::Message;
use crate::webhook::{DeliveryAttempt, DeliveryOutcome, DeliveryState, Summary, time_text};

pub(super) const ROUTES: &[Route] = &[Route {
    method: Method::GET,
    path: "messages/{message}",
    handler: |state, page_request| show(state, page_request),
}];

/// The maximum number of requests, of deliveries, and of attempts of each delivery.
const MOST: usize = 50;
/// The maximum length of a text in characters.
const LINE: usize = 200;

#[derive(Template)]
#[template(path = "message.html")]
struct TimelinePage {
    frame: Frame,
    id: String,
    /// `None` if the message is no longer stored.
    message: Option<Summarized>,
    /// Oldest first.
    steps: Vec<Step>,
    /// `true` if not all requests and deliveries are shown.
    more: bool,
}

/// The message.
struct Summarized {
    text: String,
    channel: String,
    status: String,
    /// The CSS class of the status badge.
    tone: &'static str,
    is_outbound: bool,
    contact: String,
    /// The URLs of the contact and of the message in its conversation.
    contact_link: String,
    conversation_link: String,
}

/// An entry of the timeline.
struct Step {
    at: Time,
    /// The position among entries of the same time.
    rank: u8,
    kind: &'static str,
    /// The CSS class of the marker.
    class: &'static str,
    title: String,
    link: Option<String>,
    /// An HTTP status.
    status: Option<u16>,
    detail: String,
}

/// Returns the URL of the timeline of a message.
pub(super) fn address(id: &str) -> String {
    format!("{PATH}/messages/{}", segment(id))
}

fn show(state: &Arc<Engine>, page_request: &PageRequest) -> PageResponse {
    let id = page_request.parameter(0);
    let model = state.shared_model();
    let message = model.message(id).map(|message| message.parsed());
    let email = message.as_ref().and_then(|message| message.email_message_id.clone());
    let (requests, more_requests) = state
        .ledger
        .collect(MOST, |request| is_about(request, id, email.as_deref()).then(|| Step::request(request)));
    let (deliveries, more_deliveries) =
        state.outbox.search(MOST, |summary| summary.event.message_id.as_deref() == Some(id));
    if message.is_none() && requests.is_empty() && deliveries.is_empty() {
        let reason = format!("message {id} not found; it may no longer be stored");
        return PageResponse::problem(StatusCode::NOT_FOUND, reason);
    }
    let mut steps = requests;
    steps.extend(message.iter().flat_map(Step::statuses));
    for summary in &deliveries {
        let delivery = state.outbox.delivery(summary.id);
        let attempts = delivery.iter().flat_map(|delivery| &delivery.attempts);
        steps.extend(attempts.rev().take(MOST).map(|attempt| Step::attempt(summary, attempt)));
        steps.extend(Step::pending(summary));
    }
    steps.sort_by_cached_key(|step| (DateTime::parse_from_rfc3339(&step.at.to_string()).ok(), step.rank));
    let summarized = message.as_ref().and_then(|message| {
        let contact = model.contact(&message.contact_id)?;
        let query = Filter { text: id.to_owned(), ..Filter::default() }.query();
        Some(Summarized {
            text: conversations::line(message),
            channel: message.channel.clone(),
            status: message.status.clone(),
            tone: conversations::tone(&message.status),
            is_outbound: message.direction == crate::model::MessageDirection::Outbound,
            contact: format::start(conversations::name(contact), LINE),
            contact_link: format!("{PATH}/contacts/{}", segment(&contact.id)),
            // A search for the ID shows the message even if it is not among the newest.
            conversation_link: format!("{PATH}/{}{query}", conversations::path(&contact.id)),
        })
    });
    let mut frame = Frame::new(
        state,
        "conversations",
        &format!("Message {}", format::start(id, LINE)),
        Filter::default(),
    );
    frame.live = "request delivery message changed";
    PageResponse::page(&TimelinePage {
        frame,
        id: id.to_owned(),
        message: summarized,
        steps,
        more: more_requests || more_deliveries,
    })
}

/// Returns `true` if a request stored, changed or read the message.
fn is_about(request: &RecordedRequest, id: &str, email: Option<&str>) -> bool {
    let has = |id: &str| {
        let path = request.path.split('?').next().unwrap_or_default();
        path.split('/').any(|part| part == id)
    };
    request.message_id.as_deref() == Some(id) || has(id) || email.is_some_and(has)
}

impl Step {
    fn request(request: &RecordedRequest) -> Self {
        let (errors, warnings) = (
            request.violations.len() + request.more_violations,
            request.tolerated.len() + request.unknown_fields.len() + request.more_unknown_fields,
        );
        let counted = |count: usize, name: &str| match count {
            0 => None,
            1 => Some(format!("1 {name}")),
            count => Some(format!("{count} {name}s")),
        };
        let validation = [counted(errors, "error"), counted(warnings, "warning")];
        let mut detail: Vec<String> = validation.into_iter().flatten().collect();
        if detail.is_empty() && request.operation.is_some() && request.method != "GET" {
            detail.push("valid".to_owned());
        }
        detail.extend(request.fault.as_ref().map(|fault| format!("fault: {}", format::start(fault, LINE))));
        if request.broken {
            detail.push("the client did not receive the full response".to_owned());
        }
        detail.push(format::took(request.duration));
        let path = request.path.split('?').next().unwrap_or_default();
        Self {
            at: request.received_at.clone().into(),
            rank: 0,
            kind: if request.method == "GET" { "Read" } else { "Request" },
            class: match request.status {
                _ if request.broken => "is-bad",
                200..=299 => "is-good",
                _ => "is-bad",
            },
            title: format::start(&format!("{} {path}", request.method), LINE),
            link: Some(format!("{PATH}/requests/{}", request.id)),
            status: Some(request.status),
            detail: detail.join(", "),
        }
    }

    /// Returns the statuses, the first of which is that with which the message was stored.
    fn statuses(message: &Message) -> impl Iterator<Item = Self> {
        message.history.iter().enumerate().map(|(index, change)| Self {
            at: change.at.clone().into(),
            rank: 1,
            kind: if index == 0 { "Stored" } else { "Status" },
            class: match conversations::tone(&change.status) {
                "is-bad" => "is-bad",
                _ => "is-good",
            },
            title: format::start(&change.status, LINE),
            link: None,
            status: None,
            detail: change.error.as_deref().map(|error| format::start(error, LINE)).unwrap_or_default(),
        })
    }

    fn attempt(summary: &Summary, attempt: &DeliveryAttempt) -> Self {
        let (is_good, detail) = match &attempt.outcome {
            DeliveryOutcome::Responded { status, .. } => ((200..300).contains(status), String::new()),
            DeliveryOutcome::Failed { reason } => (false, format::start(reason, LINE)),
        };
        let tampered = attempt.tamper_mode.map(|mode| format!("tampered: {}", mode.as_str()));
        let parts = [format!("attempt {}", attempt.number), format::took(attempt.latency)];
        let parts = parts.into_iter().chain(tampered).chain((!detail.is_empty()).then_some(detail));
        Self {
            at: attempt.started_at.clone().into(),
            rank: 2,
            kind: "Webhook",
            class: match (attempt.tamper_mode, is_good) {
                (Some(_), _) => "is-tampered",
                (None, true) => "is-good",
                (None, false) => "is-bad",
            },
            title: summary.event.name.clone(),
            link: Some(format!("{PATH}/deliveries/{}#attempt-{}", summary.id, attempt.number)),
            status: attempt.status(),
            detail: parts.collect::<Vec<_>>().join(", "),
        }
    }

    /// Returns the next attempt of a delivery that is pending.
    fn pending(summary: &Summary) -> Option<Self> {
        if summary.state != DeliveryState::Pending {
            return None;
        }
        let detail = if summary.open > 0 { "in progress or queued" } else { "scheduled" };
        Some(Self {
            at: time_text(summary.next.unwrap_or(summary.created_at)).into(),
            rank: 3,
            kind: "Webhook",
            class: "is-waiting",
            title: summary.event.name.clone(),
            link: Some(format!("{PATH}/deliveries/{}", summary.id)),
            status: None,
            detail: detail.to_owned(),
        })
    }
}
