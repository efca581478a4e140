//! Tokens that HighLevel gave and the store did not take are in one process only, and must survive there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use highlevel::ErrorKind;
use highlevel::auth::store::{Expected, Key, Resource, TokenStore, Version};
use secrecy::ExposeSecret;
use serde_json::json;
use tokio::sync::Notify;

use super::spy::{Before, Spy};
use super::world::{CLIENT_ID, COMPANY, Fate, SECOND, World, send, until};
use crate::server::{Act, json as json_answer};

/// A store that fails while the switch is on.
fn failing(world: &World, is_down: &Arc<AtomicBool>) -> Spy {
    let is_down = Arc::clone(is_down);
    Spy::new(world.store.clone(), move |_, _| {
        if is_down.load(Ordering::SeqCst) { Before::Failure } else { Before::Nothing }
    })
}

#[tokio::test]
async fn they_are_stored_without_another_call_as_soon_as_the_store_works() {
    let world = World::new().await;
    let is_down = Arc::new(AtomicBool::new(true));
    let app = world.builder().store(failing(&world, &is_down)).build().expect("an app");
    let error = app.exchange(World::code("loc1")).await.expect_err("not stored");
    assert_eq!(error.kind(), ErrorKind::Token);
    is_down.store(false, Ordering::SeqCst);
    until(async || world.stored("loc1").await.is_some()).await;
    send(&app.location("loc1")).await.expect("a receipt");
    assert_eq!(world.server.requests().len(), 2);
}

#[tokio::test]
async fn they_go_with_their_app() {
    let world = World::new().await;
    let is_down = Arc::new(AtomicBool::new(true));
    let app = world.builder().store(failing(&world, &is_down)).build().expect("an app");
    app.exchange(World::code("loc1")).await.expect_err("not stored");
    assert_eq!(Arc::strong_count(&is_down), 2, "the store has one");
    drop(app);
    until(async || Arc::strong_count(&is_down) == 1).await;
}

/// The process that is asked to stop has its runtime shut down, while the store takes its time.
#[tokio::test]
async fn they_survive_whoever_stores_them() {
    let world = World::new().await;
    world.installed("loc1").await;
    world.expire();
    let asked = Arc::new(Notify::new());
    let spy = Spy::new(world.store.clone(), {
        let asked = Arc::clone(&asked);
        move |operation, nth| match (operation, nth) {
            ("put", 0) => {
                let asked = Arc::clone(&asked);
                Before::This(Box::pin(async move {
                    asked.notify_one();
                    std::future::pending::<()>().await;
                }))
            }
            _ => Before::Nothing,
        }
    });
    let app = world.builder().store(spy).build().expect("an app");
    let client = app.location("loc1");
    let given_up = tokio::task::spawn_blocking({
        let client = client.clone();
        move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                tokio::select! {
                    () = asked.notified() => {}
                    result = send(&client) => panic!("an answer: {result:?}"),
                }
            });
        }
    });
    given_up.await.expect("no panic");
    // HighLevel does not repeat its answer any more.
    world.clock.advance(60 * SECOND);
    send(&client).await.expect("a receipt");
    assert_eq!((world.refreshes(), world.sends()), (1, 1));
}

/// The store has taken them, but its answer was lost: they are found there, and not stored once more.
#[tokio::test]
async fn what_was_stored_is_recognised() {
    let world = World::new().await;
    let spy = Spy::new(world.store.clone(), |operation, nth| match (operation, nth) {
        ("put", 0) => Before::LostAnswer,
        _ => Before::Nothing,
    });
    let app = world.builder().store(spy.clone()).build().expect("an app");
    app.exchange(World::code("loc1")).await.expect("tokens");
    assert_eq!(spy.count("put"), 2);
    let key = Key::new(CLIENT_ID, Resource::Location("loc1".to_owned().into()));
    let stored = world.store.get(&key).await.expect("a store").expect("tokens");
    assert_eq!(stored.version, Version(1));
    send(&app.location("loc1")).await.expect("a receipt");
}

/// Which locations were approved is said once, with the tokens of their company.
#[tokio::test]
async fn the_locations_of_a_company_that_is_not_stored_yet_are_not_forgotten() {
    let world = World::new().await;
    world.app().exchange(World::company_code()).await.expect("tokens");
    let company = Resource::Company(COMPANY.to_owned().into());
    let tokens = world.stored_for(company.clone()).await.expect("tokens");
    world.store.remove(&Key::new(CLIENT_ID, company.clone()), Expected::Anything).await.expect("a store");
    let answer = json!({ "access_token": tokens.access_token.expose_secret(), "userType": "Company",
        "companyId": COMPANY, "approvedLocations": ["loc1"] });
    world.fates([Fate::Not(Act::Answer(json_answer("200 OK", &answer)))]);
    let is_down = Arc::new(AtomicBool::new(true));
    let app = world.builder().store(failing(&world, &is_down)).build().expect("an app");
    app.exchange(World::company_code()).await.expect_err("not stored");
    is_down.store(false, Ordering::SeqCst);
    until(async || world.stored_for(company.clone()).await.is_some()).await;
    send(&app.location("loc1")).await.expect("a receipt");
}

/// Two installations that could not be stored: the later one is.
#[tokio::test]
async fn a_later_installation_replaces_them() {
    let world = World::new().await;
    world.installed("loc1").await;
    let is_down = Arc::new(AtomicBool::new(true));
    let app = world.builder().store(failing(&world, &is_down)).build().expect("an app");
    for _ in 0..2 {
        world.clock.advance(SECOND);
        app.exchange(World::code("loc1")).await.expect_err("not stored");
    }
    is_down.store(false, Ordering::SeqCst);
    until(async || {
        let stored = world.stored("loc1").await.expect("tokens");
        stored.access_token.expose_secret().ends_with("-3")
    })
    .await;
}
