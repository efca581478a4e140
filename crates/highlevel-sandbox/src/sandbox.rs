//! A running sandbox.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::StatusCode;

use crate::builder::{SandboxBuilder, parse_webhook_url};
use crate::ledger::{Delivery, Entries, Entry, RecordedRequest};
use crate::runtime::Runtime;
use crate::server::{State, lock};
use crate::world::{self, Contact, Message, Record};

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
    webhook_public_key: String,
    state: Arc<State>,
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
        webhook_public_key: String,
        state: Arc<State>,
        runtime: Runtime,
    ) -> Self {
        Self { address, webhook_public_key, state, runtime }
    }

    /// Where it listens: `http://127.0.0.1:PORT`, without a slash at the end.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The private integration token that it accepts.
    pub fn token(&self) -> &str {
        &self.state.token
    }

    /// The location that the token belongs to.
    pub fn location_id(&self) -> &str {
        world::LOCATION_ID
    }

    /// A contact that exists from the start.
    pub fn contact_id(&self) -> &str {
        world::CONTACT_ID
    }

    /// The conversation with [`contact_id`](Self::contact_id).
    pub fn conversation_id(&self) -> &str {
        world::CONVERSATION_ID
    }

    /// A conversation provider that exists from the start.
    pub fn conversation_provider_id(&self) -> &str {
        world::CONVERSATION_PROVIDER_ID
    }

    /// The app that webhook events name.
    pub fn app_id(&self) -> &str {
        &self.state.account.app_id
    }

    /// The key that verifies webhook signatures: base64 of the `SubjectPublicKeyInfo`, as `HighLevel` publishes its own.
    pub fn webhook_public_key(&self) -> &str {
        &self.webhook_public_key
    }

    /// Sends the events of messages that are accepted from now on to a plain `http` URL.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when it is not an `http` URL.
    pub fn set_webhook_url(&self, url: impl AsRef<str>) -> io::Result<()> {
        *lock(&self.state.webhook_url) = Some(parse_webhook_url(url.as_ref())?);
        Ok(())
    }

    /// What time it is in the sandbox.
    pub fn now(&self) -> SystemTime {
        self.state.clock.now().into()
    }

    /// Sets the sandbox's clock, which goes on from there.
    pub fn set_clock(&self, time: SystemTime) {
        self.state.clock.set(time.into());
    }

    /// Moves the sandbox's clock forward; what was to happen in the meantime happens now.
    pub fn advance_clock(&self, by: Duration) {
        self.state.clock.advance(by);
    }

    /// Lets the sandbox's clock run at another speed: 60 makes a minute of each second, 0 stops it.
    pub fn set_clock_speed(&self, speed: f64) {
        self.state.clock.set_speed(speed);
    }

    /// Adds a contact to the location, without a conversation; a first message to it makes one.
    pub fn add_contact(&self, contact: Contact) {
        self.state.put(&mut self.state.world(), [Record::Contact(contact)]);
    }

    /// The messages and calls that were accepted and stored, oldest first.
    pub fn messages(&self) -> Vec<Message> {
        self.state.world().messages().cloned().collect()
    }

    /// The requests that were answered, oldest first.
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
        self.state.use_rate_limit(requests);
    }

    /// The webhook attempts that have ended, oldest first.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.state.ledger.deliveries()
    }

    /// Everything that happened and will happen, one entry after the other.
    pub fn follow(&self) -> Entries {
        self.state.ledger.follow()
    }

    /// Waits until at least `count` webhook attempts have ended, whether with an answer or without, and answers
    /// [`deliveries`](Self::deliveries). It counts from the start of the sandbox, and goes by the real clock even if
    /// the caller's is stopped.
    ///
    /// # Errors
    ///
    /// They have not ended in `timeout`.
    pub async fn wait_for_deliveries(
        &self,
        count: usize,
        timeout: Duration,
    ) -> Result<Vec<Delivery>, DeliveriesTimedOut> {
        let mut entries = self.follow();
        let enough = async move {
            let mut ended = 0;
            while ended < count {
                if let Entry::Delivery(_) = entries.next().await {
                    ended += 1;
                }
            }
        };
        // The timer is the sandbox's own, for the caller's may be stopped.
        let waiting = self.runtime.handle().spawn(async move { tokio::time::timeout(timeout, enough).await });
        match waiting.await {
            Ok(Ok(())) => Ok(self.deliveries()),
            _ => Err(DeliveriesTimedOut { expected: count, ended: self.deliveries().len() }),
        }
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
