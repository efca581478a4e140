//! The tokens of thousands of locations expire at the same time.

use std::time::Instant;

use highlevel::auth::store::{FileStore, TokenStore};
use tokio::task::JoinSet;

use super::super::world::{CLIENT_ID, World, send};
use super::Scratch;

/// The number of locations: all of them have 60 seconds, the default deadline of a call.
const LOCATIONS: usize = 3_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_calls_succeed_when_thousands_of_locations_expire_at_once() {
    let (world, scratch) = (World::new().await, Scratch::new());
    let store = FileStore::open(&scratch.0).expect("a store");
    let app = world.builder().store(store.clone()).build().expect("an app");

    let start = Instant::now();
    let mut installing = JoinSet::new();
    for number in 0..LOCATIONS {
        let app = app.clone();
        installing.spawn(async move { app.exchange(World::code(&format!("loc{number}"))).await.map(drop) });
        if installing.len() >= 64 {
            installing.join_next().await.expect("a task").expect("no panic").expect("tokens");
        }
    }
    installing.join_all().await.into_iter().collect::<Result<(), _>>().expect("tokens");
    let installed = start.elapsed();

    // Another process, which has nothing in memory.
    world.expire();
    let app = world.builder().store(FileStore::open(&scratch.0).expect("a store")).build().expect("an app");
    let start = Instant::now();
    let mut calls = JoinSet::new();
    for number in 0..LOCATIONS {
        let client = app.location(format!("loc{number}"));
        calls.spawn(async move { send(&client).await.map(drop) });
    }
    let mut errors = Vec::new();
    let mut last = start.elapsed();
    while let Some(call) = calls.join_next().await {
        last = start.elapsed();
        errors.extend(call.expect("no panic").err().map(|error| error.to_string()));
    }
    println!("{LOCATIONS} locations: installed in {installed:?}, refreshed and sent in {last:?}");
    assert!(
        errors.is_empty(),
        "{} of {LOCATIONS} failed, such as: {:?}",
        errors.len(),
        &errors[..errors.len().min(3)]
    );
    assert_eq!((world.refreshes(), world.sends()), (LOCATIONS, LOCATIONS));
    assert_eq!(store.resources(CLIENT_ID).await.expect("resources").len(), LOCATIONS);
    app.flush().await;
    assert_eq!(scratch.names().len(), LOCATIONS + 1, "the entries and the marker, but no lock files");
}
