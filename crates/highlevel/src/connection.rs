//! The state that all clients of one builder share: transport, base URL, limits.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use highlevel_wire::{BaseUrl, Gate, RequestContext, RequestSettings};
use http::HeaderValue;

use crate::Result;
use crate::limit::{Expiry, RateLimiter};
use crate::middleware::{RequestExchange, RequestInfo};
use crate::recent::RecentRequests;
use crate::retry::{RetryPolicy, SharedBudget};
use crate::transport::{HttpClient, Origin, Settled, Slot, Transport};

/// The largest response body that is read, in bytes.
pub(crate) const BODY_LIMIT: usize = 1024 * 1024;

/// A connection to HighLevel, without a token. Cheap to clone; clones share everything.
#[derive(Clone)]
pub(crate) struct ApiConnection {
    pub(crate) transport: Transport,
    pub(crate) origin: Origin,
    /// Without a trailing slash.
    pub(crate) base_url: BaseUrl,
    pub(crate) version: HeaderValue,
    pub(crate) user_agent: HeaderValue,
    pub(crate) limiter: Arc<dyn RateLimiter>,
    pub(crate) budget: Arc<SharedBudget>,
    pub(crate) settled: Arc<Settled>,
    pub(crate) recent: Arc<RecentRequests>,
    /// The number of calls.
    pub(crate) calls: Arc<AtomicU64>,
    /// The options of the builder; each client can have others.
    pub(crate) options: Options,
}

/// The options that each client can have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    pub(crate) attempt: Duration,
    pub(crate) call: Duration,
    pub(crate) retry: RetryPolicy,
    pub(crate) begin_before: Option<Expiry>,
}

impl ApiConnection {
    /// Returns the context of one attempt.
    pub(crate) fn context(
        &self,
        authorization: Option<HeaderValue>,
        timeout: Duration,
        gate: Option<Gate>,
    ) -> RequestContext {
        RequestContext::new(RequestSettings {
            authorization,
            version: self.version.clone(),
            user_agent: Some(self.user_agent.clone()),
            timeout,
            gate,
            body_limit: BODY_LIMIT,
        })
    }

    /// Waits for a permit to use a connection on the current runtime.
    pub(crate) async fn slot(&self) -> Result<Slot> {
        self.transport.slot(&self.origin).await
    }

    /// Waits for a permit to repeat a request whose response was lost.
    pub(crate) async fn repeat_slot(&self) -> Result<Slot> {
        self.transport.repeat_slot(&self.origin).await
    }

    /// Returns the HTTP client of the current runtime, without a permit.
    pub(crate) fn client(&self) -> Result<HttpClient> {
        self.transport.client(&self.origin)
    }

    /// Returns the generated client for one request. `info` describes the request to the layers of the transport.
    pub(crate) fn wire(
        &self,
        http: &HttpClient,
        context: &RequestContext,
        info: RequestInfo,
    ) -> highlevel_wire::Client {
        let mut context = context.clone();
        if let Some(service) = &http.service {
            context = context.through(Arc::new(RequestExchange::new(service.clone(), info)));
        }
        highlevel_wire::Client::new_with_client(&self.base_url, http.http.clone(), context)
    }

    /// Returns a number for the attempts of one call.
    pub(crate) fn number_call(&self) -> u64 {
        self.calls.fetch_add(1, Ordering::Relaxed)
    }
}
