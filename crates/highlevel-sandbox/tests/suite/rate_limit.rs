//! The rate-limit headers.

use highlevel_sandbox::Sandbox;
use reqwest::Method;
use serde_json::json;

use crate::caller::{SEND, bare, execute, post};

#[tokio::test]
async fn every_answer_counts_down() {
    let sandbox = Sandbox::start().await.unwrap();
    let accepted =
        post(&sandbox, SEND, &json!({"type": "SMS", "contactId": sandbox.contact_id(), "status": "pending"}))
            .await;
    let invalid = post(&sandbox, SEND, &json!({})).await;
    let unauthorised = execute(bare(&sandbox, Method::POST, SEND)).await;
    let unknown = execute(bare(&sandbox, Method::GET, "/nope")).await;

    for (used, answered) in [&accepted, &invalid, &unauthorised, &unknown].into_iter().enumerate() {
        let header = |name: &str| answered.headers[name].to_str().unwrap().parse::<u64>().unwrap();
        let used = u64::try_from(used).unwrap() + 1;
        assert_eq!(header("x-ratelimit-max"), 100);
        assert_eq!(header("x-ratelimit-interval-milliseconds"), 10_000);
        assert_eq!(header("x-ratelimit-limit-daily"), 200_000);
        // How many are left depends on the clock (a slow machine, midnight); a table in the crate pins that down.
        assert!((100 - used..100).contains(&header("x-ratelimit-remaining")));
        assert!((200_000 - used..200_000).contains(&header("x-ratelimit-daily-remaining")));
        assert!((1..=86_400_000).contains(&header("x-ratelimit-daily-reset")));
    }
}
