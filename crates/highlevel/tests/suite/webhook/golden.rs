//! Signatures that were created by OpenSSL, see `data/webhook/README.md`.

use highlevel::webhook::{Event, PublicKey, Receiver, WebhookErrorKind};

use super::{APP, check, headers, time};

const KEY: &str = include_str!("../../data/webhook/key.txt");
const KEY_PEM: &str = include_str!("../../data/webhook/key.pub.pem");
const OTHER_KEY: &str = include_str!("../../data/webhook/other_key.txt");

macro_rules! signed {
    ($name:literal) => {
        signed!($name, ".sig")
    };
    ($name:literal, $ending:literal) => {
        (
            &include_bytes!(concat!("../../data/webhook/", $name))[..],
            include_str!(concat!("../../data/webhook/", $name, $ending)),
        )
    };
}

fn key() -> PublicKey {
    PublicKey::from_base64("golden", KEY).expect("a key")
}

fn receiver(keys: &[PublicKey]) -> Receiver {
    keys.iter()
        .cloned()
        .fold(Receiver::builder().app_id(APP), highlevel::webhook::ReceiverBuilder::key)
        .build()
}

#[test]
fn genuine_events_are_received() {
    let rows = [
        (signed!("compact.json"), "OutboundMessage", "This is a test message"),
        (signed!("pretty.json"), "InboundMessage", "This is a test message"),
        (signed!("unicode.json"), "OutboundMessage", "Grüße an Zoë 🎉, ä\n🎉 \u{2028}"),
    ];
    for ((body, signature), name, text) in rows {
        let verified = receiver(&[key()]).verify(&headers(&[signature]), body, time()).expect(name);
        assert_eq!(verified.event().name(), name);
        assert_eq!(verified.name(), name, "by Deref");
        assert_eq!(verified.key_id(), "golden");
        assert_eq!(verified.body(), body);
        let found = match verified.event() {
            Event::OutboundMessage(message) => message.body.as_deref(),
            Event::InboundMessage(message) => message.body.as_deref(),
            event => panic!("{event:?}"),
        };
        assert_eq!(found, Some(text));
        assert_eq!(verified.clone().event(), verified.event());
    }
}

#[test]
fn genuine_bodies_that_are_not_objects_are_malformed() {
    let rows = [
        (signed!("text.txt"), "expected value at line 1 column 1"),
        (signed!("array.json"), "invalid type: sequence, expected a map at line 1 column 0"),
        (signed!("latin1.txt"), "invalid unicode code point at line 1 column 37"),
    ];
    for ((body, signature), reason) in rows {
        let error = receiver(&[key()]).verify(&headers(&[signature]), body, time()).expect_err(reason);
        let text = format!("the signature is genuine, but the body is not a JSON object: {reason}");
        check(reason, &error, WebhookErrorKind::Malformed, &text);
    }
}

#[test]
fn any_of_several_keys_verifies() {
    let (body, signature) = signed!("compact.json");
    let (_, by_other) = signed!("compact.json", ".other.sig");
    let other = PublicKey::from_base64("other", OTHER_KEY).expect("a key");
    let pem = PublicKey::from_base64("golden", KEY_PEM).expect("a key");
    assert_eq!(pem, key());
    let rows: [(&[PublicKey], &str, Option<&str>); 8] = [
        (&[key()], signature, Some("golden")),
        (&[pem], signature, Some("golden")),
        (&[key()], by_other, None),
        (std::slice::from_ref(&other), signature, None),
        (&[other.clone(), key()], signature, Some("golden")),
        (&[other.clone(), key()], by_other, Some("other")),
        (&[key(), other.clone()], by_other, Some("other")),
        (&[], signature, None),
    ];
    for (keys, signature, expected) in rows {
        let result = receiver(keys).verify(&headers(&[signature]), body, time());
        assert_eq!(result.as_ref().ok().map(highlevel::webhook::Verified::key_id), expected, "{keys:?}");
    }
}

/// A bit of about every byte of the body and of its signature, another one from byte to byte.
#[test]
fn one_bit_makes_it_another_signature() {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    let (body, signature) = signed!("text.txt");
    let receiver = receiver(&[key()]);
    let is_rejected = |body: &[u8], signature: &str| {
        let error = receiver.verify(&headers(&[signature]), body.to_vec(), time()).expect_err("is_rejected");
        error.kind() == WebhookErrorKind::SignatureInvalid
    };
    assert!(!is_rejected(body, signature), "the original has a genuine signature");
    for bit in (0..body.len() * 8).step_by(9) {
        let mut changed = body.to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(is_rejected(&changed, signature), "bit {bit} of the body");
    }
    let bytes = STANDARD.decode(signature).expect("base64");
    for bit in (0..bytes.len() * 8).step_by(7) {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(is_rejected(body, &STANDARD.encode(changed)), "bit {bit} of the signature");
    }
    for end in 0..body.len() {
        assert!(is_rejected(&body[..end], signature), "the first {end} bytes");
    }
    assert!(is_rejected(&[body, b"\n"].concat(), signature));
    assert!(is_rejected(&[b" ", body].concat(), signature));
}

/// Bodies that change if they are parsed and written again, see `data/rewritten/README.md`.
#[test]
fn bodies_are_verified_as_received() {
    macro_rules! rewritten {
        ($($name:literal),*) => {
            [$((
                $name,
                &include_bytes!(concat!("../../data/rewritten/", $name))[..],
                include_str!(concat!("../../data/rewritten/", $name, ".sig")),
            )),*]
        };
    }
    let key = PublicKey::from_base64("golden", include_str!("../../data/rewritten/key.txt")).expect("a key");
    let receiver = Receiver::builder().any_app().key(key).build();
    let rows = rewritten![
        "pretty.json",
        "float.json",
        "escape.json",
        "slash.json",
        "order.json",
        "twice.json",
        "big.json",
        "newline.json"
    ];
    for (name, body, signature) in rows {
        let verified = receiver.verify(&headers(&[signature]), body, time()).expect(name);
        assert_eq!((verified.name(), verified.body()), ("X", body), "{name}");
    }
}
