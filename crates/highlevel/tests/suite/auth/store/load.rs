//! The tokens of thousands of locations expire at the same time.

use std::collections::HashSet;
use std::time::Instant;

use highlevel::auth::store::{FileStore, TokenStore};
use tokio::task::JoinSet;

use super::super::mock::{CLIENT_ID, MockHighLevel, send};
use super::scratch;

/// Returns the number of locations. The calls of all of them have 60 seconds, the default deadline.
fn locations() -> usize {
    std::env::var("HIGHLEVEL_TEST_LOCATIONS").map_or(1_000, |number| number.parse().expect("a number"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_calls_succeed_when_thousands_of_locations_expire_at_once() {
    let locations = locations();
    let (mock, scratch) = (MockHighLevel::new().await, scratch());
    let store = FileStore::open(scratch.path()).expect("a store");
    let app = mock.builder().store(store.clone()).build().expect("an app");

    let start = Instant::now();
    let mut installing = JoinSet::new();
    for number in 0..locations {
        let app = app.clone();
        installing
            .spawn(async move { app.exchange(MockHighLevel::code(&format!("loc{number}"))).await.map(drop) });
        if installing.len() >= 64 {
            installing.join_next().await.expect("a task").expect("no panic").expect("tokens");
        }
    }
    installing.join_all().await.into_iter().collect::<Result<(), _>>().expect("tokens");
    let installed = start.elapsed();

    // Another process, which has nothing in memory.
    mock.expire();
    let app =
        mock.builder().store(FileStore::open(scratch.path()).expect("a store")).build().expect("an app");
    let start = Instant::now();
    let mut calls = JoinSet::new();
    for number in 0..locations {
        let client = app.location(format!("loc{number}"));
        calls.spawn(async move { send(&client).await.map(drop) });
    }
    let mut errors = Vec::new();
    let mut last = start.elapsed();
    while let Some(call) = calls.join_next().await {
        last = start.elapsed();
        errors.extend(call.expect("no panic").err().map(|error| error.to_string()));
    }
    println!("{locations} locations: installed in {installed:?}, refreshed and sent in {last:?}");
    assert!(
        errors.is_empty(),
        "{} of {locations} failed, such as: {:?}",
        errors.len(),
        &errors[..errors.len().min(3)]
    );
    assert_eq!(mock.sends(), locations);
    // On a busy machine a refresh may be repeated, which gives the same tokens.
    let tokens: HashSet<_> = mock.bearers().into_iter().collect();
    assert_eq!(tokens.len(), locations, "after {} requests to refresh", mock.refreshes());
    assert_eq!(store.resources(CLIENT_ID).await.expect("resources").len(), locations);
    app.flush().await;
    assert_eq!(scratch.names().len(), locations + 1, "the entries and the marker, but no lock files");
}
