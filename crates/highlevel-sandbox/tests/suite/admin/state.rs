use reqwest::Method;
use serde_json::{Value, json};

use super::Row;

use crate::conformance::Sandbox;

fn put(path: &'static str, body: Value) -> Row {
    Row::new(Method::PUT, path, body)
}

fn delete(path: &'static str) -> Row {
    Row::new(Method::DELETE, path, None).expects(204)
}

pub(super) fn records(_sandbox: &Sandbox) -> Vec<Row> {
    let message = |status: &str| {
        json!({
            "locationId": "two", "contactId": "c", "conversationId": "v", "direction": "outbound", "channel": "Call",
            "dateAdded": "2026-01-31T09:30:00.000Z", "status": status, "request": {"type": "Call"},
        })
    };
    vec![
        put("locations/two", json!({"name": "Second"})),
        put("locations/two", json!({"companyId": "another"})),
        Row::get("locations?limit=1"),
        Row::get("locations?after={/next}"),
        Row::get("locations/two"),
        Row::get("locations/three").expects(404),
        put("contacts/c", json!({"locationId": "two", "email": "a@example.com", "phone": "+15035550123"})),
        put("contacts/c", json!({"locationId": "two", "id": "d"})).expects(400),
        put("contacts/c", json!({"location": "two"})).expects(400),
        put("contacts/c", json!({})).expects(409),
        put("contacts/d", json!({"locationId": "three"})).expects(409),
        put("contacts/d", json!([])).expects(400),
        Row::get("contacts/c"),
        Row::get("contacts?locationId=two&limit=5"),
        Row::get("contacts?limit=0").expects(400),
        Row::get("contacts?colour=red").expects(400),
        put("conversations/v", json!({"locationId": "two", "contactId": "c"})),
        put("conversations/w", json!({"locationId": "two", "contactId": "c"})).expects(409),
        put("conversations/w", json!({"contactId": "c"})).expects(409),
        Row::get("conversations/v"),
        Row::get("conversations?locationId=two&contactId=c"),
        put("providers/p", json!({"locationId": "two", "deliveryUrl": "http://127.0.0.1:1/deliver"})),
        put("providers/p", json!({"locationId": "two", "deliveryUrl": "https://a.example"})).expects(409),
        Row::get("providers/p"),
        Row::get("providers?locationId=two"),
        put(
            "seed",
            json!({"files": [{
                "id": "f", "locationId": "two", "conversationId": "v", "name": "a.txt", "content": "YQ==",
                "dateAdded": "2026-01-31T09:30:00.000Z",
            }]}),
        )
        .expects(204),
        put("seed", json!({"files": [{"id": "f"}]})).expects(400),
        Row::get("files?locationId=two&limit=1"),
        Row::get("files/f"),
        delete("files/f"),
        Row::get("files/f").expects(404),
        put("messages/m", message("pending")),
        put("messages/m", message("delivered")).expects(409),
        put("messages/n", message("completed")),
        Row::get("messages/m"),
        Row::get(
            "messages?locationId=two&contactId=c&conversationId=v&channel=Call&direction=outbound&order=newest&limit=1",
        ),
        Row::get("messages?after={/next}&order=newest&status=pending&text=CALL"),
        Row::get("messages?after=nothing").expects(400),
        Row::get("messages?order=random").expects(400),
        put("messages/m/status", json!({"callStatus": "busy", "error": "the line was busy"})),
        put("messages/m/status", json!({"status": "completed"})).expects(409),
        put("messages/o/status", json!({"status": "completed"})).expects(404),
        delete("messages/n"),
        delete("messages/n").expects(404),
        delete("providers/p"),
        delete("conversations/v"),
        Row::get("messages/m").expects(404),
        delete("contacts/c"),
    ]
}

pub(super) fn whole(_sandbox: &Sandbox) -> Vec<Row> {
    let seed = json!({
        "contacts": [{"id": "grace", "name": "Grace"}],
        "conversations": [{"id": "with-grace", "contactId": "grace"}],
        "credentials": {"privateIntegrations": [{"token": "pit-2", "locationId": "l1C08ntBrFjLS0elLIYU"}]},
    });
    vec![
        put("seed", seed.clone()).expects(204),
        put("seed", seed).expects(204),
        put("seed", json!({"contact": []})).expects(400),
        put("seed", json!({"conversations": [{"id": "another", "contactId": "grace"}]})).expects(409),
        Row::get("snapshot"),
        put("snapshot", json!({"locations": [{"id": "only"}]})).expects(204),
        Row::get("snapshot"),
        Row::new(Method::POST, "tokens", json!({"locationId": "only"})).expects(201),
        Row::new(Method::POST, "tokens", json!({"locationId": "only", "token": "pit-3"})).expects(201),
        Row::new(Method::POST, "tokens", json!({"locationId": "only", "token": "a b"})).expects(400),
        Row::new(Method::POST, "tokens", json!({"locationId": "gone"})).expects(404),
        Row::new(Method::POST, "reset", None).expects(204),
        Row::new(Method::POST, "tokens", json!({"locationId": "only"})).expects(404),
    ]
}

pub(super) fn events(_sandbox: &Sandbox) -> Vec<Row> {
    vec![
        Row::get("events?heartbeatMs=1000&only=message,delivery"),
        Row::get("events?after=run.7"),
        Row::get("events?after=7").expects(400),
        Row::get("events?heartbeatMs=0").expects(400),
        Row::get("events?only=messages").expects(400),
    ]
}
