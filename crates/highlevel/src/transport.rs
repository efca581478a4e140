//! The HTTP transport: connections, pools, TLS and proxies, shared among clients.

mod connect;
mod shared;
mod tls;

use std::collections::HashMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use reqwest::Url;
use reqwest::redirect::Policy;
use tokio::runtime::{Handle, Id};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use self::connect::ConnectLayer;
use self::tls::TlsSettings;
use crate::classify::Fault;
use crate::{Error, Result};

pub use self::tls::Tls;

/// Longer than any attempt takes: overrides the timeouts of reqwest, which this crate does not use.
const NEVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The silence after which an HTTP/2 connection with requests in progress is tested with a PING.
#[cfg(feature = "http2")]
const HTTP2_PING_INTERVAL: Duration = Duration::from_secs(10);

/// The time in which the server has to acknowledge a PING. Together with the interval it is less than an attempt takes.
#[cfg(feature = "http2")]
const HTTP2_PING_TIMEOUT: Duration = Duration::from_secs(10);

/// The number of clients that are stored before a runtime uses them.
const MAX_SPARE: usize = 16;

/// Changes a reqwest builder.
type Configure = dyn Fn(reqwest::ClientBuilder) -> reqwest::ClientBuilder + Send + Sync;

/// The HTTP connections of clients: pools, TLS, proxies and timeouts of connections.
///
/// Cheap to clone; clones share everything. Clients whose builders set nothing of this share one transport by default, so
/// that thousands of clients in a process cost little. Build one to configure it once for several clients:
///
/// ```
/// use highlevel::{Client, Transport};
///
/// let transport = Transport::builder().max_connections(20).build()?;
/// let clients: Result<Vec<Client>, _> = ["pit-1", "pit-2"]
///     .map(|token| Client::builder().token(token).transport(&transport).build())
///     .into_iter()
///     .collect();
/// # clients?;
/// # Ok::<(), highlevel::Error>(())
/// ```
///
/// Connections belong to the tokio runtime that opened them. A transport has a pool per runtime, so a runtime that is not
/// driven, or was dropped, never holds up the requests of another one.
#[derive(Clone)]
pub struct Transport {
    inner: Arc<Inner>,
}

struct Inner {
    settings: Settings,
    configure: Option<Arc<Configure>>,
    tls: TlsSettings,
    pools: Mutex<Pools>,
}

#[derive(Default)]
struct Pools {
    /// Clients that were built to validate the settings, for the first runtime that sends to their origin.
    spare: HashMap<Arc<str>, reqwest::Client>,
    of_runtimes: HashMap<(Id, Arc<str>), Pool>,
}

/// The connections of one runtime to one origin.
struct Pool {
    http: reqwest::Client,
    slots: Arc<Semaphore>,
    generation: u64,
    /// Ends the task that watches the runtime when this pool is dropped.
    _watch: oneshot::Sender<()>,
}

/// The settings by which transports are equal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Settings {
    connect: Duration,
    idle: Duration,
    max_connections: usize,
    http1_only: bool,
    tls: Option<Tls>,
    root_certificates: Vec<u8>,
}

/// A server that requests are sent to: scheme, host and port.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    name: Arc<str>,
    is_https: bool,
    is_loopback: bool,
}

/// A permit to use one connection, with the client that has it.
pub(crate) struct Slot {
    pub(crate) http: reqwest::Client,
    _permit: OwnedSemaphorePermit,
}

impl Transport {
    /// Starts building a transport.
    pub fn builder() -> TransportBuilder {
        TransportBuilder::default()
    }

    /// Builds what is needed to send to an origin, so that errors of the configuration are found at once.
    pub(crate) fn prepare(&self, origin: &Origin) -> Result<()> {
        let is_prepared = |pools: &Pools| {
            pools.spare.contains_key(&origin.name)
                || pools.of_runtimes.keys().any(|(_, name)| *name == origin.name)
        };
        if is_prepared(&self.inner.pools()) {
            return Ok(());
        }
        let http = self.inner.build(origin)?;
        let mut pools = self.inner.pools();
        if pools.spare.len() >= MAX_SPARE {
            pools.spare.clear();
        }
        pools.spare.insert(Arc::clone(&origin.name), http);
        Ok(())
    }

    /// Returns the client of the current runtime for an origin, without a slot.
    pub(crate) fn client(&self, origin: &Origin) -> Result<reqwest::Client> {
        Ok(self.pool(origin)?.0)
    }

    /// Waits for a permit to use a connection, in FIFO order.
    pub(crate) async fn slot(&self, origin: &Origin) -> Result<Slot> {
        let (http, slots) = self.pool(origin)?;
        let permit = slots.acquire_owned().await;
        let permit =
            permit.map_err(|error| Error::configuration("the transport is closed").with_source(error))?;
        Ok(Slot { http, _permit: permit })
    }

    /// Returns the pool of the current runtime, which is created if there is none.
    fn pool(&self, origin: &Origin) -> Result<(reqwest::Client, Arc<Semaphore>)> {
        let runtime = Handle::try_current().map_err(|error| {
            Error::configuration(
                "requests need a tokio runtime: call this inside one, or use `highlevel::blocking`",
            )
            .with_source(error)
        })?;
        let key = (runtime.id(), Arc::clone(&origin.name));
        let spare = {
            let mut pools = self.inner.pools();
            if let Some(pool) = pools.of_runtimes.get(&key) {
                return Ok((pool.http.clone(), Arc::clone(&pool.slots)));
            }
            pools.spare.remove(&origin.name)
        };
        let http = match spare {
            Some(http) => http,
            None => self.inner.build(origin)?,
        };
        Ok(self.inner.insert(&runtime, key, http))
    }

    fn new(settings: Settings, configure: Option<Arc<Configure>>) -> Self {
        let tls = TlsSettings::new(settings.tls, &settings.root_certificates);
        Self { inner: Arc::new(Inner { settings, configure, tls, pools: Mutex::default() }) }
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings { connect, idle, max_connections, http1_only, tls, .. } = &self.inner.settings;
        f.debug_struct("Transport")
            .field("connect_timeout", connect)
            .field("idle_timeout", idle)
            .field("max_connections", max_connections)
            .field("http1_only", http1_only)
            .field("tls", tls)
            .finish_non_exhaustive()
    }
}

impl Inner {
    fn pools(&self) -> MutexGuard<'_, Pools> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds the pool of a runtime, and removes it when the runtime is dropped.
    fn insert(
        self: &Arc<Self>,
        runtime: &Handle,
        key: (Id, Arc<str>),
        http: reqwest::Client,
    ) -> (reqwest::Client, Arc<Semaphore>) {
        static GENERATION: AtomicU64 = AtomicU64::new(0);
        let generation = GENERATION.fetch_add(1, Ordering::Relaxed);
        let (watch, dropped) = oneshot::channel();
        let slots = Arc::new(Semaphore::new(self.settings.max_connections));
        let pool = Pool { http: http.clone(), slots: Arc::clone(&slots), generation, _watch: watch };
        {
            let mut pools = self.pools();
            // Another thread of the runtime may have been faster.
            if let Some(pool) = pools.of_runtimes.get(&key) {
                return (pool.http.clone(), Arc::clone(&pool.slots));
            }
            pools.of_runtimes.insert(key.clone(), pool);
        }
        let guard = RuntimeGuard { transport: Arc::downgrade(self), key, generation };
        // The task never does anything: a runtime that is dropped drops its tasks, and the guard with this one. It is spawned
        // without the lock, because a runtime that shuts down drops it at once.
        runtime.spawn(async move {
            let _guard = guard;
            let _ = dropped.await;
        });
        (http, slots)
    }

    /// Builds the HTTP client for an origin. What the promises of this crate rest on is set last, so that the caller's
    /// configuration cannot change it.
    fn build(&self, origin: &Origin) -> Result<reqwest::Client> {
        let mut builder = reqwest::Client::builder();
        if origin.is_loopback {
            builder = builder.no_proxy();
        }
        let http2 = cfg!(feature = "http2") && origin.is_https && !self.settings.http1_only;
        builder = self.tls.apply(builder, origin.is_https, self.configure.is_some(), http2)?;
        if let Some(configure) = &self.configure {
            // The timer of an attempt is this crate's: another one would cut off responses that have arrived.
            builder = configure(builder).timeout(NEVER).read_timeout(NEVER);
        }
        builder = builder
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(self.settings.connect)
            .pool_idle_timeout(self.settings.idle)
            .pool_max_idle_per_host(usize::MAX)
            // It would log the token.
            .connection_verbose(false)
            .connector_layer(ConnectLayer::new(self.settings.max_connections, self.settings.connect));
        // Without TLS, HTTP/2 would need prior knowledge of the server.
        if !http2 {
            builder = builder.http1_only();
        }
        #[cfg(feature = "http2")]
        if http2 {
            // A timeout ends one request, not the connection below it: a dead one would take all later requests as well.
            builder = builder
                .http2_keep_alive_interval(HTTP2_PING_INTERVAL)
                .http2_keep_alive_timeout(HTTP2_PING_TIMEOUT)
                .http2_keep_alive_while_idle(false);
        }
        // reqwest panics if it is to configure rustls and the process has no provider of cryptography.
        let built = catch_unwind(AssertUnwindSafe(|| builder.build()));
        let http = built
            .map_err(|_| {
                Error::configuration(
                    "reqwest cannot set up TLS: install a default provider of rustls, or leave out `tls_backend_rustls()`",
                )
            })?
            .map_err(|error| {
                Error::configuration("the HTTP client cannot be set up; see the source of this error").with_source(error)
            })?;
        if self.configure.is_some() {
            check_default_headers(&http)?;
        }
        Ok(http)
    }
}

/// Removes the pool of a runtime when the runtime drops its tasks.
struct RuntimeGuard {
    transport: Weak<Inner>,
    key: (Id, Arc<str>),
    generation: u64,
}

impl Drop for RuntimeGuard {
    fn drop(&mut self) {
        let Some(transport) = self.transport.upgrade() else { return };
        let mut pools = transport.pools();
        let is_own = pools.of_runtimes.get(&self.key).is_some_and(|pool| pool.generation == self.generation);
        let pool = if is_own { pools.of_runtimes.remove(&self.key) } else { None };
        drop(pools);
        drop(pool);
    }
}

/// Rejects default headers that would change how a request is framed. reqwest adds them after this crate has built the
/// request, and shows them in its debug output only.
fn check_default_headers(http: &reqwest::Client) -> Result<()> {
    let shown = format!("{http:?}").to_ascii_lowercase();
    for name in ["content-length", "transfer-encoding"] {
        if shown.contains(&format!("\"{name}\":")) {
            return Err(Error::configuration(format!(
                "the HTTP client has the default header `{name}`, which would cut or join requests: leave it out"
            )));
        }
    }
    Ok(())
}

impl Origin {
    pub(crate) fn of(url: &Url) -> Self {
        Self {
            name: url.origin().ascii_serialization().into(),
            is_https: url.scheme() == "https",
            is_loopback: is_loopback(url),
        }
    }
}

/// Returns `true` if a URL leads to this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
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
    configure: Option<Arc<Configure>>,
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
    /// over HTTP/2 they share one. Further requests wait in FIFO order, within the deadline of their call.
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
        self.configure = Some(Arc::new(configure));
        self
    }

    /// Builds the transport.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) if no connection is allowed, or if a chosen
    /// implementation of TLS was not compiled in.
    pub fn build(self) -> Result<Transport> {
        let (settings, configure) = self.settings()?;
        Ok(Transport::new(settings, configure))
    }

    /// Returns a transport that is shared among all that have the same settings.
    pub(crate) fn build_shared(self) -> Result<Transport> {
        let (settings, configure) = self.settings()?;
        match configure {
            None => Ok(shared::transport(settings)),
            Some(_) => Ok(Transport::new(settings, configure)),
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
            (self.configure.is_some(), "http_client"),
            (!self.root_certificates.is_empty(), "root_certificates_pem"),
        ]
        .into_iter()
        .find_map(|(is_set, name)| is_set.then_some(name))
    }

    fn settings(self) -> Result<(Settings, Option<Arc<Configure>>)> {
        if self.max_connections == Some(0) {
            return Err(Error::configuration(
                "no connection is allowed: `.max_connections(…)` is at least 1",
            ));
        }
        let max_connections = self.max_connections.unwrap_or_else(connect::default_max_connections);
        let settings = Settings {
            connect: self.connect.unwrap_or(Duration::from_secs(3)),
            idle: self.idle.unwrap_or(Duration::from_secs(50)),
            max_connections: max_connections.min(Semaphore::MAX_PERMITS),
            http1_only: self.http1_only,
            tls: tls::choose(self.tls)?,
            root_certificates: self.root_certificates,
        };
        Ok((settings, self.configure))
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

/// Classifies what the transport reports.
pub(crate) fn fault(error: &reqwest::Error) -> Fault {
    if is_about_a_certificate(error) {
        Fault::Certificate
    } else if error.is_connect() {
        Fault::Connect
    } else if is_refused_stream(error) {
        Fault::Refused
    } else if error.is_timeout() {
        Fault::Timeout
    } else {
        Fault::Broken
    }
}

/// Returns `true` if the certificate of the server was not accepted: expired, for another name, or of an unknown authority.
/// With the TLS of the operating system this cannot be distinguished from other errors of connecting.
fn is_about_a_certificate(error: &reqwest::Error) -> bool {
    #[cfg(feature = "__rustls")]
    return causes(error)
        .any(|cause| matches!(cause.downcast_ref(), Some(rustls::Error::InvalidCertificate(_))));
    #[cfg(not(feature = "__rustls"))]
    return {
        let _ = error;
        false
    };
}

/// Returns `true` if the server reset the HTTP/2 stream with `REFUSED_STREAM`. A server may do so only if it has not processed
/// the request, nor passed it on (RFC 9113, section 8.7). A `GOAWAY` is no such proof here: its error does not tell whether
/// the stream was above its last stream identifier.
fn is_refused_stream(error: &reqwest::Error) -> bool {
    #[cfg(feature = "http2")]
    return causes(error).filter_map(|cause| cause.downcast_ref::<h2::Error>()).any(|error| {
        error.is_reset() && error.is_remote() && error.reason() == Some(h2::Reason::REFUSED_STREAM)
    });
    #[cfg(not(feature = "http2"))]
    return {
        let _ = error;
        false
    };
}

/// Iterates over an error and its causes, also those that an I/O error hides from `source`.
fn causes<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| {
        match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pools(transport: &Transport) -> usize {
        transport.inner.pools().of_runtimes.len()
    }

    fn origin(url: &str) -> Origin {
        Origin::of(&Url::parse(url).expect("a URL"))
    }

    #[test]
    fn pools_of_dropped_runtimes_are_dropped() {
        let transport = Transport::builder().build().expect("a transport");
        let origin = origin("http://127.0.0.1:1");
        let runtime = || tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let kept = runtime();
        drop(kept.block_on(transport.slot(&origin)).expect("a slot"));
        for _ in 0..100 {
            drop(runtime().block_on(transport.slot(&origin)).expect("a slot"));
        }
        let threads =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
        drop(threads.block_on(transport.slot(&origin)).expect("a slot"));
        assert_eq!(pools(&transport), 2);
        drop(threads);
        assert_eq!(pools(&transport), 1);
        drop(kept);
        assert_eq!(pools(&transport), 0);
    }

    /// The task that watches a runtime does not keep the transport, and ends with it.
    #[tokio::test]
    async fn dropped_transports_leave_no_task() {
        let alive = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
        let before = alive();
        for _ in 0..10 {
            let transport = Transport::builder().build().expect("a transport");
            drop(transport.slot(&origin("http://127.0.0.1:1")).await.expect("a slot"));
        }
        tokio::task::yield_now().await;
        assert_eq!(alive(), before);
    }

    #[test]
    fn clients_that_no_runtime_uses_are_bounded() {
        let transport = Transport::builder().build().expect("a transport");
        for port in 1..=100 {
            transport.prepare(&origin(&format!("http://127.0.0.1:{port}"))).expect("a client");
        }
        assert!(transport.inner.pools().spare.len() <= MAX_SPARE);
    }

    #[test]
    fn a_transport_needs_a_runtime_to_send() {
        let transport = Transport::builder().build().expect("a transport");
        let error = transport.client(&origin("http://127.0.0.1:1")).expect_err("no runtime");
        assert_eq!(error.kind(), crate::ErrorKind::Configuration);
    }
}
