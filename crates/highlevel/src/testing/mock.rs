//! The mock and its expectations.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use tower_layer::layer_fn;

use super::service::MockService;
use super::state::{Expected, MockState};
use super::{MockOutcome, RequestMatcher, SentRequest};
use crate::{Client, ClientBuilder, Transport};

/// A transport that responds as a test specifies, without a network.
///
/// Create one per test. Dropping it verifies its expectations, see [`verify`](Self::verify).
#[derive(Default)]
pub struct Mock {
    state: Arc<MockState>,
}

impl Mock {
    /// Base URL of the clients. The name cannot be resolved, and is never looked up.
    pub const BASE_URL: &'static str = "http://highlevel.invalid";

    /// Creates a mock without expectations: each request is unexpected.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns a client with the default settings, the token `mock-token` and the location `mock-location`.
    #[allow(clippy::missing_panics_doc, reason = "the settings are valid")]
    pub fn client(&self) -> Client {
        self.builder().build().expect("the settings of a mock are valid")
    }

    /// Starts building a client, for other settings than those of [`client`](Self::client).
    #[allow(clippy::missing_panics_doc, reason = "the settings are valid")]
    pub fn builder(&self) -> ClientBuilder {
        let transport = self.transport().build().expect("the settings of a mock are valid");
        Client::builder()
            .token("mock-token")
            .location("mock-location")
            .base_url(Self::BASE_URL)
            .allow_plain_http()
            .transport(&transport)
    }

    /// Starts building a transport, for apps ([`auth::App`](crate::auth::App)) and for tests of
    /// [`middleware`](crate::middleware): layers that are added to it are called before the mock is.
    ///
    /// Its clients need [`BASE_URL`](Self::BASE_URL) and [`allow_plain_http`](ClientBuilder::allow_plain_http).
    pub fn transport(&self) -> crate::TransportBuilder {
        let state = Arc::clone(&self.state);
        Transport::builder().layer(layer_fn(move |_| MockService::new(Arc::clone(&state))))
    }

    /// Starts an expectation. [`Expectation::respond`] adds it.
    ///
    /// A call uses the first expectation in the order of creation that matches its request and has an outcome left.
    #[track_caller]
    pub fn expect(&self, matcher: RequestMatcher) -> Expectation<'_> {
        Expectation { state: &self.state, matcher, calls: Some(1), location: Location::caller() }
    }

    /// Returns the requests that were sent, in their order, retries included. A request is listed before its outcome.
    pub fn requests(&self) -> Vec<SentRequest> {
        self.state.requests()
    }

    /// Checks that each expectation was met and that no other request was sent. Dropping the mock does the same, except while
    /// the thread is panicking.
    ///
    /// # Panics
    ///
    /// Panics with the differences and all requests if an expectation was not met, or a request was unexpected.
    #[track_caller]
    pub fn verify(&self) {
        if let Err(report) = self.state.verify() {
            self.state.set_reported();
            panic!("{report}");
        }
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        if !std::thread::panicking() && !self.state.is_reported() {
            self.verify();
        }
    }
}

impl fmt::Debug for Mock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mock").finish_non_exhaustive()
    }
}

/// An expectation without its outcome. From [`Mock::expect`].
#[must_use = "an expectation is added by `respond`"]
pub struct Expectation<'a> {
    state: &'a MockState,
    matcher: RequestMatcher,
    calls: Option<usize>,
    location: &'static Location<'static>,
}

impl Expectation<'_> {
    /// Sets the number of calls. Defaults to 1. A call that the client retries counts once.
    pub fn times(mut self, calls: usize) -> Self {
        self.calls = Some(calls);
        self
    }

    /// Allows any number of calls, zero included.
    pub fn any_times(mut self) -> Self {
        self.calls = None;
        self
    }

    /// Adds the expectation, with the outcome of each of its calls.
    pub fn respond(self, outcome: MockOutcome) {
        self.add(vec![outcome]);
    }

    /// Adds the expectation, with the outcomes of successive calls: one call per outcome, each with its own.
    ///
    /// # Panics
    ///
    /// Panics if there is no outcome.
    #[track_caller]
    pub fn respond_each(mut self, outcomes: impl IntoIterator<Item = MockOutcome>) {
        let outcomes: Vec<MockOutcome> = outcomes.into_iter().collect();
        assert!(!outcomes.is_empty(), "an expectation has at least one outcome");
        self.calls = Some(outcomes.len());
        self.add(outcomes);
    }

    fn add(self, outcomes: Vec<MockOutcome>) {
        let Self { state, matcher, calls, location } = self;
        state.add(Expected { matcher, calls, outcomes, location, received: 0 });
    }
}

impl fmt::Debug for Expectation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Expectation").field("matcher", &self.matcher).field("calls", &self.calls).finish()
    }
}
