//! Accepted requests, and requests whose rejection names a correction.

use std::collections::BTreeSet;
use std::time::Duration;

use highlevel_sandbox::Strictness;
use http::StatusCode;
use reqwest::Method;
use serde_json::{Value, json};

use super::rows::{CONTACT, PHONE, call, from, sms, to};
use super::{documented, send, start};
use crate::caller::{INBOUND, OUTBOUND, SEND};
use crate::receiver::Receiver;
use crate::webhooks::{TEST_TIMEOUT, payload};

#[tokio::test]
async fn responses_have_the_fields_of_recordings() {
    let adds: &[&str] = &["conversationId", "messageId", "success", "traceId"];
    let cases: [(&str, Value, &[&str]); 7] = [
        (SEND, sms(), &["conversationId", "messageId", "traceId"]),
        (SEND, to("GMB", json!({ "message": "Hello" })), &["conversationId", "messageIds", "traceId"]),
        (
            SEND,
            to("Email", json!({ "html": "<p>Hello</p>" })),
            &["conversationId", "emailMessageId", "messageId", "traceId"],
        ),
        (INBOUND, from("SMS", json!({ "message": "Hi" })), adds),
        (
            INBOUND,
            from("Live_Chat", json!({ "message": "Hi" })),
            &["contactId", "conversationId", "dateAdded", "messageId", "success", "traceId"],
        ),
        (OUTBOUND, call(CONTACT, json!({ "to": PHONE })), &["conversationId", "messageId", "success"]),
        (INBOUND, call(CONTACT, json!({ "from": PHONE })), &["conversationId", "messageId", "success"]),
    ];
    for (path, body, fields) in cases {
        let sandbox = start(Strictness::Lenient).await;
        let response = send(&sandbox, Method::POST, path, &body).await;
        let found: BTreeSet<&str> = response.body.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(found, fields.iter().copied().collect(), "{body}");
        if let Some(trace_id) = response.body.get("traceId") {
            assert_eq!(*trace_id, *sandbox.requests()[0].id);
        }
    }
    // The reference has more fields.
    let sandbox = start(Strictness::Documented).await;
    let body = documented(&from("SMS", json!({ "message": "Hi" })), INBOUND, &sandbox);
    let response = send(&sandbox, Method::POST, INBOUND, &body).await;
    for field in ["message", "contactId", "dateAdded"] {
        assert!(response.body[field].is_string(), "{field}: {}", response.body);
    }
}

#[tokio::test]
async fn bodies_of_other_clients_keep_their_content() {
    let cases = [
        (
            INBOUND,
            json!({ "type": "SMS", "contactId": CONTACT, "body": "Are you open?", "altId": "line-7" }),
            "Are you open?",
            "body-for-message",
        ),
        (
            SEND,
            to("SMS", json!({ "message": "Hello", "html": null, "emailCc": null, "threadId": null })),
            "Hello",
            "null-fields",
        ),
        (
            SEND,
            to("SMS", json!({ "message": "Hello", "subType": { "value": "SMS" } })),
            "Hello",
            "sub-type-object",
        ),
        (INBOUND, from("SMS", json!({ "message": "Hi", "direction": {} })), "Hi", "direction-object"),
        (
            SEND,
            to("SMS", json!({ "message": "Hello", "scheduledTimestamp": 1_700_000_000.125 })),
            "Hello",
            "fractional-timestamp",
        ),
    ];
    for (path, body, text, rule) in cases {
        let sandbox = start(Strictness::Lenient).await;
        let receiver = Receiver::start(StatusCode::OK).await;
        sandbox.set_webhook_url(&receiver.url).unwrap();
        let response = send(&sandbox, Method::POST, path, &body).await;
        assert_eq!(response.status, 201, "{body}: {}", response.body);
        assert_eq!(sandbox.messages()[0].text(), Some(text), "{body}");
        let tolerated = sandbox.requests()[0].tolerated.clone();
        assert!(tolerated.contains(&rule), "{body}: {tolerated:?}");
        let deliveries = sandbox.wait_for_deliveries(1, TEST_TIMEOUT).await.unwrap();
        assert_eq!(payload(&deliveries[0])["body"], text, "{body}");
    }
}

#[tokio::test]
async fn names_of_events_are_no_types_of_inbound_messages() {
    for strictness in [Strictness::Lenient, Strictness::Documented] {
        let sandbox = start(strictness).await;
        for name in ["InboundMessage", "OutboundMessage", "TYPE_SMS", "TYPE_WHATSAPP", "sms", ""] {
            let fields = json!({
                "message": "Hello", "messageType": "SMS", "direction": "inbound", "dateAdded": "2026-10-03T08:00:00.000Z",
            });
            let body = documented(&from(name, fields), INBOUND, &sandbox);
            let response = send(&sandbox, Method::POST, INBOUND, &body).await;
            assert_eq!(response.status, 422, "{name}: {}", response.body);
            let messages = response.body["message"].as_array().unwrap();
            let about_type = |each: &&Value| each.as_str().unwrap().starts_with("type must be one of");
            let message = messages.iter().find(about_type).and_then(Value::as_str).unwrap();
            for allowed in ["SMS", "Email", "WhatsApp", "Custom", "Live_Chat", "Call"] {
                assert!(message.contains(allowed), "{name}: {message}");
            }
            assert_eq!(sandbox.messages(), [], "{name}");
        }
    }
}

#[tokio::test]
async fn replies_to_an_email_are_in_its_thread() {
    for strictness in [Strictness::Lenient, Strictness::Documented] {
        let sandbox = start(strictness).await;
        let first = to("Email", json!({ "html": "<p>Your quote</p>", "subject": "Quote" }));
        let first = send(&sandbox, Method::POST, SEND, &first).await.body;
        let fields = json!({
            "subType": "Email", "conversationId": first["conversationId"], "locationId": sandbox.location_id(),
            "html": "<p>See you on Monday</p>", "subject": "Re: Quote", "emailMessageId": first["emailMessageId"],
            "emailFrom": "shop@example.org", "emailCc": ["li@example.org"], "userId": "u-31",
        });
        let reply = send(&sandbox, Method::POST, SEND, &to("Email", fields)).await;
        assert_eq!(reply.status, 201, "{strictness}: {}", reply.body);
        let message = |body: &Value| sandbox.message(body["messageId"].as_str().unwrap()).unwrap();
        let (first, reply) = (message(&first), message(&reply.body));
        assert!(reply.thread_id.is_some() && first.id != reply.id, "{strictness}");
        assert_eq!((first.thread_id, first.conversation_id), (reply.thread_id, reply.conversation_id));
    }
}

#[tokio::test]
async fn attachments_on_whatsapp_without_text_fail_later() {
    for strictness in [Strictness::Lenient, Strictness::Documented] {
        let sandbox = start(strictness).await;
        sandbox.set_clock_speed(0.0);
        let receiver = Receiver::start(StatusCode::OK).await;
        sandbox.set_webhook_url(&receiver.url).unwrap();
        let body = to("WhatsApp", json!({ "attachments": ["https://files.example.org/menu.pdf"] }));
        let response = send(&sandbox, Method::POST, SEND, &body).await;
        assert_eq!(response.status, 201, "{strictness}: {}", response.body);
        let id = response.body["messageId"].as_str().unwrap();
        assert_ne!(sandbox.message(id).unwrap().status, "failed");
        let sent = sandbox.wait_for_deliveries(1, TEST_TIMEOUT).await.unwrap().len();
        sandbox.advance_clock(Duration::from_secs(60));
        let deliveries = sandbox.wait_for_deliveries(sent + 1, TEST_TIMEOUT).await.unwrap();
        assert_eq!(payload(&deliveries[sent])["status"], "failed", "{strictness}");
        let last = sandbox.message(id).unwrap().history.pop().unwrap();
        assert_eq!(last.status, "failed");
        assert_eq!(last.error.as_deref(), Some("The parameter text.body is required."));
    }
}
