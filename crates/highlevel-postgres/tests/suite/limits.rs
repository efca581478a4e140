//! Limits while the database crashes and its clock is set. The sandbox enforces them in sliding windows.

use std::time::Duration;

use highlevel_postgres::{Database, Limits, Outgoing};
use highlevel_sandbox::{BurstWindow, Contact, Location, RateLimit, Sandbox};
use serde_json::{Value, json};

use crate::support::child::Process;
use crate::support::cluster::{self, Cluster};
use crate::support::{clients, sms, until};

const BURST: u32 = 10;
const INTERVAL: Duration = Duration::from_secs(2);
/// Large: on a busy machine a request is late by more than it would be on a network.
const MARGIN: Duration = Duration::from_millis(600);

async fn enforcing() -> Sandbox {
    let burst = usize::try_from(BURST).expect("a small number");
    let limits = RateLimit::documented().window(BurstWindow::Sliding).burst(burst).interval(INTERVAL);
    Sandbox::builder().rate_limit(limits).start().await.expect("a sandbox")
}

async fn connect(cluster: &Cluster, name: &str) -> Database {
    let limits = Limits::new(BURST, INTERVAL, 200_000).margin(MARGIN);
    let builder = Database::builder(cluster.url(name)).deployment("test").limits(limits);
    let database = builder.connect().await.expect("a connection");
    database.migrate().await.expect("migrations");
    database
}

/// The limiter's tables are empty after a crash: no permit is issued for one interval.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_of_the_database_causes_no_rejection() {
    const MESSAGES: usize = 35;
    let Some(cluster) = cluster::separate() else { return };
    let (name, sandbox) = (cluster.create_database(), enforcing().await);
    let database = connect(&cluster, &name).await;
    for number in 0..MESSAGES {
        let outgoing = Outgoing::new(sandbox.location_id(), sms(sandbox.contact_id(), &number.to_string()));
        database.outbox().enqueue(outgoing.unordered()).await.expect("enqueued");
    }
    let clients = clients(sandbox.base_url(), sandbox.token().to_owned(), &database);
    let sender = database.outbox().sender(clients).poll_interval(Duration::from_millis(10)).start();
    until("a burst is sent", || sandbox.messages().len() >= 10).await;
    cluster.crash();
    cluster.restart();
    until("all messages are sent", || sandbox.messages().len() == MESSAGES).await;
    assert!(sender.drain(Duration::from_secs(10)).await);
    assert_eq!(sandbox.rate_limited(), 0);
}

/// Four processes send while the clock of the database is set forward and back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jumps_of_the_clock_cause_no_rejection_and_no_long_pause() {
    const LOCATIONS: usize = 3;
    const MESSAGES: usize = 60;
    let Some(cluster) = cluster::with_clock() else { return };
    let (name, sandbox) = (cluster.create_database(), enforcing().await);
    let database = connect(&cluster, &name).await;
    let mut tokens = serde_json::Map::new();
    for number in 0..LOCATIONS {
        let (location, contact) = (format!("location{number}"), format!("contactof{number}"));
        sandbox.put_location(Location::new(&location)).expect("a location");
        sandbox
            .put_contact(Contact::new(&contact).location(&location).phone("+15035550120"))
            .expect("a contact");
        tokens.insert(location.clone(), sandbox.issue_token(&location).expect("a token").into());
        for message in 0..MESSAGES {
            let outgoing = Outgoing::new(&*location, sms(&contact, &format!("{message} of {number}")));
            database.outbox().enqueue(outgoing.unordered()).await.expect("enqueued");
        }
    }
    let role = json!({
        "role": "sender", "url": cluster.url(&name), "base_url": sandbox.base_url(), "token": Value::Object(tokens),
        "burst": BURST, "interval_ms": 2_000, "limit_margin_ms": 600, "in_flight": 16,
    });
    let children: Vec<Process> = (0..4).map(|_| Process::start(&role)).collect();
    for child in &children {
        assert_eq!(child.line(), "ready");
    }
    for (seconds, messages) in [(3_600.0, 30), (3_600.3, 60), (0.0, 90), (-3_600.0, 120), (-3_600.3, 130)] {
        until("messages are sent", || sandbox.messages().len() >= messages).await;
        cluster.set_clock(seconds);
    }
    until("all messages are sent", || sandbox.messages().len() == LOCATIONS * MESSAGES).await;
    assert_eq!(sandbox.rate_limited(), 0);
}
