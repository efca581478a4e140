//! The configuration of a sandbox.

mod oauth;
mod state;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use http::Uri;
use tokio::sync::{Semaphore, watch};

use crate::access::{Access, Guesses, Hosts};
use crate::clock::Clock;
use crate::credentials::{Credentials, Grant, checked_token};
use crate::engine::Engine;
use crate::engine::InitialState;
use crate::fault::FaultRegistry;
use crate::fidelity::{Quirk, Settings, Strictness, SuccessStatus};
use crate::file_limit;
use crate::identifiers::Identifiers;
use crate::ledger::{self, Ledger};
use crate::model;
use crate::persistence::Memory;
use crate::rate_limit::{Account, RateLimit, RateLimiter};
use crate::runtime::Runtime;
use crate::sandbox::Sandbox;
use crate::server::{self};
use crate::spec::Spec;
use crate::traffic::Traffic;
use crate::webhook::{self, Keyring, Outbox, RetrySchedule, Targets};
use crate::webhook_url::parse_webhook_url;

/// The maximum number of concurrent event streams.
const STREAMS: usize = 512;
/// The maximum number of delayed install events.
const DELAYED_EVENTS: usize = 1_000;
/// The maximum number of concurrent webhook attempts.
const ATTEMPTS: usize = 1_024;
/// The maximum number of concurrent snapshot reads; others wait.
const SNAPSHOTS: usize = 2;

/// A sandbox that has not started. Created by [`Sandbox::builder`].
#[derive(Clone, Debug)]
pub struct SandboxBuilder {
    address: SocketAddr,
    webhook_url: Option<String>,
    token: Option<Redacted<String>>,
    app_id: String,
    apps: oauth::Apps,
    settings: Settings,
    signing_key: Option<Redacted<[u8; 32]>>,
    retry_schedule: RetrySchedule,
    webhook_timeout: Duration,
    rate_limit: Option<RateLimit>,
    read_timeout: Duration,
    write_timeout: Duration,
    connections: usize,
    kept_requests: usize,
    admin_token: Option<Redacted<String>>,
    base_url: Option<String>,
    webhook_allow: Vec<String>,
    seed: Option<u64>,
    public: bool,
    keeping: state::Keeping,
}

impl SandboxBuilder {
    pub(crate) fn new() -> Self {
        Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            webhook_url: None,
            token: None,
            app_id: model::APP_ID.to_owned(),
            apps: oauth::Apps::default(),
            settings: Settings::default(),
            signing_key: None,
            retry_schedule: RetrySchedule::default(),
            webhook_timeout: webhook::dispatcher::ATTEMPT_TIMEOUT,
            rate_limit: None,
            read_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            connections: crate::traffic::MAX_CONNECTIONS,
            kept_requests: ledger::KEPT_REQUESTS,
            admin_token: None,
            base_url: None,
            webhook_allow: Vec::new(),
            seed: None,
            public: false,
            keeping: state::Keeping::default(),
        }
    }

    /// Sets the address to listen on. Defaults to 127.0.0.1 and a free port. Other addresses than loopback also require
    /// [`public`](Self::public) and an [`admin_token`](Self::admin_token).
    pub fn address(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }

    /// Sets the `http` URL for webhook events. By default none are sent.
    pub fn webhook_url(mut self, url: impl Into<String>) -> Self {
        self.webhook_url = Some(url.into());
        self
    }

    /// Sets the token to accept. Defaults to a new private integration token.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(Redacted(token.into()));
        self
    }

    /// Sets the app ID in webhook events.
    pub fn app_id(mut self, app_id: impl Into<String>) -> Self {
        self.app_id = app_id.into();
        self
    }

    /// Sets the status of success responses.
    pub fn success_status(mut self, status: SuccessStatus) -> Self {
        self.settings = self.settings.success_status(status);
        self
    }

    /// Sets how strictly the documentation is enforced.
    pub fn strictness(mut self, strictness: Strictness) -> Self {
        self.settings = self.settings.strictness(strictness);
        self
    }

    /// Enables an observed deviation of the live API. By default none is enabled.
    pub fn quirk(mut self, quirk: Quirk) -> Self {
        self.settings = self.settings.quirk(quirk);
        self
    }

    /// Sets the secret of the Ed25519 key that signs webhook events. Defaults to a new key.
    pub fn signing_key(mut self, seed: [u8; 32]) -> Self {
        self.signing_key = Some(Redacted(seed));
        self
    }

    /// Sets the schedule of retries after responses other than 2xx. Defaults to [`RetrySchedule::Documented`].
    pub fn retry_schedule(mut self, schedule: RetrySchedule) -> Self {
        self.retry_schedule = schedule;
        self
    }

    /// Sets the timeout of webhook attempts, in system time. Defaults to 10 seconds.
    pub fn webhook_timeout(mut self, timeout: Duration) -> Self {
        self.webhook_timeout = timeout;
        self
    }

    /// Sets the limits to enforce: requests over them are rejected with 429. By default no request is rejected, but
    /// requests are counted against the documented limits for the `X-RateLimit-…` headers.
    pub fn rate_limit(mut self, limit: RateLimit) -> Self {
        self.rate_limit = Some(limit);
        self
    }

    /// Sets the timeout for receiving the request headers, from the connection or the previous response, and then the
    /// body, in system time. Defaults to 30 seconds.
    pub fn read_timeout(mut self, timeout: Duration) -> Self {
        self.read_timeout = timeout;
        self
    }

    /// Sets how long a client may read nothing of a response before its connection is closed, in system time. Defaults
    /// to 30 seconds.
    pub fn write_timeout(mut self, timeout: Duration) -> Self {
        self.write_timeout = timeout;
        self
    }

    /// Sets the maximum number of connections, at least 1. If all are in use, a new connection closes the one that made
    /// no progress for the longest time, or after a second the one that has been idle between requests for the longest
    /// time. Connections that wait for a response stay open. Defaults to 10,000, or fewer if the limit of open files
    /// requires it.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.connections = connections.max(1);
        self
    }

    /// Sets the maximum number of requests in the ledger, at least 1, newest first. Defaults to 10,000. The ledger also
    /// holds at most four times as many entries of all kinds, and 64 MiB.
    pub fn keep_requests(mut self, requests: usize) -> Self {
        self.kept_requests = requests.max(1);
        self
    }

    /// Allows connections from other machines if [`address`](Self::address) is reachable for them. Defaults to `false`.
    pub fn public(mut self, public: bool) -> Self {
        self.public = public;
        self
    }

    /// Sets the token that the admin API under `/_sandbox/` requires as `Authorization: Bearer`. By default none is
    /// required on a loopback address; on any other address it must be set.
    pub fn admin_token(mut self, token: impl Into<String>) -> Self {
        self.admin_token = Some(Redacted(token.into()));
        self
    }

    /// Sets the URL under which clients reach the sandbox, for example `https://sandbox.example` behind a proxy that
    /// terminates TLS, or `http://sandbox:4010` for another container. Requests for this host are served, the pages of
    /// the sandbox belong to this origin, and [`Sandbox::base_url`] returns it. Defaults to the address it listens on.
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = Some(url.into());
        self
    }

    /// Allows a public sandbox to deliver webhooks to its own machine or link: `HOST`, or `HOST:PORT`. By default it
    /// rejects loopback and link-local addresses; the [`webhook_url`](Self::webhook_url) of the builder is allowed.
    pub fn webhook_allow(mut self, host: impl Into<String>) -> Self {
        self.webhook_allow.push(host.into());
        self
    }

    /// Generates IDs, tokens, secrets and the signing key from a seed: the same requests in the same order get the same
    /// IDs in every run. They are predictable, so this is for tests. Defaults to random numbers of the operating
    /// system.
    pub fn seed_rng(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Starts the sandbox.
    ///
    /// # Errors
    ///
    /// Returns `InvalidInput` if the address is not a loopback address, the webhook URL is not an `http` URL, the token
    /// is not a valid header value or the rate limit allows no request; otherwise the error of the operating system,
    /// for example `AddrInUse`.
    #[allow(clippy::too_many_lines, reason = "most of it is one value with many fields")]
    pub async fn start(mut self) -> io::Result<Sandbox> {
        let spec = Spec::load().map_err(io::Error::other)?;
        let webhook_url = self.webhook_url.as_deref().map(parse_webhook_url).transpose()?;
        let base_url = self.base_url.as_deref().map(checked_base_url).transpose()?;
        let mut loaded = self.keeping.load()?;
        let identifiers = Identifiers::new(self.seed);
        // A seed makes IDs predictable, but must not make the sign-in or the form tokens of pages predictable.
        let system = Identifiers::new(None);
        let token = match self.token.map(|token| token.0).or(loaded.token.take()) {
            Some(token) => checked_token(token)?,
            None => identifiers.private_integration_token(),
        };
        let rate_limit = self.rate_limit.map(checked_rate_limit).transpose()?;
        let signing_key = match self.signing_key.map(|seed| seed.0).or(loaded.signing_key) {
            Some(key) => key,
            None => identifiers.key()?,
        };
        let keyring = Keyring::new(signing_key, &identifiers)?;
        let targets = targets(self.address, &self.webhook_allow, webhook_url.as_ref());
        let webhook_url = webhook_url.map(|url| url.to_string());
        let outbox = Outbox::new(webhook_url.clone(), self.retry_schedule.clone(), keyring);
        let webhook_public_key = outbox.public_key();
        let admin_token = self.admin_token.map(|token| checked_token(token.0)).transpose()?;
        if !self.address.ip().is_loopback() {
            checked_exposure(self.address, self.public, admin_token.as_deref())?;
        }
        let listener = listen(self.address)?;
        let address = listener.local_addr()?;

        let (connections, attempts) =
            file_limit::shares(file_limit::open_files(), self.connections, ATTEMPTS);

        let ledger = Arc::new(Ledger::new(self.kept_requests));
        let account = Account { app_id: self.app_id, location_id: model::LOCATION_ID.to_owned() };
        self.apps.remember(&account.app_id, &loaded);
        let (app, others) = self.apps.into_apps(&account.app_id, &identifiers)?;
        let grant_all = |credentials: &mut Credentials| -> io::Result<()> {
            let mut apps = std::iter::once(&app).chain(&others);
            apps.try_for_each(|app| credentials.oauth.put_app(app.clone()))?;
            credentials.grant(&token, Grant::private_integration(&account.app_id, &account.location_id))
        };
        let mut credentials = Credentials::new(app.clone());
        grant_all(&mut credentials)?;
        let first_model = self.keeping.beginning(&mut credentials)?;
        let first_credentials = credentials.to_stored();
        let state::Now { model, rewrite, added, seeded, evicted } =
            self.keeping.now(&first_model, &mut loaded, &mut credentials)?;
        let beginning = InitialState {
            model: Arc::new(first_model),
            credentials: first_credentials,
            identity: vec![
                ("token", token.clone().into()),
                ("signingKey", crate::engine::encoded(signing_key)),
                ("seeded", seeded.into_iter().collect()),
            ],
            rate_limit,
            webhook_url,
            retry_schedule: self.retry_schedule.clone(),
            settings: self.settings.clone(),
        };
        grant_all(&mut credentials)?;
        let state = Arc::new_cyclic(|this| Engine {
            this: Weak::clone(this),
            after_credentials: Mutex::default(),
            spec,
            clock: Clock::new(),
            token,
            account: Arc::new(account),
            settings: Mutex::new(self.settings),
            read_timeout: self.read_timeout,
            write_timeout: self.write_timeout,
            traffic: Arc::new(Traffic::new(connections)),
            long_work: Arc::new(Semaphore::new(1)),
            streams: Arc::new(Semaphore::new(STREAMS)),
            long_events: Semaphore::new(crate::engine::LONG_EVENTS),
            delayed_events: Arc::new(Semaphore::new(DELAYED_EVENTS)),
            snapshots: Semaphore::new(SNAPSHOTS),
            faults: FaultRegistry::default(),
            access: Access::new(
                admin_token,
                system.secret("session"),
                system.secret("choice"),
                hosts(address, base_url.clone()),
            ),
            targets,
            guesses: Mutex::new(Guesses::default()),
            refused: AtomicU64::new(0),
            started: Instant::now(),
            run: system.object_id(),
            identifiers,
            stopping: watch::Sender::new(false),
            initial: beginning,
            store: loaded.store,
            bounds: self.keeping.bounds,
            evicted_messages: AtomicU64::new(evicted as u64),
            retained: Mutex::default(),
            model: Mutex::new(Arc::new(model)),
            credentials: Mutex::new(credentials),
            limiter: Mutex::new(RateLimiter::new(rate_limit)),
            outbox,
            ledger,
        });

        if let Some(store) = &state.store {
            let memory: Weak<dyn Memory> = state.this.clone();
            store.attach(memory);
        }
        state.store_initial_state(rewrite, added);
        if let Some(store) = &state.store {
            // Fail now if the file cannot be written.
            store.committed().await?;
        }
        let runtime = Runtime::start().await?;
        runtime.handle().spawn(webhook::dispatcher::run(Arc::clone(&state), self.webhook_timeout, attempts));
        let serving = runtime.handle().spawn(serve(listener, Arc::clone(&state)));
        let base_url = base_url.unwrap_or_else(|| format!("http://{address}"));
        Ok(Sandbox::new(address, base_url, webhook_public_key, state, serving, runtime))
    }
}

async fn serve(listener: TcpListener, state: Arc<Engine>) {
    if let Err(error) = server::serve(listener, state).await {
        tracing::error!(%error, "the sandbox cannot serve");
    }
}

impl Sandbox {
    /// Starts a sandbox on a free port of 127.0.0.1.
    ///
    /// # Errors
    ///
    /// Returns the error of the operating system if no thread or listener can be created.
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// Returns a builder to configure the sandbox.
    pub fn builder() -> SandboxBuilder {
        SandboxBuilder::new()
    }
}

/// A value that is not printed.
#[derive(Clone)]
struct Redacted<T>(T);

impl<T> std::fmt::Debug for Redacted<T> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("[redacted]")
    }
}

/// Returns the host names under which a sandbox at this address is served.
fn hosts(address: SocketAddr, base_url: Option<String>) -> Hosts {
    if address.ip().is_loopback() { Hosts::loopback().with(base_url) } else { Hosts::public(base_url) }
}

/// Returns the targets to which a sandbox at this address delivers webhooks.
fn targets(address: SocketAddr, allowed: &[String], webhook_url: Option<&Uri>) -> Targets {
    if address.ip().is_loopback() {
        return Targets::unrestricted();
    }
    let own = webhook_url.and_then(Uri::authority).map(http::uri::Authority::as_str);
    Targets::public(allowed.iter().map(String::as_str).chain(own))
}

/// Returns the origin of a base URL: scheme, host and port.
fn checked_base_url(text: &str) -> io::Result<String> {
    let url = text.trim_end_matches('/');
    let parsed = url.parse::<Uri>().ok().filter(|parsed| {
        matches!(parsed.scheme_str(), Some("http" | "https"))
            && parsed.authority().is_some_and(|authority| !authority.as_str().contains('@'))
            && matches!(parsed.path(), "" | "/")
            && parsed.query().is_none()
    });
    if parsed.is_some() {
        return Ok(url.to_owned());
    }
    let message = format!(
        "the base URL `{}` is not one; use scheme, host and port, like https://sandbox.example:8443",
        text.escape_debug()
    );
    Err(io::Error::new(io::ErrorKind::InvalidInput, message))
}

fn checked_rate_limit(limit: RateLimit) -> io::Result<RateLimit> {
    limit.checked().map_err(|words| io::Error::new(io::ErrorKind::InvalidInput, words))
}

/// The minimum length of the admin token of a public sandbox.
const MIN_ADMIN_TOKEN: usize = 16;

/// Rejects addresses that other machines can reach, unless the sandbox is public and has an admin token.
fn checked_exposure(address: SocketAddr, public: bool, admin_token: Option<&str>) -> io::Result<()> {
    let port = address.port();
    let message = match admin_token {
        _ if !public => format!(
            "{address} is not a loopback address, and the sandbox is for this machine only; use 127.0.0.1:{port}, or \
             allow other machines to reach it: --public with an admin token"
        ),
        None => format!(
            "other machines can reach {address}, and the admin API can do everything; set an admin token with \
             HIGHLEVEL_SANDBOX_ADMIN_TOKEN or --admin-token-file, or use 127.0.0.1:{port}"
        ),
        Some(token) if token.len() < MIN_ADMIN_TOKEN => format!(
            "the admin token has {} characters, and other machines can try all tokens of that length; use at least \
             {MIN_ADMIN_TOKEN}, for example from `openssl rand -hex 16`",
            token.len()
        ),
        Some(_) => return Ok(()),
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, message))
}

/// The maximum number of connections that wait to be accepted. The operating system may allow fewer.
#[cfg(unix)]
const BACKLOG: i32 = 4_096;

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)
        .map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}")))?;
    // The standard library lets 128 connections wait to be accepted. Further clients retry after a second.
    #[cfg(unix)]
    rustix::net::listen(&listener, BACKLOG)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}
