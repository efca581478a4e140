//! The checks that implementations of the traits of `highlevel` have to pass, each through several connection pools.

use std::time::Duration;

use highlevel::auth::store::conformance as token_store;
use highlevel::limit::conformance as limiter;
use highlevel::webhook::conformance as deduplicator;
use highlevel_postgres::{Limits, SealingKey};

use serde_json::json;

use crate::support::TestDatabase;
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

/// On one thread: the check of the order counts on that of its tasks.
#[tokio::test]
async fn the_limiter_conforms() {
    let Some((test, _)) = TestDatabase::migrated().await else { return };
    // The interval is long enough for as many round trips as the limit on a busy machine.
    let checked = limiter::Limits::new(4, Duration::from_millis(400), 28).gives_back(false);
    let limits =
        Limits::new(checked.burst, checked.interval, checked.daily).margin(Duration::from_millis(400));
    limiter::run(checked, async || {
        let database = test.builder().limits(limits).connect().await;
        Ok(database.map_err(highlevel::limit::AcquireError::unavailable)?.limiter())
    })
    .await
    .expect("it conforms");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_deduplicator_conforms() {
    let Some((test, _)) = TestDatabase::migrated().await else { return };
    let timing = deduplicator::Timing {
        claim_timeout: Some(Duration::from_secs(600)),
        ..deduplicator::Timing::default()
    };
    // The clock of the database cannot be set, so the times of the past are.
    let advance = async |by: Duration| {
        let ms = by.as_millis();
        test.sql(&format!("UPDATE highlevel.event SET claimed_at = claimed_at - {ms} * interval '1 ms'"));
        test.builder().connect().await.expect("a connection").maintain().await.expect("maintained");
    };
    deduplicator::run(async || Ok(test.builder().connect().await?.deduplicator()), timing, advance)
        .await
        .expect("it conforms");
}
