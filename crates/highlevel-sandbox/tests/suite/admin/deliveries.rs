use highlevel_sandbox::{Sandbox, Trigger};
use reqwest::Method;
use serde_json::json;

use super::Row;

/// A port at which nobody listens: what is sent is given up, and each attempt says why.
const NOBODY: &str = "http://127.0.0.1:9/";

pub(super) fn rows(sandbox: &Sandbox) -> Vec<Row> {
    sandbox.set_webhook_url(NOBODY).unwrap();
    sandbox.trigger(&Trigger::new("INSTALL")).unwrap();
    // Only what has ended can be replayed. The sandbox has a thread of its own, so it goes on meanwhile.
    while sandbox.deliveries()[0].attempts.is_empty() {
        std::thread::yield_now();
    }
    let post = |path, body| Row::new(Method::POST, path, Some(body));
    vec![
        post("deliveries/1/replay", json!({})).answers(202),
        post("deliveries/1/replay", json!({"attempt": 1, "body": "{}", "signed": true})).answers(202),
        Row::get("webhooks"),
        Row::new(Method::PATCH, "webhooks", json!({"retries": "custom", "waitsMs": [1000, 5000]})),
        Row::new(Method::PATCH, "webhooks", json!({"retries": "custom"})).answers(400),
        Row::new(Method::PATCH, "webhooks", json!({"retries": "custom", "waitsMs": vec![0; 100]})),
        Row::new(Method::PATCH, "webhooks", json!({"retries": "custom", "waitsMs": vec![0; 101]}))
            .answers(400),
        Row::new(Method::PATCH, "webhooks", json!({"retries": "custom", "waitsMs": [315_360_000_000_u64]})),
        Row::new(Method::PATCH, "webhooks", json!({"retries": "custom", "waitsMs": [u64::MAX]})).answers(400),
        Row::new(Method::PATCH, "webhooks", json!({"url": "https://a.example"})).answers(400),
        Row::new(Method::PATCH, "webhooks", json!({"retries": "none", "url": NOBODY})),
        Row::get("webhooks/keys"),
        Row::new(Method::POST, "webhooks/keys", None).answers(201),
        Row::new(
            Method::PUT,
            "webhooks/tamper",
            json!({"mode": "wrongKey", "next": [{"mode": "reordered", "attempts": 2}]}),
        ),
        Row::get("webhooks/tamper"),
        Row::new(Method::PUT, "webhooks/tamper", json!({"mode": "unfriendly"})).answers(400),
        Row::new(Method::DELETE, "webhooks/tamper", None).answers(204),
        post("events/trigger", json!({"event": "INSTALL"})).answers(201),
        Row::get("deliveries?event=INSTALL&state=pending&limit=5&before=9"),
        Row::get("deliveries"),
        Row::get("deliveries/{/deliveries/0/id}"),
        post("deliveries/1/resend", json!({})).answers(202),
        post("deliveries/1/resend", json!({"tamperMode": "oldKey"})).answers(202),
        post("deliveries/99/resend", json!({})).answers(404),
        Row::get("deliveries?before=none").answers(400),
        Row::get("deliveries/99").answers(404),
        Row::get("deliveries/first").answers(404),
        post("deliveries/1/replay", json!({"attempt": 99})).answers(404),
        Row::new(Method::PATCH, "webhooks", json!({"url": null})),
        post("events/trigger", json!({"event": "INSTALL"})).answers(400),
    ]
}

pub(super) fn events(sandbox: &Sandbox) -> Vec<Row> {
    sandbox.set_webhook_url(NOBODY).unwrap();
    let post = |path, body| Row::new(Method::POST, path, Some(body));
    let trigger =
        json!({"event": "OutboundMessage", "example": "call", "fields": {"callDuration": 5}, "url": NOBODY});
    let call = json!({
        "direction": "outbound", "outcome": "no-answer", "contactId": "abc123def456", "durationSeconds": 0,
        "conversationProviderId": "61d6d1f9cdac7612faf80753", "recordings": ["https://a.example/a.mp3"],
        "from": "+15037081210", "to": "+15037081211", "userId": "xsmF1xxhmC92ZpL1lj7aLa",
    });
    vec![
        post("events/trigger", trigger).answers(201),
        post("events/trigger", json!({"event": "Install"})).answers(400),
        post("simulate/call", call).answers(201),
        post("simulate/call", json!({"direction": "inbound", "outcome": "sleepy"})).answers(400),
        post("simulate/inbound", json!({})).answers(201),
        post("simulate/inbound", json!({"type": "IG", "message": "Hi"})).answers(201),
        post("simulate/inbound", json!({"contactId": "nobody"})).answers(404),
        post("simulate/inbound", json!({"type": "SMS", "contactId": 5})).answers(400),
        post("simulate/call", json!({"direction": "inbound", "outcome": "pending"})).answers(201),
        post("simulate/status", json!({"messageId": "{/id}", "callStatus": "completed"})),
        post("simulate/status", json!({"messageId": "nobody", "status": "read"})).answers(404),
    ]
}
