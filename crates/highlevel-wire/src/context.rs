//! The data of one request: settings in, observations out.

use std::error::Error as StdError;
use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Request, Response, StatusCode};

use crate::seal::Seal;

/// The context of one request. It is handed to [`Client::new_with_client`](crate::Client::new_with_client) and travels with
/// the request; afterwards [`RequestContext::take`] returns the observations.
///
/// Clones share everything. Each request needs a context that no other request uses.
#[derive(Clone, Debug)]
pub struct RequestContext {
    shared: Arc<Shared>,
    pub(crate) moves_headers: bool,
    pub(crate) exchange: Option<Arc<dyn HttpExchange>>,
}

/// A service that executes requests instead of the HTTP client, with their tracked bodies.
///
/// The request is reported as written as soon as its body is read, and as not written if it is dropped unread. The body can
/// neither be cloned nor read twice.
pub trait HttpExchange: fmt::Debug + Send + Sync {
    /// Executes a request. `content` is a copy of the body, if it is in memory: reading it does not start the request.
    fn execute(&self, request: Request, content: Option<Bytes>) -> ExchangeFuture;
}

/// The response of an [`HttpExchange`]. If the error is a [`reqwest::Error`], it is classified as one of the HTTP client.
pub type ExchangeFuture =
    Pin<Box<dyn Future<Output = Result<Response, Box<dyn StdError + Send + Sync>>> + Send>>;

#[derive(Debug)]
struct Shared {
    settings: RequestSettings,
    seal: Seal,
    is_refused: AtomicBool,
    response: Mutex<Option<RawResponse>>,
}

/// The settings of one request.
#[derive(Clone, Debug)]
pub struct RequestSettings {
    /// The whole `Authorization` header, if the request has one. Mark it as sensitive.
    pub authorization: Option<HeaderValue>,
    /// The `Version` header.
    pub version: HeaderValue,
    /// The `User-Agent` header, if it differs from that of the transport.
    pub user_agent: Option<HeaderValue>,
    /// The time of the whole attempt, from the connection to the last byte of the response. A response that has arrived by
    /// then is still read, see [`GRACE`](crate::GRACE).
    pub timeout: Duration,
    /// Decides whether the request may still begin, right before its first byte.
    pub gate: Option<Gate>,
    /// The largest response body that is read, in bytes.
    pub body_limit: usize,
}

/// A decision right before the first byte of a request: a deadline or a permit may have lapsed by then.
///
/// It is made on the task of the connection, and must not block.
#[derive(Clone)]
pub struct Gate(Arc<dyn MayBegin>);

/// The check of a [`Gate`], implemented by functions that return `true` if the request may begin.
pub trait MayBegin: Send + Sync {
    /// Returns `true` if the request may begin. Called once per request at most.
    fn may_begin(&self) -> bool;
}

impl<F: Fn() -> bool + Send + Sync> MayBegin for F {
    fn may_begin(&self) -> bool {
        self()
    }
}

impl<T: MayBegin + 'static> From<Arc<T>> for Gate {
    fn from(check: Arc<T>) -> Self {
        Self(check)
    }
}

impl Gate {
    /// A gate that lets the request pass if the function returns `true`. The function is called once per request at most.
    pub fn new(may_begin: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(may_begin))
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gate")
    }
}

/// The observations of one request.
#[derive(Debug)]
#[non_exhaustive]
pub struct RequestTrace {
    /// `true` if the connection began to write the request. If it is `false`, nothing was written and nothing will be.
    pub written: bool,
    /// `true` if the request was refused by [`RequestSettings::gate`]. Then nothing was written.
    pub refused: bool,
    /// The response, if there is one. If there is none, the error is in the result of the operation.
    pub response: Option<RawResponse>,
}

/// A response, as far as it was read.
#[derive(Debug)]
pub struct RawResponse {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// `true` if it came from another address than the request was made to: the transport followed a redirect.
    pub redirected: bool,
    /// The body, as far as it was read.
    pub body: Bytes,
    /// The end of reading the body.
    pub end: End,
}

/// The end of reading a response.
#[derive(Debug)]
#[non_exhaustive]
pub enum End {
    /// The body is complete.
    Complete,
    /// The body is longer than [`RequestSettings::body_limit`].
    TooLarge,
    /// The connection broke, or the time was over.
    Cut(Box<dyn StdError + Send + Sync>),
}

impl RequestContext {
    /// The context of a request that has not been sent.
    pub fn new(settings: RequestSettings) -> Self {
        let shared = Shared {
            settings,
            seal: Seal::default(),
            is_refused: AtomicBool::new(false),
            response: Mutex::default(),
        };
        Self { shared: Arc::new(shared), moves_headers: false, exchange: None }
    }

    /// Executes the request with a service instead of the HTTP client.
    #[must_use]
    pub fn through(mut self, exchange: Arc<dyn HttpExchange>) -> Self {
        self.exchange = Some(exchange);
        self
    }

    /// Moves the headers of the response to [`RequestContext::take`] instead of copying them there: the result of the
    /// operation has none.
    #[must_use]
    pub fn moving_headers(mut self) -> Self {
        self.moves_headers = true;
        self
    }

    /// Returns the observations, and seals the request: if it was not written until now, it never will be. The response
    /// can be taken once.
    pub fn take(&self) -> RequestTrace {
        RequestTrace {
            written: self.seal(),
            refused: self.is_refused(),
            response: self.shared.response.lock().unwrap_or_else(PoisonError::into_inner).take(),
        }
    }

    /// Seals the request unless it is being written. Returns `true` if it is: then something may have been sent.
    pub fn seal(&self) -> bool {
        self.shared.seal.close()
    }

    pub(crate) fn settings(&self) -> &RequestSettings {
        &self.shared.settings
    }

    /// Asks to write the request, on the task of its connection. Returns `false` if nothing may be written.
    pub(crate) fn begin(&self) -> bool {
        let Shared { settings, seal, is_refused, .. } = &*self.shared;
        if seal.is_written() {
            return true;
        }
        // One task asks, so the gate is called once: then the request is written or sealed.
        let may_begin = |gate: &Gate| gate.0.may_begin();
        if !seal.is_closed() && !settings.gate.as_ref().is_none_or(may_begin) {
            is_refused.store(true, Ordering::Release);
            seal.close();
        }
        seal.begin()
    }

    pub(crate) fn is_sealed(&self) -> bool {
        self.shared.seal.is_closed()
    }

    pub(crate) fn is_refused(&self) -> bool {
        self.shared.is_refused.load(Ordering::Acquire)
    }

    pub(crate) fn record(&self, response: RawResponse) {
        *self.shared.response.lock().unwrap_or_else(PoisonError::into_inner) = Some(response);
    }
}
