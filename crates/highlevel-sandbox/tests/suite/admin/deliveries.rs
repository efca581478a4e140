use highlevel_sandbox::Trigger;
use reqwest::Method;
use serde_json::json;

use super::Row;

use crate::conformance::Sandbox;

/// A port without a listener: each attempt fails with a reason, and the delivery is given up.
const CLOSED_PORT: &str = "http://127.0.0.1:9/";

pub(super) fn rows(sandbox: &Sandbox) -> Vec<Row> {
    sandbox.set_webhook_url(CLOSED_PORT).unwrap();
    sandbox.trigger(&Trigger::new("INSTALL")).unwrap();
    // Only an attempt that has ended can be replayed. The sandbox runs on a separate thread, so it continues meanwhile.
    while sandbox.deliveries()[0].attempts.is_empty() {
        std::thread::yield_now();
    }
    let post = |path, body| Row::new(Method::POST, path, Some(body));
    vec![
        post("deliveries/1/replay", json!({})).expects(202),
        post("deliveries/1/replay", json!({"attempt": 1, "body": "{}", "signed": true})).expects(202),
        Row::get("webhooks"),
        Row::new(Method::PATCH, "webhooks", json!({"retries": "custom", "waitsMs": [1000, 5000]})),
        Row::new(Method::PATCH, "webhooks", json!({"retries": "custom"})).expects(400),
        Row::new(Method::PATCH, "webhooks", json!({"retries": "custom", "waitsMs": vec![0; 100]})),
        Row::new(Method::PATCH, "webhooks", json!({"retries": "custom", "waitsMs": vec![0; 101]}))
            .expects(400),
        Row::new(Method::PATCH, "webhooks", json!({"retries": "custom", "waitsMs": [315_360_000_000_u64]})),
        Row::new(Method::PATCH, "webhooks", json!({"retries": "custom", "waitsMs": [u64::MAX]})).expects(400),
        Row::new(Method::PATCH, "webhooks", json!({"url": "https://a.example"})).expects(400),
        Row::new(Method::PATCH, "webhooks", json!({"retries": "none", "url": CLOSED_PORT})),
        Row::get("webhooks/keys"),
        Row::new(Method::POST, "webhooks/keys", None).expects(201),
        Row::new(
            Method::PUT,
            "webhooks/tamper",
            json!({"mode": "wrongKey", "next": [{"mode": "reordered", "attempts": 2}]}),
        ),
        Row::get("webhooks/tamper"),
        Row::new(Method::PUT, "webhooks/tamper", json!({"mode": "unfriendly"})).expects(400),
        Row::new(Method::DELETE, "webhooks/tamper", None).expects(204),
        post("events/trigger", json!({"event": "INSTALL"})).expects(201),
        Row::get("deliveries?event=INSTALL&state=pending&limit=5&before=9"),
        Row::get("deliveries"),
        Row::get("deliveries/{/deliveries/0/id}"),
        post("deliveries/1/resend", json!({})).expects(202),
        post("deliveries/1/resend", json!({"tamperMode": "oldKey"})).expects(202),
        post("deliveries/99/resend", json!({})).expects(404),
        Row::get("deliveries?before=none").expects(400),
        Row::get("deliveries/99").expects(404),
        Row::get("deliveries/first").expects(404),
        post("deliveries/1/replay", json!({"attempt": 99})).expects(404),
        Row::new(Method::PATCH, "webhooks", json!({"url": null})),
        post("events/trigger", json!({"event": "INSTALL"})).expects(400),
    ]
}

pub(super) fn events(sandbox: &Sandbox) -> Vec<Row> {
    sandbox.set_webhook_url(CLOSED_PORT).unwrap();
    let post = |path, body| Row::new(Method::POST, path, Some(body));
    let trigger = json!({"event": "OutboundMessage", "example": "call", "fields": {"callDuration": 5}, "url": CLOSED_PORT});
    let call = json!({
        "direction": "outbound", "outcome": "no-answer", "contactId": "abc123def456", "durationSeconds": 0,
        "conversationProviderId": "61d6d1f9cdac7612faf80753", "recordings": ["https://a.example/a.mp3"],
        "from": "+15035550100", "to": "+15037081210", "userId": "xsmF1xxhmC92ZpL1lj7aLa",
    });
    vec![
        post("events/trigger", trigger).expects(201),
        post("events/trigger", json!({"event": "Install"})).expects(400),
        post("simulate/call", call).expects(201),
        post("simulate/call", json!({"direction": "inbound", "outcome": "sleepy"})).expects(400),
        post("simulate/inbound", json!({})).expects(201),
        post("simulate/inbound", json!({"type": "IG", "message": "Hi"})).expects(201),
        post("simulate/inbound", json!({"contactId": "unknown"})).expects(404),
        post("simulate/inbound", json!({"type": "SMS", "contactId": 5})).expects(400),
        post("simulate/call", json!({"direction": "inbound", "outcome": "pending"})).expects(201),
        post("simulate/status", json!({"messageId": "{/id}", "callStatus": "completed"})),
        post("simulate/status", json!({"messageId": "unknown", "status": "read"})).expects(404),
    ]
}
