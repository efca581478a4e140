//! Copies of a database, and failovers: nothing is sent before a person adopts the database.

use std::time::{Duration, SystemTime};

use highlevel::auth::store::{Key, Resource, TokenStore};
use highlevel_postgres::outbox::Sender;
use highlevel_postgres::{Database, DueMessages, ErrorKind, Outgoing};
use highlevel_sandbox::Sandbox;
use serde_json::json;

use crate::support::child::Process;
use crate::support::cluster::{self, Cluster};
use crate::support::{TestDatabase, accepted, clients, generous_limits, sandbox, sms, until, until_async};

async fn connect(url: String, deployment: &str) -> Database {
    let builder = Database::builder(url).deployment(deployment).limits(generous_limits());
    builder.connect().await.expect("a connection")
}

fn send(database: &Database, sandbox: &Sandbox) -> Sender {
    let clients = clients(sandbox.base_url(), sandbox.token().to_owned(), database);
    database.outbox().sender(clients).poll_interval(Duration::from_millis(10)).start()
}

async fn enqueue(database: &Database, sandbox: &Sandbox, text: &str) {
    let outgoing = Outgoing::new(sandbox.location_id(), sms(sandbox.contact_id(), text));
    database.outbox().enqueue(outgoing).await.expect("enqueued");
}

#[tokio::test]
async fn a_copy_of_a_database_sends_nothing_until_it_is_adopted() {
    let Some((test, database)) = TestDatabase::migrated().await else { return };
    let sandbox = sandbox().await;
    enqueue(&database, &sandbox, "of production").await;
    let tomorrow = SystemTime::now() + Duration::from_secs(24 * 60 * 60);
    let scheduled = Outgoing::new(sandbox.location_id(), sms(sandbox.contact_id(), "of production tomorrow"));
    database.outbox().enqueue(scheduled.at(tomorrow)).await.expect("enqueued");
    // A template must have no connections.
    drop(database);
    let name = &test.name;
    let end = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'");
    test.cluster.sql("postgres", &end);
    let open = format!("SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}'");
    until("its connections have ended", || test.cluster.sql("postgres", &open) == "0").await;
    let copy = format!("{}_copy", test.name);
    test.cluster.sql("postgres", &format!("CREATE DATABASE {copy} TEMPLATE {}", test.name));

    for deployment in ["test", "staging"] {
        let copied = connect(test.cluster.url(&copy), deployment).await;
        copied.migrate().await.expect("nothing to apply");
        assert_eq!(copied.check_fence().await.expect_err("a copy").kind(), ErrorKind::NotAdopted);
        let sender = send(&copied, &sandbox);
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(sender.drain(Duration::from_secs(10)).await);
        // A refresh by the copy would invalidate the tokens of production.
        let key = Key::new("client", Resource::Location(sandbox.location_id().into()));
        let lease = copied.tokens().lease(&key, "holder", Duration::from_secs(10)).await;
        lease.expect_err("a copy refreshes no tokens");
    }
    assert!(sandbox.requests().is_empty());

    let staging = connect(test.cluster.url(&copy), "staging").await;
    let held =
        staging.adopt(DueMessages::HoldForDecision, "Ann", "a copy for staging").await.expect("adopted");
    // The scheduled one as well: production will send it.
    assert_eq!(held, 2);
    enqueue(&staging, &sandbox, "of staging").await;
    let sender = send(&staging, &sandbox);
    until("the message of staging is sent", || !sandbox.messages().is_empty()).await;
    assert!(sender.drain(Duration::from_secs(10)).await);
    assert_eq!(accepted(&sandbox, sandbox.contact_id(), "of production"), 0);
    assert_eq!(staging.outbox().desk().list(10).await.expect("a response").len(), 2);
    // The other deployment has lost it.
    let production = connect(test.cluster.url(&copy), "test").await;
    assert_eq!(production.check_fence().await.expect_err("adopted").kind(), ErrorKind::NotAdopted);
}

/// A dump is made while a sender sends, and restored in another cluster and in the same one. The deployment has the same name:
/// only the identity of the database is different.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dump_of_a_live_database_sends_nothing_until_it_is_adopted() {
    const MESSAGES: usize = 200;
    let Some((test, database)) = TestDatabase::migrated().await else { return };
    let Some(other) = cluster::separate() else { return };
    let sandbox = sandbox().await;
    let texts: Vec<String> = (0..MESSAGES).map(|number| format!("message {number}")).collect();
    for text in &texts {
        enqueue(&database, &sandbox, text).await;
    }
    let sender = send(&database, &sandbox);
    until("messages are being sent", || sandbox.messages().len() > 20).await;
    let restored =
        [&other, test.cluster].map(|target| (target, test.cluster.restore_dump(&test.name, target)));
    for (cluster, name) in &restored {
        let pending = "SELECT count(*) > 0 FROM highlevel.outbox WHERE state = 'p'";
        assert_eq!(cluster.sql(name, pending), "t", "the dump was made too late");
    }
    until("the original has sent everything", || sandbox.messages().len() == MESSAGES).await;
    assert!(sender.drain(Duration::from_secs(10)).await);

    for (cluster, name) in &restored {
        let pending: u64 = cluster
            .sql(name, "SELECT count(*) FROM highlevel.outbox WHERE state = 'p'")
            .parse()
            .expect("a number");
        let copy = connect(cluster.url(name), "test").await;
        copy.migrate().await.expect("nothing to apply");
        assert_eq!(copy.check_fence().await.expect_err("a copy").kind(), ErrorKind::NotAdopted);
        let sender = send(&copy, &sandbox);
        tokio::time::sleep(Duration::from_millis(500)).await;
        let adopted = copy.adopt(DueMessages::HoldForDecision, "Ann", "a restored dump").await;
        assert_eq!(adopted.expect("adopted"), pending);
        let text = format!("after the restore of {name} {pending}");
        let before = sandbox.messages().len();
        // Messages of the contact wait for one that was being sent when the dump was made.
        let outgoing = Outgoing::new(sandbox.location_id(), sms(sandbox.contact_id(), &text)).unordered();
        copy.outbox().enqueue(outgoing).await.expect("enqueued");
        until("the restored database sends again", || sandbox.messages().len() > before).await;
        assert!(sender.drain(Duration::from_secs(10)).await);
        assert_eq!(accepted(&sandbox, sandbox.contact_id(), &text), 1);
    }
    for text in &texts {
        assert_eq!(accepted(&sandbox, sandbox.contact_id(), text), 1, "{text}");
    }
}

/// A primary whose replication is stalled, with a message that only the primary knows to be sent.
struct Failover {
    primary: Cluster,
    standby: Cluster,
    name: String,
    database: Database,
    sandbox: Sandbox,
}

impl Failover {
    async fn prepare() -> Option<Self> {
        let primary = cluster::separate()?;
        let name = primary.create_database();
        let database = connect(primary.url(&name), "test").await;
        database.migrate().await.expect("migrations");
        let standby = primary.standby();
        let sandbox = sandbox().await;
        enqueue(&database, &sandbox, "Your table is ready").await;
        let copied = "SELECT count(*) FROM highlevel.outbox";
        until("the standby has the message", || standby.sql(&name, copied) == "1").await;
        primary.stall_replication();
        Some(Self { primary, standby, name, database, sandbox })
    }

    async fn until_sent(&self) {
        let done = "SELECT count(*) FROM highlevel.outbox_done";
        until("the primary knows that it was sent", || self.primary.sql(&self.name, done) == "1").await;
    }

    /// The primary is lost, and with it the last commits.
    fn fail_over(&self) {
        self.primary.crash();
        self.standby.take_over(&self.primary);
        assert_eq!(self.state(), "p|0");
    }

    fn state(&self) -> String {
        self.standby.sql(&self.name, "SELECT state, attempt FROM highlevel.outbox")
    }

    fn times(&self) -> u64 {
        accepted(&self.sandbox, self.sandbox.contact_id(), "Your table is ready")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_that_loses_commits_sends_nothing_twice() {
    let Some(failover) = Failover::prepare().await else { return };
    let first = send(&failover.database, &failover.sandbox);
    failover.until_sent().await;
    assert!(first.drain(Duration::from_secs(10)).await);
    failover.fail_over();

    // Another process: it knows of nothing.
    let database = connect(failover.primary.url(&failover.name), "test").await;
    assert_eq!(database.check_fence().await.expect_err("failed over").kind(), ErrorKind::Quarantined);
    let sender = send(&database, &failover.sandbox);
    // Longer than the limiter pauses after a failover.
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!((failover.times(), failover.state().as_str()), (1, "p|0"));

    // Without the fence it would have been sent again.
    database.adopt(DueMessages::Send, "test", "to show what the fence prevents").await.expect("adopted");
    until("the message is sent a second time", || failover.times() == 2).await;
    assert!(sender.drain(Duration::from_secs(10)).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_that_survives_a_failover_knows_what_it_has_sent() {
    let Some(failover) = Failover::prepare().await else { return };
    let sender = send(&failover.database, &failover.sandbox);
    failover.until_sent().await;
    failover.fail_over();
    until_async("the message counts as sent again", async || {
        failover.standby.sql(&failover.name, "SELECT count(*) FROM highlevel.outbox_done") == "1"
    })
    .await;
    failover
        .database
        .adopt(DueMessages::HoldForDecision, "Ann", "the primary is lost")
        .await
        .expect("adopted");
    enqueue(&failover.database, &failover.sandbox, "after the failover").await;
    until("it sends again", || failover.sandbox.messages().len() == 2).await;
    assert!(sender.drain(Duration::from_secs(10)).await);
    assert_eq!(failover.times(), 1);
}

/// The standby has each claim before its request is sent, so that it needs no decision about messages that are pending.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_synchronous_standby_has_each_message_that_was_sent() {
    const MESSAGES: usize = 300;
    let Some(primary) = cluster::separate() else { return };
    let name = primary.create_database();
    let database = connect(primary.url(&name), "test").await;
    database.migrate().await.expect("migrations");
    let (standby, sandbox) = (primary.standby(), sandbox().await);
    primary.make_synchronous();
    // The claim waits for the standby nevertheless.
    primary.sql("postgres", &format!("ALTER DATABASE {name} SET synchronous_commit = local"));
    let text = |number: usize| format!("message {number}");
    for number in 0..MESSAGES {
        let message = sms(sandbox.contact_id(), &text(number));
        let outgoing = Outgoing::new(sandbox.location_id(), message).unordered();
        database.outbox().enqueue(outgoing).await.expect("enqueued");
    }
    let copied = "SELECT count(*) FROM highlevel.outbox";
    until("the standby has the messages", || standby.sql(&name, copied) == MESSAGES.to_string()).await;
    let sender = Process::start(&json!({
        "role": "sender", "url": primary.url(&name), "base_url": sandbox.base_url(), "token": sandbox.token(),
        "in_flight": 8, "attempt_ms": 1_000, "margin_ms": 300,
    }));
    until("messages are sent", || sandbox.messages().len() > 50).await;
    primary.crash();
    sender.kill();
    standby.take_over(&primary);

    let pending = standby.sql(&name, "SELECT request ->> 'message' FROM highlevel.outbox WHERE state = 'p'");
    assert!(!pending.is_empty(), "the primary was lost too late");
    for text in pending.lines() {
        assert_eq!(
            accepted(&sandbox, sandbox.contact_id(), text),
            0,
            "{text} was sent, and the standby has it pending"
        );
    }
    let database = connect(primary.url(&name), "test").await;
    assert_eq!(database.check_fence().await.expect_err("failed over").kind(), ErrorKind::Quarantined);
    database.adopt(DueMessages::Send, "Ann", "the standby was synchronous").await.expect("adopted");
    let sender = send(&database, &sandbox);
    let open = "SELECT count(*) FROM highlevel.outbox WHERE state IN ('p', 's')";
    until("the others are sent", || standby.sql(&name, open) == "0").await;
    assert!(sender.drain(Duration::from_secs(10)).await);
    let unknown = standby.sql(&name, "SELECT request ->> 'message' FROM highlevel.outbox WHERE state = 'u'");
    for text in (0..MESSAGES).map(text) {
        let times = accepted(&sandbox, sandbox.contact_id(), &text);
        let is_unknown = unknown.lines().any(|line| line == text);
        assert!(times == 1 || times == 0 && is_unknown, "{text} was accepted {times} times");
    }
}
