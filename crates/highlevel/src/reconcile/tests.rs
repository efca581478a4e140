//! Requests compared with the messages that HighLevel returns for them, and with others.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::{Fingerprint, Fingerprintable, Reconciliation};
use crate::{Custom, Direction, Email, Inbound, InternalComment, MessageId, OutboundCall, Sms};

/// 2024-05-08T12:00:00Z
const SENT_AT: Duration = Duration::from_secs(1_715_169_600);
const OFFICE: &str = "+15035550100";
const CONTACT: &str = "+15037081210";

fn of(request: &impl Fingerprintable) -> Fingerprint {
    Fingerprint::of(request, SystemTime::UNIX_EPOCH + SENT_AT)
}

fn sms() -> Fingerprint {
    of(&Sms::to("contact").text("Your table  is\r\nready "))
}

fn call() -> OutboundCall {
    OutboundCall::in_conversation("conversation", "provider").from(OFFICE).to(CONTACT)
}

/// A message that was read back, with some fields changed; `null` removes one.
fn changed(mut message: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().expect("an object") {
        message[name] = value.clone();
    }
    message
}

fn read_back(changes: &Value) -> Value {
    let message = json!({
        "id": "m1", "contactId": "contact", "conversationId": "conversation", "messageType": "TYPE_SMS",
        "body": "Your table is ready", "dateAdded": "2024-05-08T12:00:03.000Z", "direction": "outbound",
    });
    changed(message, changes)
}

fn call_read_back(changes: &Value) -> Value {
    let call =
        json!({ "messageType": "TYPE_CUSTOM_CALL", "type": 34, "body": null, "from": OFFICE, "to": CONTACT });
    changed(read_back(&call), changes)
}

fn email_read_back(changes: &Value) -> Value {
    let email = json!({
        "messageType": "TYPE_EMAIL", "body": "<p>Thank you!</p>", "subject": "Order confirmed",
        "to": ["contact@example.com"], "ccList": ["ops@example.com"],
    });
    changed(read_back(&email), changes)
}

fn sent(id: &str) -> Reconciliation {
    Reconciliation::Sent(MessageId::from(id))
}

fn ambiguous(ids: &[&str]) -> Reconciliation {
    Reconciliation::Ambiguous(ids.iter().map(|id| MessageId::from(*id)).collect())
}

#[test]
fn a_text_is_found_only_where_everything_agrees() {
    use Reconciliation::NotFound;

    let maybe = || ambiguous(&["m1"]);
    for (name, messages, expected) in [
        ("no message", vec![], NotFound),
        ("the message", vec![json!({})], sent("m1")),
        ("the message, observed twice", vec![json!({}), json!({})], sent("m1")),
        ("the message, once without its text", vec![json!({}), json!({ "body": null })], sent("m1")),
        ("observations that contradict", vec![json!({}), json!({ "body": "Hello" }), json!({})], maybe()),
        ("two equal messages", vec![json!({}), json!({ "id": "m2" })], ambiguous(&["m1", "m2"])),
        ("a possible second", vec![json!({}), json!({ "id": "m2", "body": null })], ambiguous(&["m1", "m2"])),
        ("an equal message without an id", vec![json!({}), json!({ "id": null })], maybe()),
        ("only one without an id", vec![json!({ "id": null })], ambiguous(&[])),
        ("a different message without an id", vec![json!({}), json!({ "id": "", "body": "Hi" })], sent("m1")),
        (
            "beside a different contact",
            vec![json!({ "id": "m0", "contactId": "other" }), json!({})],
            sent("m1"),
        ),
        ("a different contact", vec![json!({ "contactId": "other" })], NotFound),
        ("no contact", vec![json!({ "contactId": null })], maybe()),
        ("the contact's own text", vec![json!({ "direction": "inbound" })], NotFound),
        ("no direction", vec![json!({ "direction": null })], maybe()),
        ("an unknown direction", vec![json!({ "direction": {} })], maybe()),
        (
            "the direction of the event",
            vec![json!({ "direction": null, "type": "OutboundMessage" })],
            sent("m1"),
        ),
        ("an inbound event", vec![json!({ "direction": null, "type": "InboundMessage" })], NotFound),
        (
            "inbound, named outbound",
            vec![json!({ "direction": "inbound", "type": "OutboundMessage" })],
            NotFound,
        ),
        ("a different text", vec![json!({ "body": "Your table is taken" })], NotFound),
        ("no text", vec![json!({ "body": null })], maybe()),
        ("an empty text", vec![json!({ "body": "" })], maybe()),
        ("a signature", vec![json!({ "body": "Your table is ready\n-- \nReply STOP to opt out" })], maybe()),
        ("an attachment", vec![json!({ "attachments": ["https://example.com/a.png"] })], maybe()),
        ("an email", vec![json!({ "messageType": "TYPE_EMAIL" })], NotFound),
        ("a comment", vec![json!({ "messageType": "InternalComment" })], NotFound),
        ("WhatsApp", vec![json!({ "messageType": "TYPE_WHATSAPP" })], maybe()),
        ("the channel of a provider", vec![json!({ "messageType": "TYPE_CUSTOM_PROVIDER_SMS" })], sent("m1")),
        ("a numbered channel", vec![json!({ "messageType": null, "type": 20 })], sent("m1")),
        ("a different numbered channel", vec![json!({ "messageType": null, "messageTypeId": 3 })], NotFound),
        ("an unknown channel", vec![json!({ "messageType": "TYPE_PIGEON" })], maybe()),
        ("no channel", vec![json!({ "messageType": null })], maybe()),
        ("a workflow's text", vec![json!({ "source": "workflow" })], maybe()),
        ("made in the app", vec![json!({ "source": "app" })], sent("m1")),
        ("no date", vec![json!({ "dateAdded": null })], maybe()),
        ("a malformed date", vec![json!({ "dateAdded": "today" })], maybe()),
        ("milliseconds", vec![json!({ "dateAdded": 1_715_169_601_000_u64 })], sent("m1")),
        ("at the time of the attempt", vec![json!({ "dateAdded": "2024-05-08T12:00:00.000Z" })], sent("m1")),
        ("just before the attempt", vec![json!({ "dateAdded": "2024-05-08T11:59:59.000Z" })], maybe()),
        ("two minutes before", vec![json!({ "dateAdded": "2024-05-08T11:58:00Z" })], maybe()),
        ("earlier", vec![json!({ "dateAdded": "2024-05-08T11:57:59Z" })], NotFound),
        ("15 minutes after", vec![json!({ "dateAdded": "2024-05-08T12:15:00Z" })], sent("m1")),
        ("later", vec![json!({ "dateAdded": "2024-05-08T12:15:01Z" })], NotFound),
    ] {
        let messages: Vec<Value> = messages.iter().map(read_back).collect();
        assert_eq!(sms().reconcile(&messages), expected, "{name}");
    }
}

#[test]
fn known_messages_of_other_requests_are_excluded() {
    let messages = [read_back(&json!({})), read_back(&json!({ "id": "m2" }))];
    assert_eq!(sms().reconcile_excluding(&messages, ["m1"]), sent("m2"));
    assert_eq!(sms().reconcile_excluding(&messages, [&MessageId::from("m2")]), sent("m1"));
    assert_eq!(sms().reconcile_excluding(&messages, ["m1", "m2"]), Reconciliation::NotFound);
    let without_id = read_back(&json!({ "id": null }));
    assert_eq!(sms().reconcile_excluding([&messages[0], &without_id], ["m1"]), ambiguous(&[]));
}

#[test]
fn attachments_prove_only_with_equal_urls() {
    const A: &str = "https://example.com/a.png";
    const B: &str = "https://example.com/b.png";
    let one = of(&Sms::to("contact").attachment(A));
    let both = of(&Sms::to("contact").text("Hi").attachment(A).attachment(B));
    let maybe = || ambiguous(&["m1"]);
    for (name, fingerprint, changes, expected) in [
        ("an earlier text", &one, json!({}), Reconciliation::NotFound),
        ("no content", &one, json!({ "body": "" }), maybe()),
        ("the attachment", &one, json!({ "body": null, "attachments": [A] }), sent("m1")),
        (
            "the attachment as an object",
            &one,
            json!({ "body": "", "attachments": [{ "url": A }] }),
            sent("m1"),
        ),
        ("a different attachment", &one, json!({ "body": null, "attachments": [B] }), maybe()),
        ("one more", &one, json!({ "body": null, "attachments": [A, B] }), maybe()),
        ("the attachment with a text", &one, json!({ "attachments": [A] }), Reconciliation::NotFound),
        ("text and attachments", &both, json!({ "body": "Hi", "attachments": [B, A] }), sent("m1")),
        ("only the text", &both, json!({ "body": "Hi" }), maybe()),
        ("only the attachments", &both, json!({ "body": "", "attachments": [A, B] }), maybe()),
    ] {
        assert_eq!(fingerprint.reconcile([&read_back(&changes)]), expected, "{name}");
    }
    let template = of(&Sms::to("contact").template("template"));
    assert_eq!(template.reconcile([&read_back(&json!({}))]), maybe(), "a template");
    let values = of(&Sms::to("contact").text("Hi {{contact.first_name}}"));
    assert_eq!(values.reconcile([&read_back(&json!({ "body": "Hi Ann" }))]), maybe(), "a value");
}

#[test]
fn a_call_is_proven_by_both_numbers() {
    let maybe = || ambiguous(&["m1"]);
    let without_numbers = OutboundCall::in_conversation("conversation", "provider");
    let one_number = OutboundCall::in_conversation("conversation", "provider").to(CONTACT);
    let dated = call().at(SystemTime::UNIX_EPOCH + SENT_AT - Duration::from_secs(3600));
    let recorded = call().attachment("https://example.com/a.mp3");
    for (name, request, changes, expected) in [
        ("without numbers", &without_numbers, json!({}), maybe()),
        ("with one number", &one_number, json!({}), maybe()),
        ("with both", &call(), json!({}), sent("m1")),
        ("written in another way", &call(), json!({ "from": "+1 (503) 555-0100" }), sent("m1")),
        ("from another number", &call(), json!({ "from": "+15035550101" }), Reconciliation::NotFound),
        ("names instead of numbers", &call(), json!({ "from": "Nango", "to": {} }), maybe()),
        ("an event's name", &call(), json!({ "messageType": "CALL", "type": null }), sent("m1")),
        ("in another conversation", &call(), json!({ "conversationId": "other" }), Reconciliation::NotFound),
        ("another provider", &call(), json!({ "conversationProviderId": "other" }), Reconciliation::NotFound),
        ("an inbound call", &call(), json!({ "direction": "inbound" }), Reconciliation::NotFound),
        ("a voicemail", &call(), json!({ "messageType": "VoiceMail", "type": 10 }), Reconciliation::NotFound),
        ("with a transcript", &call(), json!({ "body": "Hello" }), sent("m1")),
        ("with a recording", &call(), json!({ "attachments": ["https://example.com/a.mp3"] }), sent("m1")),
        ("without its recording", &recorded, json!({}), maybe()),
        ("dated, at another time", &dated, json!({}), maybe()),
        ("dated, at its time", &dated, json!({ "dateAdded": "2024-05-08T11:00:00.000Z" }), sent("m1")),
        ("dated, a bit later", &dated, json!({ "dateAdded": "2024-05-08T11:00:20.000Z" }), maybe()),
        (
            "dated, much later",
            &dated,
            json!({ "dateAdded": "2024-05-08T11:20:00.000Z" }),
            Reconciliation::NotFound,
        ),
    ] {
        assert_eq!(of(request).reconcile([&call_read_back(&changes)]), expected, "{name}");
    }
}

#[test]
fn an_alt_id_decides_exactly() {
    let maybe = || ambiguous(&["m1"]);
    let call = of(&call().alt_id("alt"));
    let ours = json!({ "altId": "alt" });
    for (name, messages, expected) in [
        ("the id", vec![ours.clone()], sent("m1")),
        ("another id", vec![json!({ "altId": "other" })], Reconciliation::NotFound),
        ("no id", vec![json!({})], maybe()),
        ("an event without it", vec![ours.clone(), json!({ "altId": null })], sent("m1")),
        ("calls in a row", vec![json!({ "id": "m0", "altId": "a0" }), ours.clone()], sent("m1")),
        ("an equal call without an id", vec![json!({ "id": "m0" }), ours.clone()], sent("m1")),
        (
            "two with the id",
            vec![ours.clone(), json!({ "id": "m2", "altId": "alt" })],
            ambiguous(&["m1", "m2"]),
        ),
        ("much later", vec![json!({ "altId": "alt", "dateAdded": "2024-05-09T12:00:00Z" })], sent("m1")),
        ("other numbers", vec![json!({ "altId": "alt", "to": "+15030000000" })], sent("m1")),
        ("the other direction", vec![json!({ "altId": "alt", "direction": "inbound" })], maybe()),
        (
            "another conversation",
            vec![json!({ "altId": "alt", "conversationId": "x" })],
            Reconciliation::NotFound,
        ),
        ("another channel", vec![json!({ "altId": "alt", "messageType": "TYPE_SMS", "type": 2 })], maybe()),
    ] {
        let messages: Vec<Value> = messages.iter().map(call_read_back).collect();
        assert_eq!(call.reconcile(&messages), expected, "{name}");
    }
    let text = of(&Inbound::sms("p").from_contact("contact").text("See you").alt_id("alt"));
    let part = read_back(&json!({ "direction": "inbound", "body": "at eight", "altId": "alt" }));
    assert_eq!(text.reconcile([&part]), maybe(), "one id for two parts of a text");
}

#[test]
fn an_email_with_equal_text_and_other_html_is_not_named() {
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
    for (name, request, changes, expected) in [
        ("the email", &email, json!({}), sent("m1")),
        ("a reply's subject", &email, reply, sent("m1")),
        ("without its body", &email, json!({ "body": null }), maybe()),
        ("its plain text only", &email, json!({ "body": null, "plainText": "Thank you!" }), maybe()),
        ("wrapped HTML", &email, json!({ "body": "<div><p>Thank you!</p><img src='x'></div>" }), maybe()),
        ("another body", &email, json!({ "body": "<p>No.</p>" }), Reconciliation::NotFound),
        ("another subject", &email, json!({ "subject": "Order" }), Reconciliation::NotFound),
        (
            "another subject, no body",
            &email,
            json!({ "subject": "Order", "body": null }),
            Reconciliation::NotFound,
        ),
        ("no subject", &email, json!({ "subject": null }), maybe()),
        ("another copy", &email, json!({ "ccList": ["boss@example.com"] }), Reconciliation::NotFound),
        ("no copy", &email, json!({ "ccList": null }), maybe()),
        ("the first copy", &email, json!({ "ccList": null, "cc": "Ops <ops@example.com>" }), sent("m1")),
        ("its recipient", &addressed, json!({}), sent("m1")),
        ("another recipient", &addressed, json!({ "to": "x@example.com" }), Reconciliation::NotFound),
        ("blind copies are hidden", &copied, json!({}), maybe()),
        ("blind copies", &copied, json!({ "bccList": ["audit@example.com"] }), sent("m1")),
        ("a copy for the archive", &email, json!({ "bccList": ["audit@example.com"] }), sent("m1")),
        ("through a provider", &email, json!({ "messageType": "TYPE_CUSTOM_PROVIDER_EMAIL" }), sent("m1")),
    ] {
        assert_eq!(of(request).reconcile([&email_read_back(&changes)]), expected, "{name}");
    }
}

#[test]
fn a_text_to_a_number_is_proven_by_that_number() {
    let request = of(&Sms::to("contact").text("Your table is ready").from_number(OFFICE).to_number(CONTACT));
    let maybe = || ambiguous(&["m1"]);
    for (name, changes, expected) in [
        ("both numbers", json!({ "from": OFFICE, "to": CONTACT }), sent("m1")),
        ("no numbers", json!({}), maybe()),
        ("another number of the contact", json!({ "from": OFFICE, "to": OFFICE }), Reconciliation::NotFound),
        ("the default number of the location", json!({ "from": CONTACT, "to": CONTACT }), maybe()),
    ] {
        assert_eq!(request.reconcile([&read_back(&changes)]), expected, "{name}");
    }
}

#[test]
fn inbound_messages_are_found_by_their_direction() {
    let text = of(&Inbound::sms("p").in_conversation("conversation").from_contact("contact").text("OK"));
    let inbound = json!({ "direction": "inbound", "body": "OK" });
    assert_eq!(text.reconcile([&read_back(&inbound)]), sent("m1"));
    assert_eq!(text.reconcile([&read_back(&json!({ "body": "OK" }))]), Reconciliation::NotFound);
    // The conversation was merged into another one of the contact.
    let merged = changed(inbound, &json!({ "conversationId": "merged" }));
    assert_eq!(text.reconcile([&read_back(&merged)]), ambiguous(&["m1"]));

    let outbound = Inbound::sms("p").from_contact("contact").text("OK").direction(Direction::Outbound);
    assert_eq!(of(&outbound).reconcile([&read_back(&json!({ "body": "OK" }))]), sent("m1"));
}

#[test]
fn a_scheduled_message_is_expected_at_its_time() {
    let day = Duration::from_secs(24 * 60 * 60);
    let sms = || Sms::to("contact").text("Your table is ready");
    let tomorrow = of(&sms().at(SystemTime::UNIX_EPOCH + SENT_AT + day));
    let past = of(&sms().at(SystemTime::UNIX_EPOCH + SENT_AT - Duration::from_secs(60)));
    let any_time = of(&sms().best_moment_within(crate::OptimizationPeriod::V48h));
    let maybe = || ambiguous(&["m1"]);
    for (name, fingerprint, date, expected) in [
        ("at its time", &tomorrow, "2024-05-09T12:00:05Z", sent("m1")),
        ("when it was scheduled", &tomorrow, "2024-05-08T12:00:03Z", maybe()),
        ("between", &tomorrow, "2024-05-09T06:00:00Z", Reconciliation::NotFound),
        ("scheduled for the past, before the attempt", &past, "2024-05-08T11:59:30Z", maybe()),
        ("scheduled for the past", &past, "2024-05-08T12:00:03Z", sent("m1")),
        ("at the best moment", &any_time, "2024-05-10T11:00:00Z", sent("m1")),
        ("after the last moment", &any_time, "2024-05-10T12:30:00Z", Reconciliation::NotFound),
    ] {
        assert_eq!(fingerprint.reconcile([&read_back(&json!({ "dateAdded": date }))]), expected, "{name}");
    }
}

#[test]
fn dates_are_compared_to_their_precision() {
    let attempted = SystemTime::UNIX_EPOCH + SENT_AT + Duration::from_nanos(3_000_456);
    let fingerprint = Fingerprint::of(&Sms::to("contact").text("Your table is ready"), attempted);
    let maybe = || ambiguous(&["m1"]);
    for (date, expected) in [
        ("2024-05-08T12:00:00.003Z", sent("m1")),
        ("2024-05-08T12:00:00.002Z", maybe()),
        ("2024-05-08T12:00:00Z", sent("m1")),
        ("2024-05-08T11:59:59Z", maybe()),
    ] {
        assert_eq!(fingerprint.reconcile([&read_back(&json!({ "dateAdded": date }))]), expected, "{date}");
    }
}

#[test]
fn comments_and_custom_channels_are_found_by_their_family() {
    let comment = of(&InternalComment::about("contact").text("Call back"));
    let seen = json!({ "messageType": "InternalComment", "messageTypeId": 37, "body": "Call back" });
    assert_eq!(comment.reconcile([&read_back(&seen)]), sent("m1"));
    let custom = of(&Custom::to("contact", "provider").text("Your table is ready"));
    let provided = json!({ "messageType": "TYPE_CUSTOM_SMS", "conversationProviderId": "provider" });
    assert_eq!(custom.reconcile([&read_back(&provided)]), sent("m1"));
}

#[test]
fn a_single_message_is_read_with_its_envelope() {
    let message = json!({ "message": read_back(&json!({})), "traceId": "t" });
    assert_eq!(sms().reconcile([&message]), sent("m1"));
}

#[test]
fn a_request_keeps_its_identity_at_another_attempt() {
    let later = SystemTime::UNIX_EPOCH + SENT_AT + Duration::from_secs(3600);
    let fingerprint = sms().attempted_at(later);
    assert_eq!(fingerprint.attempted(), later);
    assert_eq!(fingerprint.reconcile([&read_back(&json!({}))]), Reconciliation::NotFound);
    assert_eq!(
        fingerprint.reconcile([&read_back(&json!({ "dateAdded": "2024-05-08T13:00:01Z" }))]),
        sent("m1")
    );
}

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
