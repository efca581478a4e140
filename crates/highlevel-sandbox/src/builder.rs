//! The configuration of a sandbox.

mod checks;
mod oauth;
mod redacted;
mod start;
mod state;
mod test_credentials;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::fidelity::{Quirk, Refusal, Settings, Strictness, SuccessStatus};
use crate::ledger;
use crate::model;
use crate::oauth::SandboxApp;
use crate::rate_limit::RateLimit;
use crate::snapshot::Snapshot;
use crate::webhook::{self, RetrySchedule};
use redacted::Redacted;
pub use test_credentials::TestCredentials;

/// A sandbox that has not started. Created by [`Sandbox::builder`](crate::Sandbox::builder).
#[derive(Clone, Debug)]
pub struct SandboxBuilder {
    address: SocketAddr,
    or_free_port: bool,
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
    test_credentials: bool,
    public: bool,
    keeping: state::StateOptions,
}

impl SandboxBuilder {
    pub(crate) fn new() -> Self {
        Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            or_free_port: false,
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
            kept_requests: ledger::MAX_REQUESTS,
            admin_token: None,
            base_url: None,
            webhook_allow: Vec::new(),
            seed: None,
            test_credentials: false,
            public: false,
            keeping: state::StateOptions::default(),
        }
    }

    /// Sets the address to listen on. Defaults to 127.0.0.1 and a free port. Other addresses than loopback also require
    /// [`public`](Self::public) and an [`admin_token`](Self::admin_token).
    pub fn address(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }

    /// Listens on a free port if the port of the [`address`](Self::address) cannot be used, because another program
    /// listens on it or the system reserves it. By default that is an error.
    pub fn or_free_port(mut self) -> Self {
        self.or_free_port = true;
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

    /// Sets the delay of [`Quirk::SearchIndexLag`], in sandbox time. Defaults to 5 seconds.
    pub fn search_lag(mut self, lag: Duration) -> Self {
        self.settings = self.settings.search_lag(lag);
        self
    }

    /// Disables a refusal of the live API. By default all are enabled, except those that need a quirk.
    pub fn without_refusal(mut self, refusal: Refusal) -> Self {
        self.settings = self.settings.without_refusal(refusal);
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
    /// the sandbox belong to this origin, and [`Sandbox::base_url`](crate::Sandbox::base_url) returns it. Defaults to the
    /// address it listens on.
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

    /// Uses the [`TestCredentials`], which are the same for each sandbox and publicly known: a program that is configured
    /// with them works with each start of the sandbox. Values that are configured, generated from a seed or stored in a
    /// state file take precedence. By default all credentials are random.
    pub fn test_credentials(mut self) -> Self {
        self.test_credentials = true;
        self
    }

    /// Sets the client secret of the default app. Defaults to a new secret.
    pub fn client_secret(mut self, secret: impl Into<String>) -> Self {
        self.apps.client_secret = Some(Redacted(secret.into()));
        self
    }

    /// Registers a redirect URI of the default app. Without any, codes are only sent to this machine: loopback
    /// addresses and `localhost`.
    pub fn redirect_uri(mut self, uri: impl Into<String>) -> Self {
        self.apps.redirect_uris.push(uri.into());
        self
    }

    /// Adds another app.
    pub fn app(mut self, app: SandboxApp) -> Self {
        self.apps.others.push(app);
        self
    }

    /// Adds objects to the built-in ones. Objects with the same IDs are replaced. A [`state_file`](Self::state_file)
    /// records what was added: later changes and deletions are preserved on the next start.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use highlevel_sandbox::{Sandbox, Snapshot};
    ///
    /// let seed = Snapshot::parse("contacts: [{id: grace, name: Grace, phone: '+15035550123'}]")?;
    /// let sandbox = Sandbox::builder().seed(seed).start().await?;
    /// assert_eq!(sandbox.contact("grace").and_then(|contact| contact.name), Some("Grace".to_owned()));
    /// # Ok(())
    /// # }
    /// ```
    pub fn seed(mut self, seed: Snapshot) -> Self {
        self.keeping.seeds.push(seed.into_stored());
        self
    }

    /// Persists objects, credentials and the webhook signing key in a file, and loads them when a sandbox starts with
    /// the same file. Accepted requests are on disk before their response is sent, even if the process is killed. By
    /// default nothing is persisted.
    ///
    /// The ledger, faults, the clock and the counts of the rate limits are not persisted.
    pub fn state_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.keeping.state_file = Some(path.into());
        self
    }

    /// Sets the maximum number of messages to retain, at least 1, newest first. Defaults to 100,000.
    pub fn keep_messages(mut self, messages: usize) -> Self {
        self.keeping.bounds.messages = messages.max(1);
        self
    }

    /// Sets the maximum memory for messages in bytes. The oldest are evicted first; the newest one is always retained.
    /// Defaults to 128 MiB.
    pub fn keep_bytes(mut self, bytes: usize) -> Self {
        self.keeping.bounds.message_bytes = bytes;
        self
    }
}
