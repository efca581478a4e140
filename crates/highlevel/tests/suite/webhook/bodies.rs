//! Properties of all bodies. The property tests and the fuzz targets run them.

use std::pin::pin;
use std::sync::LazyLock;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use curve25519_dalek::EdwardsPoint;
use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::scalar::Scalar;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use highlevel::webhook::{Event, PublicKey, Receiver, WebhookErrorKind};
use http::{HeaderMap, HeaderValue};
use serde_json::Value;
use sha2::{Digest, Sha512};

/// The key of all bodies. Its multiples are computed once.
static KEY: LazyLock<(SigningKey, PublicKey)> = LazyLock::new(|| {
    let key = SigningKey::from_bytes(&[1; 32]);
    let public = PublicKey::from_bytes("test", key.verifying_key().as_bytes()).expect("a key");
    (key, public)
});

fn receiver() -> Receiver {
    Receiver::builder().any_app().key(KEY.1.clone()).build()
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
    let receiver = receiver();
    let error = ready(receiver.receive(&headers, body.to_vec(), now())).expect_err("a signature was guessed");
    assert!([401, 413].contains(&error.status()), "{error}");
}

/// A genuine body is either decoded with all its fields or rejected. If its event was handled, it is a duplicate.
pub(crate) fn decode(body: &[u8]) {
    let receiver = receiver();
    let signature = STANDARD.encode(KEY.0.sign(body).to_bytes());
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

/// The receiver accepts a signature if and only if `verify_strict` of ed25519-dalek does.
///
/// The first byte chooses a key, the second one how the signature is made, the next 64 are combined with it by XOR, and the rest is
/// the body.
pub(crate) fn signature(data: &[u8]) {
    const SECRETS: u8 = 8;
    /// Keys with a component of low order and those without, and the receivers of their signatures.
    static KEYS: LazyLock<Vec<(SigningKey, VerifyingKey, Receiver)>> = LazyLock::new(|| {
        let with_torsion = |secret: u8| {
            let key = SigningKey::from_bytes(&[secret; 32]);
            let point = key.verifying_key().to_edwards() + EIGHT_TORSION[usize::from(secret)];
            let public = VerifyingKey::from(point);
            let configured = PublicKey::from_bytes("test", public.as_bytes()).expect("a key");
            (key, public, Receiver::builder().any_app().key(configured).build())
        };
        (0..SECRETS).map(with_torsion).collect()
    });
    let Some(([key, form], rest)) = data.split_first_chunk() else { return };
    let Some((changes, body)) = rest.split_first_chunk::<64>() else { return };
    let (secret, public, receiver) = &KEYS[usize::from(key % SECRETS)];
    let mut bytes = match form % 4 {
        // Arbitrary bytes.
        0 => [0; 64],
        // A signature by the private key, for its own public key.
        1 => secret.sign(body).to_bytes(),
        // A signature for this public key.
        2 => sign_for(public, secret, body).to_bytes(),
        // An R of low order.
        _ => {
            let torsion = EIGHT_TORSION[usize::from(form / 4 % 8)].compress();
            Signature::from_components(torsion.to_bytes(), [0; 32]).to_bytes()
        }
    };
    for (byte, change) in bytes.iter_mut().zip(changes) {
        *byte ^= change;
    }
    let is_valid = public.verify_strict(body, &Signature::from_bytes(&bytes)).is_ok();
    let value = HeaderValue::from_str(&STANDARD.encode(bytes)).expect("a header");
    let headers = HeaderMap::from_iter([(http::HeaderName::from_static("x-ghl-signature"), value)]);
    let is_accepted = match receiver.verify(&headers, body.to_vec(), now()) {
        Ok(_) => true,
        Err(error) => error.kind() != WebhookErrorKind::SignatureInvalid,
    };
    assert_eq!(is_accepted, is_valid, "key {key}, form {form}, signature {bytes:02x?}");
}

/// Signs a body for a public key that differs from that of the private key by a component of low order. The signature is
/// valid if that component, times the hash, is zero.
fn sign_for(public: &VerifyingKey, secret: &SigningKey, body: &[u8]) -> Signature {
    let hash = |start: &[u8], middle: &[u8]| {
        let hash = Sha512::new().chain_update(start).chain_update(middle).chain_update(body).finalize();
        Scalar::from_bytes_mod_order_wide(&hash.into())
    };
    let nonce = hash(&secret.to_bytes(), &[]);
    let r = EdwardsPoint::mul_base(&nonce).compress().to_bytes();
    let s = nonce + hash(&r, public.as_bytes()) * secret.to_scalar();
    Signature::from_components(r, s.to_bytes())
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
