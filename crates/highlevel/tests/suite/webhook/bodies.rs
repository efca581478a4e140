//! Properties of all bodies. The property tests and the fuzz targets run them.

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer, SigningKey};
use highlevel::webhook::{Event, PublicKey, Receiver, WebhookErrorKind};
use http::{HeaderMap, HeaderValue};
use serde_json::Value;

fn receiver(key: &SigningKey) -> Receiver {
    let key = PublicKey::from_bytes("test", key.verifying_key().as_bytes()).expect("a key");
    Receiver::builder().any_app().key(key).build()
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(1_722_268_288_071)
}

/// Returns the output of a future that never waits, such as those of a receiver with the in-memory deduplicator.
pub(crate) fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the future waits"),
    }
}

/// A header and a body without a genuine signature are never an event. The header ends at the first line break.
pub(crate) fn receive(data: &[u8]) {
    let at = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (header, body) = data.split_at(at);
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_bytes(header) {
        headers.insert("x-ghl-signature", value);
    }
    let receiver = receiver(&SigningKey::from_bytes(&[1; 32]));
    let error = ready(receiver.receive(&headers, body.to_vec(), now())).expect_err("a signature was guessed");
    assert!([401, 413].contains(&error.status()), "{error}");
}

/// A genuine body is either decoded with all its fields or rejected. If its event was handled, it is a duplicate.
pub(crate) fn decode(body: &[u8]) {
    let key = SigningKey::from_bytes(&[1; 32]);
    let receiver = receiver(&key);
    let signature = STANDARD.encode(key.sign(body).to_bytes());
    let value = HeaderValue::from_str(&signature).expect("a header");
    let headers = HeaderMap::from_iter([(http::HeaderName::from_static("x-ghl-signature"), value)]);
    match ready(receiver.receive(&headers, body.to_vec(), now())) {
        Ok(verified) => {
            let json: Value = serde_json::from_slice(body).expect("it was decoded");
            assert_eq!(verified.body(), body);
            let _ = verified.content();
            assert_eq!(loose(&written(&verified)), loose(&json));
            if let Event::Unknown { name, .. } = verified.event() {
                assert_eq!(json["type"], name.as_str());
            }
            let is_unique = verified.id().is_unique();
            ready(verified.commit()).expect("committed");
            match ready(receiver.receive(&headers, body.to_vec(), now())) {
                Ok(redelivered) => assert!(!redelivered.id().is_unique(), "it was handled"),
                Err(error) => assert_eq!((error.kind(), is_unique), (WebhookErrorKind::Duplicate, true)),
            }
        }
        Err(error) => assert!([400, 413, 429].contains(&error.status()), "{error}"),
    }
}

/// Returns an event as JSON.
pub(crate) fn written(event: &Event) -> Value {
    match event {
        Event::OutboundMessage(event) => serde_json::to_value(event),
        Event::InboundMessage(event) => serde_json::to_value(event),
        Event::ProviderOutboundMessage(event) => serde_json::to_value(event),
        Event::ConversationUpdate(event) => serde_json::to_value(event),
        Event::ConversationUnreadUpdate(event) => serde_json::to_value(event),
        Event::LcEmailStats(event) => serde_json::to_value(event),
        Event::ContactDndUpdate(event) => serde_json::to_value(event),
        Event::VoiceAiCallEnd(event) => serde_json::to_value(event),
        Event::AppUpdate(event) => serde_json::to_value(event),
        Event::Install(event) => serde_json::to_value(event),
        Event::Uninstall(event) => serde_json::to_value(event),
        Event::Unknown { json, .. } => Ok(Value::Object(json.clone())),
        event => panic!("no row for {event:?}"),
    }
    .expect("JSON")
}

/// Returns JSON with all numbers as floating point, so that 120 equals 120.0, and without null fields.
pub(crate) fn loose(value: &Value) -> Value {
    match value {
        Value::Number(number) => number.as_f64().into(),
        Value::Array(values) => values.iter().map(loose).collect(),
        Value::Object(fields) => {
            let fields = fields.iter().filter(|(_, value)| !value.is_null());
            fields.map(|(key, value)| (key.clone(), loose(value))).collect()
        }
        other => other.clone(),
    }
}
