//! The data of one call: what the caller hands in, and what was observed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderValue};

/// One call. Handed to [`Client::new_with_client`](crate::Client::new_with_client), it travels with the request;
/// afterwards [`Exchange::take`] says what happened.
///
/// Clones are the same call.
#[derive(Clone, Debug)]
pub struct Exchange {
    shared: Arc<Shared>,
    pub(crate) moves_headers: bool,
}

#[derive(Debug)]
struct Shared {
    data: CallData,
    state: State,
}

/// What the caller decides about one call.
#[derive(Clone, Debug)]
pub struct CallData {
    /// The whole `Authorization` header, if the call has one. Mark it as sensitive.
    pub authorization: Option<HeaderValue>,
    /// The `Version` header.
    pub version: HeaderValue,
    /// The `User-Agent` header, if the call should have one of its own.
    pub user_agent: Option<HeaderValue>,
    /// Time for the whole attempt, from the connection to the last byte of the answer.
    pub timeout: Duration,
    /// The largest answer that is read, in bytes.
    pub body_limit: usize,
}

/// What was observed of one call.
#[derive(Debug)]
#[non_exhaustive]
pub struct Observation {
    /// Whether the transport began to take the body of the request. As long as it did not, no byte of the request
    /// was written: headers are flushed together with the first bytes of the body, or after them.
    pub written: bool,
    /// The answer, if there was one. If there was none, the error is in the result of the operation.
    pub answer: Option<Answer>,
}

/// An answer, as far as it was read.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Whether it came from another address than the request was made to: the transport followed a redirect.
    pub redirected: bool,
    /// Its body, as far as it was read.
    pub body: Bytes,
    /// How reading the body ended.
    pub end: End,
}

/// How reading an answer ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum End {
    /// The answer was read to its end.
    Complete,
    /// The answer is longer than [`CallData::body_limit`].
    TooLarge,
    /// The answer broke off, or took too long.
    Cut(reqwest::Error),
}

#[derive(Debug, Default)]
struct State {
    written: AtomicBool,
    answer: Mutex<Option<Answer>>,
}

impl Exchange {
    /// A call that has not been made.
    pub fn new(data: CallData) -> Self {
        Self { shared: Arc::new(Shared { data, state: State::default() }), moves_headers: false }
    }

    /// The same call for one who reads the headers of the answer from [`Exchange::take`] alone: they are moved there
    /// instead of copied, and the result of the operation has none.
    #[must_use]
    pub fn moving_headers(mut self) -> Self {
        self.moves_headers = true;
        self
    }

    /// What was observed. The answer can be taken once.
    pub fn take(&self) -> Observation {
        Observation {
            written: self.shared.state.written.load(Ordering::Acquire),
            answer: self.shared.state.answer.lock().unwrap_or_else(PoisonError::into_inner).take(),
        }
    }

    pub(crate) fn data(&self) -> &CallData {
        &self.shared.data
    }

    pub(crate) fn mark_written(&self) {
        self.shared.state.written.store(true, Ordering::Release);
    }

    pub(crate) fn record(&self, answer: Answer) {
        *self.shared.state.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
    }
}
