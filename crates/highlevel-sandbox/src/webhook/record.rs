//! Deliveries: an event with its attempts.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::tamper::TamperMode;
use crate::weight;

/// The maximum bytes of request bodies in the JSON of one delivery, beyond that of its oldest attempt.
const SHOWN_BYTES: usize = 4 * 1024 * 1024;

/// The delivery of an event to a webhook URL, with its attempts so far.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WebhookDelivery {
    /// The id of the delivery, counted from 1.
    pub id: u64,
    /// The `webhookId` of the payload, which all attempts share; empty if the payload has none.
    pub webhook_id: String,
    /// The name of the event, for example `OutboundMessage`.
    pub event: String,
    /// The message of the event, if it is about one.
    pub message_id: Option<String>,
    /// The target URL.
    pub url: String,
    /// The payload, before any tampering.
    pub body: Arc<[u8]>,
    /// The time of its creation, in RFC 3339.
    pub created_at: String,
    /// The state of the delivery.
    pub state: DeliveryState,
    /// The due time of the next attempt, in RFC 3339.
    pub next_attempt_at: Option<String>,
    /// The completed attempts in the order of their start. Limited to the last 64.
    pub attempts: Vec<Arc<DeliveryAttempt>>,
}

/// The state of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeliveryState {
    /// An attempt is scheduled or in progress.
    Pending,
    /// An attempt received a 2xx response.
    Delivered,
    /// No attempt received a 2xx response, and no further one is scheduled.
    GivenUp,
}

/// One attempt to deliver a webhook event.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeliveryAttempt {
    /// The id of the delivery.
    pub delivery_id: u64,
    /// The number of the attempt, counted from 1.
    pub number: u32,
    /// The cause of the attempt.
    pub cause: AttemptCause,
    /// The tampering, if the attempt was tampered with.
    pub tamper_mode: Option<TamperMode>,
    /// The `webhookId` of the payload; empty if the payload has none.
    pub webhook_id: String,
    /// The name of the event, for example `OutboundMessage`.
    pub event: String,
    /// The message of the event, if it is about one.
    pub message_id: Option<String>,
    /// The target URL.
    pub url: String,
    /// The time of its start, in RFC 3339, by the sandbox's clock.
    pub started_at: String,
    /// The time until the response or failure, by the machine's clock.
    pub latency: Duration,
    /// The name of the signing key, or `None` if the attempt was not signed.
    pub key_id: Option<String>,
    /// The headers with names in lower case, without those for the transfer of the body.
    pub headers: Vec<(String, String)>,
    /// The bytes that were sent.
    pub body: Arc<[u8]>,
    /// The outcome.
    pub outcome: DeliveryOutcome,
    /// The due time of the next attempt at the time of completion, in RFC 3339.
    pub next_attempt_at: Option<String>,
}

/// The cause of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AttemptCause {
    /// The first attempt, or a retry of the schedule.
    Scheduled,
    /// A requested resend of the event.
    Resend,
    /// A requested replay of an earlier request, possibly edited.
    Replay,
    /// A copy of the attempt before, by [`TamperMode::Duplicate`].
    Duplicate,
}

/// The outcome of a webhook attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeliveryOutcome {
    /// The target responded.
    #[non_exhaustive]
    Responded {
        /// The status of the response.
        status: u16,
        /// The headers of the response with names in lower case, limited to 8 KiB.
        headers: Vec<(String, String)>,
        /// The body of the response, limited to 4 KiB.
        body: Vec<u8>,
    },
    /// No response was received.
    #[non_exhaustive]
    Failed {
        /// The error.
        reason: String,
    },
}

impl WebhookDelivery {
    /// Returns the last attempt.
    pub fn last(&self) -> Option<&DeliveryAttempt> {
        self.attempts.last().map(AsRef::as_ref)
    }

    /// Returns the value of a header of the last attempt by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.last()?.header(name)
    }

    /// Returns the status of the response to the last attempt, if there was one.
    pub fn status(&self) -> Option<u16> {
        self.last()?.status()
    }

    /// Returns the form of the admin API.
    pub(crate) fn to_json(&self) -> Value {
        // Each attempt repeats the body, so fewer attempts have it if it is long.
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
            "payload": lossless(&self.body),
            "createdAt": self.created_at,
            "state": self.state.as_str(),
            "nextAttemptAt": self.next_attempt_at,
            "attempts": attempts,
        }))
    }
}

impl DeliveryAttempt {
    /// Returns the value of a header by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(each, _)| each == name).map(|(_, value)| value.as_str())
    }

    /// Returns the status of the response, if there was one.
    pub fn status(&self) -> Option<u16> {
        match self.outcome {
            DeliveryOutcome::Responded { status, .. } => Some(status),
            DeliveryOutcome::Failed { .. } => None,
        }
    }

    /// Returns its memory in bytes, without the body that all attempts share.
    pub(crate) fn weight(&self) -> usize {
        let outcome = match &self.outcome {
            DeliveryOutcome::Responded { headers, body, .. } => {
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

    /// Returns the form of the admin API.
    pub(crate) fn to_json(&self) -> Value {
        let (response, error) = match &self.outcome {
            DeliveryOutcome::Responded { status, headers, body } => (
                json!({ "status": status, "headers": headers_json(headers), "body": lossless(body) }),
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
            "request": { "headers": headers_json(&self.headers), "body": lossless(&self.body) },
            "response": response,
            "error": error,
            "nextAttemptAt": self.next_attempt_at,
        }))
    }
}

impl DeliveryState {
    /// Returns the name used in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::GivenUp => "givenUp",
        }
    }
}

impl AttemptCause {
    /// Returns the name used in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Resend => "resend",
            Self::Replay => "replay",
            Self::Duplicate => "duplicate",
        }
    }
}

/// Returns headers as pairs, because names can repeat.
fn headers_json(headers: &[(String, String)]) -> Value {
    headers.iter().map(|(name, value)| json!([name, value])).collect()
}

/// Returns bytes without loss, as `{"text": …}` or `{"base64": …}`.
fn lossless(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => json!({ "text": text }),
        Err(_) => json!({ "base64": STANDARD.encode(bytes) }),
    }
}

/// Removes fields that are null.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            fields.into_iter().filter(|(_, value)| !value.is_null()).collect::<Map<_, _>>().into()
        }
        other => other,
    }
}
