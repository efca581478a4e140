//! What the ledger says about requests.

use highlevel_sandbox::{Entry, Sandbox};
use reqwest::Method;
use serde_json::{Value, json};

use crate::caller::{SEND, authorised, bare, execute, post};

#[tokio::test]
async fn each_request_is_recorded_with_its_answer_and_without_its_token() {
    let sandbox = Sandbox::start().await.unwrap();
    let raw =
        format!("{{ \"type\": \"SMS\", \"contactId\": \"{}\", \"status\":\"read\" }}", sandbox.contact_id());
    let request = authorised(&sandbox, SEND).header("Content-Type", "application/json").header("X-Mine", "a");
    let accepted = execute(request.body(raw.clone())).await;
    let refused = execute(bare(&sandbox, Method::PUT, "/nope?a=b").header("Authorization", "secret")).await;

    let requests = sandbox.requests();
    assert_eq!(requests.len(), 2);
    let [first, second] = requests.as_slice() else { unreachable!() };
    assert_eq!((&*first.method, &*first.path, first.status), ("POST", SEND, 201));
    assert_eq!(first.body, raw.as_bytes());
    assert_eq!(serde_json::from_slice::<Value>(&first.answer).unwrap(), accepted.body);
    assert_eq!(first.header("x-mine"), Some("a"));
    assert_eq!(first.header("authorization"), Some("Bearer [redacted]"));

    assert_eq!((&*second.method, &*second.path, second.status), ("PUT", "/nope?a=b", 404));
    assert_eq!(serde_json::from_slice::<Value>(&second.answer).unwrap(), refused.body);
    assert_eq!(second.header("authorization"), Some("[redacted]"));

    let printed = format!("{requests:?} {sandbox:?}");
    assert!(!printed.contains(sandbox.token()) && !printed.contains("secret"), "{printed}");
}

#[tokio::test]
async fn entries_can_be_followed_from_the_first_one() {
    let sandbox = Sandbox::start().await.unwrap();
    let send = json!({"type": "SMS", "contactId": sandbox.contact_id(), "status": "pending"});
    post(&sandbox, SEND, &send).await;
    let mut entries = sandbox.follow();
    let next_status = async |entries: &mut highlevel_sandbox::Entries| match entries.next().await {
        Entry::Request(request) => request.status,
        other => panic!("{other:?}"),
    };
    assert_eq!(next_status(&mut entries).await, 201);
    let invalid = json!({});
    let (status, _) = tokio::join!(next_status(&mut entries), post(&sandbox, SEND, &invalid));
    assert_eq!(status, 422);
}
