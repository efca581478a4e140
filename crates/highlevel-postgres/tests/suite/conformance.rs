//! The checks that implementations of the traits of `highlevel` have to pass, each through several connection pools.

use std::time::Duration;

use highlevel::auth::store::conformance as token_store;
use highlevel::limit::conformance as limiter;
use highlevel::webhook::conformance as deduplicator;
use highlevel_postgres::{Limits, SealingKey};

use serde_json::json;

use crate::support::TestDatabase;
use crate::support::remote_deduplicator::RemoteDeduplicator;
use crate::support::remote_limiter::RemoteLimiter;
use crate::support::remote_store::RemoteStore;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_token_store_conforms() {
    for key in [None, Some([7; 32])] {
        let Some((test, _)) = TestDatabase::migrated().await else { return };
        token_store::run(async || {
            let mut builder = test.builder();
            if let Some(key) = key {
                builder = builder.seal(SealingKey::new(&key)?);
            }
            Ok(builder.connect().await?.tokens())
        })
        .await
        .expect("it conforms");
        let plain = test.number("SELECT count(*) FROM highlevel.token WHERE get_byte(tokens, 0) = 123");
        assert_eq!(plain == 0, key.is_some());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_token_store_conforms_from_four_processes() {
    let Some((test, _)) = TestDatabase::migrated().await else { return };
    let role = json!({ "role": "store", "url": test.url() });
    token_store::run(async || Ok(RemoteStore::start(&role))).await.expect("it conforms");
}

/// The interval is long enough for as many round trips as the limit on a busy machine.
const INTERVAL: Duration = Duration::from_millis(400);

const MARGIN: Duration = Duration::from_millis(20);
/// A check holds its permits and waits for others.
const RETURN_TIMEOUT: Duration = Duration::from_secs(3);

fn checked_limits() -> limiter::Limits {
    limiter::Limits::new(4, INTERVAL, 28).gives_back(false)
}

/// On one thread: the check of the order counts on that of its tasks.
#[tokio::test]
async fn the_limiter_conforms() {
    let Some((test, _)) = TestDatabase::migrated().await else { return };
    let checked = checked_limits();
    let limits = Limits::new(checked.burst, checked.interval, checked.daily).margin(MARGIN);
    let limits = limits.return_timeout(RETURN_TIMEOUT);
    limiter::run(checked, async || {
        let database = test.builder().limits(limits).connect().await;
        Ok(database.map_err(highlevel::limit::AcquireError::unavailable)?.limiter())
    })
    .await
    .expect("it conforms");
}

#[tokio::test]
async fn the_limiter_conforms_from_four_processes() {
    let Some((test, _)) = TestDatabase::migrated().await else { return };
    let (checked, interval_ms) = (checked_limits(), INTERVAL.as_millis());
    let role = json!({
        "role": "limiter", "url": test.url(), "burst": checked.burst, "daily": checked.daily,
        "interval_ms": u64::try_from(interval_ms).expect("a small number"),
        "limit_margin_ms": 20, "return_ms": 3_000,
    });
    limiter::run(checked, async || Ok(RemoteLimiter::start(&role))).await.expect("it conforms");
}

fn timing() -> deduplicator::Timing {
    deduplicator::Timing { claim_timeout: Some(Duration::from_secs(600)), ..deduplicator::Timing::default() }
}

/// The clock of the database cannot be set, so the times of the past are.
async fn advance(test: &TestDatabase, by: Duration) {
    let ms = by.as_millis();
    test.sql(&format!("UPDATE highlevel.event SET claimed_at = claimed_at - {ms} * interval '1 ms'"));
    test.builder().connect().await.expect("a connection").maintain().await.expect("maintained");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_deduplicator_conforms() {
    let Some((test, _)) = TestDatabase::migrated().await else { return };
    let open = async || Ok(test.builder().connect().await?.deduplicator());
    deduplicator::run(open, timing(), async |by| advance(&test, by).await).await.expect("it conforms");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_deduplicator_conforms_from_four_processes() {
    let Some((test, _)) = TestDatabase::migrated().await else { return };
    let role = json!({ "role": "deduplicator", "url": test.url() });
    let open = async || Ok(RemoteDeduplicator::start(&role));
    deduplicator::run(open, timing(), async |by| advance(&test, by).await).await.expect("it conforms");
}
