//! Throughput of the outbox of `highlevel-postgres`, compared with a bare queue in the same database and run.
//!
//! `PGHOST`, `PGPORT`, `PGUSER` and `PGPASSWORD` name an empty database; `cargo xtask bench` starts a temporary cluster.

mod queue;
mod snapshot;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use highlevel::{Client, LocationId};
use highlevel_benchmarks::process::{CONTACT, Process, TOKEN};
use highlevel_postgres::{Database, Limits};
use queue::{Connection, Queue, connect};
use tokio::task::JoinSet;

const CONNECTIONS: [usize; 3] = [1, 8, 32];
/// Locations of a claim, and messages of each.
const SHAPES: [(i32, i32); 4] = [(1, 100), (5, 20), (20, 5), (100, 1)];

/// The size of the measurements.
struct Plan {
    slice: Duration,
    drained: i64,
    backlog: (i64, i64),
    sent: i64,
    snapshot: Duration,
}

const FULL: Plan = Plan {
    slice: Duration::from_secs(4),
    drained: 20_000,
    backlog: (1_000_000, 10_000),
    sent: 10_000,
    snapshot: Duration::from_secs(600),
};
const QUICK: Plan = Plan {
    slice: Duration::from_millis(500),
    drained: 2_000,
    backlog: (20_000, 200),
    sent: 1_000,
    snapshot: Duration::from_secs(10),
};

#[tokio::main]
async fn main() {
    let plan = if std::env::args().any(|argument| argument == "--quick") { QUICK } else { FULL };
    let connection = connect().await;
    let limits = Limits::new(1_000_000, Duration::from_millis(1), 1_000_000_000);
    let database = Database::builder(queue::url()).deployment("benchmark").limits(limits);
    let database = database.connect().await.expect("a database");
    database.migrate().await.expect("migrations");
    connection.batch(queue::BARE).await;

    println!(
        "| enqueued in transactions, connections | messages/s | bare insert | ratio |\n|---|---:|---:|---:|"
    );
    for connections in CONNECTIONS {
        let outbox = enqueue(Queue::Outbox, connections, plan.slice).await;
        let bare = enqueue(Queue::Bare, connections, plan.slice).await;
        println!("| {connections} | {outbox:.0} | {bare:.0} | {:.2} |", outbox / bare);
    }
    connection.clear().await;

    println!(
        "\n| claimed and completed, 100 at a time | messages/s | ratio to the bare queue |\n|---|---:|---:|"
    );
    let bare = connection.drain_bare(plan.drained).await;
    println!("| bare `UPDATE … SKIP LOCKED` and `DELETE` | {bare:.0} | 1.00 |");
    for (locations, per_location) in SHAPES {
        connection.fill(plan.drained, i64::from(locations)).await;
        let rate = connection.drain(plan.drained, locations, per_location).await;
        println!("| {locations} locations, {per_location} of each | {rate:.0} | {:.2} |", rate / bare);
        connection.clear().await;
    }
    let (messages, locations) = plan.backlog;
    connection.fill(messages, locations).await;
    connection.batch("VACUUM ANALYZE highlevel.outbox").await;
    for (lanes, per_lane) in [(20, 5), (100, 1)] {
        let rate = connection.drain(plan.drained, lanes, per_lane).await;
        let shape = format!("{lanes} locations, {per_lane} of each, with {messages} messages in {locations}");
        println!("| {shape} | {rate:.0} | {:.2} |", rate / bare);
    }
    connection.clear().await;

    wal(&connection, plan.drained).await;
    idle_claim(&connection).await;
    snapshot::held(&connection, &database, plan.snapshot).await;
    connection.clear().await;
    let Some(program) = std::env::var_os("HIGHLEVEL_SANDBOX").map(PathBuf::from) else {
        println!(
            "SKIPPED: end to end; HIGHLEVEL_SANDBOX does not name the sandbox, `cargo xtask bench` does"
        );
        return;
    };
    let sandbox = Process::start(&program, &[]);
    end_to_end(&connection, &database, &sandbox, plan.sent).await;
}

/// Returns the messages per second of transactions that enqueue one message each.
async fn enqueue(queue: Queue, connections: usize, slice: Duration) -> f64 {
    let mut tasks = JoinSet::new();
    for number in 0..connections {
        let mut connection = connect().await;
        tasks.spawn(async move {
            let (start, mut count) = (Instant::now(), 0_u32);
            while start.elapsed() < slice {
                connection.enqueue(queue, &format!("contact{number}")).await;
                count += 1;
            }
            f64::from(count) / start.elapsed().as_secs_f64()
        });
    }
    tasks.join_all().await.into_iter().sum()
}

/// Prints the write-ahead log of a message.
async fn wal(connection: &Connection, messages: i64) {
    println!("\n| write-ahead log of a message | bytes |\n|---|---:|");
    connection.batch("CHECKPOINT").await;
    // After a checkpoint, the first change of a page writes the whole page.
    connection.fill(messages, 20).await;
    connection.drain(messages, 20, 5).await;
    let start = connection.wal().await;
    connection.fill(messages, 20).await;
    let filled = connection.wal().await;
    connection.drain(messages, 20, 5).await;
    let drained = connection.wal().await;
    println!("| enqueue, and stage | {} |", (filled - start) / messages);
    println!("| claim, and complete | {} |", (drained - filled) / messages);
    let bare = connection.wal().await;
    connection.drain_bare(messages).await;
    println!("| bare queue | {} |", (connection.wal().await - bare) / messages);
}

async fn idle_claim(connection: &Connection) {
    let (start, claims) = (Instant::now(), 500);
    for _ in 0..claims {
        connection.claim(64, 20).await;
    }
    println!(
        "\nA claim without messages takes {:.2} ms.",
        start.elapsed().as_secs_f64() * 1e3 / f64::from(claims)
    );
}

/// Prints the throughput of a sender with the sandbox.
async fn end_to_end(connection: &Connection, database: &Database, sandbox: &Process, messages: i64) {
    connection.fill_requests(messages, CONTACT).await;
    let (base_url, limiter) = (format!("http://{}", sandbox.address), database.limiter());
    let client = Client::builder().base_url(base_url).token(TOKEN).rate_limiter(limiter);
    let client = client.location("location0").build().expect("a client");
    let start = Instant::now();
    let sender = database.outbox().sender(move |_: &LocationId| client.clone());
    let sender = sender.in_flight(128).per_location(100).without_limits().start();
    while connection.count("highlevel.outbox").await > 0 {
        let desk = database.outbox().desk().list(1).await.expect("the desk");
        assert!(desk.is_empty(), "a message was rejected: {desk:?}");
        assert!(start.elapsed() < Duration::from_secs(300), "the messages are not sent");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let rate = queue::rate(messages, start.elapsed());
    println!("\nA sender completes {rate:.0} messages per second, with the sandbox on the same cores.");
    assert!(sender.drain(Duration::from_secs(20)).await, "the sender is drained");
}
