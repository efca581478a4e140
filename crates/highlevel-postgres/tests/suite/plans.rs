//! The plans of statements do not depend on statistics that were gathered at another time.

use crate::support::TestDatabase;

/// The statistics are of a time without pending messages, as those of an outbox that is usually empty. A backlog that
/// arrives after that is not read as a whole by each claim.
#[tokio::test]
async fn a_claim_reads_no_backlog_that_the_statistics_lack() {
    const BACKLOG: i64 = 20_000;
    const LOCATIONS: i64 = 100;
    let Some((test, _)) = TestDatabase::migrated().await else { return };
    let enqueue = |count: i64| {
        test.sql(&format!(
            "SELECT count(highlevel.enqueue_v1(jsonb_build_object('location', 'location' || n % {LOCATIONS},
                 'order_key', 'contact' || n, 'operation', 'messages', 'request', '{{}}'::jsonb)))
                 FROM generate_series(1, {count}) n"
        ));
        while test.number("SELECT highlevel.stage_v1(2000)") > 0 {}
    };
    enqueue(5_000);
    test.sql("UPDATE highlevel.outbox SET state = 'r', desk_at = clock_timestamp()");
    test.sql("VACUUM ANALYZE highlevel.outbox");
    enqueue(BACKLOG);
    // Counted when the session of each statement has ended.
    let read = "SELECT sum(idx_tup_read)::bigint FROM pg_stat_user_indexes WHERE relname = 'outbox'";
    let before = test.number(read);
    let sender = "00000000-0000-0000-0000-000000000001";
    let claimed = test.number(&format!(
        "SELECT count(*) FROM highlevel.claim_v1('test', '{sender}', 1, 100, 100, 1, interval '1 minute', NULL)"
    ));
    assert_eq!(claimed, LOCATIONS);
    let read = test.number(read) - before;
    assert!(read < BACKLOG / 2, "the claim has read {read} entries of indexes");
}
