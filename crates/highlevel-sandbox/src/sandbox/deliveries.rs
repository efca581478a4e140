//! Webhooks: deliveries, resend and replay, tamper modes, and simulations.

use std::io;
use std::time::Duration;

use serde_json::{Map, Value};

use super::{DeliveriesTimedOut, Sandbox};
use crate::model::{Message, StatusUpdate};
use crate::webhook::{
    self, Replay, RetrySchedule, SimulatedCall, TamperConfig, TamperMode, Trigger, WebhookDelivery,
    WebhookKey,
};

impl Sandbox {
    /// Sets the URL for the events of messages accepted from now on.
    ///
    /// # Errors
    ///
    /// Returns `InvalidInput` if it is not an `http` URL.
    pub fn set_webhook_url(&self, url: impl AsRef<str>) -> io::Result<()> {
        self.state.set_webhook_url(Some(url.as_ref()))
    }

    /// Sets the schedule of retries after responses other than 2xx, from the next attempt on.
    pub fn set_retry_schedule(&self, schedule: RetrySchedule) {
        self.state.set_retry_schedule(schedule);
    }

    /// Returns the webhook deliveries with their attempts, oldest first.
    ///
    /// At most 10,000 completed and 100,000 pending deliveries are retained, and at most 64 MiB.
    pub fn deliveries(&self) -> Vec<WebhookDelivery> {
        self.state.outbox.deliveries()
    }

    /// Returns a delivery by its [`WebhookDelivery::id`].
    pub fn delivery(&self, id: u64) -> Option<WebhookDelivery> {
        self.state.outbox.delivery(id)
    }

    /// Waits until at least `count` deliveries have a completed attempt, with or without a response, and returns
    /// [`deliveries`](Self::deliveries). Counts from startup. The timeout uses real time even if the caller's tokio
    /// clock is paused.
    ///
    /// # Errors
    ///
    /// Returns an error if `timeout` expires first.
    pub async fn wait_for_deliveries(
        &self,
        count: usize,
        timeout: Duration,
    ) -> Result<Vec<WebhookDelivery>, DeliveriesTimedOut> {
        self.wait(timeout, count, |progress| progress.deliveries).await
    }

    /// Waits until at least `attempts` attempts are completed, of one or several deliveries, and returns
    /// [`deliveries`](Self::deliveries). Otherwise like [`wait_for_deliveries`](Self::wait_for_deliveries).
    ///
    /// # Errors
    ///
    /// Returns an error if `timeout` expires first.
    pub async fn wait_for_attempts(
        &self,
        attempts: usize,
        timeout: Duration,
    ) -> Result<Vec<WebhookDelivery>, DeliveriesTimedOut> {
        self.wait(timeout, attempts, |progress| progress.attempts).await
    }

    async fn wait(
        &self,
        timeout: Duration,
        expected: usize,
        ended: fn(&webhook::Progress) -> usize,
    ) -> Result<Vec<WebhookDelivery>, DeliveriesTimedOut> {
        let mut progress = self.state.outbox.progress();
        let now = progress.clone();
        // Use the timer of the sandbox's runtime; the caller's may be paused.
        let waiting = self.runtime.handle().spawn(async move {
            let enough = progress.wait_for(|progress| ended(progress) >= expected);
            tokio::time::timeout(timeout, enough).await.is_ok_and(|result| result.is_ok())
        });
        match waiting.await {
            Ok(true) => Ok(self.deliveries()),
            _ => Err(DeliveriesTimedOut { expected, ended: ended(&now.borrow()) }),
        }
    }

    /// Resends an event now, in addition to the retry schedule: the same payload with the same `webhookId` and
    /// timestamp, as a manual resend in the marketplace does.
    ///
    /// # Errors
    ///
    /// Returns `NotFound` if there is no such delivery, and `QuotaExceeded` if a thousand resends and replays are
    /// queued.
    pub fn resend(&self, delivery: u64) -> io::Result<()> {
        self.state.resend(delivery, None).map(drop)
    }

    /// Resends a tampered event.
    ///
    /// # Errors
    ///
    /// Same as [`resend`](Self::resend).
    pub fn resend_tampered(&self, delivery: u64, mode: TamperMode) -> io::Result<()> {
        self.state.resend(delivery, Some(mode)).map(drop)
    }

    /// Replays the request of an attempt: the same bytes, headers and signature, or with edits.
    ///
    /// # Errors
    ///
    /// Same as [`resend`](Self::resend), and `NotFound` if there is no such completed attempt.
    pub fn replay(&self, delivery: u64, replay: Replay) -> io::Result<()> {
        self.state.replay(delivery, replay).map(drop)
    }

    /// Tampers with all attempts, including retries but not replays, until set to `None`.
    pub fn set_tamper_mode(&self, mode: Option<TamperMode>) {
        self.state.change_tamper_config(|tamper_config| tamper_config.standing = mode);
    }

    /// Tampers with the next attempts, after those that are already configured.
    pub fn tamper_next(&self, mode: TamperMode, attempts: u32) {
        self.state.change_tamper_config(|tamper_config| tamper_config.next.push_back((mode, attempts)));
    }

    /// Returns the active tamper modes.
    pub fn tamper_config(&self) -> TamperConfig {
        self.state.outbox.tamper_config()
    }

    /// Returns the public keys: retired keys, oldest first, the current key and the RSA test key.
    pub fn webhook_keys(&self) -> Vec<WebhookKey> {
        self.state.outbox.keys()
    }

    /// Rotates the signing key and returns the new public key. [`TamperMode::OldKey`] signs with the previous one.
    ///
    /// # Errors
    ///
    /// Returns the error of the operating system if it provides no random numbers.
    pub fn rotate_webhook_key(&self) -> io::Result<String> {
        self.state.rotate_webhook_key()?;
        Ok(self.state.outbox.public_key())
    }

    /// Sends a test event.
    ///
    /// # Errors
    ///
    /// Returns `InvalidInput` if there is no such event or example, or no URL to send it to.
    pub fn trigger(&self, trigger: &Trigger) -> io::Result<WebhookDelivery> {
        self.state.trigger(trigger)
    }

    /// Simulates a message from a contact. The fields are those of `POST /conversations/messages/inbound`, all
    /// optional. Defaults to an SMS from [`contact_id`](Self::contact_id).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let sandbox = highlevel_sandbox::Sandbox::start().await?;
    /// let message = sandbox.simulate_inbound([("message", "See you at eight".into())])?;
    /// assert_eq!(sandbox.messages(), [message]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns `NotFound` if there is no such contact or conversation, and `InvalidInput` if the API would reject the
    /// fields.
    pub fn simulate_inbound<'a>(
        &self,
        fields: impl IntoIterator<Item = (&'a str, Value)>,
    ) -> io::Result<Message> {
        let fields: Map<String, Value> =
            fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        self.state.simulate_inbound(fields)
    }

    /// Simulates a call from or to a contact.
    ///
    /// # Errors
    ///
    /// Same as [`simulate_inbound`](Self::simulate_inbound).
    #[allow(clippy::needless_pass_by_value, reason = "it reads better where the call is built")]
    pub fn simulate_call(&self, call: SimulatedCall) -> io::Result<Message> {
        self.state.simulate_call(&call)
    }

    /// Changes the status of a message and sends its event.
    ///
    /// # Errors
    ///
    /// Returns `NotFound` if there is no such message, and `InvalidInput` if the status cannot follow the current one.
    pub fn simulate_status(&self, message: &str, update: StatusUpdate) -> io::Result<Message> {
        self.state.simulate_status(message, update)
    }
}
