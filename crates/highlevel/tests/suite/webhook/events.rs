//! Documented events, and events that differ from the documentation.

use highlevel::webhook::{Event, WebhookErrorKind};
use highlevel::wire::types::{
    EventMessageStatus, EventMessageType, InstallType, MessageSource, OneOrManyAddresses, ProviderChannel,
};
use highlevel::{CallStatus, Direction};
use serde_json::{Map, Value, json};

use super::bodies::{self, loose};
use super::{any_app, check, receive};

fn read(body: impl AsRef<[u8]>) -> Event {
    let body = body.as_ref();
    receive(&any_app(), body)
        .unwrap_or_else(|error| panic!("{}: {error}", body.escape_ascii()))
        .event()
        .clone()
}

/// Returns an event as JSON, and its unknown fields.
fn write(event: &Event) -> (Value, Map<String, Value>) {
    let extra = match event {
        Event::OutboundMessage(event) => &event.extra,
        Event::InboundMessage(event) => &event.extra,
        Event::ProviderOutboundMessage(event) => &event.extra,
        Event::Install(event) => &event.extra,
        Event::Uninstall(event) => &event.extra,
        Event::Unknown { json, .. } => json,
        event => panic!("no row for {event:?}"),
    };
    (bodies::written(event), extra.clone())
}

#[test]
fn documented_events_have_their_variant_and_all_fields() {
    let rows = [
        ("OutboundMessage", include_str!("../../data/events/outbound_message.json")),
        ("OutboundMessage", include_str!("../../data/events/outbound_call.json")),
        ("OutboundMessage", include_str!("../../data/events/outbound_voicemail.json")),
        ("OutboundMessage", include_str!("../../data/events/outbound_email.json")),
        ("InboundMessage", include_str!("../../data/events/inbound_message.json")),
        ("ProviderOutboundMessage", include_str!("../../data/events/provider_sms.json")),
        ("ProviderOutboundMessage", include_str!("../../data/events/provider_email.json")),
        ("INSTALL", include_str!("../../data/events/install.json")),
        ("UNINSTALL", include_str!("../../data/events/uninstall.json")),
        ("ContactCreate", include_str!("../../data/events/unknown.json")),
    ];
    for (name, body) in rows {
        // The examples are older than the window.
        let mut body: Value = serde_json::from_str(body).expect("JSON");
        if body.get("timestamp").is_some() {
            body["timestamp"] = json!("2024-07-29T15:51:28.071Z");
        }
        let event = read(body.to_string());
        assert_eq!(event.name(), name);
        let (written, extra) = write(&event);
        assert_eq!(loose(&written), loose(&body));
        if matches!(event, Event::Unknown { .. }) {
            assert_eq!(Value::Object(extra), body);
        } else {
            assert_eq!(extra, Map::new(), "{body}");
        }
    }
}

#[test]
fn fields_of_message_events_are_typed() {
    let body = include_str!("../../data/events/outbound_message.json");
    let Event::OutboundMessage(message) = read(body) else { panic!("another event") };
    assert_eq!(message.location_id.as_ref().expect("an id").as_str(), "l1C08ntBrFjLS0elLIYU");
    assert_eq!(message.attachments, Some(Vec::new()));
    assert_eq!(message.body.as_deref(), Some("This is a test message"));
    assert_eq!(message.contact_id.as_ref().expect("an id").as_str(), "cI08i1Bls3iTB9bKgFJh");
    assert_eq!(message.content_type.as_deref(), Some("text/plain"));
    assert_eq!(message.conversation_id.as_ref().expect("an id").as_str(), "fcanlLgpbQgQhderivVs");
    assert_eq!(message.date_added.as_ref().expect("a time").as_str(), "2021-04-21T11:31:45.750Z");
    assert_eq!(message.direction, Some(Direction::Inbound));
    assert_eq!(message.message_type, Some(EventMessageType::Sms));
    assert_eq!(message.source, Some(MessageSource::App));
    assert_eq!(message.status, Some(EventMessageStatus::Delivered));
    assert_eq!(message.conversation_provider_id.as_ref().expect("an id").as_str(), "cI08i1Bls3iTB9bKgF01");
    assert_eq!(message.chat_widget_id.as_ref().expect("an id").as_str(), "67b0cc8cf14b19d85ace7s35");
}

#[test]
fn fields_of_calls_and_emails() {
    let Event::OutboundMessage(call) = read(include_str!("../../data/events/outbound_call.json")) else {
        panic!("another event")
    };
    assert_eq!(call.message_type, Some(EventMessageType::Call));
    assert_eq!(call.status, Some(EventMessageStatus::Completed));
    assert_eq!(call.call_status, Some(CallStatus::Completed));
    assert!((call.call_duration.expect("a duration") - 120.0).abs() < f64::EPSILON);
    assert_eq!(call.attachments.as_deref(), Some(&["call recording url".to_owned()][..]));

    let Event::OutboundMessage(mail) = read(include_str!("../../data/events/outbound_voicemail.json")) else {
        panic!("another event")
    };
    assert_eq!(mail.message_type, Some(EventMessageType::VoiceMail));
    assert_eq!((mail.call_status.as_ref(), mail.call_duration), (None, None));

    let Event::OutboundMessage(email) = read(include_str!("../../data/events/outbound_email.json")) else {
        panic!("another event")
    };
    assert_eq!(email.message_type, Some(EventMessageType::Email));
    assert_eq!(email.from.as_deref(), Some("Internal Notify <sample@email.service>"));
    assert_eq!(email.subject.as_deref(), Some("Order Confirmed"));
    assert_eq!(email.to, Some(OneOrManyAddresses::Many(vec!["example@email.com".to_owned()])));
    let Event::OutboundMessage(email) = read(r#"{"type":"OutboundMessage","to":"a@b","cc":"c@d"}"#) else {
        panic!("another event")
    };
    assert_eq!(email.to, Some(OneOrManyAddresses::One("a@b".to_owned())));
    assert_eq!(email.cc, Some(OneOrManyAddresses::One("c@d".to_owned())));
}

#[test]
fn fields_of_provider_and_install_events_are_typed() {
    let Event::ProviderOutboundMessage(sms) = read(include_str!("../../data/events/provider_sms.json"))
    else {
        panic!("another event")
    };
    assert_eq!(sms.type_, ProviderChannel::Sms);
    assert_eq!(sms.message_id.as_str(), "t22c6DQcTDf3MjRhwf77");
    assert_eq!(sms.phone.as_deref(), Some("+15037081210"));
    assert_eq!(sms.message.as_deref(), Some("Your table is ready"));
    let Event::ProviderOutboundMessage(custom) = read(r#"{"type":"Custom","messageId":"m"}"#) else {
        panic!("another event")
    };
    assert_eq!(custom.type_, ProviderChannel::Custom);

    let install = include_str!("../../data/events/install.json")
        .replace("2024-05-08T12:04:56.100Z", "2024-07-29T15:51:28Z");
    let Event::Install(install) = read(install) else { panic!("another event") };
    assert_eq!(install.app_id.as_str(), "665c6bb13d4e5364bdec0e2f");
    assert_eq!(install.install_type, Some(InstallType::Location));
    assert_eq!(install.is_whitelabel_company, Some(true));
    assert_eq!(
        install.whitelabel_details.as_ref().expect("details").domain.as_deref(),
        Some("app.example.com")
    );
    assert_eq!(install.trial.as_ref().expect("a trial").on_trial, Some(true));

    let Event::Uninstall(uninstall) = read(r#"{"type":"UNINSTALL","appId":"a","companyId":"b"}"#) else {
        panic!("another event")
    };
    assert_eq!((uninstall.app_id.as_str(), &uninstall.location_id), ("a", &None));
    assert_eq!(uninstall.company_id.as_ref().expect("an id").as_str(), "b");
}

#[test]
fn unknown_and_mistyped_fields_are_retained() {
    // The fields, and the names of those that are among the unknown fields afterwards.
    let rows = [
        (json!({ "newField": { "a": [1, null] } }), vec!["newField"]),
        (
            json!({ "messageType": "Pigeon", "direction": "sideways", "status": "lost", "callStatus": "x" }),
            vec![],
        ),
        (json!({ "callDuration": "120" }), vec!["callDuration"]),
        (json!({ "attachments": "https://a/b" }), vec!["attachments"]),
        (json!({ "attachments": [{ "url": "https://a/b" }] }), vec!["attachments"]),
        (json!({ "body": 7 }), vec!["body"]),
        (json!({ "body": { "text": "t" } }), vec!["body"]),
        (json!({ "to": 7 }), vec!["to"]),
        (json!({ "to": ["a@b", 7] }), vec!["to"]),
        (json!({ "messageType": 7, "status": [] }), vec!["messageType", "status"]),
        (json!({ "dateAdded": "yesterday" }), vec![]),
        (json!({ "appId": 7, "body": [], "newField": true }), vec!["appId", "body", "newField"]),
    ];
    for (fields, expected) in rows {
        for name in ["OutboundMessage", "InboundMessage"] {
            let mut body = json!({ "type": name, "contactId": "c", "messageId": "m" });
            body.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
            let event = read(body.to_string());
            assert_eq!(event.name(), name);
            let (written, extra) = write(&event);
            assert_eq!(loose(&written), loose(&body));
            assert_eq!(extra.keys().map(String::as_str).collect::<Vec<_>>(), expected, "{body}");
            let typed = match &event {
                Event::OutboundMessage(message) => (&message.contact_id, &message.message_id),
                Event::InboundMessage(message) => (&message.contact_id, &message.message_id),
                event => panic!("{event:?}"),
            };
            assert_eq!(typed, (&Some("c".into()), &Some("m".into())), "{body}");
        }
    }
    // `null` is the same as a missing field.
    let nulls = r#"{"type":"OutboundMessage","attachments":null,"body":null,"to":null,"status":null,"mentions":null}"#;
    let Event::OutboundMessage(message) = read(nulls) else { panic!("another event") };
    assert_eq!((&message.attachments, &message.body, &message.to), (&None, &None, &None));
    assert!(message.extra.is_empty());
    // A mistyped field of an object inside an event.
    let Event::Install(install) = read(r#"{"type":"INSTALL","appId":"a","trial":{"onTrial":"yes"}}"#) else {
        panic!("another event")
    };
    assert_eq!((&install.trial, &install.extra["trial"]), (&None, &json!({ "onTrial": "yes" })));
}

/// The names of events are case-sensitive.
#[test]
fn unknown_events_retain_their_json() {
    for name in ["ContactCreate", "outboundmessage", "Install", "sms", "CALL", "", "OutboundMessage "] {
        let body = json!({ "type": name, "a": { "b": [1, 2.5, null] } });
        let Event::Unknown { name: found, json } = read(body.to_string()) else { panic!("{name}") };
        assert_eq!((found.as_str(), Value::Object(json)), (name, body));
    }
}

#[test]
fn malformed_events_are_rejected_with_the_reason() {
    let unreadable =
        |reason: &str| format!("the signature is genuine, but the event cannot be decoded: {reason}");
    let no_object =
        |reason: &str| format!("the signature is genuine, but the body is not a JSON object: {reason}");
    let rows = [
        ("{}", unreadable("/type is missing")),
        (r#"{"type":null}"#, unreadable("/type is not a string")),
        (r#"{"type":7}"#, unreadable("/type is not a string")),
        (r#"{"type":["OutboundMessage"]}"#, unreadable("/type is not a string")),
        (r#"{"type":"INSTALL"}"#, unreadable("/appId is missing")),
        (r#"{"type":"INSTALL","appId":7}"#, unreadable("/appId has the wrong type")),
        (r#"{"type":"INSTALL","appId":null,"companyName":7}"#, unreadable("/appId has the wrong type")),
        (r#"{"type":"UNINSTALL","locationId":"l"}"#, unreadable("/appId is missing")),
        (r#"{"type":"SMS","message":"t"}"#, unreadable("/messageId is missing")),
        (r#"{"type":"Email","messageId":[]}"#, unreadable("/messageId has the wrong type")),
        ("", no_object("EOF while parsing a value at line 1 column 0")),
        ("null", no_object("invalid type: null, expected a map at line 1 column 4")),
        (
            "\"OutboundMessage\"",
            no_object("invalid type: string \"OutboundMessage\", expected a map at line 1 column 17"),
        ),
        ("[]", no_object("invalid type: sequence, expected a map at line 1 column 0")),
        ("{\"type\":\"X\"", no_object("EOF while parsing an object at line 1 column 11")),
        ("{\"type\":\"X\"} {}", no_object("trailing characters at line 1 column 14")),
        ("type=OutboundMessage", no_object("expected ident at line 1 column 2")),
    ];
    for (body, text) in rows {
        let error = receive(&any_app(), body).expect_err(body);
        check(body, &error, WebhookErrorKind::Malformed, &text);
    }
    // Nested so deeply that recursion would overflow the stack.
    let deep = format!(r#"{{"type":"X","a":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    let error = receive(&any_app(), deep).expect_err("deep");
    assert_eq!(error.kind(), WebhookErrorKind::Malformed);
}
