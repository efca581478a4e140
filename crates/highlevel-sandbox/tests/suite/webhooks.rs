//! Webhook events.

mod cases;

use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, VerifyingKey};
use highlevel_sandbox::{
    ConversationProvider, DeliveryOutcome, RetrySchedule, SimulatedCall, SimulatedCallOutcome, Spec,
    StatusUpdate, Trigger, WebhookDelivery,
};
use http::StatusCode;
use serde_json::{Value, json};

use crate::caller::{INBOUND, OUTBOUND, SEND, message, post};
use crate::conformance::{Sandbox, StartChecked};
use crate::receiver::Receiver;
use cases::{Case, call_cases, email_cases, text_cases};

/// Ends a run in which something is broken.
pub(crate) const TEST_TIMEOUT: Duration = Duration::from_secs(60);

/// Verifies a signature with the published key, as a receiver does.
pub(crate) fn verify(public_key: &str, signature: &str, body: &[u8]) -> bool {
    let spki = STANDARD.decode(public_key).unwrap();
    let (prefix, key) = spki.split_at(12);
    assert_eq!(prefix, b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00");
    let key = VerifyingKey::from_bytes(key.try_into().unwrap()).unwrap();
    let signature = Signature::from_slice(&STANDARD.decode(signature).unwrap()).unwrap();
    key.verify_strict(body, &signature).is_ok()
}

pub(crate) fn payload(delivery: &WebhookDelivery) -> Value {
    serde_json::from_slice(&delivery.body).unwrap()
}

#[tokio::test]
async fn recorded_events_equal_the_signed_deliveries() {
    let receiver = Receiver::start(StatusCode::NO_CONTENT).await;
    let sandbox = Sandbox::builder().webhook_url(&receiver.url).app_id("app").start_checked().await.unwrap();
    for text in ["first", "second", "Ünïcödé"] {
        let body =
            json!({"type": "SMS", "contactId": sandbox.contact_id(), "message": text, "status": "pending"});
        post(&sandbox, SEND, &body).await;
    }

    let deliveries = sandbox.wait_for_deliveries(3, TEST_TIMEOUT).await.unwrap();

    let events = receiver.events();
    let texts: Vec<Value> = deliveries.iter().map(|delivery| payload(delivery)["body"].clone()).collect();
    assert_eq!(texts, ["first", "second", "Ünïcödé"]);
    let ids: BTreeSet<&str> = deliveries.iter().map(|delivery| delivery.webhook_id.as_str()).collect();
    assert_eq!(ids.len(), 3);
    for (delivery, received) in deliveries.iter().zip(&events) {
        assert_eq!(*delivery.body, *received.body);
        assert_eq!(delivery.header("x-ghl-signature"), Some(&*received.signature));
        assert_eq!(received.content_type, "application/json");
        assert_eq!(delivery.status(), Some(204));
        assert_eq!(delivery.url, receiver.url);
        assert!(verify(sandbox.webhook_public_key(), &received.signature, &received.body));
        assert!(!verify(sandbox.webhook_public_key(), &received.signature, b"{}"));

        let payload = payload(delivery);
        assert_eq!(payload["appId"], "app");
        assert_eq!(payload["webhookId"], *delivery.webhook_id);
        assert_eq!(delivery.webhook_id.as_bytes()[14], b'4', "not a version 4 UUID");
        let timestamp = payload["timestamp"].as_str().unwrap();
        assert!(timestamp.len() == 24 && timestamp.ends_with('Z'), "{timestamp}");
    }
}

#[tokio::test]
async fn every_channel_produces_a_valid_event() {
    let receiver = Receiver::start(StatusCode::OK).await;
    let sandbox = Sandbox::builder().webhook_url(&receiver.url).start_checked().await.unwrap();
    let specification = Spec::load().unwrap();
    for channel in ["FB", "IG"] {
        // The contact opens the chat.
        assert_eq!(post(&sandbox, INBOUND, &message(&sandbox, INBOUND, channel)).await.status, 201);
    }
    let mut bodies = Vec::new();
    for channel in specification.allowed_values("SendMessageType") {
        for status in specification.allowed_values("SendStatus") {
            let mut body = message(&sandbox, SEND, channel);
            body["status"] = json!(status);
            bodies.push((SEND, body, "OutboundMessage"));
        }
    }
    for channel in specification.allowed_values("InboundMessageType") {
        bodies.push((INBOUND, message(&sandbox, INBOUND, channel), "InboundMessage"));
    }
    for status in specification.allowed_values("CallStatus") {
        for (path, event) in [(INBOUND, "InboundMessage"), (OUTBOUND, "OutboundMessage")] {
            let mut body = message(&sandbox, path, "Call");
            body["call"]["status"] = json!(status);
            bodies.push((path, body, event));
        }
    }
    for (path, body, _) in &bodies {
        assert_eq!(post(&sandbox, path, body).await.status, 201, "{body}");
    }

    let deliveries = sandbox.wait_for_deliveries(2 + bodies.len(), TEST_TIMEOUT).await.unwrap();

    for ((_, body, event), delivery) in bodies.iter().zip(&deliveries[2..]) {
        let payload = payload(delivery);
        let schema = specification.event_schema(event).unwrap();
        assert_eq!(specification.validate(schema, &payload), [], "{body} became {payload}");
        assert_eq!(payload["type"], **event, "{body}");
        assert_eq!(delivery.event, *event);
        let direction = if *event == "InboundMessage" { "inbound" } else { "outbound" };
        assert_eq!(payload["direction"], direction, "{body}");
    }
}

#[tokio::test]
async fn events_match_the_documented_examples() {
    let receiver = Receiver::start(StatusCode::OK).await;
    let sandbox = Sandbox::builder().webhook_url(&receiver.url).start_checked().await.unwrap();
    let specification = Spec::load().unwrap();
    let cases = [text_cases(&sandbox), email_cases(&sandbox), call_cases(&sandbox)].concat();
    for (index, Case { path, body, event, example, absent, expected }) in cases.iter().enumerate() {
        post(&sandbox, path, body).await;
        let deliveries = sandbox.wait_for_deliveries(index + 1, TEST_TIMEOUT).await.unwrap();
        let payload = payload(&deliveries[index]);

        assert_eq!(payload["type"], **event, "{body}");
        let example = &specification.document()["components"]["examples"][example]["value"];
        for field in example.as_object().unwrap().keys().filter(|field| !absent.contains(&field.as_str())) {
            assert!(payload.get(field).is_some(), "{body}: {field} is not in {payload}");
        }
        for (field, value) in expected.as_object().unwrap() {
            assert_eq!(payload[field], *value, "{body}: {field}");
        }
        let message = &sandbox.messages()[index];
        assert_eq!(payload["messageId"], *message.id);
        assert_eq!(payload["conversationId"], *message.conversation_id);
        assert_eq!(payload["emailMessageId"].as_str(), message.email_message_id.as_deref());
    }
}

#[tokio::test]
async fn a_failed_delivery_does_not_affect_the_response() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let unreachable = format!("http://{}/", closed.local_addr().unwrap());
    drop(closed);
    let redirecting = Receiver::start(StatusCode::TEMPORARY_REDIRECT).await;
    let failing = Receiver::start(StatusCode::INTERNAL_SERVER_ERROR).await;
    let sandbox = Sandbox::builder().retry_schedule(RetrySchedule::None).start_checked().await.unwrap();
    let send =
        json!({"type": "SMS", "contactId": sandbox.contact_id(), "status": "pending", "message": "Hello"});
    let urls = [(&unreachable, None), (&redirecting.url, Some(307)), (&failing.url, Some(500))];

    // Without a URL no event is sent.
    assert_eq!(post(&sandbox, SEND, &send).await.status, 201);
    for (url, _) in urls {
        sandbox.set_webhook_url(url).unwrap();
        assert_eq!(post(&sandbox, SEND, &send).await.status, 201);
    }

    let deliveries = sandbox.wait_for_deliveries(urls.len(), TEST_TIMEOUT).await.unwrap();
    assert_eq!(deliveries.len(), urls.len());
    for (delivery, (url, status)) in deliveries.iter().zip(urls) {
        assert_eq!(delivery.url, *url);
        assert_eq!(delivery.status(), status);
    }
    assert_eq!((redirecting.events().len(), failing.events().len()), (1, 1));
    let DeliveryOutcome::Failed { reason, .. } = &deliveries[0].last().unwrap().outcome else {
        unreachable!()
    };
    assert!(reason.contains("refused"), "{reason}");
}

#[tokio::test]
async fn waiting_for_deliveries_times_out_and_invalid_urls_are_rejected() {
    let sandbox = Sandbox::start().await.unwrap();
    let error = sandbox.wait_for_deliveries(1, Duration::from_millis(1)).await.unwrap_err();
    assert_eq!(error.to_string(), "0 of 1 webhook deliveries ended in time; is a webhook URL set?");
    assert_eq!(sandbox.wait_for_deliveries(0, Duration::ZERO).await.unwrap(), []);
    assert!(sandbox.set_webhook_url("ftp://a.example").is_err());
}

/// Returns the documented examples with the ids of a sandbox.
#[tokio::test]
async fn every_event_can_be_triggered() {
    let receiver = Receiver::start(StatusCode::OK).await;
    let provider = Receiver::start(StatusCode::OK).await;
    let sandbox = Sandbox::builder().webhook_url(&receiver.url).app_id("app").start_checked().await.unwrap();
    let id = sandbox.conversation_provider_id();
    sandbox.put_provider(ConversationProvider::new(id).delivery_url(&provider.url)).unwrap();
    let specification = Spec::load().unwrap();
    let document = specification.document();
    let mut sent = 0;
    for (event, definition) in document["x-webhooks"].as_object().unwrap() {
        let schema = specification.event_schema(event).unwrap();
        for (name, example) in definition["examples"].as_object().unwrap() {
            let delivery = sandbox.trigger(&Trigger::new(event).example(name)).unwrap();
            sent += 1;
            let payload = payload(&delivery);
            assert_eq!(specification.validate(schema, &payload), [], "{event} {name}: {payload}");
            let pointer = example["$ref"].as_str().unwrap().trim_start_matches('#');
            let generated = ["timestamp", "webhookId", "appId", "versionId"];
            for (field, value) in document.pointer(pointer).unwrap()["value"].as_object().unwrap() {
                assert!(
                    generated.contains(&field.as_str()) || payload[field] == *value,
                    "{event} {name}: {field}"
                );
            }
            let (url, app) = match event.as_str() {
                "ProviderOutboundMessage" => (&provider.url, Value::Null),
                _ => (&receiver.url, json!("app")),
            };
            assert_eq!((&delivery.url, &payload["appId"]), (url, &app), "{event} {name}");
            assert_eq!(payload["webhookId"], *delivery.webhook_id);
        }
    }
    let trigger = Trigger::new("INSTALL").field("trial", json!({"onTrial": false})).field("userId", ());
    let merged = payload(&sandbox.trigger(&trigger).unwrap());
    assert_eq!(merged["trial"]["onTrial"], false);
    assert_eq!(merged["trial"]["trialDuration"], 10);
    assert_eq!(merged.get("userId"), None);
    let sms = payload(&sandbox.trigger(&Trigger::new("OutboundMessage")).unwrap());
    assert_eq!(sms["messageType"], "SMS");

    for delivery in sandbox.wait_for_deliveries(sent + 2, TEST_TIMEOUT).await.unwrap() {
        assert_eq!(delivery.status(), Some(200));
        let signature = delivery.header("x-ghl-signature").unwrap();
        assert!(verify(sandbox.webhook_public_key(), signature, &delivery.body));
    }
    assert_eq!(receiver.events().len() + provider.events().len(), sent + 2);
}

#[tokio::test]
async fn errors_of_invalid_triggers_name_the_fix() {
    let sandbox = Sandbox::start().await.unwrap();
    let cases = [
        (
            Trigger::new("INSTALL"),
            "no webhook URL is set: start the sandbox with `--webhook-url URL`, set one with PATCH /_sandbox/webhooks \
             {\"url\": \"URL\"}, or pass one for this event (`--to URL`",
        ),
        (
            Trigger::new("ProviderOutboundMessage"),
            "no conversation provider has a delivery URL: set the `deliveryUrl` of one",
        ),
        (
            Trigger::new("Install").url("http://127.0.0.1:9/"),
            "unknown event \"Install\"; known events: ContactDndUpdate,",
        ),
        (
            Trigger::new("OutboundMessage").example("fax").url("http://127.0.0.1:9/"),
            "OutboundMessage has no example \"fax\"; known examples: addedCall, call, email, internalComment, message, voicemail",
        ),
        (Trigger::new("INSTALL").url("https://a.example"), "invalid webhook URL `https://a.example`"),
    ];
    for (trigger, words) in cases {
        let error = sandbox.trigger(&trigger).unwrap_err();
        assert!(error.to_string().starts_with(words), "{error}");
    }
    assert_eq!(sandbox.deliveries(), []);
}

/// A message through a conversation provider is also sent to its delivery URL, in the documented shape.
#[tokio::test]
async fn messages_of_a_provider_are_sent_to_its_delivery_url() {
    let app = Receiver::start(StatusCode::OK).await;
    let delivery_url = Receiver::start(StatusCode::OK).await;
    let sandbox = Sandbox::builder().webhook_url(&app.url).start_checked().await.unwrap();
    let provider = sandbox.conversation_provider_id();
    sandbox.put_provider(ConversationProvider::new(provider).delivery_url(&delivery_url.url)).unwrap();
    let contact = sandbox.contact_id();
    let inbound = json!({
        "type": "SMS", "contactId": contact, "conversationProviderId": provider, "altId": "their-1", "message": "Hi",
    });
    let asked = post(&sandbox, INBOUND, &inbound).await.body["messageId"].clone();
    let sms = json!({
        "type": "SMS", "contactId": contact, "conversationProviderId": provider, "message": "Your table is ready",
        "userId": "xsmF1xxhmC92ZpL1lj7aLa", "replyMessageId": asked, "status": "pending",
    });
    let email = json!({
        "type": "Email", "contactId": contact, "conversationProviderId": provider, "html": "<p>Thank you!</p>",
        "subject": "Order confirmed", "emailFrom": "Front desk <desk@company.com>", "status": "pending",
        "attachments": ["https://storage.com/file1.pdf"],
    });
    let sent = post(&sandbox, SEND, &sms).await.body;
    let mailed = post(&sandbox, SEND, &email).await.body;
    // The provider delivers none of these: without a provider, of another channel, or recorded only.
    for (path, body) in [
        (SEND, json!({"type": "SMS", "contactId": contact, "status": "pending", "message": "Hello"})),
        (
            SEND,
            json!({"type": "WhatsApp", "contactId": contact, "conversationProviderId": provider, "status": "pending", "message": "Hello"}),
        ),
        (
            INBOUND,
            json!({
                "type": "SMS", "contactId": contact, "conversationProviderId": provider, "direction": "outbound",
                "message": "Hello",
            }),
        ),
        (
            OUTBOUND,
            json!({
                "type": "Call", "contactId": contact, "conversationProviderId": provider,
                "call": {"to": "+15037081210"},
            }),
        ),
    ] {
        assert_eq!(post(&sandbox, path, &body).await.status, 201, "{body}");
    }

    let deliveries = sandbox.wait_for_deliveries(9, TEST_TIMEOUT).await.unwrap();
    let asked: Vec<_> =
        deliveries.iter().filter(|delivery| delivery.event == "ProviderOutboundMessage").collect();
    assert_eq!((asked.len(), delivery_url.events().len(), app.events().len()), (2, 2, 7));
    let specification = Spec::load().unwrap();
    for delivery in &asked {
        assert_eq!(specification.validate("ProviderOutboundMessage", &payload(delivery)), []);
        assert_eq!(delivery.url, delivery_url.url);
    }
    let envelope = |delivery: &WebhookDelivery| {
        let mut payload = payload(delivery);
        for field in ["webhookId", "timestamp"] {
            assert!(payload.as_object_mut().unwrap().remove(field).is_some(), "{field}");
        }
        payload
    };
    assert_eq!(
        envelope(asked[0]),
        json!({
            "type": "SMS", "contactId": contact, "locationId": sandbox.location_id(), "messageId": sent["messageId"],
            "conversationId": sandbox.conversation_id(), "conversationProviderId": provider, "customUserId": "",
            "from": "+15035550100", "attachments": [], "message": "Your table is ready", "phone": "+15037081210",
            "userId": "xsmF1xxhmC92ZpL1lj7aLa", "replyToAltId": "their-1",
        })
    );
    assert_eq!(
        envelope(asked[1]),
        json!({
            "type": "Email", "contactId": contact, "locationId": sandbox.location_id(),
            "conversationId": sandbox.conversation_id(), "conversationProviderId": provider, "customUserId": "",
            "from": "Front desk <desk@company.com>", "messageId": mailed["messageId"], "emailMessageId": mailed["emailMessageId"],
            "attachments": ["https://storage.com/file1.pdf"], "emailTo": ["ada@example.com"],
            "emailFrom": "Front desk <desk@company.com>", "html": "<p>Thank you!</p>", "subject": "Order confirmed",
        })
    );
}

#[tokio::test]
async fn simulated_messages_and_calls_are_stored_and_delivered() {
    let receiver = Receiver::start(StatusCode::OK).await;
    let sandbox = Sandbox::builder().webhook_url(&receiver.url).start_checked().await.unwrap();
    let recording = "https://example.com/a.mp3";
    let minute = Duration::from_secs(90);
    let call = |call: SimulatedCall| sandbox.simulate_call(call).unwrap();
    let messages = [
        sandbox.simulate_inbound([]).unwrap(),
        sandbox.simulate_inbound([("type", "WhatsApp".into()), ("message", "Hi".into())]).unwrap(),
        sandbox.simulate_inbound([("type", "Email".into()), ("html", "<p>Hi</p>".into())]).unwrap(),
        call(SimulatedCall::inbound().duration(minute).recording(recording).user("xsmF1xxhmC92ZpL1lj7aLa")),
        call(SimulatedCall::inbound().outcome(SimulatedCallOutcome::Voicemail)),
        call(SimulatedCall::outbound()),
        call(SimulatedCall::outbound().outcome(SimulatedCallOutcome::Voicemail)),
        call(SimulatedCall::outbound().outcome(SimulatedCallOutcome::NoAnswer)),
    ];
    assert_eq!(sandbox.messages(), messages);
    assert!(sandbox.requests().is_empty(), "no request was sent");
    let expected = [
        json!({"type": "InboundMessage", "messageType": "SMS", "direction": "inbound", "status": "delivered"}),
        json!({"type": "InboundMessage", "messageTypeString": "TYPE_WHATSAPP", "body": "Hi"}),
        json!({"type": "InboundMessage", "messageType": "Email", "body": "<p>Hi</p>", "from": "ada@example.com"}),
        json!({
            "type": "InboundMessage", "messageType": "CALL", "status": "completed", "callStatus": "completed",
            "callDuration": 90, "attachments": [recording], "userId": "xsmF1xxhmC92ZpL1lj7aLa",
        }),
        json!({
            "type": "InboundMessage", "messageType": "CALL", "status": "voicemail",
            "messageTypeString": "TYPE_VOICEMAIL",
        }),
        json!({
            "type": "OutboundMessage", "messageType": "CALL", "status": "completed", "callStatus": "completed",
            "callDuration": 60,
        }),
        json!({
            "type": "OutboundMessage", "messageType": "CALL", "status": "completed", "callStatus": "voicemail",
        }),
        json!({
            "type": "OutboundMessage", "messageType": "CALL", "status": "failed", "callStatus": "no-answer",
        }),
    ];
    let deliveries = sandbox.wait_for_deliveries(expected.len(), TEST_TIMEOUT).await.unwrap();
    let specification = Spec::load().unwrap();
    for ((delivery, message), expected) in deliveries.iter().zip(&messages).zip(&expected) {
        let payload = payload(delivery);
        assert_eq!(specification.validate(&delivery.event, &payload), [], "{payload}");
        assert_eq!(payload["messageId"], *message.id);
        for (field, value) in expected.as_object().unwrap() {
            assert_eq!(payload[field], *value, "{field} of {payload}");
        }
    }
}

#[tokio::test]
async fn simulated_status_changes_are_stored_and_delivered() {
    let receiver = Receiver::start(StatusCode::OK).await;
    let sandbox = Sandbox::builder().webhook_url(&receiver.url).start_checked().await.unwrap();
    let send =
        json!({"type": "SMS", "contactId": sandbox.contact_id(), "status": "pending", "message": "Hello"});
    let id = post(&sandbox, SEND, &send).await.body["messageId"].as_str().unwrap().to_owned();

    let message = sandbox.simulate_status(&id, StatusUpdate::new("delivered")).unwrap();

    assert_eq!(sandbox.messages(), [message]);
    let deliveries = sandbox.wait_for_deliveries(2, TEST_TIMEOUT).await.unwrap();
    let statuses: Vec<Value> =
        deliveries.iter().map(|delivery| payload(delivery)["status"].clone()).collect();
    assert_eq!(statuses, ["pending", "delivered"]);
    assert_ne!(deliveries[0].webhook_id, deliveries[1].webhook_id);
    assert_eq!(deliveries[0].message_id, deliveries[1].message_id);

    let rejected = [
        (sandbox.simulate_status("unknown", StatusUpdate::new("read")), "there is no message"),
        (
            sandbox.simulate_inbound([("contactId", "unknown".into())]),
            "contact or conversation \"unknown\" does not exist",
        ),
        (sandbox.simulate_inbound([("type", "Fax".into())]), "found \"Fax\" (at /type)"),
        (
            sandbox.simulate_call(SimulatedCall::inbound().provider("unknown")),
            "conversationProviderId: conversation provider \"unknown\" does not exist",
        ),
    ];
    for (result, words) in rejected {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    assert_eq!(sandbox.messages().len(), 1);
}

/// Events follow the order of the changes, even if a client changes a status as soon as it sees the message.
#[tokio::test]
async fn status_events_are_delivered_in_order() {
    let sandbox = Sandbox::builder().webhook_url("http://127.0.0.1:9").start_checked().await.unwrap();
    let send =
        json!({"type": "SMS", "contactId": sandbox.contact_id(), "status": "pending", "message": "Hello"});
    let set = |id: &str, status: &str| sandbox.simulate_status(id, StatusUpdate::new(status));
    for _ in 0..200 {
        let id = post(&sandbox, SEND, &send).await.body["messageId"].as_str().unwrap().to_owned();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while sandbox.message(&id).is_none_or(|message| message.status != "delivered") {}
                set(&id, "read").unwrap();
            });
            set(&id, "delivered").unwrap();
        });
        let published = sandbox.deliveries().into_iter().filter(|each| each.message_id.as_ref() == Some(&id));
        let published: Vec<Value> = published.map(|delivery| payload(&delivery)["status"].clone()).collect();
        assert_eq!(published, ["pending", "delivered", "read"], "{id}");
    }
}

#[tokio::test]
async fn hanging_targets_do_not_delay_other_events() {
    const HANGING: usize = 40;
    let receiver = Receiver::start(StatusCode::OK).await;
    let sandbox = Sandbox::builder().webhook_timeout(Duration::from_secs(600)).start_checked().await.unwrap();
    let listeners: Vec<_> =
        (0..HANGING).map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    // More for each target than may be in progress.
    for _ in 0..10 {
        for listener in &listeners {
            let url = format!("http://{}/", listener.local_addr().unwrap());
            sandbox.trigger(&Trigger::new("INSTALL").url(url)).unwrap();
        }
    }
    // By then the hanging targets are known.
    tokio::time::sleep(Duration::from_secs(2)).await;
    for number in 1..=20 {
        let event = sandbox.trigger(&Trigger::new("INSTALL").url(&receiver.url)).unwrap();
        sandbox.wait_for_attempts(number, TEST_TIMEOUT).await.unwrap();
        assert_eq!(sandbox.delivery(event.id).unwrap().status(), Some(200), "{number}");
    }
    // None of the other deliveries has ended.
    let ended = sandbox.deliveries().iter().filter(|delivery| !delivery.attempts.is_empty()).count();
    assert_eq!(ended, 20);
}
