//! Requests compared with the messages that HighLevel returns for them, and with others.

mod calls_and_emails;
mod stored;

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::{Fingerprint, Fingerprintable, Reconciliation};
use crate::{Custom, Direction, Inbound, InternalComment, MessageId, OutboundCall, Sms};

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

/// Reconciles a request with one message at a time: its name, its changed fields, and the expected result.
fn check(request: &Fingerprint, read_back: fn(&Value) -> Value, rows: Vec<(&str, Value, Reconciliation)>) {
    for (name, changes, expected) in rows {
        assert_eq!(request.reconcile([&read_back(&changes)]), expected, "{name}");
    }
}

#[test]
fn a_text_is_sent_only_if_all_properties_agree() {
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
        ("sent in the app", vec![json!({ "source": "app" })], sent("m1")),
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
    check(
        &one,
        read_back,
        vec![
            ("an earlier text", json!({}), Reconciliation::NotFound),
            ("no content", json!({ "body": "" }), maybe()),
            ("the attachment", json!({ "body": null, "attachments": [A] }), sent("m1")),
            ("the attachment as an object", json!({ "body": "", "attachments": [{ "url": A }] }), sent("m1")),
            ("a different attachment", json!({ "body": null, "attachments": [B] }), maybe()),
            ("one more", json!({ "body": null, "attachments": [A, B] }), maybe()),
            ("the attachment with a text", json!({ "attachments": [A] }), Reconciliation::NotFound),
        ],
    );
    check(
        &both,
        read_back,
        vec![
            ("text and attachments", json!({ "body": "Hi", "attachments": [B, A] }), sent("m1")),
            ("only the text", json!({ "body": "Hi" }), maybe()),
            ("only the attachments", json!({ "body": "", "attachments": [A, B] }), maybe()),
        ],
    );
    let template = of(&Sms::to("contact").template("template"));
    assert_eq!(template.reconcile([&read_back(&json!({}))]), maybe(), "a template");
    let values = of(&Sms::to("contact").text("Hi {{contact.first_name}}"));
    assert_eq!(values.reconcile([&read_back(&json!({ "body": "Hi Ann" }))]), maybe(), "a value");
}

#[test]
fn an_alt_id_identifies_the_message() {
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
    check(
        &tomorrow,
        read_back,
        vec![
            ("at its time", json!({ "dateAdded": "2024-05-09T12:00:05Z" }), sent("m1")),
            ("when it was scheduled", json!({ "dateAdded": "2024-05-08T12:00:03Z" }), maybe()),
            ("between", json!({ "dateAdded": "2024-05-09T06:00:00Z" }), Reconciliation::NotFound),
        ],
    );
    check(
        &past,
        read_back,
        vec![
            (
                "scheduled for the past, before the attempt",
                json!({ "dateAdded": "2024-05-08T11:59:30Z" }),
                maybe(),
            ),
            ("scheduled for the past", json!({ "dateAdded": "2024-05-08T12:00:03Z" }), sent("m1")),
        ],
    );
    check(
        &any_time,
        read_back,
        vec![
            ("at the best moment", json!({ "dateAdded": "2024-05-10T11:00:00Z" }), sent("m1")),
            (
                "after the last moment",
                json!({ "dateAdded": "2024-05-10T12:30:00Z" }),
                Reconciliation::NotFound,
            ),
        ],
    );
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
    let observed = json!({ "messageType": "InternalComment", "messageTypeId": 37, "body": "Call back" });
    assert_eq!(comment.reconcile([&read_back(&observed)]), sent("m1"));
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
fn attempted_at_changes_the_time_of_the_attempt_only() {
    let later = SystemTime::UNIX_EPOCH + SENT_AT + Duration::from_secs(3600);
    let fingerprint = sms().attempted_at(later);
    assert_eq!(fingerprint.attempted(), later);
    assert_eq!(fingerprint.reconcile([&read_back(&json!({}))]), Reconciliation::NotFound);
    assert_eq!(
        fingerprint.reconcile([&read_back(&json!({ "dateAdded": "2024-05-08T13:00:01Z" }))]),
        sent("m1")
    );
}
