//! What holds for every body, as functions of its bytes: the tests run them with generated ones.

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer, SigningKey};
use highlevel::webhook::{Event, PublicKey, Receiver, WebhookErrorKind};
use http::{HeaderMap, HeaderValue};

fn receiver(key: &SigningKey) -> Receiver {
    let key = PublicKey::from_bytes("test", key.verifying_key().as_bytes()).expect("a key");
    Receiver::builder().any_app().key(key).build()
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(1_722_268_288_071)
}

/// Header and body of a stranger's choice, the header up to the first line break: never an event.
pub(crate) fn receive(data: &[u8]) {
    let at = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (header, body) = data.split_at(at);
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_bytes(header) {
        headers.insert("x-ghl-signature", value);
    }
    let error = receiver(&SigningKey::from_bytes(&[1; 32]))
        .receive(&headers, body.to_vec(), now())
        .expect_err("nobody guesses a signature");
    assert!([401, 413].contains(&error.status()), "{error}");
}

/// A genuine body: read, with nothing of it lost, or refused; and of one whose event was handled, a duplicate.
pub(crate) fn decode(body: &[u8]) {
    let key = SigningKey::from_bytes(&[1; 32]);
    let receiver = receiver(&key);
    let signature = STANDARD.encode(key.sign(body).to_bytes());
    let value = HeaderValue::from_str(&signature).expect("a header");
    let headers = HeaderMap::from_iter([(http::HeaderName::from_static("x-ghl-signature"), value)]);
    match receiver.receive(&headers, body.to_vec(), now()) {
        Ok(verified) => {
            let json: serde_json::Value = serde_json::from_slice(body).expect("it was read");
            assert_eq!(verified.body(), body);
            let _ = verified.content();
            if let Event::Unknown { name, json: kept } = verified.event() {
                assert_eq!(json["type"], name.as_str());
                assert_eq!(json.as_object(), Some(kept));
            }
            verified.commit();
            let error = receiver.receive(&headers, body.to_vec(), now()).expect_err("handled");
            assert_eq!(error.kind(), WebhookErrorKind::Duplicate);
        }
        Err(error) => assert!([400, 413].contains(&error.status()), "{error}"),
    }
}
