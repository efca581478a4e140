//! Webhook events: what was delivered and how, what is to go wrong, and what happens on the contact's side.

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
    /// Sends the events of messages that are accepted from now on to a plain `http` URL.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when it is not an `http` URL.
    pub fn set_webhook_url(&self, url: impl AsRef<str>) -> io::Result<()> {
        self.state.set_webhook_url(Some(url.as_ref()))
    }

    /// Changes when an event that was not answered with a 2xx is delivered again, from the next attempt on.
    pub fn set_retry_schedule(&self, schedule: RetrySchedule) {
        self.state.set_retry_schedule(schedule);
    }

    /// The events that were sent, oldest first, each with its attempts.
    ///
    /// 10,000 that have ended are remembered, and 100,000 that are on their way; 128 MiB at the most.
    pub fn deliveries(&self) -> Vec<WebhookDelivery> {
        self.state.outbox.deliveries()
    }

    /// An event that was sent, by its [`WebhookDelivery::id`].
    pub fn delivery(&self, id: u64) -> Option<WebhookDelivery> {
        self.state.outbox.delivery(id)
    }

    /// Waits until of at least `count` events an attempt has ended, whether with an answer or without, and answers
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
    ) -> Result<Vec<WebhookDelivery>, DeliveriesTimedOut> {
        self.wait(timeout, count, |progress| progress.deliveries).await
    }

    /// Waits until at least `attempts` attempts have ended, of one event or of many, and answers
    /// [`deliveries`](Self::deliveries). Otherwise like [`wait_for_deliveries`](Self::wait_for_deliveries).
    ///
    /// # Errors
    ///
    /// They have not ended in `timeout`.
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
        // The timer is the sandbox's own, for the caller's may be stopped.
        let waiting = self.runtime.handle().spawn(async move {
            let enough = progress.wait_for(|progress| ended(progress) >= expected);
            tokio::time::timeout(timeout, enough).await.is_ok_and(|result| result.is_ok())
        });
        match waiting.await {
            Ok(true) => Ok(self.deliveries()),
            _ => Err(DeliveriesTimedOut { expected, ended: ended(&now.borrow()) }),
        }
    }

    /// Delivers an event once more, now and besides what the schedule does: the same payload with the same `webhookId`
    /// and timestamp, as a manual resend in the marketplace does.
    ///
    /// # Errors
    ///
    /// `NotFound` when there is no such delivery, `QuotaExceeded` when a thousand resends and replays wait.
    pub fn resend(&self, delivery: u64) -> io::Result<()> {
        self.state.resend(delivery, None).map(drop)
    }

    /// Delivers an event once more, wrong in this way.
    ///
    /// # Errors
    ///
    /// As [`resend`](Self::resend).
    pub fn resend_tampered(&self, delivery: u64, mode: TamperMode) -> io::Result<()> {
        self.state.resend(delivery, Some(mode)).map(drop)
    }

    /// Makes the request of an attempt once more: the same bytes, headers and signature, or with edits.
    ///
    /// # Errors
    ///
    /// As [`resend`](Self::resend), and `NotFound` when there is no such attempt that has ended.
    pub fn replay(&self, delivery: u64, replay: Replay) -> io::Result<()> {
        self.state.replay(delivery, replay).map(drop)
    }

    /// Makes every attempt wrong in this way until it is switched off with `None`, replays aside. Retries are attempts
    /// as well.
    pub fn set_tamper_mode(&self, mode: Option<TamperMode>) {
        self.state.change_tamper_config(|tamper_config| tamper_config.standing = mode);
    }

    /// Makes the next attempts wrong in this way, after those that were to be wrong already.
    pub fn tamper_next(&self, mode: TamperMode, attempts: u32) {
        self.state.change_tamper_config(|tamper_config| tamper_config.next.push_back((mode, attempts)));
    }

    /// The hostile modes that are switched on.
    pub fn tamper_config(&self) -> TamperConfig {
        self.state.outbox.tamper_config()
    }

    /// The public keys: the retired ones, oldest first, the current one, and the RSA test key.
    pub fn webhook_keys(&self) -> Vec<WebhookKey> {
        self.state.outbox.keys()
    }

    /// Signs with a new key from now on, and answers its public half. [`TamperMode::OldKey`] signs with the one before.
    ///
    /// # Errors
    ///
    /// What the operating system says when it has no random numbers.
    pub fn rotate_webhook_key(&self) -> io::Result<String> {
        self.state.rotate_webhook_key()?;
        Ok(self.state.outbox.public_key())
    }

    /// Sends an event that nothing happened for.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when there is no such event or example, or no URL to send it to.
    pub fn trigger(&self, trigger: &Trigger) -> io::Result<WebhookDelivery> {
        self.state.trigger(trigger)
    }

    /// A contact writes. The fields are those of `POST /conversations/messages/inbound`, all of them optional: without
    /// any it is an SMS from [`contact_id`](Self::contact_id).
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
    /// `NotFound` when there is no such contact or conversation, `InvalidInput` when the API would refuse it.
    pub fn simulate_inbound<'a>(
        &self,
        fields: impl IntoIterator<Item = (&'a str, Value)>,
    ) -> io::Result<Message> {
        let fields: Map<String, Value> =
            fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        self.state.simulate_inbound(fields)
    }

    /// A contact calls, or is called.
    ///
    /// # Errors
    ///
    /// As [`simulate_inbound`](Self::simulate_inbound).
    #[allow(clippy::needless_pass_by_value, reason = "it reads better where the call is built")]
    pub fn simulate_call(&self, call: SimulatedCall) -> io::Result<Message> {
        self.state.simulate_call(&call)
    }

    /// A message gets another status, and the app is told by its event.
    ///
    /// # Errors
    ///
    /// `NotFound` when there is no such message, `InvalidInput` when it cannot get that status any more.
    pub fn simulate_status(&self, message: &str, update: StatusUpdate) -> io::Result<Message> {
        self.state.simulate_status(message, update)
    }
}
