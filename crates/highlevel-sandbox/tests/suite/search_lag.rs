//! The quirk `search-index-lag`, on the sandbox's clock.

use std::time::Duration;

use highlevel_sandbox::{Contact, Quirk};
use reqwest::Method;
use serde_json::{Value, json};

use crate::caller::{SEND, bare, call, post};
use crate::conformance::{Sandbox, StartChecked};

/// Starts a sandbox whose clock is paused.
async fn start(quirk: Option<Quirk>) -> Sandbox {
    let builder = Sandbox::builder();
    let sandbox = match quirk {
        Some(quirk) => builder.quirk(quirk),
        None => builder,
    };
    let sandbox = sandbox.start_checked().await.unwrap();
    sandbox.set_clock_speed(0.0);
    sandbox
}

/// Returns the names of the contacts that a search finds, in alphabetical order.
async fn contacts(sandbox: &Sandbox, text: &str) -> Vec<String> {
    let body = json!({"locationId": sandbox.location_id(), "query": text, "pageLimit": 100});
    let found = post(sandbox, "/contacts/search", &body).await.body;
    let name = |contact: &Value| contact["contactName"].as_str().unwrap().to_owned();
    let mut names: Vec<String> = found["contacts"].as_array().unwrap().iter().map(name).collect();
    names.sort_unstable();
    names
}

/// Returns the last messages of the conversations that a search finds.
async fn conversations(sandbox: &Sandbox, query: &str) -> Vec<String> {
    let path = format!("/conversations/search?locationId={}&{query}", sandbox.location_id());
    let found = call(sandbox, Method::GET, &path, None).await.body;
    let last = |conversation: &Value| conversation["lastMessageBody"].as_str().unwrap_or("-").to_owned();
    found["conversations"].as_array().unwrap().iter().map(last).collect()
}

async fn create(sandbox: &Sandbox, fields: Value) -> String {
    let mut body = fields;
    body["locationId"] = json!(sandbox.location_id());
    let created = post(sandbox, "/contacts/", &body).await.body;
    created["contact"]["id"].as_str().unwrap_or_else(|| panic!("{created}")).to_owned()
}

async fn send(sandbox: &Sandbox, contact: &str, text: &str) -> Value {
    let message = json!({"type": "SMS", "contactId": contact, "message": text, "status": "pending"});
    post(sandbox, SEND, &message).await.body
}

#[tokio::test]
async fn without_the_quirk_records_are_found_at_once() {
    let sandbox = start(None).await;
    let id = create(&sandbox, json!({"name": "Barbara", "phone": "+15035550177"})).await;
    send(&sandbox, &id, "Hello").await;
    assert_eq!(contacts(&sandbox, "5550177").await, ["barbara"]);
    assert_eq!(conversations(&sandbox, &format!("contactId={id}")).await, ["Hello"]);
}

#[tokio::test]
async fn new_records_are_found_after_the_lag_and_read_by_id_at_once() {
    let sandbox = start(Some(Quirk::SearchIndexLag)).await;
    let id = create(&sandbox, json!({"name": "Barbara", "phone": "+15035550177"})).await;
    let conversation = send(&sandbox, &id, "Hello").await["conversationId"].as_str().unwrap().to_owned();
    let by_contact = format!("contactId={id}");
    for path in [format!("/contacts/{id}"), format!("/conversations/{conversation}")] {
        assert_eq!(call(&sandbox, Method::GET, &path, None).await.status, 200, "{path}");
    }
    let listed = call(&sandbox, Method::GET, &format!("/conversations/{conversation}/messages"), None).await;
    assert_eq!(listed.body["messages"]["messages"][0]["body"], "Hello", "{}", listed.body);
    let path =
        format!("/contacts/search/duplicate?locationId={}&number=%2B15035550177", sandbox.location_id());
    assert_eq!(call(&sandbox, Method::GET, &path, None).await.body["contact"]["id"], json!(id));

    for (advance, is_found) in [(0, false), (4_999, false), (1, true)] {
        sandbox.advance_clock(Duration::from_millis(advance));
        assert_eq!(contacts(&sandbox, "5550177").await.len(), usize::from(is_found), "{advance}");
        assert_eq!(conversations(&sandbox, &by_contact).await.len(), usize::from(is_found), "{advance}");
        let quirks: Vec<_> = sandbox.requests().into_iter().rev().take(2).map(|each| each.quirk).collect();
        assert_eq!(quirks, [(!is_found).then_some("search-index-lag"); 2], "{advance}");
    }
}

#[tokio::test]
async fn changed_records_are_found_by_their_previous_fields_until_the_lag_has_passed() {
    let sandbox = start(Some(Quirk::SearchIndexLag)).await;
    sandbox.set_settings(sandbox.settings().search_lag(Duration::from_millis(200)));
    let id = create(&sandbox, json!({"name": "Barbara", "phone": "+15035550177"})).await;
    send(&sandbox, &id, "First").await;
    sandbox.advance_clock(Duration::from_millis(200));
    let by_phone = |phone: &'static str| contacts(&sandbox, phone);
    assert_eq!(by_phone("5550177").await, ["barbara"]);

    for phone in ["+15035550178", "+15035550179"] {
        let changed =
            call(&sandbox, Method::PUT, &format!("/contacts/{id}"), Some(&json!({"phone": phone}))).await;
        assert_eq!(changed.status, 200, "{}", changed.body);
    }
    send(&sandbox, &id, "Second").await;
    let conversation = |phone: &str| format!("query={phone}");
    assert_eq!(by_phone("5550177").await, ["barbara"]);
    assert_eq!(by_phone("555017").await, ["barbara"], "it is found once");
    assert!(by_phone("5550179").await.is_empty());
    assert_eq!(conversations(&sandbox, &conversation("5550177")).await, ["First"]);
    assert!(conversations(&sandbox, &conversation("5550179")).await.is_empty());
    let read = call(&sandbox, Method::GET, &format!("/contacts/{id}"), None).await;
    assert_eq!(read.body["contact"]["phone"], "+15035550179");

    sandbox.advance_clock(Duration::from_millis(200));
    assert_eq!(by_phone("5550179").await, ["barbara"]);
    assert!(by_phone("5550177").await.is_empty());
    assert_eq!(conversations(&sandbox, &conversation("5550179")).await, ["Second"]);

    // A deleted record disappears at once, and so does the delay if the quirk is disabled.
    create(&sandbox, json!({"name": "Grete", "email": "grete@example.com"})).await;
    assert!(contacts(&sandbox, "grete").await.is_empty());
    sandbox.set_settings(sandbox.settings().without_quirk(Quirk::SearchIndexLag));
    assert_eq!(contacts(&sandbox, "grete").await, ["grete"]);
    sandbox.delete_contact(&id);
    assert!(contacts(&sandbox, "barbara").await.is_empty());
}

#[tokio::test]
async fn the_lag_is_changed_by_the_admin_api_and_reset() {
    let sandbox = start(Some(Quirk::SearchIndexLag)).await;
    let settings = "/_sandbox/settings";
    let change = bare(&sandbox, Method::PATCH, settings).json(&json!({"searchLagMs": 60_000}));
    let changed: Value = change.send().await.unwrap().json().await.unwrap();
    assert_eq!(changed["searchLagMs"], 60_000, "{changed}");
    sandbox.put_contact(Contact::new("barbara").name("Barbara")).unwrap();
    sandbox.advance_clock(Duration::from_secs(59));
    assert!(contacts(&sandbox, "barbara").await.is_empty());
    sandbox.advance_clock(Duration::from_secs(1));
    assert_eq!(contacts(&sandbox, "barbara").await, ["barbara"]);
    for wrong in
        [json!({"searchLagMs": -1}), json!({"searchLagMs": "5"}), json!({"searchLagMs": 4_294_967_296_u64})]
    {
        let response = bare(&sandbox, Method::PATCH, settings).json(&wrong).send().await.unwrap();
        assert_eq!(response.status(), 400, "{wrong}");
    }
    sandbox.reset().unwrap();
    assert_eq!(sandbox.settings(), highlevel_sandbox::Settings::default().quirk(Quirk::SearchIndexLag));
    create(&sandbox, json!({"name": "Grete"})).await;
    sandbox.advance_clock(Duration::from_millis(4_999));
    assert!(contacts(&sandbox, "grete").await.is_empty());
    sandbox.advance_clock(Duration::from_millis(1));
    assert_eq!(contacts(&sandbox, "grete").await, ["grete"]);
}
