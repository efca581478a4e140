//! The examples of events in the spec and in the reference, received by the SDK.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use highlevel::webhook::testing::SigningKey;
use highlevel::webhook::{Attachment, Content, Event, MessageEvent, Receiver, Verified};
use highlevel::wire::types::{EventMessageStatus, InstallType, SendMessageRequest};
use highlevel_sandbox::{
    Contact, ConversationProvider, DndChannel, ProviderKind, Sandbox, SimulatedCall, SimulatedCallOutcome,
    Spec, StatusUpdate,
};
use serde_json::{Map, Value, json};

/// Returns the examples of the events with their pointers in the spec, sorted by pointer.
fn examples() -> Vec<(String, Value)> {
    let document = Spec::load().expect("the embedded spec is valid").document();
    let mut examples = Vec::new();
    for (event, definition) in document["x-webhooks"].as_object().expect("events") {
        for (name, example) in definition["examples"].as_object().expect("examples") {
            let pointer = example["$ref"].as_str().expect("a reference").trim_start_matches('#');
            let value = document.pointer(pointer).expect("the example")["value"].clone();
            examples.push((format!("/x-webhooks/{event}/examples/{name}"), value));
        }
    }
    examples.sort_by(|(a, _): &(String, Value), (b, _)| a.cmp(b));
    examples
}

/// Signs an event and receives it. The examples are years apart, so the window is unlimited.
fn receive(json: &Value) -> Verified<Event> {
    let key = SigningKey::from_seed([1; 32]);
    let receiver = Receiver::builder()
        .any_app()
        .key(key.public_key("test"))
        .window(Duration::MAX, Duration::MAX)
        .build();
    let body = json.to_string();
    receiver
        .verify(&key.headers(&body), body, SystemTime::UNIX_EPOCH)
        .unwrap_or_else(|error| panic!("{json}: {error}"))
}

fn urls<'a>(attachments: &[Attachment<'a>]) -> Vec<&'a str> {
    attachments.iter().map(|attachment| attachment.url).collect()
}

/// Formats the fields of an event, one per line.
fn show(event: &Event) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &dyn std::fmt::Debug| {
        writeln!(text, "  {name:<12} {value:?}").expect("written");
    };
    let (variant, extra): (_, &Map<String, Value>) = match event {
        Event::OutboundMessage(message) => ("OutboundMessage", &message.extra),
        Event::InboundMessage(message) => ("InboundMessage", &message.extra),
        Event::ProviderOutboundMessage(message) => ("ProviderOutboundMessage", &message.extra),
        Event::ConversationUpdate(event) => ("ConversationUpdate", &event.extra),
        Event::ConversationUnreadUpdate(event) => ("ConversationUnreadUpdate", &event.extra),
        Event::LcEmailStats(event) => ("LcEmailStats", &event.extra),
        Event::ContactDndUpdate(event) => ("ContactDndUpdate", &event.extra),
        Event::VoiceAiCallEnd(event) => ("VoiceAiCallEnd", &event.extra),
        Event::AppUpdate(event) => ("AppUpdate", &event.extra),
        Event::Install(install) => ("Install", &install.extra),
        Event::Uninstall(uninstall) => ("Uninstall", &uninstall.extra),
        other => panic!("no row for {other:?}"),
    };
    match event {
        Event::OutboundMessage(message) => {
            line("direction", &message.direction().as_str());
            line("status", &message.status.as_ref().map(EventMessageStatus::as_str));
        }
        Event::InboundMessage(message) => {
            line("direction", &message.direction().as_str());
            line("status", &message.status.as_ref().map(EventMessageStatus::as_str));
        }
        Event::ProviderOutboundMessage(message) => line("direction", &message.direction().as_str()),
        Event::Install(install) => {
            line("app", &install.app_id.as_str());
            line("installed on", &install.install_type.as_ref().map(InstallType::as_str));
            line("locations", &install.location_ids);
        }
        Event::Uninstall(uninstall) => {
            line("app", &uninstall.app_id.as_str());
            line("reason", &uninstall.reason);
        }
        Event::ConversationUpdate(event) => {
            line("old id", &event.old_conversation_id);
            line("new id", &event.new_conversation_id);
        }
        Event::ConversationUnreadUpdate(event) => line("unread", &event.unread_count),
        Event::LcEmailStats(event) => {
            let report = event.webhook_payload.as_ref().expect("a report");
            line("event", &report.event);
            line("recipient", &report.recipient);
        }
        Event::ContactDndUpdate(event) => line("dnd", &event.dnd),
        Event::VoiceAiCallEnd(event) => line("duration", &event.duration),
        Event::AppUpdate(event) => line("version", &event.version_id),
        _ => {}
    }
    match event.content() {
        Some(Content::Text(content)) => {
            line("text", &content.text);
            line("channel", &content.channel);
            line("attachments", &urls(&content.attachments));
        }
        Some(Content::Email(content)) => {
            line("subject", &content.subject);
            line("from", &content.from);
            line("to", &content.to);
            line("cc, bcc", &(&content.cc, &content.bcc));
            line("body", &content.body);
            line("plain text", &content.plain_text);
            line("attachments", &urls(&content.attachments));
        }
        Some(Content::Call(content)) => {
            line("call", &content.outcome);
            line("duration", &content.duration);
            line("recordings", &urls(&content.recordings));
        }
        Some(Content::Voicemail(content)) => line("voicemail", &urls(&content.recordings)),
        Some(Content::InternalComment(content)) => {
            line("comment", &content.text);
            line("author", &content.author);
            line("mentions", &content.mentions);
        }
        Some(Content::PublicComment(content)) => {
            line("comment", &content.text);
            line("channel", &content.channel);
        }
        Some(other) => panic!("no row for {other:?}"),
        None => {}
    }
    if !extra.is_empty() {
        line("extra fields", &extra.keys().collect::<Vec<_>>());
    }
    format!("Event::{variant}\n{text}")
}

#[test]
fn events() {
    let mut text = String::new();
    let (mut variants, mut events) = (BTreeSet::new(), BTreeSet::new());
    for (name, json) in examples() {
        let verified = receive(&json);
        events.insert(variant(verified.event()));
        variants.insert(verified.event().name().to_owned());
        // A hash would not be readable.
        let id = verified.id().as_str();
        let dedup_id = if id.starts_with(r#"["body","#) { "hash of the body" } else { id };
        write!(text, "{name}\n  {}  dedup id     {dedup_id}\n\n", show(verified.event())).expect("written");
    }
    let expected = [
        "ContactDndUpdate",
        "ConversationUnreadUpdate",
        "ConversationUpdate",
        "INSTALL",
        "InboundMessage",
        "LCEmailStats",
        "OutboundMessage",
        "ProviderOutboundMessage",
        "UNINSTALL",
        "UPDATE",
        "VoiceAiCallEnd",
    ];
    assert_eq!(variants, expected.map(str::to_owned).into(), "every event has an example");
    assert_eq!(
        events,
        crate::webhook_guide::variants("| `Event` | sent when | note |"),
        "the table of docs/webhooks.md"
    );
    crate::snapshots::check("webhook-events", text.trim_end());
}

/// The examples of the spec equal the four events of the reference page.
#[test]
fn examples_in_the_spec_equal_the_events_of_the_reference() {
    let examples = examples();
    for (name, body) in [
        ("message", include_str!("../reference-examples/event-message.json")),
        ("call", include_str!("../reference-examples/event-call.json")),
        ("voicemail", include_str!("../reference-examples/event-voicemail.json")),
        ("email", include_str!("../reference-examples/event-email.json")),
    ] {
        let pointer = format!("/x-webhooks/OutboundMessage/examples/{name}");
        let (_, json) = examples.iter().find(|(found, _)| *found == pointer).expect("an example");
        let published: Value = serde_json::from_str(body).expect("examples are JSON");
        assert_eq!(receive(&published).event(), receive(json).event(), "{name}");
    }
}

/// Returns the name of a content.
fn family(content: &Content<'_>) -> &'static str {
    match content {
        Content::Text(_) => "text",
        Content::Email(_) => "email",
        Content::Call(_) => "call",
        Content::Voicemail(_) => "voicemail",
        Content::InternalComment(_) => "internal comment",
        Content::PublicComment(_) => "public comment",
        _ => "other",
    }
}

/// Returns the fields of an event that its type does not have.
fn unknown_fields(event: &Event) -> &Map<String, Value> {
    match event {
        Event::OutboundMessage(message) => &message.extra,
        Event::InboundMessage(message) => &message.extra,
        Event::ProviderOutboundMessage(message) => &message.extra,
        Event::LcEmailStats(event) => &event.extra,
        Event::ContactDndUpdate(event) => &event.extra,
        other => panic!("no row for {other:?}"),
    }
}

/// Returns the content that the SDK is expected to find in the events of a channel.
fn expected(channel: &str) -> &'static str {
    match channel {
        "Email" => "email",
        "Call" | "IVR_Call" | "Campaign_Call" => "call",
        "Campaign_VoiceMail" => "voicemail",
        "InternalComment" => "internal comment",
        _ => "text",
    }
}

/// The SDK decodes every event that the sandbox sends, without unknown fields, and finds its content.
#[tokio::test]
async fn events_of_the_sandbox_are_decoded() {
    let sandbox = Sandbox::builder().webhook_url("http://127.0.0.1:9").start().await.expect("a sandbox");
    let contact = sandbox.contact_id().to_owned();
    let mut channels = Vec::new();
    for channel in Spec::load().expect("the embedded spec is valid").allowed_values("InboundMessageType") {
        let fields = [("type", json!(channel)), ("message", json!("Hello"))];
        sandbox.simulate_inbound(fields).unwrap_or_else(|error| panic!("{channel}: {error}"));
        channels.push(expected(channel));
    }
    for call in [SimulatedCall::inbound(), SimulatedCall::outbound()] {
        for outcome in
            [SimulatedCallOutcome::Answered, SimulatedCallOutcome::Voicemail, SimulatedCallOutcome::Busy]
        {
            sandbox.simulate_call(call.clone().outcome(outcome)).expect("a call");
            channels.push("call");
        }
    }
    let client = highlevel::Client::builder()
        .base_url(sandbox.base_url())
        .token(sandbox.token())
        .build()
        .expect("a client");
    for kind in [ProviderKind::Sms, ProviderKind::CustomSms, ProviderKind::Email, ProviderKind::Call] {
        let provider = ConversationProvider::new(sandbox.provider_id(kind)).kind(kind);
        sandbox.put_provider(provider.delivery_url("http://127.0.0.1:9")).expect("a provider");
    }
    let through = |kind| json!(sandbox.provider_id(kind));
    let sent = [
        (
            json!({ "type": "SMS", "message": "a", "attachments": ["https://files.example/a.pdf"] }),
            &["text"][..],
        ),
        (
            json!({ "type": "SMS", "message": "a", "conversationProviderId": through(ProviderKind::Sms) }),
            &["text", "text"],
        ),
        (
            json!({ "type": "SMS", "message": "a", "conversationProviderId": through(ProviderKind::CustomSms) }),
            &["text", "text"],
        ),
        (
            json!({
                "type": "Email", "html": "<p>a</p>", "subject": "b", "emailCc": ["c@x.example", "d@x.example"],
                "conversationProviderId": through(ProviderKind::Email),
            }),
            &["email", "email"],
        ),
        (
            json!({
                "type": "Custom", "html": "<p>a</p>", "subject": "b",
                "conversationProviderId": through(ProviderKind::Email),
            }),
            &["email", "email"],
        ),
        (
            json!({
                "type": "InternalComment", "message": "@Bo<userId>u2</userId>", "mentions": ["u2"], "userId": "u1",
            }),
            &["internal comment"],
        ),
    ];
    for (mut body, families) in sent {
        (body["contactId"], body["status"]) = (json!(contact), json!("pending"));
        let request: SendMessageRequest = serde_json::from_value(body.clone()).expect("a request");
        client.messages().send(request).await.unwrap_or_else(|error| panic!("{body}: {error}"));
        channels.extend(families);
    }
    let call = highlevel::OutboundCall::to_contact(&*contact, sandbox.provider_id(ProviderKind::Call))
        .to("+15037081210")
        .status(highlevel::CallStatus::Completed);
    client.calls().add_outbound(call).await.expect("a receipt");
    channels.push("call");
    let email = sandbox.messages().into_iter().find(|message| message.channel == "Email").expect("an email");
    sandbox.simulate_status(&email.id, StatusUpdate::new("read")).expect("a status");
    sandbox.put_contact(Contact::new(&*contact).do_not_disturb(DndChannel::Sms)).expect("a contact");
    channels.extend(["email", "none", "none"]);

    let deliveries = sandbox.deliveries();
    let bodies: Vec<Value> =
        deliveries.iter().map(|each| serde_json::from_slice(&each.body).expect("JSON")).collect();
    assert_eq!(bodies.len(), channels.len(), "{bodies:#?}");
    let mut rows = BTreeSet::new();
    for ((body, delivery), channel) in bodies.iter().zip(&deliveries).zip(channels) {
        let verified = receive(body);
        assert_eq!(verified.event().name(), delivery.event, "{body}");
        let content = verified.event().content();
        assert_eq!(content.as_ref().map_or("none", family), channel, "{body}");
        assert_eq!(*unknown_fields(verified.event()), Map::new(), "{body}");
        if let (Some(content), true) = (content, body.get("messageType").is_some()) {
            let message =
                delivery.message_id.as_deref().and_then(|id| sandbox.message(id)).expect("a message");
            let text = |field: &str| {
                body.get(field).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
            };
            let names = ["messageType", "messageTypeId", "messageTypeString"]
                .map(|field| text(field).unwrap_or_default());
            let [name, id, string] = names;
            rows.insert([message.channel, name, id, string, variant(&content)]);
        }
    }
    assert_eq!(rows, crate::webhook_guide::channels(), "the table of docs/webhooks.md");
}

/// Returns the name of the variant of a value.
fn variant(value: &impl std::fmt::Debug) -> String {
    format!("{value:?}").split(['(', ' ', '{']).next().unwrap_or_default().to_owned()
}
