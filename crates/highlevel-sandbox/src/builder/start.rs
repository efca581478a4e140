//! Starts a sandbox from its configuration.

use std::io;
use std::net::TcpListener;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, Weak};
use std::time::Instant;

use tokio::sync::{Notify, Semaphore, watch};

use super::checks::{checked_base_url, checked_exposure, checked_rate_limit, hosts, listen, targets};
use super::redacted::Redacted;
use super::{SandboxBuilder, state};
use crate::access::{Access, Guesses};
use crate::clock::Clock;
use crate::credentials::{Credentials, Grant, checked_token};
use crate::engine::{self, Engine, InitialState};
use crate::fault::FaultRegistry;
use crate::file_limit;
use crate::identifiers::Identifiers;
use crate::ledger::Ledger;
use crate::model::{self, SearchLag};
use crate::oauth::TokenResource;
use crate::persistence::Memory;
use crate::rate_limit::{Account, RateLimitEnforcer};
use crate::runtime::Runtime;
use crate::sandbox::Sandbox;
use crate::server;
use crate::traffic::Traffic;
use crate::webhook::{self, Outbox, WebhookKeys};
use crate::webhook_url::parse_webhook_url;

/// The maximum number of concurrent event streams.
const STREAMS: usize = 512;
/// The maximum number of delayed install events.
const DELAYED_EVENTS: usize = 1_000;
/// The maximum number of concurrent webhook attempts.
const ATTEMPTS: usize = 1_024;
/// The maximum number of concurrent snapshot reads; others wait.
const SNAPSHOTS: usize = 2;

impl SandboxBuilder {
    /// Starts the sandbox.
    ///
    /// # Errors
    ///
    /// Returns `InvalidInput` if the address is not a loopback address, the webhook URL is not an `http` URL, the token
    /// is not a valid header value or the rate limit allows no request; otherwise the error of the operating system,
    /// for example `AddrInUse`.
    #[allow(clippy::too_many_lines, reason = "most of it is one value with many fields")]
    pub async fn start(mut self) -> io::Result<Sandbox> {
        let webhook_url = self.webhook_url.as_deref().map(parse_webhook_url).transpose()?;
        let base_url = self.base_url.as_deref().map(checked_base_url).transpose()?;
        let mut loaded = self.keeping.load()?;
        let identifiers = Identifiers::new(self.seed);
        // A seed makes IDs predictable, but must not make the sign-in or the form tokens of pages predictable.
        let system = Identifiers::new(None);
        // Those of the state file come first.
        self.token = self.token.or(loaded.token.take().map(Redacted));
        self.signing_key = self.signing_key.or(loaded.signing_key.map(Redacted));
        self.apps.remember(&self.app_id, &loaded);
        self.apply_test_credentials();
        let token = match self.token.map(|token| token.0) {
            Some(token) => checked_token(token)?,
            None => identifiers.private_integration_token(),
        };
        let rate_limit = self.rate_limit.map(checked_rate_limit).transpose()?;
        let signing_key = match self.signing_key.map(|seed| seed.0) {
            Some(key) => key,
            None => identifiers.key()?,
        };
        let keyring = WebhookKeys::new(signing_key, &identifiers)?;
        let targets = targets(self.address, &self.webhook_allow, webhook_url.as_ref());
        let webhook_url = webhook_url.map(|url| url.to_string());
        let outbox = Outbox::new(webhook_url.clone(), self.retry_schedule.clone(), keyring);
        let webhook_public_key = outbox.public_key();
        let admin_token = self.admin_token.map(|token| checked_token(token.0)).transpose()?;
        if !self.address.ip().is_loopback() {
            checked_exposure(self.address, self.public, admin_token.as_deref())?;
        }
        let listener = listen(self.address, self.or_free_port)?;
        let address = listener.local_addr()?;

        let (connections, attempts) =
            file_limit::shares(file_limit::open_files(), self.connections, ATTEMPTS);

        let ledger = Arc::new(Ledger::new(self.kept_requests));
        let account = Account { app_id: self.app_id, location_id: model::LOCATION_ID.to_owned() };
        let (app, others) = self.apps.into_apps(&account.app_id, &identifiers)?;
        let grant_all = |credentials: &mut Credentials| -> io::Result<()> {
            let mut apps = std::iter::once(&app).chain(&others);
            apps.try_for_each(|app| credentials.oauth.put_app(app.clone()))?;
            credentials.grant(
                &token,
                Grant::private_integration(&account.app_id, &TokenResource::location(&*account.location_id)),
            )
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
            clock: Clock::new(),
            token,
            account: Arc::new(account),
            base_url: base_url.clone(),
            search_lag: Mutex::new(SearchLag::new(self.settings.active_search_lag())),
            settings: Mutex::new(self.settings),
            read_timeout: self.read_timeout,
            write_timeout: self.write_timeout,
            traffic: Arc::new(Traffic::new(connections)),
            long_work: Arc::new(Semaphore::new(1)),
            streams: Arc::new(Semaphore::new(STREAMS)),
            long_events: Arc::new(Semaphore::new(crate::engine::LONG_EVENTS)),
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
            unserved: AtomicU64::new(0),
            started: Instant::now(),
            run: system.object_id(),
            identifiers,
            stopping: watch::Sender::new(false),
            initial: beginning,
            store: loaded.store,
            bounds: self.keeping.bounds,
            evicted_messages: AtomicU64::new(evicted as u64),
            evicted_files: AtomicU64::new(0),
            retained: Mutex::default(),
            schedule_changed: Notify::new(),
            model: Mutex::new(Arc::new(model)),
            credentials: Mutex::new(credentials),
            limiter: Mutex::new(RateLimitEnforcer::new(rate_limit)),
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
        runtime.handle().spawn(engine::send_scheduled(Arc::clone(&state)));
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
