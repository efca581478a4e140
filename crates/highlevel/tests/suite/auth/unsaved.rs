//! Tokens that HighLevel gave and the store did not take are in one process only, and must survive there.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use highlevel::ErrorKind;
use highlevel::auth::App;
use highlevel::auth::store::{Key, Precondition, Resource, TokenStore, Version};
use secrecy::ExposeSecret;
use serde_json::json;
use tokio::sync::Notify;

use super::spy::{Before, Spy};
use super::world::{CLIENT_ID, COMPANY, DAY, Fate, SECOND, World, send, until};
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
async fn they_are_waited_for_before_the_end() {
    let world = World::new().await;
    let is_down = Arc::new(AtomicBool::new(true));
    let app = world.builder().store(failing(&world, &is_down)).build().expect("an app");
    app.exchange(World::code("loc1")).await.expect_err("not stored");
    assert!(tokio::time::timeout(Duration::ZERO, app.flush()).await.is_err());
    is_down.store(false, Ordering::SeqCst);
    app.flush().await;
    assert!(world.stored("loc1").await.is_some());
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
    world.store.remove(&Key::new(CLIENT_ID, company.clone()), Precondition::Anything).await.expect("a store");
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

/// The store took them, but seemed to fail, and another process has renewed them since.
#[tokio::test]
async fn what_another_process_has_renewed_since_is_not_replaced() {
    let world = World::new().await;
    let other = world.app().location("loc1");
    let clock = world.clock.clone();
    let spy = Spy::new(world.store.clone(), move |operation, nth| match (operation, nth) {
        ("put", 0) => Before::LostAnswer,
        ("put", 1) => {
            let (other, clock) = (other.clone(), clock.clone());
            Before::This(Box::pin(async move {
                clock.advance(Duration::from_secs(DAY + 60));
                send(&other).await.expect("a receipt");
            }))
        }
        _ => Before::Nothing,
    });
    let app = world.builder().store(spy).build().expect("an app");
    let tokens = app.exchange(World::code("loc1")).await.expect("tokens");
    assert_eq!(world.refreshes(), 1);
    let stored = world.stored("loc1").await.expect("tokens");
    assert!(stored.access_token.expose_secret().ends_with("-2"));
    assert_eq!(stored.access_token.expose_secret(), tokens.access_token.expose_secret());
}

/// The app is installed again while the tokens of the older installation are renewed, and the store takes neither.
#[tokio::test]
async fn what_is_renewed_does_not_take_the_place_of_a_new_installation() {
    let world = World::new().await;
    world.installed("loc1").await;
    world.expire();
    let own = Arc::new(OnceLock::<App>::new());
    let spy = Spy::new(world.store.clone(), {
        let (own, clock) = (Arc::clone(&own), world.clock.clone());
        move |operation, nth| match (operation, nth) {
            ("put", 0..=3) => Before::Failure,
            // The renewal reads with the lease in hand.
            ("get", 1) => {
                let (own, clock) = (own.get().expect("set below").clone(), clock.clone());
                Before::This(Box::pin(async move {
                    clock.advance(SECOND);
                    own.exchange(World::code("loc1")).await.expect_err("not stored");
                }))
            }
            _ => Before::Nothing,
        }
    });
    let app = world.builder().store(spy).build().expect("an app");
    assert!(own.set(app.clone()).is_ok());
    send(&app.location("loc1")).await.expect("a receipt");
    assert_eq!(world.refreshes(), 1);
    let stored = world.stored("loc1").await.expect("tokens");
    assert!(stored.access_token.expose_secret().ends_with("-2"));
    assert_eq!(world.bearers(), [format!("Bearer {}", stored.access_token.expose_secret())]);
}

/// Another process, which is slow to hear of it, removes what is to be replaced.
#[tokio::test]
async fn a_new_installation_is_stored_also_if_the_older_one_goes_meanwhile() {
    let world = World::new().await;
    world.installed("loc1").await;
    let store = world.store.clone();
    let spy = Spy::new(world.store.clone(), move |operation, nth| match (operation, nth) {
        ("put", 0..=3) => Before::Failure,
        ("put", 5) => {
            let store = store.clone();
            Before::This(Box::pin(async move {
                let key = Key::new(CLIENT_ID, Resource::Location("loc1".to_owned().into()));
                assert!(store.remove(&key, Precondition::Anything).await.expect("a store"));
            }))
        }
        _ => Before::Nothing,
    });
    world.clock.advance(SECOND);
    let app = world.builder().store(spy.clone()).build().expect("an app");
    app.exchange(World::code("loc1")).await.expect_err("not stored");
    until(async || spy.count("put") > 5).await;
    // Offered or looked for: it is there.
    send(&app.location("loc1")).await.expect("a receipt");
    assert_eq!(world.bearers(), ["Bearer access-5ec2e75ec2e7-2"]);
}

/// Nobody has to install an app on a company whose tokens are here, also if the store has not taken them yet.
#[tokio::test]
async fn a_company_that_is_not_stored_yet_is_there() {
    let world = World::new().await;
    let is_down = Arc::new(AtomicBool::new(true));
    let app = world.builder().store(Spy::taking_nothing(&world.store, &is_down)).build().expect("an app");
    app.exchange(World::company_code()).await.expect_err("not stored");
    let client = app.company(COMPANY).location("loc1");
    let error = send(&client).await.expect_err("not stored");
    assert_eq!(error.kind(), ErrorKind::Token);
    assert!(error.to_string().contains("save the new tokens, which are retained in memory"), "{error}");
    is_down.store(false, Ordering::SeqCst);
    send(&client).await.expect("a receipt");
}

/// A store that takes nothing can be read: what another process has put there is used, but not what was renewed.
#[tokio::test]
async fn what_is_there_is_used_while_the_store_takes_nothing() {
    let world = World::new().await;
    world.installed("loc1").await;
    let is_down = Arc::new(AtomicBool::new(true));
    let app = world.builder().store(Spy::taking_nothing(&world.store, &is_down)).build().expect("an app");
    let client = app.location("loc1");
    world.revoke_access();
    for _ in 0..2 {
        let error = send(&client).await.expect_err("not stored");
        assert_eq!(error.status(), Some(401));
    }
    assert_eq!((world.refreshes(), world.sends()), (1, 2));
    world.app().exchange(World::code("loc1")).await.expect("tokens");
    send(&client).await.expect("a receipt");
    assert_eq!(world.bearers().last().map(String::as_str), Some("Bearer access-5ec2e75ec2e7-3"));
    assert_eq!((world.refreshes(), world.sends()), (1, 4));
}
