//! Signatures that are malformed, or not valid for the body.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use ed25519_dalek::{Signer, Verifier, VerifyingKey};
use highlevel::webhook::WebhookErrorKind::{self, SignatureInvalid, SignatureMissing};
use highlevel::webhook::{PublicKey, Receiver};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::{any_app, check, headers, sign, signing_key, time};

const BODY: &[u8] = br#"{"type":"OutboundMessage","body":"See you at eight"}"#;

const MISSING: &str = "there is no X-GHL-Signature header; HighLevel does not sign requests of the workflow action \"Webhook\", so \
                       give it another URL, and check that no proxy removes the header";
const SEVERAL: &str = "there are several X-GHL-Signature headers";
const UNSIGNED: &str = "the X-GHL-Signature header is `N/A`: HighLevel did not sign this event";
const NOT_BASE64: &str = "the X-GHL-Signature header is not standard base64";
const NOT_GENUINE: &str = "the signature does not match the body under any configured key; if the JSON was parsed and \
                           rewritten, pass the raw bytes of the request, otherwise compare the keys with those \
                           that HighLevel publishes";

#[test]
fn malformed_and_invalid_signatures_are_rejected() {
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
    // Four bits of the last digit before the padding are unused, and have to be zero.
    let last = genuine.len() - 3;
    assert_eq!(&genuine[last + 1..], "==");
    let next = char::from(genuine.as_bytes()[last] + 1).to_string();
    let uncanonical = [&genuine[..last], &next, "=="].concat();
    // S + L instead of S, which is equivalent for a verifier that does not require the canonical value.
    let malleable = STANDARD.encode([&bytes[..32], &add_order(&bytes[32..])[..]].concat());
    let by_other_key = STANDARD.encode(signing_key(2).sign(&body).to_bytes());
    let length = |bytes: usize| {
        format!("the X-GHL-Signature header has {bytes} bytes instead of the 64 of an Ed25519 signature")
    };
    let (spaces, inside) = (format!(" {genuine} "), format!("{} {}", &genuine[..40], &genuine[40..]));
    let (tab, twice) = (format!("{genuine}\t"), format!("{genuine},{genuine}"));
    let (prefixed, of_other_body) = (format!("ed25519={genuine}"), sign(BODY));
    let zeros = STANDARD.encode([0; 64]);

    let rejected: &[(&str, &[&str], &str)] = &[
        ("two, the same", &[&genuine, &genuine], SEVERAL),
        ("two, first genuine", &[&genuine, "N/A"], SEVERAL),
        ("two, last genuine", &["", &genuine], SEVERAL),
        ("N/A", &["N/A"], UNSIGNED),
        ("n/a", &["n/a"], NOT_BASE64),
        ("empty", &[""], &length(0)),
        ("url-safe", &[&url_safe], NOT_BASE64),
        ("no padding", &[unpadded], NOT_BASE64),
        ("half the padding", &[&genuine[..=last + 1]], NOT_BASE64),
        ("bits in the padding", &[&uncanonical], NOT_BASE64),
        ("space around", &[&spaces], NOT_BASE64),
        ("space inside", &[&inside], NOT_BASE64),
        ("tab", &[&tab], NOT_BASE64),
        ("a list", &[&twice], NOT_BASE64),
        ("a prefix", &[&prefixed], NOT_BASE64),
        ("hexadecimal", &[&hex], &length(96)),
        ("truncated", &[&genuine[..44]], &length(33)),
        ("63 bytes", &[&shorter], &length(63)),
        ("65 bytes", &[&longer], &length(65)),
        ("zeros", &[&zeros], NOT_GENUINE),
        ("of another body", &[&of_other_body], NOT_GENUINE),
        ("by another key", &[&by_other_key], NOT_GENUINE),
        ("S + L", &[&malleable], NOT_GENUINE),
    ];
    for (name, signatures, text) in rejected {
        let error = any_app().verify(&headers(signatures), body.clone(), time()).expect_err(name);
        check(name, &error, SignatureInvalid, text);
    }
    let error = any_app().verify(&HeaderMap::new(), body.clone(), time()).expect_err("no header");
    check("no header", &error, SignatureMissing, MISSING);

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
fn header_names_are_case_insensitive() {
    for name in ["x-ghl-signature", "X-GHL-Signature", "X-Ghl-Signature", "X-GHL-SIGNATURE"] {
        let mut headers = HeaderMap::new();
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
        headers.insert(name, HeaderValue::from_str(&sign(BODY)).expect("a header"));
        drop(any_app().verify(&headers, BODY, time()).expect("genuine"));
    }
    // The older header is not accepted by default.
    let mut headers = HeaderMap::new();
    headers.insert("x-wh-signature", HeaderValue::from_str(&sign(BODY)).expect("a header"));
    let error = any_app().verify(&headers, BODY, time()).expect_err("the other header");
    check("x-wh-signature", &error, WebhookErrorKind::SignatureMissing, MISSING);
}

/// Under a key of low order, one signature is valid for all bodies.
#[test]
fn keys_of_low_order_are_rejected() {
    let mut identity = [0; 32];
    identity[0] = 1;
    let mut forged = [0; 64];
    forged[..32].copy_from_slice(&identity);

    let weak = VerifyingKey::from_bytes(&identity).expect("a point");
    let signature = ed25519_dalek::Signature::from_bytes(&forged);
    assert!(weak.verify(b"anything", &signature).is_ok(), "a lenient verifier accepts the forgery");

    // The points of order 1, 2, 4 and 8, some in a non-canonical encoding.
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
                "the public key is of low order, so signatures by it prove nothing; copy it from HighLevel's webhook documentation",
                "the public key is not a point of the curve; copy it from HighLevel's webhook documentation",
            ]
            .contains(&error.to_string().as_str()),
            "{hex}: {error}"
        );
    }
    let error = PublicKey::from_bytes("weak", &identity).expect_err("low order").to_string();
    assert!(error.contains("low order"), "{error}");

    // The forgery is not valid under other keys.
    for receiver in [any_app(), Receiver::builder().any_app().build()] {
        let signature = STANDARD.encode(forged);
        let error = receiver.verify(&headers(&[&signature]), BODY, time()).expect_err("forged");
        check("forged", &error, WebhookErrorKind::SignatureInvalid, NOT_GENUINE);
    }
}

/// Cheap checks come first, and no field is used before the signature is verified.
#[test]
fn the_first_failed_check_determines_the_error() {
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

#[test]
fn errors_name_the_probable_cause_of_an_invalid_signature() {
    struct Row<'r> {
        name: &'static str,
        receiver: Receiver,
        signed: &'r [u8],
        body: &'r [u8],
        text: &'r str,
    }

    let key = |name: &str, seed| super::public_key(name, &signing_key(seed));
    let receiver = || Receiver::builder().any_app().key(key("test", 1));
    let compact = br#"{"type":"X","body":"a \\\" b","n":[1,2]}"#;
    let spaced = b"{\r\n\t\"type\": \"X\", \"body\": \"a \\\\\\\" b\",\n \"n\": [1, 2]\n}\n";
    let changed = br#"{"type": "X", "body": "ab", "n": [1, 2]}"#;
    let rewritten = "the signature matches this JSON without its white space, so the body was parsed and rewritten before it \
                     was verified; pass the raw bytes of the request";
    let generic = "the signature does not match the body under any configured key; pass the raw bytes of the request as \
                   they arrived, and compare the keys with those that HighLevel publishes";
    let ended = "the signature is by the key `old`, whose end date has passed; if HighLevel still signs with it, set a \
                 later one with `.until(..)`";
    let rows = [
        Row {
            name: "spaces added",
            receiver: receiver().build(),
            signed: &compact[..],
            body: &spaced[..],
            text: rewritten,
        },
        Row {
            name: "another text",
            receiver: receiver().build(),
            signed: compact,
            body: changed,
            text: NOT_GENUINE,
        },
        Row {
            name: "no JSON",
            receiver: receiver().build(),
            signed: compact,
            body: b"type=X",
            text: generic,
        },
        Row {
            name: "ended",
            receiver: Receiver::builder().any_app().key(key("old", 1).until(time())).build(),
            signed: compact,
            body: compact,
            text: ended,
        },
        Row {
            name: "another key",
            receiver: Receiver::builder().any_app().key(key("other", 2)).build(),
            signed: compact,
            body: compact,
            text: NOT_GENUINE,
        },
    ];
    for Row { name, receiver, signed, body, text } in rows {
        let error = receiver.verify(&headers(&[&sign(signed)]), body.to_vec(), time()).expect_err(name);
        check(name, &error, SignatureInvalid, text);
    }

    // A long body with an invalid signature is not diagnosed, because any client can send one.
    for (length, text) in [(64 * 1024, rewritten), (64 * 1024 + 1, generic)] {
        let mut body = compact.to_vec();
        body.resize(length, b' ');
        let error = receiver().build().verify(&headers(&[&sign(compact)]), body, time());
        check("long", &error.expect_err("long"), SignatureInvalid, text);
    }
}
