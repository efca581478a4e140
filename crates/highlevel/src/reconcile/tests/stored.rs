//! The stored form of fingerprints.

use std::time::SystemTime;

use serde_json::json;

use super::super::{Fingerprint, Reconciliation};
use super::{OFFICE, SENT_AT, ambiguous, call, call_read_back, changed, of, read_back};
use crate::{Email, Sms};

/// The hash is that of `printf 'Your table is ready' | sha256sum`.
#[test]
fn fingerprints_are_stored_without_content() {
    let email = Email::to("contact").subject("Subject").text("Your table is ready").html("<p>Body</p>");
    let email = email.cc(["cc@example.com"]).bcc(["bcc@example.com"]).to_address("to@example.com");
    let sms = Sms::to("contact").text("Text").from_number(OFFICE).attachment("https://example.com/file");
    let call = call().alt_id("alt").at(SystemTime::UNIX_EPOCH + SENT_AT);
    for fingerprint in [of(&email), of(&sms), of(&call)] {
        let stored = serde_json::to_string(&fingerprint).expect("JSON");
        for content in ["Subject", "table", "Body", "Text", "@example.com", "https", "5035550100"] {
            assert!(!stored.contains(content), "{content} in {stored}");
        }
        assert_eq!(serde_json::from_str::<Fingerprint>(&stored).expect("a fingerprint"), fingerprint);
    }
    let stored = serde_json::to_string(&of(&email)).expect("JSON");
    assert!(stored.contains("251051f31917870dcfbc57ea9c254283a310ab6799dad13d9e48b43e86a40b3c"), "{stored}");
}

#[test]
fn fingerprints_of_version_1_are_read_and_prove_nothing() {
    let stored = json!({
        "contact": "contact", "conversation": null, "channel": "SMS",
        "content": "251051f31917870dcfbc57ea9c254283a310ab6799dad13d9e48b43e86a40b3c",
        "time": { "secs_since_epoch": 1_715_169_600, "nanos_since_epoch": 0 },
    });
    let fingerprint: Fingerprint = serde_json::from_value(stored.clone()).expect("a fingerprint");
    assert_eq!(fingerprint.reconcile([&read_back(&json!({}))]), ambiguous(&["m1"]));
    assert_eq!(fingerprint.reconcile([&read_back(&json!({ "body": "Hello" }))]), Reconciliation::NotFound);
    let call = changed(stored.clone(), &json!({ "channel": "Call", "content": null }));
    let call: Fingerprint = serde_json::from_value(call).expect("a fingerprint");
    assert_eq!(call.reconcile([&call_read_back(&json!({}))]), ambiguous(&["m1"]));

    let newer = changed(stored, &json!({ "version": 3 }));
    let error = serde_json::from_value::<Fingerprint>(newer).expect_err("a newer version").to_string();
    assert!(error.contains("fingerprint version 3 is newer than 2"), "{error}");
}
