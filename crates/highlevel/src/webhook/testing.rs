//! Keys, signatures and events for the tests of programs that receive webhooks.
//!
//! ```
//! use std::time::{Duration, SystemTime};
//! use highlevel::webhook::Receiver;
//! use highlevel::webhook::testing::{EventBuilder, SigningKey};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let key = SigningKey::from_seed([7; 32]);
//! let receiver = Receiver::builder().app_id("my-app").key(key.public_key("test")).build();
//!
//! let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_722_268_288);
//! let body = EventBuilder::inbound_sms("We are on our way").app_id("my-app").at(now).body();
//! let received = receiver.receive(&key.headers(&body), body, now).await?;
//! assert_eq!(received.event().name(), "InboundMessage");
//! received.commit().await?;
//! # Ok(())
//! # }
//! ```

use std::fmt;
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use ed25519_dalek::Signer;
use highlevel_wire::Timestamp;
use http::{HeaderMap, HeaderValue};
use serde_json::{Map, Value, json};

use super::{PublicKey, signature};

/// A key that signs events in the way of HighLevel.
#[derive(Clone)]
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// Derives a key from a seed. Equal seeds give equal keys.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(&seed))
    }

    /// Returns the public key, for [`ReceiverBuilder::key`](super::ReceiverBuilder::key).
    #[allow(clippy::missing_panics_doc, reason = "the public key of a signing key is never of low order")]
    pub fn public_key(&self, id: impl Into<String>) -> PublicKey {
        PublicKey::from_bytes(id, self.0.verifying_key().as_bytes()).expect("the public key is valid")
    }

    /// Signs a body. Returns the value of `X-GHL-Signature`.
    pub fn sign(&self, body: impl AsRef<[u8]>) -> String {
        STANDARD.encode(self.0.sign(body.as_ref()).to_bytes())
    }

    /// Returns the headers with which HighLevel would deliver a body.
    #[allow(clippy::missing_panics_doc, reason = "base64 is always a header")]
    pub fn headers(&self, body: impl AsRef<[u8]>) -> HeaderMap {
        let signature = HeaderValue::try_from(self.sign(body)).expect("base64 is a header");
        HeaderMap::from_iter([
            (http::header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (http::HeaderName::from_static(signature::HEADER), signature),
        ])
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

/// Builds the body of an event, with the fields that HighLevel sends, and a random `webhookId` if HighLevel sends one.
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `body` is called"]
pub struct EventBuilder(Map<String, Value>);

impl EventBuilder {
    /// Creates an event with this name, an envelope and no other fields.
    pub fn named(name: &str) -> Self {
        Self(Map::new()).field("type", name).field("webhookId", webhook_id())
    }

    /// Creates an event for an SMS to a contact.
    pub fn outbound_sms(text: &str) -> Self {
        Self::message("outbound", Names("SMS", 2, "TYPE_SMS"))
            .field("body", text)
            .field("contentType", "text/plain")
            .field("status", "delivered")
    }

    /// Creates an event for an SMS from a contact.
    pub fn inbound_sms(text: &str) -> Self {
        Self::message("inbound", Names("SMS", 2, "TYPE_SMS"))
            .field("body", text)
            .field("contentType", "text/plain")
            .field("status", "delivered")
    }

    /// Creates an event for an email to a contact.
    pub fn outbound_email(subject: &str, html: &str) -> Self {
        Self::message("outbound", Names("Email", 3, "TYPE_EMAIL"))
            .field("subject", subject)
            .field("body", html)
            .field("from", "Front desk <desk@example.com>")
            .field("to", json!(["guest@example.com"]))
            .field("emailMessageId", "rnGyqh2F6uBrIkfhFo9A")
            .field("threadId", "sddfDSF3G56GHG")
    }

    /// Creates an event for a call to a contact that a person took.
    pub fn answered_call(seconds: u32) -> Self {
        Self::message("outbound", Names("CALL", 1, "TYPE_CALL"))
            .field("status", "completed")
            .field("callStatus", "completed")
            .field("callDuration", seconds)
    }

    /// Creates an event for a call to a contact that reached voicemail.
    pub fn voicemail_call() -> Self {
        Self::message("outbound", Names("CALL", 1, "TYPE_CALL"))
            .field("status", "completed")
            .field("callStatus", "voicemail")
    }

    /// Creates an event that requests a conversation provider to deliver an SMS. It has no `webhookId`, which HighLevel
    /// does not always send.
    pub fn provider_sms(phone: &str, text: &str) -> Self {
        Self::named("SMS")
            .without("webhookId")
            .field("contactId", "cI08i1Bls3iTB9bKgFJh")
            .field("locationId", "l1C08ntBrFjLS0elLIYU")
            .field("conversationId", "fcanlLgpbQgQhderivVs")
            .field("conversationProviderId", "cI08i1Bls3iTB9bKgF01")
            .field("customUserId", "")
            .field("from", "+15035550100")
            .field("messageId", id())
            .field("attachments", json!([]))
            .field("phone", phone)
            .field("message", text)
    }

    /// Creates an event for an app that was installed on a location.
    pub fn install() -> Self {
        Self::named("INSTALL")
            .field("installType", "Location")
            .field("locationId", "l1C08ntBrFjLS0elLIYU")
            .field("companyId", "GNb7aIv4rQFVb9iwNl5K")
            .field("appId", "665c6bb13d4e5364bdec0e2f")
    }

    /// Creates an event for an app that was uninstalled from a location. It has no `webhookId`, because HighLevel
    /// documents none, so a redelivery is handled like a new event.
    pub fn uninstall() -> Self {
        Self::named("UNINSTALL")
            .without("webhookId")
            .field("locationId", "l1C08ntBrFjLS0elLIYU")
            .field("appId", "665c6bb13d4e5364bdec0e2f")
    }

    fn message(direction: &str, names: Names) -> Self {
        let is_inbound = direction == "inbound";
        let (contact, location) = ("+15037081210", "+15035550100");
        let (from, to) = if is_inbound { (contact, location) } else { (location, contact) };
        Self::named(if is_inbound { "InboundMessage" } else { "OutboundMessage" })
            .field("locationId", "l1C08ntBrFjLS0elLIYU")
            .field("contactId", "cI08i1Bls3iTB9bKgFJh")
            .field("conversationId", "fcanlLgpbQgQhderivVs")
            .field("messageId", id())
            .field("userId", "")
            .field("source", "app")
            .field("direction", direction)
            .field("messageType", names.0)
            .field("messageTypeId", names.1)
            .field("messageTypeString", names.2)
            .field("from", from)
            .field("to", to)
    }

    /// Sets any field.
    pub fn field(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// Removes a field.
    pub fn without(mut self, name: &str) -> Self {
        self.0.remove(name);
        self
    }

    /// Sets the app that the event is for.
    pub fn app_id(self, app: &str) -> Self {
        self.field("appId", app)
    }

    /// Sets the location that the event is of.
    pub fn location_id(self, location: &str) -> Self {
        self.field("locationId", location)
    }

    /// Sets the id, which a redelivery repeats.
    pub fn webhook_id(self, id: &str) -> Self {
        self.field("webhookId", id)
    }

    /// Sets the timestamp of the event. By default, it has none.
    pub fn at(self, time: SystemTime) -> Self {
        self.field("timestamp", Timestamp::from(time).as_str())
    }

    /// Returns the body: JSON without white space, as HighLevel writes it.
    pub fn body(&self) -> Bytes {
        Bytes::from(Value::Object(self.0.clone()).to_string())
    }
}

/// The `messageType`, `messageTypeId` and `messageTypeString` of a channel.
#[derive(Clone, Copy)]
struct Names(&'static str, u32, &'static str);

/// Returns a random id in the form of message ids.
fn id() -> String {
    std::iter::repeat_with(fastrand::alphanumeric).take(20).collect()
}

/// Returns a random UUID.
fn webhook_id() -> String {
    let bits = fastrand::u128(..) & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}
