//! What is known about an event on its way: the event, and each attempt to deliver it.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::tamper::TamperMode;
use crate::weight;

/// How many bytes of bodies the attempts of one delivery show, the oldest of them aside.
const SHOWN_BYTES: usize = 4 * 1024 * 1024;

/// An event on its way to a webhook URL, with the attempts so far.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WebhookDelivery {
    /// By which the sandbox knows it: 1 for the first event, and so on.
    pub id: u64,
    /// The id of the event, as in its payload; empty when the payload has none. All attempts have the same.
    pub webhook_id: String,
    /// The name of the event, for example `OutboundMessage`.
    pub event: String,
    /// The message that it is about, if it is about one.
    pub message_id: Option<String>,
    /// Where it goes.
    pub url: String,
    /// The payload as it was made.
    pub body: Arc<[u8]>,
    /// When it was made, RFC 3339.
    pub created_at: String,
    /// How far it has come.
    pub state: DeliveryState,
    /// When it is tried again, RFC 3339.
    pub next_attempt_at: Option<String>,
    /// The attempts that have ended, in the order in which they began. Of more than 64, the last ones.
    pub attempts: Vec<Arc<DeliveryAttempt>>,
}

/// How far a delivery has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeliveryState {
    /// There is an attempt to come, or one that has not ended.
    Pending,
    /// An attempt was answered with a 2xx.
    Delivered,
    /// None was, and there will be none.
    GivenUp,
}

/// One attempt to deliver a webhook event.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeliveryAttempt {
    /// The delivery that it belongs to.
    pub delivery_id: u64,
    /// Its number in the delivery, 1 for the first.
    pub number: u32,
    /// Why it was made.
    pub cause: AttemptCause,
    /// What was wrong with it, if something was on purpose.
    pub tamper_mode: Option<TamperMode>,
    /// The id of the event, as in its payload; empty when the payload has none.
    pub webhook_id: String,
    /// The name of the event, for example `OutboundMessage`.
    pub event: String,
    /// The message that it is about, if it is about one.
    pub message_id: Option<String>,
    /// Where it went.
    pub url: String,
    /// When it began, RFC 3339, by the sandbox's clock.
    pub started_at: String,
    /// How long it took, by the machine's clock.
    pub latency: Duration,
    /// The name of the key that made its signature; `None` when nothing was signed.
    pub key_id: Option<String>,
    /// The headers in lower case, without those that say how the body is transferred.
    pub headers: Vec<(String, String)>,
    /// The bytes that were sent.
    pub body: Arc<[u8]>,
    /// How it ended.
    pub outcome: DeliveryOutcome,
    /// When the next one was due as it ended, RFC 3339.
    pub next_attempt_at: Option<String>,
}

/// Why an attempt was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AttemptCause {
    /// It is the first, or the schedule demanded it.
    Scheduled,
    /// Somebody asked for the event once more.
    Resend,
    /// Somebody asked for the same request once more, or for it with edits.
    Replay,
    /// [`TamperMode::Duplicate`] made the attempt before once more.
    Duplicate,
}

/// How a webhook attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeliveryOutcome {
    /// There was an answer.
    #[non_exhaustive]
    Answered {
        /// Its status.
        status: u16,
        /// Its headers in lower case, the first 8 KiB of them.
        headers: Vec<(String, String)>,
        /// Its body, the first 4 KiB of it.
        body: Vec<u8>,
    },
    /// There was none.
    #[non_exhaustive]
    Failed {
        /// Why.
        reason: String,
    },
}

impl WebhookDelivery {
    /// The last attempt.
    pub fn last(&self) -> Option<&DeliveryAttempt> {
        self.attempts.last().map(AsRef::as_ref)
    }

    /// The value of a header of the last attempt, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.last()?.header(name)
    }

    /// The status that the last attempt was answered with, if it was.
    pub fn status(&self) -> Option<u16> {
        self.last()?.status()
    }

    /// As the admin API shows it.
    pub(crate) fn to_json(&self) -> Value {
        // Each has the body once more: of long ones fewer are shown.
        let mut bytes = 0;
        let newest = self.attempts.iter().rev().take_while(|attempt| {
            let is_shown = bytes <= SHOWN_BYTES;
            bytes += attempt.body.len();
            is_shown
        });
        let mut attempts: Vec<Value> = newest.map(|attempt| attempt.to_json()).collect();
        attempts.reverse();
        without_nulls(json!({
            "id": self.id,
            "webhookId": self.webhook_id,
            "event": self.event,
            "messageId": self.message_id,
            "url": self.url,
            "payload": exact(&self.body),
            "createdAt": self.created_at,
            "state": self.state.as_str(),
            "nextAttemptAt": self.next_attempt_at,
            "attempts": attempts,
        }))
    }
}

impl DeliveryAttempt {
    /// The value of a header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(each, _)| each == name).map(|(_, value)| value.as_str())
    }

    /// The status of the answer, if there was one.
    pub fn status(&self) -> Option<u16> {
        match self.outcome {
            DeliveryOutcome::Answered { status, .. } => Some(status),
            DeliveryOutcome::Failed { .. } => None,
        }
    }

    /// The memory that it takes, the body that all attempts share aside.
    pub(crate) fn weight(&self) -> usize {
        let outcome = match &self.outcome {
            DeliveryOutcome::Answered { headers, body, .. } => {
                weight::headers(headers) + weight::block(body.capacity())
            }
            DeliveryOutcome::Failed { reason } => weight::text(reason),
        };
        let texts = [&self.webhook_id, &self.event, &self.url, &self.started_at];
        let options = [&self.message_id, &self.key_id, &self.next_attempt_at];
        weight::block(size_of::<Self>())
            + texts.map(|text| weight::text(text)).iter().sum::<usize>()
            + options.map(|option| weight::option(option.as_ref())).iter().sum::<usize>()
            + weight::headers(&self.headers)
            + outcome
    }

    /// As the admin API shows it.
    pub(crate) fn to_json(&self) -> Value {
        let (answer, error) = match &self.outcome {
            DeliveryOutcome::Answered { status, headers, body } => (
                json!({ "status": status, "headers": headers_json(headers), "body": exact(body) }),
                Value::Null,
            ),
            DeliveryOutcome::Failed { reason } => (Value::Null, json!(reason)),
        };
        without_nulls(json!({
            "deliveryId": self.delivery_id,
            "number": self.number,
            "cause": self.cause.as_str(),
            "tamperMode": self.tamper_mode.map(TamperMode::as_str),
            "webhookId": self.webhook_id,
            "event": self.event,
            "messageId": self.message_id,
            "url": self.url,
            "startedAt": self.started_at,
            "latencyMs": self.latency.as_secs_f64() * 1000.0,
            "signedBy": self.key_id,
            "request": { "headers": headers_json(&self.headers), "body": exact(&self.body) },
            "answer": answer,
            "error": error,
            "nextAttemptAt": self.next_attempt_at,
        }))
    }
}

impl DeliveryState {
    /// As it is written in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::GivenUp => "givenUp",
        }
    }
}

impl AttemptCause {
    /// As it is written in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Resend => "resend",
            Self::Replay => "replay",
            Self::Duplicate => "duplicate",
        }
    }
}

/// Each as a pair, for there may be several of one name.
fn headers_json(headers: &[(String, String)]) -> Value {
    headers.iter().map(|(name, value)| json!([name, value])).collect()
}

/// Bytes as what they are, exactly: `{"text": …}` or `{"base64": …}`.
fn exact(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => json!({ "text": text }),
        Err(_) => json!({ "base64": STANDARD.encode(bytes) }),
    }
}

/// What is not known is left out.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            fields.into_iter().filter(|(_, value)| !value.is_null()).collect::<Map<_, _>>().into()
        }
        other => other,
    }
}
