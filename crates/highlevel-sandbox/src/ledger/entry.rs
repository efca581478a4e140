//! What the ledger keeps.

use std::sync::Arc;
use std::time::Duration;

use super::Fingerprint;
use crate::api::Operation;
use crate::contract::Violation;
use crate::webhook::DeliveryAttempt;
use crate::world::Message;

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
    pub fingerprint: Option<Fingerprint>,
    /// How many requests with the same fingerprint were accepted before this one.
    pub accepted_before: u64,
    /// What is wrong with the body, each fault with its JSON pointer.
    pub violations: Vec<Violation>,
    /// The names of the rules of the documentation that it breaks and that were not insisted on, see
    /// [`Strictness`](crate::Strictness).
    pub tolerated: Vec<&'static str>,
    /// The JSON pointers of fields that the specification does not have.
    pub unknown_fields: Vec<String>,
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

impl Entry {
    pub(super) fn request(&self) -> Option<&RecordedRequest> {
        match self {
            Self::Request(request) => Some(request),
            _ => None,
        }
    }

    /// About how many bytes of text and bodies it keeps.
    pub(super) fn size(&self) -> usize {
        let text = |headers: &[(String, String)]| -> usize {
            headers.iter().map(|(name, value)| name.len() + value.len()).sum()
        };
        match self {
            Self::Request(request) => {
                text(&request.headers)
                    + text(&request.answer_headers)
                    + request.path.len()
                    + request.body.len()
                    + request.answer.len()
            }
            Self::Delivery(attempt) => attempt.size() + attempt.body.len(),
            // The body of a request is in memory once more as JSON, about three times as large.
            Self::Message(message) => message.id.len() * 3,
            Self::Changed(_) | Self::Missed(_) => 0,
        }
    }
}

fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(each, _)| each == name).map(|(_, value)| value.as_str())
}
