//! Builds transports.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tower_layer::Layer;
use tower_service::Service;

use super::pool::Transport;
use super::settings::{Customization, TransportSettings};
use super::tls::Tls;
use super::{connect, shared, tls};
use crate::middleware::{BoxError, HttpService, RequestBody, ResponseBody};
use crate::{Error, Result};

impl Transport {
    /// Starts building a transport.
    pub fn builder() -> TransportBuilder {
        TransportBuilder::default()
    }
}

/// Builds a [`Transport`].
#[must_use = "a builder does nothing until `build` is called"]
#[derive(Clone, Default)]
pub struct TransportBuilder {
    connect: Option<Duration>,
    idle: Option<Duration>,
    max_connections: Option<usize>,
    http1_only: bool,
    tls: Option<Tls>,
    root_certificates: Vec<u8>,
    customization: Customization,
}

impl TransportBuilder {
    /// Sets how long connecting may take, TLS included. Defaults to 3 seconds.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect = Some(timeout);
        self
    }

    /// Sets how long an unused connection stays open. Defaults to 50 seconds, below the 60 seconds after which common load
    /// balancers close connections.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle = Some(timeout);
        self
    }

    /// Sets how many requests may be in progress at once per host and runtime. Over HTTP/1.1 each of them has a connection;
    /// over HTTP/2 they share one. Further requests wait in FIFO order, within the deadline of their call. Refreshes of tokens
    /// whose response was lost are repeated at once, because HighLevel repeats its response for 30 seconds only: up to a quarter
    /// more.
    ///
    /// Defaults to 100, or to a quarter of the files that the process may open (`ulimit -n`) if that is less.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = Some(connections);
        self
    }

    /// Uses HTTP/1.1 even if the server offers HTTP/2, which is used by default over TLS (feature `http2`, on by default).
    ///
    /// HTTP/2 needs one connection for all requests, and saves the TLS handshakes of the others. If that connection breaks, all
    /// requests in progress on it end as [`Delivery::Unknown`](crate::Delivery::Unknown); over HTTP/1.1 it is one request.
    pub fn http1_only(mut self) -> Self {
        self.http1_only = true;
        self
    }

    /// Chooses the implementation of TLS. Defaults to rustls with ring if the feature `rustls-ring` is on, whatever other
    /// features are; see [`Tls`].
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Adds root certificates in PEM format to those of the platform, for example of a proxy that inspects TLS.
    pub fn root_certificates_pem(mut self, pem: impl AsRef<[u8]>) -> Self {
        self.root_certificates.extend_from_slice(pem.as_ref());
        self.root_certificates.push(b'\n');
        self
    }

    /// Configures the HTTP client below, for proxies, name resolution or other settings of reqwest.
    ///
    /// ```
    /// use highlevel::Transport;
    ///
    /// let proxy = reqwest::Proxy::all("http://proxy.example.com:3128").expect("a proxy");
    /// let transport = Transport::builder().http_client(move |http| http.proxy(proxy.clone())).build()?;
    /// # Ok::<(), highlevel::Error>(())
    /// ```
    ///
    /// The closure is called once for each runtime and host. These settings are replaced afterwards, because the promises of
    /// this crate rest on them: redirects and retries (none), HTTP/1.1 without TLS or with [`http1_only`](Self::http1_only), the
    /// timeouts, HTTP/2 pings and the pool (those of this builder), and `connection_verbose` (off, it would log tokens). The headers `Authorization`, `Version` and
    /// `User-Agent` of requests replace default headers of the same name.
    ///
    /// Certificate settings of reqwest's builder have no effect on the TLS of this crate: use
    /// [`root_certificates_pem`](Self::root_certificates_pem), hand over a whole configuration with
    /// `tls_backend_preconfigured`, whose ALPN protocols decide the version of HTTP, or leave TLS to reqwest with [`Tls::Reqwest`].
    pub fn http_client(
        mut self,
        configure: impl Fn(reqwest::ClientBuilder) -> reqwest::ClientBuilder + Send + Sync + 'static,
    ) -> Self {
        self.customization.configure = Some(Arc::new(configure));
        self
    }

    /// Adds a layer below the client and above its connections, for example a recorder or a cache; see
    /// [`middleware`](crate::middleware). The layer that is added last is the outermost.
    ///
    /// It is called once for each runtime and host.
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
        let apply = move |below| HttpService::new(layer.layer(below));
        self.customization.layers.push(Arc::new(apply));
        self
    }

    /// Builds the transport.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) if no connection is allowed, or if a chosen
    /// implementation of TLS was not compiled in.
    pub fn build(self) -> Result<Transport> {
        let (settings, customization) = self.settings()?;
        Ok(Transport::new(settings, customization))
    }

    /// Returns a transport that is shared among all that have the same settings.
    pub(crate) fn build_shared(self) -> Result<Transport> {
        let (settings, customization) = self.settings()?;
        if customization.is_empty() {
            Ok(shared::transport(settings))
        } else {
            Ok(Transport::new(settings, customization))
        }
    }

    /// Returns the name of a setting that was made, if there is one.
    pub(crate) fn first_setting(&self) -> Option<&'static str> {
        [
            (self.connect.is_some(), "connect_timeout"),
            (self.idle.is_some(), "idle_timeout"),
            (self.max_connections.is_some(), "max_connections"),
            (self.http1_only, "http1_only"),
            (self.tls.is_some(), "tls"),
            (self.customization.configure.is_some(), "http_client"),
            (!self.customization.layers.is_empty(), "layer"),
            (!self.root_certificates.is_empty(), "root_certificates_pem"),
        ]
        .into_iter()
        .find_map(|(is_set, name)| is_set.then_some(name))
    }

    fn settings(self) -> Result<(TransportSettings, Customization)> {
        if self.max_connections == Some(0) {
            return Err(Error::configuration(
                "no connection is allowed: `.max_connections(…)` is at least 1",
            ));
        }
        let max_connections = self.max_connections.unwrap_or_else(connect::default_max_connections);
        let settings = TransportSettings {
            connect: self.connect.unwrap_or(Duration::from_secs(3)),
            idle: self.idle.unwrap_or(Duration::from_secs(50)),
            max_connections: max_connections.min(Semaphore::MAX_PERMITS),
            http1_only: self.http1_only,
            tls: tls::choose(self.tls)?,
            root_certificates: self.root_certificates,
        };
        Ok((settings, self.customization))
    }
}

impl fmt::Debug for TransportBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransportBuilder")
            .field("connect_timeout", &self.connect)
            .field("idle_timeout", &self.idle)
            .field("max_connections", &self.max_connections)
            .field("http1_only", &self.http1_only)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}
