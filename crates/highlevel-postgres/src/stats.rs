//! Numbers for a dashboard.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::Value;
use tokio_postgres::types::Type;

use crate::database::Database;
use crate::error::Result;

/// Counts of the backlog stop at this number: counting millions of rows takes longer than a dashboard waits.
const MOST: i64 = 100_000;

/// The state of the outbox and the inbox. From [`Database::stats`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Messages that wait to be sent, scheduled ones included: at most 100,000 are counted.
    pub pending: u64,
    /// Messages that were enqueued and that no sender has seen. If this grows, no sender runs.
    pub arrivals: u64,
    /// The time since the oldest message has been due, locations that are held excluded.
    pub oldest_due: Option<Duration>,
    /// Messages that are being sent.
    pub sending: u64,
    /// Messages whose outcome is unknown, those on the desk included.
    pub unknown: u64,
    /// Messages that a person has to decide about.
    pub desk: u64,
    /// The time since the oldest message has been on the desk.
    pub oldest_desk: Option<Duration>,
    /// The number of locations that are held, by reason.
    pub held_locations: BTreeMap<String, u64>,
    /// Events that wait to be handled, or are being handled.
    pub inbox_pending: u64,
    /// Events that a person has to decide about.
    pub inbox_desk: u64,
    /// Senders that were seen in the last 30 seconds.
    pub workers: u64,
    /// The time of the longest recent claim of those senders.
    pub claim_time: Option<Duration>,
    /// Rows of the schema that wait for a vacuum, as PostgreSQL estimates them.
    pub dead_rows: u64,
    /// The age of the oldest transaction that keeps dead rows alive in this database.
    pub oldest_snapshot: Option<Duration>,
    /// The process id, user, program and state of that transaction's connection.
    pub oldest_snapshot_holder: Option<String>,
    /// The time that this query took.
    pub query_time: Duration,
}

/// The numbers as `stats_v1` returns them.
#[derive(Deserialize)]
struct StatsRow {
    pending: u64,
    arrivals: u64,
    oldest_due_ms: Option<i64>,
    sending: u64,
    unknown: u64,
    desk: u64,
    oldest_desk_ms: Option<i64>,
    held_locations: BTreeMap<String, u64>,
    inbox_pending: u64,
    inbox_desk: u64,
    workers: u64,
    claim_ms: Option<i64>,
    dead_rows: u64,
    oldest_snapshot_ms: Option<i64>,
    oldest_snapshot_holder: Option<String>,
}

impl Database {
    /// Returns numbers for a dashboard. Its cost does not grow with the backlog beyond 100,000 messages.
    ///
    /// # Errors
    ///
    /// Returns the error of the database.
    pub async fn stats(&self) -> Result<Stats> {
        let start = Instant::now();
        let row = self.query_one("SELECT highlevel.stats_v1($1)", &[(&MOST, Type::INT8)]).await?;
        let query_time = start.elapsed();
        let row: StatsRow = serde_json::from_value(row.try_get::<_, Value>(0)?)?;
        let time =
            |ms: Option<i64>| ms.map(|ms| Duration::from_millis(u64::try_from(ms).unwrap_or_default()));
        Ok(Stats {
            pending: row.pending,
            arrivals: row.arrivals,
            oldest_due: time(row.oldest_due_ms),
            sending: row.sending,
            unknown: row.unknown,
            desk: row.desk,
            oldest_desk: time(row.oldest_desk_ms),
            held_locations: row.held_locations,
            inbox_pending: row.inbox_pending,
            inbox_desk: row.inbox_desk,
            workers: row.workers,
            claim_time: time(row.claim_ms),
            dead_rows: row.dead_rows,
            oldest_snapshot: time(row.oldest_snapshot_ms),
            oldest_snapshot_holder: row.oldest_snapshot_holder,
            query_time,
        })
    }
}
