//! Tokens and limits that several processes share.

use std::time::{Duration, Instant, SystemTime};

use highlevel::auth::TokenSet;
use highlevel::auth::store::{Key, Precondition, Resource, TokenStore};
use highlevel_postgres::{Limits, Outgoing};
use highlevel_sandbox::{BurstWindow, Contact, Location, RateLimit, Sandbox};
use serde_json::{Value, json};

use crate::support::child::Process;
use crate::support::{TestDatabase, sandbox, sms, until};

const PROCESSES: usize = 4;

/// Hosts whose clocks differ by two minutes make 1,000 calls with tokens that have expired: there is one refresh.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_refresh_tokens_once() {
    let Some((test, database)) = TestDatabase::migrated().await else { return };
    let sandbox = sandbox().await;
    let location = highlevel_sandbox::TokenResource::location(sandbox.location_id());
    let issued = sandbox.issue_tokens(&location, ["conversations/message.write"]).expect("tokens");
    let text = |name: &str| issued[name].as_str().expect("a token").to_owned();
    let tokens = TokenSet::new(text("access_token"))
        .with_refresh_token(text("refresh_token"))
        .with_expiry(SystemTime::now() - Duration::from_secs(60))
        .with_location_id(sandbox.location_id());
    let key = Key::new(sandbox.client_id(), Resource::Location(sandbox.location_id().into()));
    database.tokens().put(&key, &tokens, Precondition::Nothing).await.expect("stored");
    let before = refreshes(&sandbox);

    let mut children: Vec<Process> = (0..PROCESSES)
        .map(|number| {
            Process::start(&json!({
                "role": "caller", "url": test.url(), "base_url": sandbox.base_url(), "calls": 250,
                "client_id": sandbox.client_id(), "client_secret": sandbox.client_secret(),
                "location": sandbox.location_id(), "contact": sandbox.contact_id(),
                "clock_offset_s": number * 40,
            }))
        })
        .collect();
    for child in &children {
        assert_eq!(child.line(), "ready");
    }
    for child in &mut children {
        child.tell("call");
    }
    for child in &children {
        assert_eq!(child.line(), "called 250 None");
    }
    assert_eq!(refreshes(&sandbox) - before, 1);
}

fn refreshes(sandbox: &Sandbox) -> u64 {
    sandbox
        .token_requests()
        .iter()
        .map(|requests| requests.rotated + requests.repeated + requests.refused)
        .sum()
}

/// Senders in four processes use the limits of many locations, which the sandbox enforces: it rejects no request.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_share_limits_without_a_rejection() {
    const LOCATIONS: usize = 10;
    const MESSAGES: usize = 36;
    const BURST: u32 = 10;
    const INTERVAL: Duration = Duration::from_secs(1);
    /// Large: on a busy machine a request is late by more than it would be on a network.
    const MARGIN: Duration = Duration::from_millis(600);
    let Some((test, _)) = TestDatabase::migrated().await else { return };
    let limits = Limits::new(BURST, INTERVAL, 200_000).margin(MARGIN);
    let database = test.builder().limits(limits).connect().await.expect("a connection");
    let burst = usize::try_from(BURST).expect("a small number");
    let enforced = RateLimit::documented().window(BurstWindow::Sliding).burst(burst).interval(INTERVAL);
    let sandbox = Sandbox::builder().rate_limit(enforced).start().await.expect("a sandbox");
    let mut tokens = serde_json::Map::new();
    for number in 0..LOCATIONS {
        let (location, contact) = (format!("location{number}"), format!("contactof{number}"));
        sandbox.put_location(Location::new(&location)).expect("a location");
        sandbox.put_contact(Contact::new(&contact).location(&location)).expect("a contact");
        tokens.insert(location.clone(), sandbox.issue_token(&location).expect("a token").into());
        for message in 0..MESSAGES {
            let message = sms(&contact, &format!("message {message} of {number}"));
            database
                .outbox()
                .enqueue(Outgoing::new(&*location, message).unordered())
                .await
                .expect("enqueued");
        }
    }
    let role = json!({
        "role": "sender", "url": test.url(), "base_url": sandbox.base_url(), "token": Value::Object(tokens),
        "burst": BURST, "interval_ms": 1_000, "limit_margin_ms": 600, "in_flight": 16,
    });
    let children: Vec<Process> = (0..PROCESSES).map(|_| Process::start(&role)).collect();
    for child in &children {
        assert_eq!(child.line(), "ready");
    }
    until("the first message is sent", || !sandbox.messages().is_empty()).await;
    let start = Instant::now();
    until("all messages are sent", || sandbox.messages().len() >= LOCATIONS * MESSAGES).await;
    let took = start.elapsed();
    let windows = u32::try_from(MESSAGES.div_ceil(burst) - 1).expect("a small number");
    println!("took {took:?}; the least possible with the margin is {:?}", (INTERVAL + MARGIN) * windows);
    assert_eq!(sandbox.messages().len(), LOCATIONS * MESSAGES);
    assert_eq!(sandbox.rate_limited(), 0);
    assert_eq!(test.number("SELECT count(*) FROM highlevel.outbox WHERE attempt > 1"), 0);
}
