//! Senders that are killed and stopped, and databases that restart. The ledger of the sandbox is the witness.

use std::time::Duration;

use highlevel_postgres::outbox::DeskReason;
use highlevel_postgres::{Database, Outgoing};
use highlevel_sandbox::{Contact, Ending, Extent, Fault, FaultRule, FaultStage, Sandbox};
use serde_json::{Value, json};

use crate::support::child::Process;
use crate::support::cluster::{self, Cluster};
use crate::support::database_proxy::DatabaseProxy;
use crate::support::{
    TestDatabase, accepted, clients, generous_limits, sandbox, sms, until, until_zero, webhooks,
};

/// The points that a sender reports, and a random time.
const POINTS: [&str; 7] = ["claiming", "claimed", "sending", "attempted", "settling", "settled", "any time"];
/// The points of a message that is read back.
const READING_POINTS: [&str; 2] = ["reading", "read"];
/// Set this to a number of crashes for a longer run. Defaults to three at each point.
const CRASHES: &str = "HIGHLEVEL_POSTGRES_CRASHES";

const CONTACTS: usize = 20;

/// Messages to several contacts, and the sandbox that receives them.
struct Run {
    sandbox: Sandbox,
    texts: Vec<(String, String)>,
}

impl Run {
    async fn new(database: &Database, messages: usize) -> Self {
        let sandbox = sandbox().await;
        for number in 0..CONTACTS {
            let contact = Contact::new(format!("contact{number}")).phone("+15035550120");
            sandbox.put_contact(contact).expect("a contact");
        }
        let mut run = Self { sandbox, texts: Vec::new() };
        run.enqueue(database, messages).await;
        run
    }

    async fn enqueue(&mut self, database: &Database, messages: usize) {
        for number in (self.texts.len()..).take(messages) {
            let (contact, text) = (format!("contact{}", number % CONTACTS), format!("message {number}"));
            let outgoing = Outgoing::new(self.sandbox.location_id(), sms(&contact, &text));
            database.outbox().enqueue(outgoing).await.expect("enqueued");
            self.texts.push((contact, text));
        }
    }

    fn role(&self, url: &str) -> Value {
        json!({
            "role": "sender", "url": url, "base_url": self.sandbox.base_url(), "token": self.sandbox.token(),
            "in_flight": 8, "attempt_ms": 1_000, "margin_ms": 300,
        })
    }

    /// No message was accepted twice. Those that count as sent were accepted, and those that are unknown although all events
    /// were delivered were not. Nothing is lost. Returns the number of unknown messages.
    fn check(&self, sql: impl Fn(&str) -> String) -> usize {
        let unknown = sql("SELECT request ->> 'message' FROM highlevel.outbox WHERE state = 'u'");
        let unknown: Vec<&str> = unknown.lines().collect();
        for (contact, text) in &self.texts {
            let times = accepted(&self.sandbox, contact, text);
            let expected = u64::from(!unknown.contains(&text.as_str()));
            assert_eq!(times, expected, "{text}, unknown: {}", expected == 0);
        }
        let sent: usize =
            sql("SELECT count(*) FROM highlevel.outbox_done WHERE outcome = 's'").parse().expect("a number");
        assert_eq!(sent + unknown.len(), self.texts.len());
        unknown.len()
    }
}

/// Waits until nothing is left to send, and unknown messages were looked at again after their events had arrived.
async fn until_settled(sql: impl Fn(&str) -> String) {
    let open = "SELECT count(*) FROM highlevel.outbox WHERE state <> 'u' OR looks < 2";
    let count = || sql(open).parse().expect("a number");
    until_zero("every message is sent, or was looked for twice", count).await;
}

/// The number of crashes of a test.
pub(crate) fn crashes(default: usize) -> usize {
    std::env::var(CRASHES).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Kills senders, each at the next point, until there were enough. Returns their number.
async fn kill_senders(test: &TestDatabase, sender: &Value, crashes: usize, seed: u64) -> usize {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut killed = 0;
    for number in 0..crashes {
        killed += usize::from(kill_sender(test, sender, POINTS[number % POINTS.len()], &mut random).await);
    }
    assert!(killed * 2 > crashes, "only {killed} of {crashes} senders were killed");
    killed
}

/// Kills a sender at a point. Returns `false` if nothing was left before.
async fn kill_sender(test: &TestDatabase, sender: &Value, point: &str, random: &mut fastrand::Rng) -> bool {
    let is_of_a_reading = READING_POINTS.contains(&point);
    let mut role = sender.clone();
    if point != "any time" {
        role["abort_at"] = point.into();
        role["countdown"] = if is_of_a_reading { 1 } else { random.u64(1..30) }.into();
    }
    let mut child = Process::start(&role);
    if point == "any time" {
        assert_eq!(child.line(), "ready");
        tokio::time::sleep(Duration::from_millis(random.u64(0..150))).await;
        child.kill();
        return true;
    }
    let left = if is_of_a_reading { "desk_at IS NULL" } else { "state = 'p'" };
    let left = format!("SELECT count(*) FROM highlevel.outbox WHERE {left}");
    until("the sender is killed, or nothing is left", || child.has_ended() || test.sql(&left) == "0").await;
    child.has_ended()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn senders_that_are_killed_at_any_point_send_no_message_twice() {
    let Some((test, database)) = TestDatabase::migrated().await else { return };
    let crashes = crashes(2 * POINTS.len());
    let run = Run::new(&database, crashes * 25).await;
    webhooks::connect(&run.sandbox, database.outbox()).await;
    let killed = kill_senders(&test, &run.role(&test.url()), crashes, 7).await;
    let last = Process::start(&run.role(&test.url()));
    until_settled(|sql| test.sql(sql)).await;
    let unknown = run.check(|sql| test.sql(sql));
    println!("{killed} senders were killed; {unknown} of {} messages are unknown", run.texts.len());
    drop(last);
}

/// No event arrives, so that each unknown message gets to the desk.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_messages_without_evidence_get_to_the_desk() {
    let Some((test, database)) = TestDatabase::migrated().await else { return };
    let crashes = crashes(POINTS.len());
    let run = Run::new(&database, crashes * 25).await;
    let mut role = run.role(&test.url());
    role["last_look_ms"] = 1_000.into();
    kill_senders(&test, &role, crashes, 8).await;
    let last = Process::start(&role);
    until_zero("every message is sent or on the desk", || {
        test.number("SELECT count(*) FROM highlevel.outbox WHERE desk_at IS NULL")
    })
    .await;
    let desk = database.outbox().desk().list(10_000).await.expect("a response");
    assert!(desk.iter().all(|entry| entry.reason == DeskReason::Unknown));
    for (contact, text) in &run.texts {
        let times = accepted(&run.sandbox, contact, text);
        assert!(times <= 1, "{text} was accepted {times} times");
    }
    let sent: usize =
        test.sql("SELECT count(*) FROM highlevel.outbox_done WHERE outcome = 's'").parse().expect("a number");
    assert_eq!(sent + desk.len(), run.texts.len());
    // Nothing changes until a person decides.
    assert!(desk.len() <= crashes * 8, "{} messages are unknown", desk.len());
    drop(last);
}

/// No event arrives, and all unknown messages are read back. Those on the desk were not accepted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn senders_that_are_killed_at_any_point_find_the_evidence_by_reading_back() {
    const POINTS: [&str; 6] = ["sending", "reading", "attempted", "read", "any time", "reading"];
    let Some((test, database)) = TestDatabase::migrated().await else { return };
    let crashes = crashes(POINTS.len());
    let mut run = Run::new(&database, 0).await;
    let mut role = run.role(&test.url());
    (role["reads_back"], role["last_look_ms"]) = (true.into(), 1_000.into());
    let mut random = fastrand::Rng::with_seed(9);
    let mut killed = 0;
    for number in 0..crashes {
        run.enqueue(&database, 25).await;
        killed += usize::from(kill_sender(&test, &role, POINTS[number % POINTS.len()], &mut random).await);
    }
    assert!(killed * 2 > crashes, "only {killed} of {crashes} senders were killed");
    let last = Process::start(&role);
    // Of many messages, all are looked for once before the first of them gets to the desk: each look is progress.
    let left = "SELECT coalesce(sum(greatest(3 - looks, 0) + (state <> 'u' OR desk_at IS NULL)::integer), 0)
        FROM highlevel.outbox";
    until_zero("every message is sent or on the desk", || test.number(left)).await;
    let unknown = run.check(|sql| test.sql(sql));
    let found = test.number("SELECT count(*) FROM highlevel.history WHERE what = 'sent'");
    println!("{killed} senders were killed; {found} messages were found, and {unknown} were not accepted");
    assert!(found > 0, "a sender that is killed after an attempt leaves a message to be found");
    drop(last);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_that_is_terminated_completes_its_attempts() {
    let Some((test, database)) = TestDatabase::migrated().await else { return };
    let run = Run::new(&database, 100).await;
    let slow =
        Fault::RESET.ending(Ending::Normal).sending(Extent::Everything).after(Duration::from_millis(400));
    run.sandbox.add_fault(FaultRule::new(slow).stage(FaultStage::After)).expect("a fault");
    let sender = Process::start(&run.role(&test.url()));
    assert_eq!(sender.line(), "ready");
    until("messages are being sent", || !run.sandbox.messages().is_empty()).await;
    sender.signal("TERM");
    assert_eq!(sender.line(), "drained");
    let states = test.sql("SELECT count(*) FILTER (WHERE state <> 'p'), count(*) > 0 FROM highlevel.outbox");
    assert_eq!(states, "0|t");
    assert_eq!(test.sql("SELECT count(*) FROM highlevel.worker WHERE gone_at IS NOT NULL"), "1");
    for (contact, text) in &run.texts {
        assert!(accepted(&run.sandbox, contact, text) <= 1, "{text}");
    }
}

/// A sender is stopped for longer than its leases. The others go on; the results of its attempts are reported in the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_sender_sends_no_message_twice() {
    let Some((test, database)) = TestDatabase::migrated().await else { return };
    let run = Run::new(&database, 200).await;
    webhooks::connect(&run.sandbox, database.outbox()).await;
    let stopped = Process::start(&run.role(&test.url()));
    until("messages are sent", || run.sandbox.messages().len() > 20).await;
    stopped.signal("STOP");
    let other = Process::start(&run.role(&test.url()));
    let pending = "SELECT count(*) FROM highlevel.outbox WHERE state IN ('p', 's')";
    until("the leases have ended", || test.sql(pending) == "0").await;
    stopped.signal("CONT");
    until_settled(|sql| test.sql(sql)).await;
    run.check(|sql| test.sql(sql));
    drop((stopped, other));
}

/// The database of a separate cluster, with the schema.
async fn on(cluster: &Cluster) -> (String, Database) {
    let name = cluster.create_database();
    let builder = Database::builder(cluster.url(&name)).deployment("test").limits(generous_limits());
    let database = builder.connect().await.expect("a connection");
    database.migrate().await.expect("migrations");
    (name, database)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_crashes_costs_no_message() {
    let Some(cluster) = cluster::separate() else { return };
    let (name, database) = on(&cluster).await;
    let run = Run::new(&database, 300).await;
    let clients = clients(run.sandbox.base_url(), run.sandbox.token().to_owned(), &database);
    let sender =
        database.outbox().sender(clients).in_flight(8).poll_interval(Duration::from_millis(10)).start();
    for round in 1..=3 {
        until("messages are sent", || run.sandbox.messages().len() >= round * 60).await;
        cluster.crash();
        cluster.restart();
    }
    // The process lives, so its results are known: nothing is unknown.
    until("all messages are sent", || cluster.sql(&name, "SELECT count(*) FROM highlevel.outbox") == "0")
        .await;
    assert_eq!(run.check(|sql| cluster.sql(&name, sql)), 0);
    assert!(sender.drain(Duration::from_secs(10)).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_cut_cost_no_message() {
    let Some((test, database)) = TestDatabase::migrated().await else { return };
    let run = Run::new(&database, 300).await;
    let proxy = DatabaseProxy::start(test.cluster.socket(), 11).await;
    let builder = Database::builder(proxy.url(&test.name)).deployment("test").limits(generous_limits());
    let proxied = builder.connect().await.expect("a connection");
    proxy.cut_after(Some(20_000));
    proxied.pool().retain(|_, _| false);
    let clients = clients(run.sandbox.base_url(), run.sandbox.token().to_owned(), &proxied);
    let sender =
        proxied.outbox().sender(clients).in_flight(8).poll_interval(Duration::from_millis(10)).start();
    until("half of the messages are sent", || run.sandbox.messages().len() >= 150).await;
    for _ in 0..5 {
        let others = "pid <> pg_backend_pid() AND datname = current_database()";
        test.sql(&format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    until("most messages are sent", || run.sandbox.messages().len() >= 250).await;
    proxy.cut_after(None);
    until("all messages are sent", || test.sql("SELECT count(*) FROM highlevel.outbox") == "0").await;
    assert_eq!(run.check(|sql| test.sql(sql)), 0);
    assert!(sender.drain(Duration::from_secs(10)).await);
}
