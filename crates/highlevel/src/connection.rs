//! What all clients of one builder share: transport, address, limits.

use std::sync::Arc;
use std::time::Duration;

use highlevel_wire::{CallData, Exchange};
use http::HeaderValue;

use crate::RetryPolicy;
use crate::call::{BODY_LIMIT, SharedBudget};
use crate::limit::RateLimiter;

/// A connection to HighLevel, without a token. Cheap to clone; clones share everything.
#[derive(Clone)]
pub(crate) struct Connection {
    pub(crate) http: reqwest::Client,
    /// Without a slash at its end.
    pub(crate) base_url: Arc<str>,
    pub(crate) version: HeaderValue,
    pub(crate) user_agent: HeaderValue,
    pub(crate) limiter: Arc<dyn RateLimiter>,
    pub(crate) budget: Arc<SharedBudget>,
    /// Those that the builder was told; each client can have others.
    pub(crate) options: Options,
}

/// What a client can have of its own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    pub(crate) attempt: Duration,
    pub(crate) call: Duration,
    pub(crate) retry: RetryPolicy,
}

impl Connection {
    /// The data of one attempt.
    pub(crate) fn exchange(&self, authorization: Option<HeaderValue>, timeout: Duration) -> Exchange {
        Exchange::new(CallData {
            authorization,
            version: self.version.clone(),
            user_agent: Some(self.user_agent.clone()),
            timeout,
            body_limit: BODY_LIMIT,
        })
    }

    /// The generated client for one exchange.
    pub(crate) fn below(&self, exchange: &Exchange) -> highlevel_wire::Client {
        highlevel_wire::Client::new_with_client(&self.base_url, self.http.clone(), exchange.clone())
    }
}
