//! The client and its builder.

mod builder;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use highlevel_wire::RequestContext;

pub use self::builder::ClientBuilder;
use crate::connection::{ApiConnection, Options};
use crate::executor::{Executor, Operation};
use crate::limit::Expiry;
use crate::middleware::RequestInfo;
use crate::recent::RecentRequests;
use crate::retry::RetryPolicy;
use crate::time::{MAX_DURATION, now};
use crate::token::Tokens;
use crate::{Error, LocationId, Receipt, Result};

/// A client of HighLevel's conversations API for one location.
///
/// Cheap to clone; clones share connections, token, limits and retry budget. It is `Send` and `Sync`, and needs a tokio
/// runtime with its timer and I/O to run; it may be used from several runtimes. Programs without one use
/// `highlevel::blocking`.
#[derive(Clone)]
pub struct Client {
    executor: Arc<Executor>,
    location: Option<Arc<LocationId>>,
    options: Options,
}

impl Client {
    /// Returns the base URL of requests, without a trailing slash.
    pub fn base_url(&self) -> &str {
        self.executor.connection.base_url.as_str()
    }

    /// Returns this client with another timeout for one attempt, from connecting to the last byte of the response.
    pub fn with_attempt_timeout(mut self, timeout: Duration) -> Self {
        self.options.attempt = timeout;
        self
    }

    /// Returns this client with another timeout for a whole call: waiting for a permit, all attempts and the pauses between.
    pub fn with_call_timeout(mut self, timeout: Duration) -> Self {
        self.options.call = timeout;
        self
    }

    /// Returns this client with a time before which the first byte of each request has to be written, for example because a
    /// lease of the caller ends then.
    ///
    /// A request that is late is not written, and its error is [`Delivery::NotSent`](crate::Delivery::NotSent). The time is
    /// compared right before the first byte, on the monotonic and on the wall clock: a machine that was suspended in between
    /// is late. Over HTTP/1.1 no byte is written. Over HTTP/2 the server may receive the head of a request that does not end,
    /// and its reset.
    ///
    /// ```no_run
    /// # async fn example(client: highlevel::Client) -> highlevel::Result<()> {
    /// use std::time::{Duration, Instant};
    /// use highlevel::Sms;
    ///
    /// let lease_ends = Instant::now() + Duration::from_secs(5);
    /// let message = Sms::to("abc123def456").text("Your table is ready");
    /// client.with_begin_before(lease_ends).messages().send(message).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_begin_before(mut self, deadline: Instant) -> Self {
        let now = now();
        let left = deadline.saturating_duration_since(now);
        self.options.begin_before = Some(Expiry::after_at(left, now, SystemTime::now()));
        self
    }

    /// Returns this client with another retry policy.
    pub fn with_retry_policy(mut self, policy: RetryPolicy) -> Self {
        self.options.retry = policy;
        self
    }

    /// Returns the generated client below this one, for a single attempt, with this client's token and version. Limits, retries,
    /// the bound of connections and the classification of errors are left to its caller.
    ///
    /// # Errors
    ///
    /// Returns an error if the token cannot be fetched.
    pub async fn wire(&self) -> Result<(highlevel_wire::Client, RequestContext)> {
        let deadline = now() + self.options.call.min(MAX_DURATION);
        let bearer = self.executor.bearer("wire", None, deadline).await?;
        let authorization =
            bearer.authorization.clone().map_err(|what| Error::invalid_token("wire", what))?;
        let connection = &self.executor.connection;
        let context = connection.context(Some(authorization), self.options.attempt, None);
        let info = RequestInfo::new("wire", 1, connection.number_call());
        Ok((connection.wire(&connection.client()?, &context, info), context))
    }

    /// Creates a client of one location from what it shares with others and its own tokens.
    ///
    /// `counted_as` is the name under which the limiter counts the requests. `location` is `None` if it is unknown, and for a
    /// company.
    pub(crate) fn new(
        connection: ApiConnection,
        tokens: Tokens,
        counted_as: String,
        location: Option<LocationId>,
    ) -> Self {
        let options = connection.options;
        let executor = Executor { connection, tokens, location: counted_as };
        Self { executor: Arc::new(executor), location: location.map(Arc::new), options }
    }

    /// Returns the location of this client, if it is known: that of [`App::location`](crate::auth::App::location), or of
    /// [`ClientBuilder::location`].
    pub fn location_id(&self) -> Option<&LocationId> {
        self.location.as_deref()
    }

    /// Returns the location of this client for an operation that requires it.
    pub(crate) fn required_location(&self, operation: &'static str) -> Result<LocationId> {
        self.location.as_deref().cloned().ok_or_else(|| {
            Error::invalid(
                operation,
                "the request has to name the location, and this client does not know its own: add `.location(…)` to the builder \
                 of the client",
            )
        })
    }

    /// Returns the latest requests of all clients of the builder.
    pub(crate) fn recent(&self) -> &RecentRequests {
        &self.executor.connection.recent
    }

    /// Returns the timeout for a whole call.
    pub(crate) fn call_timeout(&self) -> Duration {
        self.options.call.min(MAX_DURATION)
    }

    /// Executes an operation.
    pub(crate) async fn execute<O: Operation>(&self, operation: &O) -> Result<Receipt<O::Response>> {
        self.executor.execute(&self.options, operation).await
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("base_url", &self.base_url()).finish_non_exhaustive()
    }
}
