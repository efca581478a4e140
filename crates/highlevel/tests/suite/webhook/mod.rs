//! The receiver of webhooks.

mod account_events;
mod attacks;
#[cfg(feature = "axum")]
mod axum;
mod bodies;
mod broken;
mod calls;
mod cancellation;
mod configuration;
#[cfg(feature = "testing")]
mod conformance;
mod content;
mod deduplicate;
mod event_id;
mod events;
mod failing;
mod golden;
mod in_memory;
mod interleavings;
mod properties;
#[cfg(feature = "rsa")]
mod rsa;
mod signature;
#[cfg(feature = "testing")]
mod testing;
mod window;
mod wycheproof;

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer, SigningKey};
use highlevel::webhook::{PublicKey, ReceivedEvent, Receiver, WebhookError, WebhookErrorKind};
use http::{HeaderMap, HeaderValue};

/// The app of the events.
const APP: &str = "665c6bb13d4e5364bdec0e2f";

/// Returns the key pair of a seed.
fn signing_key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn public_key(id: &str, key: &SigningKey) -> PublicKey {
    PublicKey::from_bytes(id, key.verifying_key().as_bytes()).expect("a key")
}

/// Returns the signature of a body by the first key, as it is in the header.
fn sign(body: &[u8]) -> String {
    STANDARD.encode(signing_key(1).sign(body).to_bytes())
}

fn headers(signatures: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for signature in signatures {
        let value = HeaderValue::from_str(signature).expect("a header");
        headers.append("x-ghl-signature", value);
    }
    headers
}

/// 2024-07-29T15:51:28.071Z, the time of the events in these tests.
fn time() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(1_722_268_288_071)
}

/// Returns a receiver of the events of any app that are signed with the first key.
fn any_app() -> Receiver {
    Receiver::builder().any_app().key(public_key("test", &signing_key(1))).build()
}

/// Signs a body and hands it to a receiver whose deduplicator never waits.
fn receive(receiver: &Receiver, body: impl AsRef<[u8]>) -> Result<ReceivedEvent, WebhookError> {
    let body = body.as_ref();
    bodies::ready(receiver.receive(&headers(&[&sign(body)]), body.to_vec(), time()))
}

/// Commits an event whose deduplicator never waits.
fn commit(event: ReceivedEvent) {
    bodies::ready(event.commit()).expect("committed");
}

fn check(name: &str, error: &WebhookError, kind: WebhookErrorKind, text: &str) {
    assert_eq!(error.to_string(), text, "{name}");
    assert_eq!(error.kind(), kind, "{name}");
    let status = match kind {
        WebhookErrorKind::TooLarge => 413,
        WebhookErrorKind::SignatureMissing | WebhookErrorKind::SignatureInvalid => 401,
        WebhookErrorKind::OtherApp | WebhookErrorKind::OtherLocation => 403,
        WebhookErrorKind::Duplicate => 200,
        WebhookErrorKind::Future
        | WebhookErrorKind::InProgress
        | WebhookErrorKind::Unavailable
        | WebhookErrorKind::ClaimLost => 429,
        WebhookErrorKind::Malformed | WebhookErrorKind::Stale => 400,
        kind => panic!("no row for {kind:?}"),
    };
    assert_eq!(error.status(), status, "{name}");
}
