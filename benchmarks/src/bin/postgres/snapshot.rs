//! The outbox while another transaction holds a snapshot, so that no dead row can be removed.

use std::time::{Duration, Instant};

use highlevel_postgres::Database;
use tokio::time::MissedTickBehavior;

use crate::queue::{Connection, connect};

/// Messages that are enqueued in a second, a few in each transaction.
const PER_SECOND: i64 = 500;
const PER_TRANSACTION: i64 = 10;
const LOCATIONS: i64 = 100;
/// Rows of the table.
const PARTS: u32 = 10;

/// Prints the time of claims while a snapshot is held for this long.
pub async fn held(connection: &Connection, database: &Database, time: Duration) {
    let holder = connect().await;
    holder.batch("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM highlevel.outbox").await;
    let enqueue = tokio::spawn(enqueue(connect().await));

    println!(
        "\n| {PER_SECOND} messages/s, a snapshot held for | claims | median | 99 % | longest | messages that wait |"
    );
    println!("|---|---:|---:|---:|---:|---:|");
    let start = Instant::now();
    for part in 1..=PARTS {
        let mut times = Vec::new();
        while start.elapsed() < time / PARTS * part {
            // As a sender does.
            connection.stage().await;
            let begin = Instant::now();
            let claimed = connection.claim(64, 20).await;
            times.push(begin.elapsed());
            if claimed.is_empty() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            } else {
                connection.complete(&claimed).await;
            }
        }
        times.sort_unstable();
        let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1e3;
        println!(
            "| {:.0} s | {} | {:.1} ms | {:.1} ms | {:.1} ms | {} |",
            start.elapsed().as_secs_f64(),
            times.len(),
            at(50),
            at(99),
            at(100),
            connection.waiting().await
        );
    }
    let stats = database.stats().await.expect("the stats");
    let age = stats.oldest_snapshot.expect("the age of the snapshot");
    println!("\nThe stats report the snapshot: {} s, {:?}.", age.as_secs(), stats.oldest_snapshot_holder);
    enqueue.abort();
    holder.batch("ROLLBACK").await;
}

/// Enqueues messages until the task is aborted.
async fn enqueue(connection: Connection) {
    let interval =
        Duration::from_secs(1) / u32::try_from(PER_SECOND / PER_TRANSACTION).expect("a small number");
    let mut ticks = tokio::time::interval(interval);
    // A transaction that is late does not reduce the rate.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut first = 0;
    loop {
        ticks.tick().await;
        connection.enqueue_range(first, first + PER_TRANSACTION - 1, LOCATIONS, "contact").await;
        first += PER_TRANSACTION;
    }
}
