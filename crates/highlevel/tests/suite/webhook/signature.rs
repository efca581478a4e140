//! Headers that carry no signature of the body.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use ed25519_dalek::{Signer, Verifier, VerifyingKey};
use highlevel::webhook::WebhookErrorKind::{self, SignatureInvalid, SignatureMissing};
use highlevel::webhook::{PublicKey, Receiver};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::{any_app, check, headers, sign, signing_key, time};

const BODY: &[u8] = br#"{"type":"OutboundMessage","body":"See you at eight"}"#;

const MISSING: &str =
    "there is no X-GHL-Signature header: does the request come from HighLevel, and does a proxy strip it?";
const SEVERAL: &str = "there are several X-GHL-Signature headers";
const UNSIGNED: &str = "the X-GHL-Signature header says N/A: HighLevel did not sign this event";
const NOT_BASE64: &str = "the X-GHL-Signature header is not standard base64";
const NOT_GENUINE: &str = "the signature is not one of this body by a known key, and the body is JSON: if it was parsed \
                           and written again on its way, pass the raw bytes of the request; if not, compare the keys \
                           with those that HighLevel publishes";

#[test]
fn headers_that_are_refused() {
    // A signature with characters in which the two alphabets of base64 differ.
    let (body, genuine) = (0..10_000)
        .map(|number| format!(r#"{{"type":"X","n":{number}}}"#).into_bytes())
        .map(|body| (body.clone(), sign(&body)))
        .find(|(_, signature)| signature.contains('+') && signature.contains('/'))
        .expect("one of many");
    drop(any_app().verify(&headers(&[&genuine]), body.clone(), time()).expect("genuine"));

    let bytes = STANDARD.decode(&genuine).expect("base64");
    let url_safe = URL_SAFE.encode(&bytes);
    let unpadded = genuine.trim_end_matches('=');
    let longer = STANDARD.encode([&bytes[..], &[0]].concat());
    let shorter = STANDARD.encode(&bytes[..63]);
    let hex = "0a".repeat(64);
    // The last digit before the padding carries four bits that mean nothing, and have to be zero.
    let last = genuine.len() - 3;
    assert_eq!(&genuine[last + 1..], "==");
    let next = char::from(genuine.as_bytes()[last] + 1).to_string();
    let uncanonical = [&genuine[..last], &next, "=="].concat();
    // S + L instead of S: the same signature to a verifier that does not insist on the smaller.
    let malleable = STANDARD.encode([&bytes[..32], &add_order(&bytes[32..])[..]].concat());
    let by_other = STANDARD.encode(signing_key(2).sign(&body).to_bytes());
    let long = |bytes: usize| {
        format!("the X-GHL-Signature header has {bytes} bytes instead of the 64 of an Ed25519 signature")
    };
    let (spaces, inside) = (format!(" {genuine} "), format!("{} {}", &genuine[..40], &genuine[40..]));
    let (tab, twice) = (format!("{genuine}\t"), format!("{genuine},{genuine}"));
    let (prefixed, of_other) = (format!("ed25519={genuine}"), sign(BODY));
    let zeros = STANDARD.encode([0; 64]);

    let rows: Vec<(&str, Vec<&str>, WebhookErrorKind, String)> = vec![
        ("none", vec![], SignatureMissing, MISSING.to_owned()),
        ("two, the same", vec![&genuine, &genuine], SignatureInvalid, SEVERAL.to_owned()),
        ("two, first genuine", vec![&genuine, "N/A"], SignatureInvalid, SEVERAL.to_owned()),
        ("two, last genuine", vec!["", &genuine], SignatureInvalid, SEVERAL.to_owned()),
        ("N/A", vec!["N/A"], SignatureInvalid, UNSIGNED.to_owned()),
        ("n/a", vec!["n/a"], SignatureInvalid, NOT_BASE64.to_owned()),
        ("empty", vec![""], SignatureInvalid, long(0)),
        ("url-safe", vec![&url_safe], SignatureInvalid, NOT_BASE64.to_owned()),
        ("no padding", vec![unpadded], SignatureInvalid, NOT_BASE64.to_owned()),
        ("half the padding", vec![&genuine[..=last + 1]], SignatureInvalid, NOT_BASE64.to_owned()),
        ("bits in the padding", vec![&uncanonical], SignatureInvalid, NOT_BASE64.to_owned()),
        ("space around", vec![&spaces], SignatureInvalid, NOT_BASE64.to_owned()),
        ("space inside", vec![&inside], SignatureInvalid, NOT_BASE64.to_owned()),
        ("tab", vec![&tab], SignatureInvalid, NOT_BASE64.to_owned()),
        ("a list", vec![&twice], SignatureInvalid, NOT_BASE64.to_owned()),
        ("a prefix", vec![&prefixed], SignatureInvalid, NOT_BASE64.to_owned()),
        ("hexadecimal", vec![&hex], SignatureInvalid, long(96)),
        ("truncated", vec![&genuine[..44]], SignatureInvalid, long(33)),
        ("63 bytes", vec![&shorter], SignatureInvalid, long(63)),
        ("65 bytes", vec![&longer], SignatureInvalid, long(65)),
        ("zeros", vec![&zeros], SignatureInvalid, NOT_GENUINE.to_owned()),
        ("of another body", vec![&of_other], SignatureInvalid, NOT_GENUINE.to_owned()),
        ("by another key", vec![&by_other], SignatureInvalid, NOT_GENUINE.to_owned()),
        ("S + L", vec![&malleable], SignatureInvalid, NOT_GENUINE.to_owned()),
    ];
    for (name, signatures, kind, text) in rows {
        let error = any_app().verify(&headers(&signatures), body.clone(), time()).expect_err(name);
        check(name, &error, kind, &text);
    }

    let mut binary = HeaderMap::new();
    binary.insert("x-ghl-signature", HeaderValue::from_bytes(b"\xff\xfe").expect("a header"));
    let error = any_app().verify(&binary, body, time()).expect_err("binary");
    check("binary", &error, SignatureInvalid, NOT_BASE64);
}

/// Adds the order of the group, little-endian.
fn add_order(scalar: &[u8]) -> [u8; 32] {
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut carry = 0;
    std::array::from_fn(|index| {
        let sum = u16::from(scalar[index]) + u16::from(ORDER[index]) + carry;
        carry = sum >> 8;
        sum.to_le_bytes()[0]
    })
}

#[test]
fn the_case_of_the_header_does_not_matter() {
    for name in ["x-ghl-signature", "X-GHL-Signature", "X-Ghl-Signature", "X-GHL-SIGNATURE"] {
        let mut headers = HeaderMap::new();
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
        headers.insert(name, HeaderValue::from_str(&sign(BODY)).expect("a header"));
        drop(any_app().verify(&headers, BODY, time()).expect("genuine"));
    }
    // The older header is no substitute.
    let mut headers = HeaderMap::new();
    headers.insert("x-wh-signature", HeaderValue::from_str(&sign(BODY)).expect("a header"));
    let error = any_app().verify(&headers, BODY, time()).expect_err("the other header");
    check("x-wh-signature", &error, WebhookErrorKind::SignatureMissing, MISSING);
}

/// Under a key of low order, one signature fits every body. Such a key cannot be configured.
#[test]
fn the_universal_forgery() {
    let mut identity = [0; 32];
    identity[0] = 1;
    let mut forged = [0; 64];
    forged[..32].copy_from_slice(&identity);

    let weak = VerifyingKey::from_bytes(&identity).expect("a point");
    let signature = ed25519_dalek::Signature::from_bytes(&forged);
    assert!(weak.verify(b"anything", &signature).is_ok(), "the forgery works where nobody looks");

    // RFC 7748 and the points of order 1, 2, 4 and 8, some in an encoding that is not the shortest.
    let low_order = [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "0100000000000000000000000000000000000000000000000000000000000080",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ];
    for hex in low_order {
        let key: Vec<u8> =
            (0..32).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).expect("hex")).collect();
        let error = PublicKey::from_bytes("weak", &key).expect_err(hex);
        assert!(
            [
                "the public key is of low order: anybody can sign for it: copy it from HighLevel's webhook documentation",
                "the public key is not a point of the curve: copy it from HighLevel's webhook documentation",
            ]
            .contains(&error.to_string().as_str()),
            "{hex}: {error}"
        );
    }
    let error = PublicKey::from_bytes("weak", &identity).expect_err("low order").to_string();
    assert!(error.contains("low order"), "{error}");

    // Nor does it work under a key that is in order.
    for receiver in [any_app(), Receiver::builder().any_app().build()] {
        let signature = STANDARD.encode(forged);
        let error = receiver.verify(&headers(&[&signature]), BODY, time()).expect_err("forged");
        check("forged", &error, WebhookErrorKind::SignatureInvalid, NOT_GENUINE);
    }
}

/// What costs little is checked first, and nothing is believed of a body that is not genuine: it is looked at for the
/// text of the error alone.
#[test]
fn the_order_of_the_checks() {
    let receiver = Receiver::builder()
        .app_id("mine")
        .locations(["l"])
        .key(super::public_key("test", &signing_key(1)))
        .body_limit(200)
        .build();
    let genuine = |body: &str| headers(&[&sign(body.as_bytes())]);
    let old = r#"{"timestamp":"2001-01-01T00:00:00Z"}"#;
    let elsewhere = r#"{"appId":"mine","locationId":"k","timestamp":"2001-01-01T00:00:00Z"}"#;
    let old_and_mine = r#"{"appId":"mine","locationId":"l","timestamp":"2001-01-01T00:00:00Z"}"#;
    let mine = r#"{"appId":"mine","locationId":"l"}"#;
    let rows = [
        (" ".repeat(201), HeaderMap::new(), WebhookErrorKind::TooLarge),
        ("{".to_owned(), HeaderMap::new(), WebhookErrorKind::SignatureMissing),
        ("{".to_owned(), genuine("["), WebhookErrorKind::SignatureInvalid),
        ("{".to_owned(), genuine("{"), WebhookErrorKind::Malformed),
        (old.to_owned(), genuine(old), WebhookErrorKind::OtherApp),
        (elsewhere.to_owned(), genuine(elsewhere), WebhookErrorKind::OtherLocation),
        (old_and_mine.to_owned(), genuine(old_and_mine), WebhookErrorKind::Stale),
        (mine.to_owned(), genuine(mine), WebhookErrorKind::Malformed),
    ];
    for (body, headers, kind) in rows {
        let error = receiver.verify(&headers, body.clone(), time()).expect_err(&body);
        assert_eq!(error.kind(), kind, "{body}");
    }
}

/// What the text says depends on what can be found out.
#[test]
fn a_wrong_signature_is_explained() {
    let key = |name: &str, seed| super::public_key(name, &signing_key(seed));
    let receiver = || Receiver::builder().any_app().key(key("test", 1));
    let compact = br#"{"type":"X","body":"a \\\" b","n":[1,2]}"#;
    let spaced = b"{\r\n\t\"type\": \"X\", \"body\": \"a \\\\\\\" b\",\n \"n\": [1, 2]\n}\n";
    let changed = br#"{"type": "X", "body": "ab", "n": [1, 2]}"#;
    let rewritten = "the signature is of this JSON without its white space, so the body was parsed and written again on \
                     its way: pass the raw bytes of the request";
    let generic = "the signature is not one of this body by a known key: pass the raw bytes of the request, exactly as \
                   they came, and compare the keys with those that HighLevel publishes";
    let ended = "the signature is by the key `old`, whose end date has passed: if HighLevel still signs with it, give it \
                 a later one";
    let rows = [
        ("spaces added", receiver().build(), &compact[..], &spaced[..], rewritten),
        ("another text", receiver().build(), compact, changed, NOT_GENUINE),
        ("no JSON", receiver().build(), compact, b"type=X", generic),
        (
            "ended",
            Receiver::builder().any_app().key(key("old", 1).until(time())).build(),
            compact,
            compact,
            ended,
        ),
        (
            "another key",
            Receiver::builder().any_app().key(key("other", 2)).build(),
            compact,
            compact,
            NOT_GENUINE,
        ),
    ];
    for (name, receiver, signed, body, text) in rows {
        let error = receiver.verify(&headers(&[&sign(signed)]), body.to_vec(), time()).expect_err(name);
        check(name, &error, SignatureInvalid, text);
    }

    // Anybody can send a long body with a wrong signature: it is not looked at closely.
    for (length, text) in [(64 * 1024, rewritten), (64 * 1024 + 1, generic)] {
        let mut body = compact.to_vec();
        body.resize(length, b' ');
        let error = receiver().build().verify(&headers(&[&sign(compact)]), body, time());
        check("long", &error.expect_err("long"), SignatureInvalid, text);
    }
}
