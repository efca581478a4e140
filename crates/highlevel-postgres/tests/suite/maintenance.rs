//! Retention: rows and partitions are deleted after their time, and not before.

use std::time::Duration;

use crate::support::{TestDatabase, clients, sandbox, sms, until_async};

use highlevel_postgres::Outgoing;

/// A table, a row that has to remain, and one that has to be deleted.
struct Row {
    table: &'static str,
    columns: &'static str,
    remains: &'static str,
    deleted: &'static str,
}

const HOUR_MS: &str = "3600000";

#[tokio::test]
async fn rows_are_deleted_after_their_retention() {
    let Some((test, database)) = TestDatabase::migrated().await else { return };
    let row = |table, columns, remains, deleted| Row { table, columns, remains, deleted };
    let rows = [
        row("outbox_once", "key, message, at", "'new', 1, now()", "'old', 2, now() - interval '91 days'"),
        row("history", "what, at", "'new', now()", "'old', now() - interval '31 days'"),
        row(
            "event",
            "id, token, claimed_at, handled",
            "'new', gen_random_uuid(), now(), true",
            "'old', gen_random_uuid(), now() - interval '25 hours', true",
        ),
        row("inbox_seen", "event_id, at", "'new', now()", "'old', now() - interval '25 hours'"),
        row(
            "evidence",
            "location, message_id, body, seen_at",
            "'l', 'new', '{}', now()",
            "'l', 'old', '{}', now() - interval '3 hours'",
        ),
        row(
            "token_lease",
            "client_id, kind, id, holder, until",
            "'c', 'k', 'new', 'h', now()",
            "'c', 'k', 'old', 'h', now() - interval '2 hours'",
        ),
        row(
            "worker",
            "id, host, process, seen_at",
            "gen_random_uuid(), 'new', 1, now()",
            "gen_random_uuid(), 'old', 1, now() - interval '2 days'",
        ),
        row("lane_name", "location", "'new'", "'old'"),
        row(
            "lane",
            "location, next_at, cursor_due",
            "'new', 'infinity', now()",
            "'old', 'infinity', now() - interval '2 days'",
        ),
        // A day that has just ended: the log of the last interval still counts.
        row(
            "limiter",
            "location, day_ends_ms",
            "'new', highlevel.now_ms_v1() - 1000",
            "'old', highlevel.now_ms_v1() - 3 * HOUR",
        ),
    ];
    for Row { table, columns, remains, deleted } in &rows {
        for values in [remains, deleted] {
            let values = values.replace("HOUR", HOUR_MS);
            test.sql(&format!("INSERT INTO highlevel.{table} ({columns}) VALUES ({values})"));
        }
    }
    assert!(database.maintain().await.expect("maintained"));
    for Row { table, .. } in &rows {
        let left = test
            .sql(&format!("SELECT count(*), bool_and(NOT t::text LIKE '%old%') FROM highlevel.{table} t"));
        assert_eq!(left, "1|t", "{table}");
    }
}

#[tokio::test]
async fn completed_messages_are_dropped_by_the_day() {
    let Some((test, database)) = TestDatabase::migrated().await else { return };
    test.sql(
        "CREATE TABLE highlevel.outbox_done_20200101 PARTITION OF highlevel.outbox_done
             FOR VALUES FROM ('2020-01-01 00:00+00') TO ('2020-01-02 00:00+00')",
    );
    for day in ["2020-01-01 12:00+00", "2020-01-05 12:00+00", "now"] {
        test.sql(&format!(
            "INSERT INTO highlevel.outbox_done (id, location, outcome, attempt, operation, enqueued_at, done_at)
                 VALUES (1, 'location', 's', 1, 'send', now(), '{day}')"
        ));
    }
    assert!(database.maintain().await.expect("maintained"));
    assert_eq!(test.sql("SELECT to_regclass('highlevel.outbox_done_20200101') IS NULL"), "t");
    assert_eq!(test.sql("SELECT count(*) FROM highlevel.outbox_done"), "1");
    // The partitions of the next three days are there before their first row.
    let partitions = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'highlevel.outbox_done'::regclass";
    assert_eq!(test.sql(partitions), "4");
    assert!(database.maintain().await.expect("maintained"));
    assert_eq!(test.sql(partitions), "4");
}

#[tokio::test]
async fn stats_report_claims_and_the_oldest_snapshot() {
    let Some((_test, database)) = TestDatabase::migrated().await else { return };
    let sandbox = sandbox().await;
    let mut holder = database.pool().get().await.expect("a connection");
    let transaction =
        holder.build_transaction().isolation_level(tokio_postgres::IsolationLevel::RepeatableRead);
    let transaction = transaction.start().await.expect("a transaction");
    transaction.query_typed("SELECT 1", &[]).await.expect("a snapshot");
    let outgoing = Outgoing::new(sandbox.location_id(), sms(sandbox.contact_id(), "Hello"));
    database.outbox().enqueue(outgoing).await.expect("enqueued");
    let before = database.stats().await.expect("numbers");
    assert_eq!((before.pending, before.arrivals, before.workers, before.claim_time), (1, 1, 0, None));
    let clients = clients(sandbox.base_url(), sandbox.token().to_owned(), &database);
    let sender = database.outbox().sender(clients).start();
    until_async("a sender reports its claims", async || {
        let stats = database.stats().await.expect("numbers");
        (stats.workers, stats.arrivals) == (1, 0) && stats.claim_time.is_some()
    })
    .await;
    let stats = database.stats().await.expect("numbers");
    assert!(stats.oldest_snapshot.is_some_and(|age| age > Duration::ZERO), "{stats:?}");
    assert!(stats.oldest_snapshot_holder.is_some(), "{stats:?}");
    transaction.rollback().await.expect("rolled back");
    assert!(sender.drain(Duration::from_secs(20)).await);
}
