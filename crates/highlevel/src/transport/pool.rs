//! The pools of a transport: one for each runtime and origin.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::runtime::{Handle, Id};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::http_client;
use super::origin::Origin;
use super::settings::{Customization, TransportSettings};
use super::tls::TlsSettings;
use crate::middleware::HttpService;
use crate::{Error, Result};

/// The number of clients that are stored before a runtime uses them.
const MAX_SPARE: usize = 16;

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
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    settings: TransportSettings,
    customization: Customization,
    tls: TlsSettings,
    pools: Mutex<Pools>,
}

#[derive(Default)]
struct Pools {
    /// Clients that were built to validate the settings, for the first runtime that sends to their origin.
    spare: HashMap<Arc<str>, HttpClient>,
    of_runtimes: HashMap<(Id, Arc<str>), Pool>,
}

/// The connections of one runtime to one origin.
struct Pool {
    shared: SharedPool,
    generation: u64,
    /// Ends the task that watches the runtime when this pool is dropped.
    _watch: oneshot::Sender<()>,
}

/// The HTTP client of an origin.
#[derive(Clone, Debug)]
pub(crate) struct HttpClient {
    pub(crate) http: reqwest::Client,
    /// The layers above the client, if there are any.
    pub(crate) service: Option<HttpService>,
}

/// The parts of a pool that its requests use.
#[derive(Clone)]
struct SharedPool {
    http: HttpClient,
    slots: Arc<Semaphore>,
    /// For requests that must not wait behind others, see [`Transport::repeat_slot`].
    repeat_slots: Arc<Semaphore>,
}

/// A permit to use one connection, with the client that has it.
pub(crate) struct Slot {
    pub(crate) http: HttpClient,
    _permit: OwnedSemaphorePermit,
}

impl Transport {
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
    pub(crate) fn client(&self, origin: &Origin) -> Result<HttpClient> {
        Ok(self.pool(origin)?.http)
    }

    /// Waits for a permit to use a connection, in FIFO order.
    pub(crate) async fn slot(&self, origin: &Origin) -> Result<Slot> {
        let SharedPool { http, slots, .. } = self.pool(origin)?;
        Self::acquire(http, slots).await
    }

    /// Waits for a permit to repeat a request whose response was lost, and is repeated for a short time only. Such requests do
    /// not wait behind others; there are a quarter as many permits for them.
    pub(crate) async fn repeat_slot(&self, origin: &Origin) -> Result<Slot> {
        let SharedPool { http, repeat_slots, .. } = self.pool(origin)?;
        Self::acquire(http, repeat_slots).await
    }

    async fn acquire(http: HttpClient, slots: Arc<Semaphore>) -> Result<Slot> {
        let permit = slots.acquire_owned().await;
        let permit =
            permit.map_err(|error| Error::configuration("the transport is closed").with_source(error))?;
        Ok(Slot { http, _permit: permit })
    }

    /// Returns the pool of the current runtime, which is created if there is none.
    fn pool(&self, origin: &Origin) -> Result<SharedPool> {
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
                return Ok(pool.shared.clone());
            }
            pools.spare.remove(&origin.name)
        };
        let http = match spare {
            Some(http) => http,
            None => self.inner.build(origin)?,
        };
        Ok(self.inner.insert(&runtime, key, http))
    }

    pub(super) fn new(settings: TransportSettings, customization: Customization) -> Self {
        let tls = TlsSettings::new(settings.tls, &settings.root_certificates);
        Self { inner: Arc::new(Inner { settings, customization, tls, pools: Mutex::default() }) }
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TransportSettings { connect, idle, max_connections, http1_only, tls, .. } = &self.inner.settings;
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
    fn build(&self, origin: &Origin) -> Result<HttpClient> {
        let Customization { configure, layers } = &self.customization;
        let http = http_client::build(origin, &self.settings, &self.tls, configure.as_deref())?;
        let service = (!layers.is_empty()).then(|| {
            let connections = HttpService::of_connections(http.clone());
            layers.iter().fold(connections, |below, apply| apply(below))
        });
        Ok(HttpClient { http, service })
    }

    fn pools(&self) -> MutexGuard<'_, Pools> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds the pool of a runtime, and removes it when the runtime is dropped.
    fn insert(self: &Arc<Self>, runtime: &Handle, key: (Id, Arc<str>), http: HttpClient) -> SharedPool {
        static GENERATION: AtomicU64 = AtomicU64::new(0);
        let generation = GENERATION.fetch_add(1, Ordering::Relaxed);
        let (watch, dropped) = oneshot::channel();
        let max_connections = self.settings.max_connections;
        let shared = SharedPool {
            http,
            slots: Arc::new(Semaphore::new(max_connections)),
            repeat_slots: Arc::new(Semaphore::new(max_connections.div_ceil(4))),
        };
        let pool = Pool { shared: shared.clone(), generation, _watch: watch };
        {
            let mut pools = self.pools();
            // Another thread of the runtime may have been faster.
            if let Some(pool) = pools.of_runtimes.get(&key) {
                return pool.shared.clone();
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
        shared
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

#[cfg(test)]
mod tests {
    use reqwest::Url;

    use super::super::TransportBuilder;
    use super::*;

    fn pools(transport: &Transport) -> usize {
        transport.inner.pools().of_runtimes.len()
    }

    fn origin(url: &str) -> Origin {
        Origin::of(&Url::parse(url).expect("a URL"))
    }

    #[test]
    fn pools_of_dropped_runtimes_are_dropped() {
        let transport = TransportBuilder::default().build().expect("a transport");
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
            let transport = TransportBuilder::default().build().expect("a transport");
            drop(transport.slot(&origin("http://127.0.0.1:1")).await.expect("a slot"));
        }
        tokio::task::yield_now().await;
        assert_eq!(alive(), before);
    }

    #[test]
    fn clients_that_no_runtime_uses_are_bounded() {
        let transport = TransportBuilder::default().build().expect("a transport");
        for port in 1..=100 {
            transport.prepare(&origin(&format!("http://127.0.0.1:{port}"))).expect("a client");
        }
        assert!(transport.inner.pools().spare.len() <= MAX_SPARE);
    }

    #[test]
    fn a_transport_needs_a_runtime_to_send() {
        let transport = TransportBuilder::default().build().expect("a transport");
        let error = transport.client(&origin("http://127.0.0.1:1")).expect_err("no runtime");
        assert_eq!(error.kind(), crate::ErrorKind::Configuration);
    }
}
