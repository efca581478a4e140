//! Builds clients.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use secrecy::SecretString;
use tower_layer::Layer;
use tower_service::Service;

use super::Client;
use crate::connection::{ApiConnection, Options};
use crate::limit::{LocalRateLimiter, RateLimiter};
use crate::middleware::{BoxError, HttpService, RequestBody, ResponseBody};
use crate::retry::{RetryPolicy, SharedBudget};
use crate::token::{Bearer, TokenSource, Tokens};
use crate::transport::{Origin, Tls, Transport, TransportBuilder, address};
use crate::{ApiVersion, Error, LocationId, Result};

/// The default time for one attempt.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);

/// The default time for a whole call.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);

impl Client {
    /// Starts building a client. Only the token is required.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }
}

#[derive(Clone)]
enum Token {
    Fixed(SecretString),
    Source(Arc<dyn TokenSource>),
}

/// Builds a [`Client`].
///
/// ```no_run
/// use std::time::Duration;
/// use highlevel::{ApiVersion, Client};
///
/// let client = Client::builder()
///     .token("pit-12345678-1234-1234-1234-123456789012")
///     .version(ApiVersion::V2021_07_28)
///     .attempt_timeout(Duration::from_secs(10))
///     .user_agent("front-desk/1.4")
///     .build()?;
/// # Ok::<(), highlevel::Error>(())
/// ```
#[must_use = "a builder does nothing until `build` is called"]
#[derive(Clone, Default)]
pub struct ClientBuilder {
    token: Option<Token>,
    location: Option<LocationId>,
    limiter: Option<Arc<dyn RateLimiter>>,
    call_timeout: Option<Duration>,
    retry: RetryPolicy,
    base_url: Option<String>,
    version: Option<ApiVersion>,
    user_agent: Option<String>,
    attempt_timeout: Option<Duration>,
    transport: Option<Transport>,
    http: TransportBuilder,
    allow_plain_http: bool,
}

impl ClientBuilder {
    /// Sets the token of the location: a private integration token (`pit-…`) or an OAuth access token of a sub-account,
    /// with the scope `conversations/message.write`.
    pub fn token(mut self, token: impl Into<SecretString>) -> Self {
        self.token = Some(Token::Fixed(token.into()));
        self
    }

    /// Sets a source of tokens instead of a fixed one.
    pub fn token_source(mut self, source: impl TokenSource + 'static) -> Self {
        self.token = Some(Token::Source(Arc::new(source)));
        self
    }

    /// Sets the location that the token belongs to. Requests that have to name the location name this one: searches, contacts,
    /// files and recordings. Its limits are counted under this name, so that clients of one location that share a
    /// [`rate_limiter`](Self::rate_limiter) share its limits.
    pub fn location(mut self, location: impl Into<LocationId>) -> Self {
        self.location = Some(location.into());
        self
    }

    /// Sets the limiter that issues the permits to send requests. Defaults to a separate [`LocalRateLimiter`] with the
    /// documented limits of 100 requests in 10 seconds and 200,000 in a day. Share one among the clients of a process.
    ///
    /// A limiter counts per location: it needs the [`location`](Self::location) of the token.
    pub fn rate_limiter(mut self, limiter: impl RateLimiter + 'static) -> Self {
        self.limiter = Some(Arc::new(limiter));
        self
    }

    /// Controls which failed requests are retried; see [`RetryPolicy`].
    pub fn retry_policy(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// Sets the base URL of requests. Defaults to the environment variable `HIGHLEVEL_BASE_URL`, and without it to the live
    /// API, `https://services.leadconnectorhq.com`.
    ///
    /// A trailing slash is ignored. `http://` is for this machine only, see
    /// [`allow_plain_http`](Self::allow_plain_http).
    pub fn base_url(mut self, base_url: impl Into<String>) -> Self {
        self.base_url = Some(base_url.into());
        self
    }

    /// Allows `http://` for other machines than this one. The token then crosses the network unencrypted.
    pub fn allow_plain_http(mut self) -> Self {
        self.allow_plain_http = true;
        self
    }

    /// Sets the version of the API. Defaults to `2021-04-15`.
    pub fn version(mut self, version: ApiVersion) -> Self {
        self.version = Some(version);
        self
    }

    /// Sets the `User-Agent` header. Defaults to the name and version of this library.
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.user_agent = Some(user_agent.into());
        self
    }

    /// As [`TransportBuilder::connect_timeout`]. Defaults to 3 seconds.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.http = self.http.connect_timeout(timeout);
        self
    }

    /// Sets how long one attempt may take, from connecting to the last byte of the response. Defaults to 30 seconds.
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = Some(timeout);
        self
    }

    /// Sets how long a whole call may take: waiting for a permit, all attempts and the pauses between. Defaults to 60 seconds.
    pub fn call_timeout(mut self, timeout: Duration) -> Self {
        self.call_timeout = Some(timeout);
        self
    }

    /// As [`TransportBuilder::idle_timeout`]. Defaults to 50 seconds.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.http = self.http.idle_timeout(timeout);
        self
    }

    /// As [`TransportBuilder::http1_only`].
    pub fn http1_only(mut self) -> Self {
        self.http = self.http.http1_only();
        self
    }

    /// As [`TransportBuilder::max_connections`].
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.http = self.http.max_connections(connections);
        self
    }

    /// As [`TransportBuilder::tls`].
    pub fn tls(mut self, tls: Tls) -> Self {
        self.http = self.http.tls(tls);
        self
    }

    /// As [`TransportBuilder::http_client`]: configures the HTTP client below, for example for a proxy. A client that is
    /// configured this way has separate connections; build a [`Transport`] to share them.
    pub fn http_client(
        mut self,
        configure: impl Fn(reqwest::ClientBuilder) -> reqwest::ClientBuilder + Send + Sync + 'static,
    ) -> Self {
        self.http = self.http.http_client(configure);
        self
    }

    /// As [`TransportBuilder::layer`]: adds a layer below the client, for example a recorder. A client with a layer has separate
    /// connections; build a [`Transport`] to share them.
    pub fn layer<L>(mut self, layer: L) -> Self
    where
        L: Layer<HttpService> + Send + Sync + 'static,
        L::Service: Service<http::Request<RequestBody>, Response = http::Response<ResponseBody>>
            + Clone
            + Send
            + Sync
            + 'static,
        <L::Service as Service<http::Request<RequestBody>>>::Error: Into<BoxError>,
        <L::Service as Service<http::Request<RequestBody>>>::Future: Send,
    {
        self.http = self.http.layer(layer);
        self
    }

    /// Uses the connections of a transport. Defaults to one that all clients of the process with the same connect timeout,
    /// idle timeout, bound of connections and TLS share.
    pub fn transport(mut self, transport: &Transport) -> Self {
        self.transport = Some(transport.clone());
        self
    }

    /// Builds the client.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) for a missing token, an invalid base URL, control
    /// characters in a header, contradicting settings, and a system without root certificates.
    pub fn build(mut self) -> Result<Client> {
        let tokens = match self.token.take() {
            Some(Token::Fixed(token)) => {
                let bearer = Bearer::new(token);
                if let Err(what) = bearer.authorization {
                    return Err(Error::configuration(what));
                }
                Tokens::Fixed(Arc::new(bearer))
            }
            Some(Token::Source(source)) => Tokens::Source(source),
            None => {
                return Err(Error::configuration(
                    "no token: call `.token(…)` with a private integration token of the location, or an OAuth access \
                     token",
                ));
            }
        };
        if self.limiter.is_some() && self.location.is_none() {
            return Err(Error::configuration(
                "a rate limiter without a location would count the requests of all its clients as those of one \
                 location: add `.location(..)` with the id of the token's location",
            ));
        }
        let location = self.location.take();
        let counted_as = location.as_ref().map_or_else(String::new, LocationId::to_string);
        Ok(Client::new(self.connect()?, tokens, counted_as, location))
    }

    /// Builds everything but the token.
    pub(crate) fn connect(self) -> Result<ApiConnection> {
        let base_url = address::choose(self.base_url, || std::env::var_os(address::VARIABLE))?;
        let base_url = address::parse(&base_url, self.allow_plain_http)?;
        let version = self.version.unwrap_or(ApiVersion::V2021_04_15);
        let version = header("API version", version.as_str())?;
        let user_agent = self.user_agent.as_deref();
        let user_agent = header(
            "user agent",
            user_agent.unwrap_or(concat!("highlevel-rust/", env!("CARGO_PKG_VERSION"))),
        )?;
        let transport = match (self.transport, self.http.first_setting()) {
            (Some(_), Some(setting)) => {
                return Err(Error::configuration(format!(
                    "`.transport(…)` was given together with `.{setting}(…)`: set it with `Transport::builder()`"
                )));
            }
            (Some(transport), None) => transport,
            (None, _) => self.http.build_shared()?,
        };
        let origin = Origin::of(&base_url);
        transport.prepare(&origin)?;
        Ok(ApiConnection {
            transport,
            origin,
            base_url: base_url.as_str().trim_end_matches('/').into(),
            version,
            user_agent,
            limiter: self.limiter.unwrap_or_else(|| Arc::new(LocalRateLimiter::new())),
            budget: Arc::new(SharedBudget::default()),
            settled: Arc::default(),
            recent: Arc::default(),
            calls: Arc::default(),
            options: Options {
                attempt: self.attempt_timeout.unwrap_or(ATTEMPT_TIMEOUT),
                call: self.call_timeout.unwrap_or(CALL_TIMEOUT),
                retry: self.retry,
                begin_before: None,
            },
        })
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("base_url", &self.base_url.as_deref().map(address::without_secrets))
            .field("version", &self.version)
            .field("user_agent", &self.user_agent)
            .field("attempt_timeout", &self.attempt_timeout)
            .field("call_timeout", &self.call_timeout)
            .field("transport", &self.transport)
            .field("http", &self.http)
            .finish_non_exhaustive()
    }
}

fn header(what: &str, text: &str) -> Result<HeaderValue> {
    if text.trim().is_empty() {
        return Err(Error::configuration(format!("the {what} is empty: leave it out for the default")));
    }
    HeaderValue::from_str(text).map_err(|error| {
        let text = text.escape_debug();
        Error::configuration(format!(
            "the {what} `{text}` contains a character that a header cannot carry: remove it"
        ))
        .with_source(error)
    })
}
