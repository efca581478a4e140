//! The outcomes that a mock produces.

use std::time::Duration;

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Value, json};

use crate::Delivery;
use crate::classify::{AttemptResult, RepeatSafety, ResponseSummary, classify};

/// The outcome of a call to a [`Mock`](super::Mock).
///
/// If the client retries the call by its [`RetryPolicy`](crate::RetryPolicy), the next attempt has the outcome that
/// [`then`](Self::then) adds, and otherwise the same outcome again: a call that ends with [`not_sent`](Self::not_sent) fails
/// at each of its attempts.
///
/// | outcome | result for a message | produced by |
/// |---|---|---|
/// | [`accepted`](Self::accepted) | a receipt | 201 with the ids |
/// | [`json`](Self::json) | a receipt | 200 with any body |
/// | [`not_sent`](Self::not_sent) | `NotSent`, after the retries | a refused connection |
/// | [`rejected`](Self::rejected) | `Rejected` | a status with a code |
/// | [`rate_limited`](Self::rate_limited) | a retry, or `Rejected` after the deadline | 429 with `Retry-After` |
/// | [`unknown`](Self::unknown) | `Unknown` | a connection that breaks after the request was read |
/// | [`no_response`](Self::no_response) | `Unknown`, after the timeout | silence after the request was read |
/// | [`unreadable`](Self::unreadable) | `Accepted` | 201 with a body that is cut off |
/// | [`status`](Self::status) | depends on the status | any response |
#[derive(Debug, Clone)]
pub struct MockOutcome {
    attempts: Vec<MockStep>,
}

/// The outcome of one attempt.
#[derive(Debug, Clone)]
pub(super) struct MockStep {
    pub(super) delay: Duration,
    pub(super) kind: StepKind,
}

#[derive(Debug, Clone)]
pub(super) enum StepKind {
    /// Nothing is read.
    NotSent,
    /// The request is read, and the connection breaks.
    Unknown,
    /// The request is read, and no response follows.
    Silent,
    /// The request is read, and a message with this id is created.
    Accepted(String),
    /// The request is read, and this is the response.
    Respond(MockResponse),
}

/// A response.
#[derive(Debug, Clone)]
pub(super) struct MockResponse {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
    /// The connection breaks after the body.
    pub(super) is_cut: bool,
}

impl MockResponse {
    pub(super) fn new(status: StatusCode, json: &Value) -> Self {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        Self { status, headers, body: json.to_string(), is_cut: false }
    }
}

impl MockOutcome {
    /// Accepts a message, with this id in the receipt. For operations that create a message or a call.
    pub fn accepted(message_id: impl Into<String>) -> Self {
        Self::of(StepKind::Accepted(message_id.into()))
    }

    /// Responds with 200 and a body, for operations that read or change something.
    pub fn json(body: impl Into<Value>) -> Self {
        Self::respond(MockResponse::new(StatusCode::OK, &body.into()))
    }

    /// Responds with a status and a body.
    ///
    /// # Panics
    ///
    /// Panics if the status is not between 100 and 999.
    #[track_caller]
    pub fn status(status: u16, body: impl Into<Value>) -> Self {
        Self::respond(MockResponse::new(status_code(status), &body.into()))
    }

    /// Refuses the connection: no byte is sent.
    pub fn not_sent() -> Self {
        Self::of(StepKind::NotSent)
    }

    /// Rejects the request with a status and a code ([`Error::code`](crate::Error::code)), for example 400 and
    /// `CONVERSATIONS_MSG_CONTACT_NOT_FOUND`.
    ///
    /// # Panics
    ///
    /// Panics if the status does not prove that the request was not done: use [`status`](Self::status) for it.
    #[track_caller]
    pub fn rejected(status: u16, code: &str) -> Self {
        let code_of = status_code(status);
        let summary = ResponseSummary { status, ..ResponseSummary::default() };
        let delivery = classify(AttemptResult::Response(summary), RepeatSafety::Unsafe).delivery;
        assert!(
            delivery == Delivery::Rejected,
            "after the status {status} the outcome is {delivery:?}, not Rejected; use `MockOutcome::status`"
        );
        let reason = code_of.canonical_reason().unwrap_or_default();
        let body = json!({ "statusCode": status, "message": reason, "canonicalCode": code });
        Self::respond(MockResponse::new(code_of, &body))
    }

    /// Rejects the request with 429 and a `Retry-After` header, in seconds, rounded up. The client waits that long before it
    /// retries: see [`then`](Self::then), and tokio's paused clock for tests that do not wait.
    pub fn rate_limited(retry_after: Duration) -> Self {
        let seconds = retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0);
        let body = json!({ "statusCode": 429, "message": "Too Many Requests" });
        let mut response = MockResponse::new(StatusCode::TOO_MANY_REQUESTS, &body);
        response.headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        Self::respond(response)
    }

    /// Breaks the connection after the whole request was read: it may have been done.
    pub fn unknown() -> Self {
        Self::of(StepKind::Unknown)
    }

    /// Reads the request and sends no response, so that the attempt times out: it may have been done.
    pub fn no_response() -> Self {
        Self::of(StepKind::Silent)
    }

    /// Accepts the request with 201, and breaks the connection before the receipt is complete.
    pub fn unreadable() -> Self {
        let mut response = MockResponse::new(StatusCode::CREATED, &Value::Null);
        "{\"conversationId\":".clone_into(&mut response.body);
        response.headers.insert(CONTENT_LENGTH, HeaderValue::from_static("96"));
        response.is_cut = true;
        Self::respond(response)
    }

    /// Sets a delay before the outcome, after the request was received.
    pub fn after(mut self, delay: Duration) -> Self {
        if let Some(first) = self.attempts.first_mut() {
            first.delay = delay;
        }
        self
    }

    /// Sets the outcome of the next attempt of the same call, if the client retries it.
    pub fn then(mut self, next: Self) -> Self {
        self.attempts.extend(next.attempts);
        self
    }

    /// Returns the outcome of an attempt of a call, from 0. The last one repeats.
    pub(super) fn step(&self, attempt: usize) -> Option<&MockStep> {
        self.attempts.get(attempt).or_else(|| self.attempts.last())
    }

    fn of(kind: StepKind) -> Self {
        Self { attempts: vec![MockStep { delay: Duration::ZERO, kind }] }
    }

    fn respond(response: MockResponse) -> Self {
        Self::of(StepKind::Respond(response))
    }
}

#[track_caller]
fn status_code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or_else(|_| panic!("{status} is not a status of HTTP"))
}
