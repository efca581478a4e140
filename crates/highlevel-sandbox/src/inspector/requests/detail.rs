//! The details of the open request.

use http::StatusCode;

use super::annotations::{self, Badge};
use super::budget::{self, Meter};
use super::curl::{self, Curl};
use super::duplicates::{self, StoringRequest};
use crate::access::INSPECTOR_PATH as PATH;
use crate::engine::Engine;
use crate::fault::Fault;
use crate::inspector::connect::base_url;
use crate::inspector::conversations;
use crate::inspector::format::{self, Time};
use crate::inspector::json::{Mark, Shown};
use crate::inspector::messages;
use crate::inspector::page::Frame;
use crate::inspector::route::PageRequest;
use crate::json_fields;
use crate::ledger::{MAX_RECORDED_FORM, RecordedRequest, RequestFingerprint};
use crate::operation::Operation;
use crate::traffic::MAX_BODY;

/// The maximum number of links to requests with the same content.
const MOST_OTHERS: usize = 20;
/// The maximum length of the path in the title, in characters.
const MAX_BODY_TITLE: usize = 120;
/// The maximum number of query parameters shown.
const MOST_PARAMETERS: usize = 100;

pub(super) struct Detail<'r> {
    pub(super) request: &'r RecordedRequest,
    /// The path without the query, truncated.
    pub(super) title: String,
    /// The decoded query parameters.
    pub(super) parameters: Vec<(String, String)>,
    pub(super) reason: &'static str,
    pub(super) operation: &'static str,
    pub(super) took: String,
    pub(super) at: Time,
    pub(super) badges: Vec<Badge>,
    /// The URL of the conversation of the stored or changed message.
    pub(super) conversation: Option<String>,
    pub(super) repetition: Option<Repetition>,
    /// The description of the injected fault.
    pub(super) fault: Option<&'static str>,
    pub(super) marks: &'r [Mark],
    /// The number of annotations that are not listed.
    pub(super) more_marks: usize,
    pub(super) body: Shown<'r>,
    /// `true` if only the start of the body is stored: it exceeded the size limit, or has files.
    pub(super) is_beginning: bool,
    pub(super) response: Shown<'r>,
    pub(super) meters: Vec<Meter>,
    pub(super) curl: Curl,
    /// The base URL of the downloads.
    pub(super) files: String,
}

/// Requests with the same content.
pub(super) struct Repetition {
    pub(super) accepted: u64,
    pub(super) stored: u64,
    /// `true` if this request stored the message and another one did too.
    pub(super) is_sent_twice: bool,
    /// `true` if this request is probably one of two by mistake.
    pub(super) is_duplicate: bool,
    /// `true` if this request stored it first.
    pub(super) is_first: bool,
    /// The first request that stored it, if it is another one and still stored.
    pub(super) first: Option<Link>,
    /// The other accepted requests, newest first.
    pub(super) others: Vec<Link>,
    pub(super) more: usize,
}

pub(super) struct Link {
    pub(super) id: String,
    pub(super) address: String,
    pub(super) at: Time,
    pub(super) status: u16,
    number: u64,
    has_stored: bool,
    is_lost: bool,
}

impl<'r> Detail<'r> {
    /// The size of the response body in bytes.
    pub(super) fn response_size(&self) -> usize {
        self.request.response.len()
    }

    pub(super) fn response_headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.request.response_headers.iter()
    }

    pub(super) fn new(
        state: &Engine,
        page_request: &PageRequest,
        frame: &Frame,
        request: &'r RecordedRequest,
        marks: &'r [Mark],
    ) -> Self {
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let repetition =
            request.fingerprint.map(|fingerprint| repetition(state, frame, request, fingerprint));
        let stored = repetition.as_ref().map_or(0, |repetition| repetition.stored);
        let is_duplicate = repetition.as_ref().is_some_and(|repetition| repetition.is_duplicate);
        let contact = contact_of(state, request);
        let fault = request.fault.as_deref();
        Self {
            title: format::start(path, MAX_BODY_TITLE),
            parameters: form_urlencoded::parse(query.as_bytes()).into_owned().take(MOST_PARAMETERS).collect(),
            reason: StatusCode::from_u16(request.status)
                .ok()
                .and_then(|status| status.canonical_reason())
                .unwrap_or_default(),
            operation: request.operation.map_or("", |operation| operation.id()),
            took: format::took(request.duration),
            at: request.received_at.clone().into(),
            badges: annotations::badges(request, stored, is_duplicate),
            conversation: contact.map(|id| format!("{PATH}/{}", conversations::path(&id))),
            repetition: repetition.filter(|repetition| repetition.accepted > 0),
            fault: fault
                .and_then(|name| Fault::all().find(|fault| fault.name() == name))
                .and_then(Fault::description),
            marks,
            more_marks: annotations::more(request),
            body: Shown::of(&request.body, marks),
            is_beginning: (request.status == 413 && request.body.len() >= MAX_BODY)
                || (request.operation == Some(Operation::UploadFiles)
                    && request.body.len() == MAX_RECORDED_FORM),
            response: Shown::of(&request.response, &[]),
            meters: budget::meters(request),
            curl: Curl::of(request, &base_url(state, &page_request.headers)),
            files: format!("{PATH}/requests/{}", request.id),
            request,
        }
    }

    /// Returns the URL of the timeline of the message.
    pub(super) fn message_address(&self) -> String {
        messages::address(self.request.message_id.as_deref().unwrap_or_default())
    }

    pub(super) fn errors(&self) -> impl Iterator<Item = &Mark> {
        self.marks.iter().filter(|mark| mark.is_error)
    }

    pub(super) fn warnings(&self) -> impl Iterator<Item = &Mark> {
        self.marks.iter().filter(|mark| !mark.is_error)
    }

    /// The number of errors, including those that are not listed.
    pub(super) fn error_count(&self) -> usize {
        annotations::error_count(self.request)
    }

    /// The number of warnings, including those that are not listed.
    pub(super) fn warning_count(&self) -> usize {
        annotations::warning_count(self.request)
    }
}

fn repetition(
    state: &Engine,
    frame: &Frame,
    request: &RecordedRequest,
    fingerprint: RequestFingerprint,
) -> Repetition {
    let times = state.ledger.times(fingerprint);
    let (mut others, _) = state.ledger.collect(usize::MAX, |other| {
        let is_other = other.fingerprint == Some(fingerprint) && other.accepted && other.id != request.id;
        is_other.then(|| Link {
            id: other.id.clone(),
            address: frame.link(&format!("requests/{}", other.id)),
            at: other.received_at.clone().into(),
            status: other.status,
            number: other.number,
            has_stored: other.message_id.is_some(),
            is_lost: duplicates::is_lost(other.broken, other.status),
        })
    });
    let is_sent_twice = annotations::is_sent_twice(request, times.stored);
    let storing = others.iter().filter(|other| other.has_stored).map(|other| StoringRequest {
        id: other.id.clone(),
        number: other.number,
        at: other.at.to_string(),
        is_lost: other.is_lost,
    });
    let storing = storing.chain([StoringRequest::of(request)]).collect();
    let is_duplicate = is_sent_twice && duplicates::duplicates(storing).contains(&request.id);
    let first = first_of(&others, request.number, times.stored);
    let other =
        first.filter(|_| is_sent_twice).and_then(|first| others.iter().position(|each| each.number == first));
    let other = other.map(|place| others.remove(place));
    let more = others.len().saturating_sub(MOST_OTHERS);
    others.truncate(MOST_OTHERS);
    Repetition {
        accepted: times.accepted,
        stored: times.stored,
        is_sent_twice,
        is_duplicate,
        is_first: first == Some(request.number),
        first: other,
        others,
        more,
    }
}

/// Returns the number of the first request that stored the message. `stored` is the number of requests that stored it;
/// `number` is one of them, and `others` are the others. Returns `None` if not all of them are still in the ledger.
fn first_of(others: &[Link], number: u64, stored: u64) -> Option<u64> {
    let numbers = others.iter().filter(|other| other.has_stored).map(|other| other.number);
    let kept = numbers.clone().count() + 1;
    (u64::try_from(kept) == Ok(stored)).then(|| numbers.fold(number, u64::min))
}

/// Returns the contact of the conversation that a request refers to.
fn contact_of(state: &Engine, request: &RecordedRequest) -> Option<String> {
    let model = state.model();
    let message = request.message_id.as_deref().and_then(|id| model.message(id));
    let named = || json_fields::text(&request.body, "contactId");
    let id = message.map(|message| message.contact_id.to_string()).or_else(named)?;
    model.conversation_with(&id)?;
    Some(id)
}

/// Returns a request or response body as a file.
pub(super) fn file(request: &RecordedRequest, which: &str) -> (String, Vec<u8>) {
    let name = curl::file_name(request);
    match which {
        "response" => (name.replace("request-", "response-"), request.response.clone()),
        _ => (name, request.body.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers of other requests, and `true` if they stored the message. The open request has number 5 and stored
    /// it.
    type Others = &'static [(u64, bool)];

    #[test]
    fn the_first_request_is_named_only_if_it_is_known() {
        let cases: [(Others, u64, Option<u64>); 6] = [
            (&[(9, true)], 2, Some(5)),
            (&[(9, true), (3, true)], 3, Some(3)),
            (&[(9, true), (3, true), (1, false)], 3, Some(3)),
            (&[(9, true), (3, false)], 2, Some(5)),
            (&[(9, true)], 3, None),
            (&[], 2, None),
        ];
        for (others, stored, expected) in cases {
            let link = |(number, has_stored): &(u64, bool)| Link {
                id: String::new(),
                address: String::new(),
                at: Time::default(),
                status: 201,
                number: *number,
                has_stored: *has_stored,
                is_lost: false,
            };
            let others: Vec<Link> = others.iter().map(link).collect();
            assert_eq!(first_of(&others, 5, stored), expected, "{stored}");
        }
    }
}
