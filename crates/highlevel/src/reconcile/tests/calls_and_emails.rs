//! The proof of calls by their numbers, and of emails by their content.

use std::time::{Duration, SystemTime};

use serde_json::json;

use super::super::Reconciliation;
use super::{CONTACT, SENT_AT, ambiguous, call, call_read_back, check, email_read_back, of, sent};
use crate::{Email, OutboundCall};

#[test]
fn a_call_is_proven_by_both_numbers() {
    let maybe = || ambiguous(&["m1"]);
    let without_numbers = OutboundCall::in_conversation("conversation", "provider");
    let one_number = OutboundCall::in_conversation("conversation", "provider").to(CONTACT);
    let dated = call().at(SystemTime::UNIX_EPOCH + SENT_AT - Duration::from_secs(3600));
    let recorded = call().attachment("https://example.com/a.mp3");
    check(&of(&without_numbers), call_read_back, vec![("without numbers", json!({}), maybe())]);
    check(&of(&one_number), call_read_back, vec![("with one number", json!({}), maybe())]);
    check(
        &of(&call()),
        call_read_back,
        vec![
            ("with both", json!({}), sent("m1")),
            ("written in another way", json!({ "from": "+1 (503) 555-0100" }), sent("m1")),
            ("from another number", json!({ "from": "+15035550101" }), Reconciliation::NotFound),
            ("names instead of numbers", json!({ "from": "Nango", "to": {} }), maybe()),
            ("an event's name", json!({ "messageType": "CALL", "type": null }), sent("m1")),
            ("in another conversation", json!({ "conversationId": "other" }), Reconciliation::NotFound),
            ("another provider", json!({ "conversationProviderId": "other" }), Reconciliation::NotFound),
            ("an inbound call", json!({ "direction": "inbound" }), Reconciliation::NotFound),
            ("a voicemail", json!({ "messageType": "VoiceMail", "type": 10 }), Reconciliation::NotFound),
            ("with a transcript", json!({ "body": "Hello" }), sent("m1")),
            ("with a recording", json!({ "attachments": ["https://example.com/a.mp3"] }), sent("m1")),
        ],
    );
    check(&of(&recorded), call_read_back, vec![("without its recording", json!({}), maybe())]);
    check(
        &of(&dated),
        call_read_back,
        vec![
            ("dated, at another time", json!({}), maybe()),
            ("dated, at its time", json!({ "dateAdded": "2024-05-08T11:00:00.000Z" }), sent("m1")),
            ("dated, a bit later", json!({ "dateAdded": "2024-05-08T11:00:20.000Z" }), maybe()),
            (
                "dated, much later",
                json!({ "dateAdded": "2024-05-08T11:20:00.000Z" }),
                Reconciliation::NotFound,
            ),
        ],
    );
}

#[test]
fn an_email_with_equal_text_and_different_html_is_not_proven() {
    let email = Email::to("contact").subject("Order confirmed").text("See the HTML version");
    let email = email.html("<p><a href='https://example.com/1'>Your order</a></p>").cc(["ops@example.com"]);
    let observed = |link: &str| {
        let body = format!("<p><a href='https://example.com/{link}'>Your order</a></p>");
        email_read_back(&json!({ "body": body, "plainText": "See the HTML version" }))
    };
    assert_eq!(of(&email).reconcile([&observed("1")]), sent("m1"));
    assert_eq!(of(&email).reconcile([&observed("2")]), ambiguous(&["m1"]));
}

#[test]
fn an_email_needs_its_body_and_its_recipients() {
    let maybe = || ambiguous(&["m1"]);
    let email =
        Email::to("contact").subject("Order confirmed").html("<p>Thank you!</p>").cc(["ops@example.com"]);
    let addressed = email.clone().to_address("Contact@example.com");
    let copied = email.clone().bcc(["audit@example.com"]);
    let reply = json!({ "subject": "Re: Order confirmed" });
    check(
        &of(&email),
        email_read_back,
        vec![
            ("the email", json!({}), sent("m1")),
            ("a reply's subject", reply, sent("m1")),
            ("without its body", json!({ "body": null }), maybe()),
            ("its plain text only", json!({ "body": null, "plainText": "Thank you!" }), maybe()),
            ("wrapped HTML", json!({ "body": "<div><p>Thank you!</p><img src='x'></div>" }), maybe()),
            ("another body", json!({ "body": "<p>No.</p>" }), Reconciliation::NotFound),
            ("another subject", json!({ "subject": "Order" }), Reconciliation::NotFound),
            (
                "another subject, no body",
                json!({ "subject": "Order", "body": null }),
                Reconciliation::NotFound,
            ),
            ("no subject", json!({ "subject": null }), maybe()),
            ("another copy", json!({ "ccList": ["boss@example.com"] }), Reconciliation::NotFound),
            ("no copy", json!({ "ccList": null }), maybe()),
            ("the first copy", json!({ "ccList": null, "cc": "Ops <ops@example.com>" }), sent("m1")),
            ("a copy for the archive", json!({ "bccList": ["audit@example.com"] }), sent("m1")),
            ("through a provider", json!({ "messageType": "TYPE_CUSTOM_PROVIDER_EMAIL" }), sent("m1")),
        ],
    );
    check(
        &of(&addressed),
        email_read_back,
        vec![
            ("its recipient", json!({}), sent("m1")),
            ("another recipient", json!({ "to": "x@example.com" }), Reconciliation::NotFound),
        ],
    );
    check(
        &of(&copied),
        email_read_back,
        vec![
            ("blind copies are hidden", json!({}), maybe()),
            ("blind copies", json!({ "bccList": ["audit@example.com"] }), sent("m1")),
        ],
    );
}
