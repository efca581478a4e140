//! A running sandbox.

mod deliveries;
mod faults;
mod ledger;
mod oauth;
mod settings;
mod state;

pub use ledger::Accepted;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::StatusCode;

use tokio::task::JoinHandle;

use crate::access;
use crate::builder::SandboxBuilder;
use crate::engine::Engine;
use crate::ledger::{Entries, RecordedRequest};
use crate::model;
use crate::runtime::Runtime;

/// A local `HighLevel`, which runs until it is dropped and shares nothing with another one.
///
/// It has a thread of its own, so that it works the same beside a test that blocks or has stopped tokio's clock.
/// The ids that [`contact_id`](Self::contact_id) and its siblings answer belong together.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use highlevel_sandbox::Sandbox;
///
/// # let _ = rustls::crypto::ring::default_provider().install_default();
/// let sandbox = Sandbox::start().await?;
/// let answer = reqwest::Client::new()
///     .post(format!("{}/conversations/messages", sandbox.base_url()))
///     .bearer_auth(sandbox.token())
///     .header("Version", "2021-04-15")
///     .json(&serde_json::json!({
///         "type": "SMS", "contactId": sandbox.contact_id(), "message": "Hello", "status": "pending",
///     }))
///     .send()
///     .await?;
///
/// assert_eq!(answer.status(), 201);
/// assert_eq!(sandbox.messages()[0].text(), Some("Hello"));
/// # Ok(())
/// # }
/// ```
pub struct Sandbox {
    address: SocketAddr,
    base_url: String,
    webhook_public_key: String,
    pub(crate) state: Arc<Engine>,
    /// Ends when it serves no more.
    serving: JoinHandle<()>,
    runtime: Runtime,
}

impl Sandbox {
    /// Starts a sandbox on a free port of 127.0.0.1.
    ///
    /// # Errors
    ///
    /// What the operating system says when no thread or listener can be had.
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// A sandbox of which something is to be chosen.
    pub fn builder() -> SandboxBuilder {
        SandboxBuilder::new()
    }

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

    /// Stops it: takes no more connections, finishes the requests that it has, ends the event streams, and is gone.
    /// What has not finished after a second and a half is cut off. To drop it is to cut everything off at once.
    pub async fn stop(mut self) {
        self.shut_down().await;
    }

    /// Stops it as [`stop`](Self::stop) does, and closes the state file, but frees nothing: with 100,000 messages that takes
    /// a second. For a program that ends next, and leaves that to the operating system.
    pub async fn shut_down(&mut self) {
        self.state.stopping.send_replace(true);
        if let Err(error) = (&mut self.serving).await {
            tracing::error!(%error, "the sandbox did not stop by itself");
        }
        let state = Arc::clone(&self.state);
        // It waits for the disk.
        let closed =
            tokio::task::spawn_blocking(move || state.store.as_ref().map(crate::persistence::Store::close));
        if let Err(error) = closed.await {
            tracing::error!(%error, "the state file was not closed");
        }
    }

    /// How many clients can be connected at once: what was chosen, or fewer if the limit of open files does not allow it.
    pub fn max_connections(&self) -> usize {
        self.state.traffic.usage().max_connections
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL under which clients reach it, without a slash at the end: `http://127.0.0.1:PORT`, or the
    /// [`base_url`](SandboxBuilder::base_url) that was configured.
    pub fn base_url(&self) -> String {
        self.base_url.clone()
    }

    /// Where its inspector is: pages that show what happens in it, to be opened in a browser.
    pub fn inspector_url(&self) -> String {
        format!("{}{}", self.base_url(), access::INSPECTOR_PATH)
    }

    /// The private integration token that it accepts.
    pub fn token(&self) -> &str {
        &self.state.token
    }

    /// The location that the token belongs to.
    pub fn location_id(&self) -> &str {
        model::LOCATION_ID
    }

    /// A contact that exists from the start.
    pub fn contact_id(&self) -> &str {
        model::CONTACT_ID
    }

    /// The conversation with [`contact_id`](Self::contact_id).
    pub fn conversation_id(&self) -> &str {
        model::CONVERSATION_ID
    }

    /// A conversation provider that exists from the start.
    pub fn conversation_provider_id(&self) -> &str {
        model::CONVERSATION_PROVIDER_ID
    }

    /// The app that webhook events name.
    pub fn app_id(&self) -> &str {
        &self.state.account.app_id
    }

    /// The key that verifies webhook signatures until it is [rotated](Self::rotate_webhook_key): base64 of the `SubjectPublicKeyInfo`, as `HighLevel` publishes its own.
    pub fn webhook_public_key(&self) -> &str {
        &self.webhook_public_key
    }

    /// What time it is in the sandbox.
    pub fn now(&self) -> SystemTime {
        self.state.clock.now().into()
    }

    /// Sets the sandbox's clock, which goes on from there. It begins with 1970 and ends with 9999: another time is the
    /// nearest of these.
    pub fn set_clock(&self, time: SystemTime) {
        self.state.set_clock(time.into());
    }

    /// Moves the sandbox's clock forward; what was to happen in the meantime happens now.
    pub fn advance_clock(&self, by: Duration) {
        self.state.advance_clock(by);
    }

    /// Lets the sandbox's clock run at another speed: 60 makes a minute of each second, 0 stops it.
    pub fn set_clock_speed(&self, speed: f64) {
        self.state.set_clock_speed(speed);
    }

    /// The requests that were answered, oldest first, as far as they are kept: see [`SandboxBuilder::keep_requests`].
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.state.ledger.requests()
    }

    /// How many requests were answered 429. There is none without [`SandboxBuilder::rate_limit`].
    pub fn rate_limited(&self) -> usize {
        self.state.ledger.answered(StatusCode::TOO_MANY_REQUESTS.as_u16())
    }

    /// Counts `requests` now, as if another program of the same app had made them for the same location. What is over a
    /// limit that is enforced does not count. The ledger has nothing of it.
    pub fn use_rate_limit(&self, requests: usize) {
        self.state.use_rate_limit(&self.state.account, requests);
    }

    /// Everything that happened, as far as it is kept, and will happen, one entry after the other.
    pub fn follow(&self) -> Entries {
        self.state.ledger.follow()
    }
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Sandbox").field("base_url", &self.base_url()).finish_non_exhaustive()
    }
}

/// Fewer webhook attempts ended in time than were waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeliveriesTimedOut {
    /// How many were waited for.
    pub expected: usize,
    /// How many ended.
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
