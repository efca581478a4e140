//! A running sandbox.

mod deliveries;
mod faults;
mod ledger;
mod oauth;
mod settings;
mod state;

pub use ledger::AcceptedCounts;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::StatusCode;

use tokio::task::JoinHandle;

use crate::access;
use crate::engine::Engine;
use crate::ledger::{Entries, RecordedRequest};
use crate::model::{self, ProviderKind};
use crate::runtime::Runtime;

/// A local `HighLevel`, which runs until it is dropped and is independent of all others.
///
/// It runs on a separate thread, so it works in tests that block or pause tokio's clock. The IDs returned by
/// [`contact_id`](Self::contact_id) and its siblings belong together.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use highlevel_sandbox::Sandbox;
///
/// # let _ = rustls::crypto::ring::default_provider().install_default();
/// let sandbox = Sandbox::start().await?;
/// let response = reqwest::Client::new()
///     .post(format!("{}/conversations/messages", sandbox.base_url()))
///     .bearer_auth(sandbox.token())
///     .header("Version", "2021-04-15")
///     .json(&serde_json::json!({
///         "type": "SMS", "contactId": sandbox.contact_id(), "message": "Hello", "status": "pending",
///     }))
///     .send()
///     .await?;
///
/// assert_eq!(response.status(), 201);
/// assert_eq!(sandbox.messages()[0].text(), Some("Hello"));
/// # Ok(())
/// # }
/// ```
pub struct Sandbox {
    address: SocketAddr,
    base_url: String,
    webhook_public_key: String,
    pub(crate) state: Arc<Engine>,
    /// The task that serves requests.
    serving: JoinHandle<()>,
    runtime: Runtime,
}

impl Sandbox {
    pub(crate) fn new(
        address: SocketAddr,
        base_url: String,
        webhook_public_key: String,
        state: Arc<Engine>,
        serving: JoinHandle<()>,
        runtime: Runtime,
    ) -> Self {
        Self { address, base_url, webhook_public_key, state, serving, runtime }
    }

    /// Stops the sandbox: accepts no new connections, completes the requests in progress and closes the event streams.
    /// Requests that take longer than 1.5 s are aborted. Dropping the sandbox aborts everything at once.
    pub async fn stop(mut self) {
        self.shut_down().await;
    }

    /// Stops the sandbox like [`stop`](Self::stop) and closes the state file, but frees no memory, which takes a second
    /// with 100,000 messages. For programs that exit next.
    pub async fn shut_down(&mut self) {
        self.state.stopping.send_replace(true);
        if let Err(error) = (&mut self.serving).await {
            tracing::error!(%error, "the sandbox did not stop by itself");
        }
        let state = Arc::clone(&self.state);
        // Closing waits for the disk.
        let closed =
            tokio::task::spawn_blocking(move || state.store.as_ref().map(crate::persistence::Store::close));
        if let Err(error) = closed.await {
            tracing::error!(%error, "the state file was not closed");
        }
    }

    /// Returns the maximum number of connections: the configured one, or fewer if the limit of open files does not
    /// allow it.
    pub fn max_connections(&self) -> usize {
        self.state.traffic.usage().max_connections
    }

    /// Returns the address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the URL under which clients reach it, without a trailing slash: `http://127.0.0.1:PORT`, or the
    /// configured [`base_url`](crate::SandboxBuilder::base_url).
    pub fn base_url(&self) -> String {
        self.base_url.clone()
    }

    /// Returns the URL of its inspector, a web page for browsers.
    pub fn inspector_url(&self) -> String {
        format!("{}{}", self.base_url(), access::INSPECTOR_PATH)
    }

    /// Returns the private integration token that it accepts.
    pub fn token(&self) -> &str {
        &self.state.token
    }

    /// Returns the location of the token.
    pub fn location_id(&self) -> &str {
        model::LOCATION_ID
    }

    /// Returns a contact that always exists.
    pub fn contact_id(&self) -> &str {
        model::CONTACT_ID
    }

    /// Returns the conversation with [`contact_id`](Self::contact_id).
    pub fn conversation_id(&self) -> &str {
        model::CONVERSATION_ID
    }

    /// Returns the conversation provider of the kind [`Sms`](ProviderKind::Sms), which replaces the location's SMS
    /// service. It always exists, like those of the other kinds.
    pub fn conversation_provider_id(&self) -> &str {
        self.provider_id(ProviderKind::Sms)
    }

    /// Returns the conversation provider of a kind.
    pub fn provider_id(&self, kind: ProviderKind) -> &str {
        match kind {
            ProviderKind::Sms => model::SMS_PROVIDER_ID,
            ProviderKind::CustomSms => model::CUSTOM_PROVIDER_ID,
            ProviderKind::Email => model::EMAIL_PROVIDER_ID,
            ProviderKind::Call => model::CALL_PROVIDER_ID,
        }
    }

    /// Returns the app ID in webhook events.
    pub fn app_id(&self) -> &str {
        &self.state.account.app_id
    }

    /// Returns the key that verifies webhook signatures until it is [rotated](Self::rotate_webhook_key): base64 of the
    /// `SubjectPublicKeyInfo`, the format in which `HighLevel` publishes its key.
    pub fn webhook_public_key(&self) -> &str {
        &self.webhook_public_key
    }

    /// Returns the sandbox time.
    pub fn now(&self) -> SystemTime {
        self.state.clock.now().into()
    }

    /// Sets the clock, which continues from there. Times are clamped to the years 1970 to 9999.
    pub fn set_clock(&self, time: SystemTime) {
        self.state.set_clock(time.into());
    }

    /// Advances the clock. Everything scheduled in between becomes due.
    pub fn advance_clock(&self, by: Duration) {
        self.state.advance_clock(by);
    }

    /// Sets the speed of the clock: at 60 a minute passes per second, 0 pauses it.
    pub fn set_clock_speed(&self, speed: f64) {
        self.state.set_clock_speed(speed);
    }

    /// Returns the requests in the ledger, oldest first. See [`keep_requests`](crate::SandboxBuilder::keep_requests).
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.state.ledger.requests()
    }

    /// Returns the number of requests rejected with 429. It is 0 without [`rate_limit`](crate::SandboxBuilder::rate_limit).
    pub fn rate_limited(&self) -> usize {
        self.state.ledger.count_by_status(StatusCode::TOO_MANY_REQUESTS.as_u16())
    }

    /// Counts requests as if another program of the same app had sent them to the same location. Requests over an
    /// enforced limit are not counted. The ledger is unaffected.
    pub fn use_rate_limit(&self, requests: usize) {
        self.state.use_rate_limit(&self.state.account, requests);
    }

    /// Returns the entries of the ledger, past and future, in order.
    pub fn follow(&self) -> Entries {
        self.state.ledger.follow()
    }
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Sandbox").field("base_url", &self.base_url()).finish_non_exhaustive()
    }
}

/// The error for webhook attempts that were not completed in time.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeliveriesTimedOut {
    /// The number of expected attempts.
    pub expected: usize,
    /// The number of completed attempts.
    pub ended: usize,
}

impl std::fmt::Display for DeliveriesTimedOut {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} of {} webhook deliveries ended in time", self.ended, self.expected)?;
        if self.ended == 0 {
            formatter.write_str("; is a webhook URL set?")?;
        }
        Ok(())
    }
}

impl std::error::Error for DeliveriesTimedOut {}
