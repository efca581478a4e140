//! The entries of the ledger.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::RequestFingerprint;
use crate::headers::RecordedHeaders;
use crate::model::{Message, StoredMessage};
use crate::operation::Operation;
use crate::spec::Violation;
use crate::webhook::DeliveryAttempt;
use crate::weight;

/// The maximum size of the start of a form with files, in bytes.
pub(crate) const MAX_RECORDED_FORM: usize = 16 * 1024;

/// An entry of the ledger.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Entry {
    /// A request and its response.
    Request(Arc<RecordedRequest>),
    /// A message that was stored or changed its status, as of that moment.
    Message(Box<Message>),
    /// A webhook attempt that completed.
    Delivery(Arc<DeliveryAttempt>),
    /// Another change, by name only: `contact`, `credentials`, `clock`, …
    Changed(&'static str),
    /// The reader was too slow: this many entries were dropped before it read them.
    Missed(u64),
}

/// A request and its response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordedRequest {
    /// The id of the request, which is also the `traceId` of error responses.
    pub id: String,
    /// The number of the entry. Numbers increase, with gaps where other entries are.
    pub number: u64,
    /// The time at which it was received, in RFC 3339, by the sandbox's clock.
    pub received_at: String,
    /// The HTTP method.
    pub method: String,
    /// The path, with the query if present.
    pub path: String,
    /// The headers in order, with names in lower case. `authorization` is reduced to its scheme; cookies and keys are
    /// redacted.
    pub headers: RecordedHeaders,
    /// The body as received. Of a body that was rejected for its size, the part that was read; of an upload, the first 16 KiB.
    pub body: Vec<u8>,
    /// The operation, if the path is served.
    pub operation: Option<Operation>,
    /// The location of the token, if the token is valid.
    pub location_id: Option<String>,
    /// The fingerprint of the request. Set for operations with a JSON body and a valid token.
    pub fingerprint: Option<RequestFingerprint>,
    /// The number of earlier accepted requests with the same fingerprint.
    pub accepted_before: u64,
    /// The violations of the body with their JSON pointers, at most 100.
    pub violations: Vec<Violation>,
    /// The number of violations beyond those.
    pub more_violations: usize,
    /// The names of documented rules that the request violates but that were tolerated, see
    /// [`Strictness`](crate::Strictness).
    pub tolerated: Vec<&'static str>,
    /// The JSON pointers of fields that the spec does not have, at most 100.
    pub unknown_fields: Vec<String>,
    /// The number of such fields beyond those.
    pub more_unknown_fields: usize,
    /// The names of the fields that were probably meant, by the JSON pointer of the unknown field.
    pub suggestions: BTreeMap<String, String>,
    /// `true` if the response is 2xx.
    pub accepted: bool,
    /// The message that was stored or changed, if any.
    pub message_id: Option<String>,
    /// The name of the quirk that determined the response, see [`Quirk`](crate::Quirk).
    pub quirk: Option<&'static str>,
    /// The name of the refusal that determined the response, see [`Refusal`](crate::Refusal).
    pub refusal: Option<&'static str>,
    /// The explanation that the response has in the header `x-sandbox-note`.
    pub note: Option<String>,
    /// The name of the fault that was injected, if one was.
    pub fault: Option<String>,
    /// `true` if the fault prevented the client from receiving the whole response.
    pub broken: bool,
    /// The status of the response.
    pub status: u16,
    /// `true` if the request had valid credentials: a token, or the id and secret of an app.
    pub(crate) authenticated: bool,
    /// The headers of the response, in the form of `headers`, with the rate limit. Connection headers and the length are not
    /// included.
    pub response_headers: RecordedHeaders,
    /// The body of the response.
    pub response: Vec<u8>,
    /// The time to produce the response, by the machine's clock.
    pub duration: Duration,
}

impl RecordedRequest {
    /// Returns the value of a header by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)
    }

    /// Returns the value of a response header by its name in lower case.
    pub fn response_header(&self, name: &str) -> Option<&str> {
        self.response_headers.get(name)
    }
}

/// An [`Entry`] as the ledger retains it. Clones share their content.
#[derive(Clone, Debug)]
pub(crate) enum LedgerEvent {
    Request(Arc<RecordedRequest>),
    Message(Arc<StoredMessage>),
    Delivery(Arc<DeliveryAttempt>),
    Changed(&'static str),
    Missed(u64),
}

impl From<LedgerEvent> for Entry {
    fn from(event: LedgerEvent) -> Self {
        match event {
            LedgerEvent::Request(request) => Self::Request(request),
            LedgerEvent::Message(message) => Self::Message(Box::new(message.parsed())),
            LedgerEvent::Delivery(attempt) => Self::Delivery(attempt),
            LedgerEvent::Changed(what) => Self::Changed(what),
            LedgerEvent::Missed(entries) => Self::Missed(entries),
        }
    }
}

impl LedgerEvent {
    pub(super) fn request(&self) -> Option<&Arc<RecordedRequest>> {
        match self {
            Self::Request(request) => Some(request),
            _ => None,
        }
    }

    /// Returns `true` for a request that was rejected or whose client did not receive the full response, and for a webhook
    /// attempt without a 2xx response, unless it was tampered with.
    pub(super) fn is_failure(&self) -> bool {
        match self {
            Self::Request(request) => request.status >= 400 || request.broken,
            Self::Delivery(attempt) => {
                let is_accepted = attempt.status().is_some_and(|status| (200..300).contains(&status));
                attempt.tamper_mode.is_none() && !is_accepted
            }
            Self::Message(_) | Self::Changed(_) | Self::Missed(_) => false,
        }
    }

    /// Returns its memory in bytes. Data shared with another table counts here too, because it may be evicted there first.
    pub(crate) fn weight(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::Request(request) => request.weight(),
                Self::Delivery(attempt) => attempt.weight() + weight::block(attempt.body.len()),
                Self::Message(message) => message.weight(),
                Self::Changed(_) | Self::Missed(_) => 0,
            }
    }
}

impl RecordedRequest {
    /// Returns its memory in bytes.
    pub(crate) fn weight(&self) -> usize {
        let violation = |each: &Violation| {
            weight::text(&each.pointer) + weight::text(&each.keyword) + weight::text(&each.message)
        };
        let texts = [&self.id, &self.received_at, &self.method, &self.path];
        let options = [&self.location_id, &self.message_id, &self.note, &self.fault];
        weight::block(size_of::<Self>())
            + texts.map(|text| weight::text(text)).iter().sum::<usize>()
            + options.map(|option| weight::option(option.as_ref())).iter().sum::<usize>()
            + self.headers.weight()
            + weight::block(self.body.capacity())
            + weight::block(self.violations.capacity() * size_of::<Violation>())
            + self.violations.iter().map(violation).sum::<usize>()
            + weight::block(self.tolerated.capacity() * size_of::<&str>())
            + weight::texts(&self.unknown_fields)
            + self
                .suggestions
                .iter()
                .map(|(pointer, name)| weight::text(pointer) + weight::text(name))
                .sum::<usize>()
            + self.response_headers.weight()
            + weight::block(self.response.capacity())
    }
}
