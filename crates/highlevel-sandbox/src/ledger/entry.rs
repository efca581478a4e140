//! What the ledger keeps.

use std::sync::Arc;
use std::time::Duration;

use super::RequestFingerprint;
use crate::model::{Message, Stored};
use crate::operation::Operation;
use crate::spec::Violation;
use crate::webhook::DeliveryAttempt;
use crate::weight;

/// One thing that happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Entry {
    /// A request was answered.
    Request(RecordedRequest),
    /// A message was stored, or got another status. This is how it was then.
    Message(Message),
    /// A webhook attempt ended.
    Delivery(Arc<DeliveryAttempt>),
    /// Something else changed, of which the ledger keeps no more than the name: `contact`, `credentials`, `clock`, …
    Changed(&'static str),
    /// The reader was too slow: this many entries were forgotten before it came to them.
    Missed(u64),
}

/// A request and the answer to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordedRequest {
    /// The id of the request, which is also the `traceId` of a refusal.
    pub id: String,
    /// The place of the request among all entries. It grows, and has gaps where other entries are.
    pub number: u64,
    /// When it was received, RFC 3339, by the sandbox's clock.
    pub received_at: String,
    /// The HTTP method.
    pub method: String,
    /// The path, with the query if there was one.
    pub path: String,
    /// The headers, their names in lower case, in order. Of `authorization` there is only the scheme, and of cookies and
    /// keys nothing.
    pub headers: Vec<(String, String)>,
    /// The body as it came. Of a body that was refused for its size, the part that was read.
    pub body: Vec<u8>,
    /// What was asked for, if the path is one that is served.
    pub operation: Option<Operation>,
    /// The location of the token, if the token is good.
    pub location_id: Option<String>,
    /// What it asks for, to compare it by. Of a JSON body to an operation, with a good token.
    pub fingerprint: Option<RequestFingerprint>,
    /// How many requests with the same fingerprint were accepted before this one.
    pub accepted_before: u64,
    /// The violations of the body, each with its JSON pointer: at most 100.
    pub violations: Vec<Violation>,
    /// The number of violations besides those.
    pub more_violations: usize,
    /// The names of the rules of the documentation that it breaks and that were not insisted on, see
    /// [`Strictness`](crate::Strictness).
    pub tolerated: Vec<&'static str>,
    /// The JSON pointers of fields that the specification does not have: at most 100.
    pub unknown_fields: Vec<String>,
    /// The number of such fields besides those.
    pub more_unknown_fields: usize,
    /// Whether it was answered with yes.
    pub accepted: bool,
    /// The message that was stored or changed. `None` when nothing was.
    pub message_id: Option<String>,
    /// The name of the quirk that made the answer what it is, see [`Quirk`](crate::Quirk).
    pub quirk: Option<&'static str>,
    /// The name of the fault that was injected, if one was.
    pub fault: Option<String>,
    /// Whether that fault kept the answer from getting through as a whole.
    pub broken: bool,
    /// The status of the answer.
    pub status: u16,
    /// Whether the request had valid credentials: a token, or the id and the secret of an app.
    pub(crate) authenticated: bool,
    /// The headers of the answer, as `headers`: what was left of the rate limit among them. Those that belong to the
    /// connection, and the length, are not there.
    pub answer_headers: Vec<(String, String)>,
    /// The body of the answer.
    pub answer: Vec<u8>,
    /// How long it took to decide on the answer, by the machine's clock.
    pub duration: Duration,
}

impl RecordedRequest {
    /// The value of a header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// The value of a header of the answer, by its name in lower case.
    pub fn answer_header(&self, name: &str) -> Option<&str> {
        find(&self.answer_headers, name)
    }
}

/// What the ledger retains of an [`Entry`]. Cloning it shares everything.
#[derive(Clone, Debug)]
pub(crate) enum Happened {
    Request(Arc<RecordedRequest>),
    Message(Arc<Stored>),
    Delivery(Arc<DeliveryAttempt>),
    Changed(&'static str),
    Missed(u64),
}

impl From<Happened> for Entry {
    fn from(happened: Happened) -> Self {
        match happened {
            Happened::Request(request) => Self::Request(Arc::unwrap_or_clone(request)),
            Happened::Message(message) => Self::Message(message.parsed()),
            Happened::Delivery(attempt) => Self::Delivery(attempt),
            Happened::Changed(what) => Self::Changed(what),
            Happened::Missed(entries) => Self::Missed(entries),
        }
    }
}

impl Happened {
    pub(super) fn request(&self) -> Option<&Arc<RecordedRequest>> {
        match self {
            Self::Request(request) => Some(request),
            _ => None,
        }
    }

    /// The memory that it takes. What another table shares counts here too: it may be evicted there first.
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
    /// The memory that it takes.
    pub(crate) fn weight(&self) -> usize {
        let violation = |each: &Violation| {
            weight::text(&each.pointer) + weight::text(&each.keyword) + weight::text(&each.message)
        };
        let texts = [&self.id, &self.received_at, &self.method, &self.path];
        let options = [&self.location_id, &self.message_id, &self.fault];
        weight::block(size_of::<Self>())
            + texts.map(|text| weight::text(text)).iter().sum::<usize>()
            + options.map(|option| weight::option(option.as_ref())).iter().sum::<usize>()
            + weight::headers(&self.headers)
            + weight::block(self.body.capacity())
            + weight::block(self.violations.capacity() * size_of::<Violation>())
            + self.violations.iter().map(violation).sum::<usize>()
            + weight::block(self.tolerated.capacity() * size_of::<&str>())
            + weight::texts(&self.unknown_fields)
            + weight::headers(&self.answer_headers)
            + weight::block(self.answer.capacity())
    }
}

fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(each, _)| each == name).map(|(_, value)| value.as_str())
}
