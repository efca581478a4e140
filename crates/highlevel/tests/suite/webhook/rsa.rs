//! The older signature. The signatures were created by OpenSSL, see `data/rsa/README.md`.

use std::time::{Duration, SystemTime};

use highlevel::webhook::WebhookErrorKind::{SignatureInvalid, SignatureMissing};
use highlevel::webhook::{Receiver, RsaPublicKey, Verified, WebhookError};
use http::{HeaderMap, HeaderValue};

use super::{public_key, sign, signing_key, time};

const BODY: &str = include_str!("../../data/rsa/body.json");
const SIGNATURE: &str = include_str!("../../data/rsa/body.json.sig");
const KEY: &str = include_str!("../../data/rsa/key.pub.pem");

fn headers(rows: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in rows {
        headers.append(*name, HeaderValue::from_str(value).expect("a header"));
    }
    headers
}

fn receiver(until: SystemTime) -> Receiver {
    let key = RsaPublicKey::from_pem("older", KEY).expect("a key");
    Receiver::builder()
        .any_app()
        .key(public_key("test", &signing_key(1)))
        .accept_rsa_until(key, until)
        .without_deduplication()
        .build()
}

#[test]
fn rsa_is_accepted_only_alone_and_until_its_end_date() {
    let (wh, ghl) = ("x-wh-signature", "x-ghl-signature");
    let by_ed25519 = sign(BODY.as_bytes());
    let (sha1, pss) =
        (include_str!("../../data/rsa/body.json.sha1.sig"), include_str!("../../data/rsa/body.json.pss.sig"));
    let rows = [
        ("alone", vec![(wh, SIGNATURE)], Ok("older")),
        ("beside a genuine one", vec![(wh, SIGNATURE), (ghl, &by_ed25519)], Ok("test")),
        ("wrong, beside a genuine one", vec![(wh, "wrong"), (ghl, &by_ed25519)], Ok("test")),
        ("beside N/A", vec![(wh, SIGNATURE), (ghl, "N/A")], Err(SignatureInvalid)),
        ("beside an empty one", vec![(wh, SIGNATURE), (ghl, "")], Err(SignatureInvalid)),
        ("twice", vec![(wh, SIGNATURE), (wh, SIGNATURE)], Err(SignatureInvalid)),
        ("N/A", vec![(wh, "N/A")], Err(SignatureInvalid)),
        ("cut", vec![(wh, &SIGNATURE[..680])], Err(SignatureInvalid)),
        ("not base64", vec![(wh, "?")], Err(SignatureInvalid)),
        ("SHA-1", vec![(wh, sha1)], Err(SignatureInvalid)),
        ("PSS", vec![(wh, pss)], Err(SignatureInvalid)),
        ("Ed25519", vec![(wh, &by_ed25519)], Err(SignatureInvalid)),
        ("none", vec![], Err(SignatureMissing)),
    ];
    let until = time() + Duration::from_secs(1);
    for (name, rows, expected) in rows {
        let result = receiver(until).verify(&headers(&rows), BODY, time());
        let found = result.as_ref().map(Verified::key_id).map_err(WebhookError::kind);
        assert_eq!(found, expected, "{name}");
    }

    let alone = headers(&[(wh, SIGNATURE)]);
    let error = receiver(until).verify(&alone, "{}", time()).expect_err("another body");
    assert_eq!(error.kind(), SignatureInvalid);
    // It is rejected from its end date on, and by a receiver without it.
    let error = receiver(until).verify(&alone, BODY, until).expect_err("too late");
    let text =
        "there is no X-GHL-Signature header, and the date until which X-WH-Signature is accepted has passed";
    assert_eq!((error.kind(), error.to_string().as_str()), (SignatureMissing, text));
    let error = super::any_app().verify(&alone, BODY, time()).expect_err("not configured");
    assert_eq!(error.kind(), SignatureMissing);
}

#[test]
fn malformed_rsa_keys_are_rejected() {
    assert_eq!(RsaPublicKey::published().id(), "published-rsa");
    assert_eq!(format!("{:?}", RsaPublicKey::published()), "RsaPublicKey(\"published-rsa\")");
    for text in [
        "",
        "N/A",
        include_str!("../../data/webhook/key.pub.pem"),
        include_str!("../../data/rsa/short.pub.pem"),
    ] {
        RsaPublicKey::from_pem("malformed", text).expect_err(text);
    }
}
