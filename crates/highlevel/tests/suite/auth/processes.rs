//! Several processes on one store, which are several apps here: one renewal, and nothing newer is overwritten.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use highlevel::auth::App;
use highlevel::auth::store::{Key, LeaseResult, Precondition, Resource, TokenStore};
use highlevel::{Delivery, ErrorKind};
use secrecy::ExposeSecret;

use super::spy::{Before, Spy};
use super::world::{CLIENT_ID, Fate, SECOND, World, refusal, send};

fn key() -> Key {
    Key::new(CLIENT_ID, Resource::Location("loc1".to_owned().into()))
}

#[tokio::test]
async fn four_processes_renew_once() {
    let world = World::new().await;
    world.installed("loc1").await;
    world.expire();
    let apps = [world.app(), world.app(), world.app(), world.app()];
    let calls: Vec<_> = (0..40)
        .map(|call| {
            let client = apps[call % apps.len()].location("loc1");
            tokio::spawn(async move { send(&client).await })
        })
        .collect();
    for call in calls {
        call.await.expect("no panic").expect("a receipt");
    }
    assert_eq!((world.refreshes(), world.sends()), (1, 40));
}

#[tokio::test]
async fn a_rejected_token_that_another_process_has_renewed_is_not_renewed_again() {
    let world = World::new().await;
    let (_, first) = world.installed("loc1").await;
    let second = world.app().location("loc1");
    send(&first).await.expect("a receipt");
    send(&second).await.expect("a receipt");
    world.revoke_access();
    send(&first).await.expect("a receipt");
    send(&second).await.expect("a receipt");
    assert_eq!(world.refreshes(), 1);
}

#[tokio::test]
async fn a_lease_is_respected_until_it_ends() {
    let world = World::new().await;
    let (_, client) = world.installed("loc1").await;
    world.expire();
    // A process that has died has the lease.
    let lease = world.store.lease(&key(), "dead", 15 * SECOND).await.expect("a store");
    assert_eq!(lease, LeaseResult::Granted);
    let hasty = client.clone().with_call_timeout(Duration::from_millis(150));
    let error = send(&hasty).await.expect_err("no lease");
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Token, Delivery::NotSent));
    assert_eq!(world.refreshes(), 0);
    world.clock.advance(15 * SECOND);
    send(&client).await.expect("a receipt");
    assert_eq!(world.refreshes(), 1);
    // It was given back.
    let lease = world.store.lease(&key(), "next", SECOND).await.expect("a store");
    assert_eq!(lease, LeaseResult::Granted);
}

#[tokio::test]
async fn a_lease_from_before_the_clock_was_put_back_stops_nobody() {
    let world = World::new().await;
    let (_, client) = world.installed("loc1").await;
    let lease = world.store.lease(&key(), "dead", 15 * SECOND).await.expect("a store");
    assert_eq!(lease, LeaseResult::Granted);
    world.clock.put_back(3_600 * SECOND);
    world.revoke_access();
    send(&client.with_call_timeout(5 * SECOND)).await.expect("a receipt");
    assert_eq!(world.refreshes(), 1);
}

#[tokio::test]
async fn a_refresh_asks_for_one_lease_and_gives_it_back() {
    let world = World::new().await;
    world.installed("loc1").await;
    world.expire();
    let spy = Spy::new(world.store.clone(), |_, _| Before::Nothing);
    let app = world.builder().store(spy.clone()).build().expect("an app");
    send(&app.location("loc1")).await.expect("a receipt");
    app.flush().await;
    assert_eq!((spy.count("lease"), spy.count("release"), world.refreshes()), (1, 1, 1));
}

/// A process that was stopped with the lease in hand: another may have refreshed meanwhile.
#[tokio::test]
async fn a_lease_that_has_ended_before_the_request_is_sent_is_acquired_again() {
    let world = World::new().await;
    world.installed("loc1").await;
    world.expire();
    let spy = Spy::new(world.store.clone(), |operation, nth| match (operation, nth) {
        // The first is extended, because it has ended. The second ends before the request is sent.
        ("lease", 0 | 1) => Before::This(Box::pin(super::world::steady_time_passes(16 * SECOND))),
        _ => Before::Nothing,
    });
    let app = world.builder().store(spy.clone()).build().expect("an app");
    send(&app.location("loc1")).await.expect("a receipt");
    assert_eq!((spy.count("lease"), world.refreshes()), (3, 1));
}

/// An app whose store does something before one operation, and the app that does it.
fn interfered(world: &World, operation: &'static str, nth: usize, work: Work) -> (App, Spy) {
    let other = Arc::new(OnceLock::new());
    let spy = Spy::new(world.store.clone(), {
        let other: Arc<OnceLock<(App, String)>> = Arc::clone(&other);
        let store = world.store.clone();
        move |op, count| {
            if (op, count) != (operation, nth) {
                return Before::Nothing;
            }
            let (other, store) = (Arc::clone(&other), store.clone());
            Before::This(Box::pin(async move {
                match work {
                    Work::InstallAgain => {
                        let (app, code) = other.get().expect("set below").clone();
                        app.exchange(code).await.expect("tokens");
                    }
                    Work::Remove => {
                        assert!(store.remove(&key(), Precondition::Anything).await.expect("a store"));
                    }
                }
            }))
        }
    });
    assert!(other.set((world.app(), World::code("loc1"))).is_ok());
    (world.builder().store(spy.clone()).build().expect("an app"), spy)
}

#[derive(Clone, Copy)]
enum Work {
    InstallAgain,
    Remove,
}

#[tokio::test]
async fn a_new_installation_is_not_overwritten_by_the_answer_of_an_older_refresh() {
    let world = World::new().await;
    world.installed("loc1").await;
    world.expire();
    let (app, spy) = interfered(&world, "put", 0, Work::InstallAgain);
    send(&app.location("loc1")).await.expect("a receipt");
    assert_eq!((world.refreshes(), spy.count("put")), (1, 1));
    let stored = world.stored("loc1").await.expect("tokens");
    assert_eq!(stored.access_token.expose_secret(), "access-5ec2e75ec2e7-3");
    assert_eq!(world.bearers(), ["Bearer access-5ec2e75ec2e7-3"]);
}

#[tokio::test]
async fn with_the_lease_in_hand_the_store_is_read_again() {
    let world = World::new().await;
    world.installed("loc1").await;
    world.expire();
    let (app, _) = interfered(&world, "lease", 0, Work::InstallAgain);
    send(&app.location("loc1")).await.expect("a receipt");
    assert_eq!(world.refreshes(), 0);
}

#[tokio::test]
async fn tokens_that_were_removed_meanwhile_do_not_come_back() {
    let world = World::new().await;
    world.installed("loc1").await;
    world.expire();
    let (app, _) = interfered(&world, "put", 0, Work::Remove);
    let error = send(&app.location("loc1")).await.expect_err("removed");
    assert_eq!((error.kind(), world.sends()), (ErrorKind::NeedsAuthorization, 0));
    assert!(world.stored("loc1").await.is_none());
}

#[tokio::test]
async fn after_an_invalid_grant_the_store_is_read_before_anybody_is_bothered() {
    let world = World::new().await;
    world.installed("loc1").await;
    world.expire();
    world.fates([Fate::Not(refusal("400 Bad Request", "Invalid grant: refresh token is invalid"))]);
    // Read twice before the request: without and with the lease.
    let (app, _) = interfered(&world, "get", 2, Work::InstallAgain);
    send(&app.location("loc1")).await.expect("a receipt");
    assert_eq!(world.refreshes(), 1);
}

#[tokio::test]
async fn tokens_are_stored_before_they_are_used_and_never_lost() {
    let world = World::new().await;
    world.installed("loc1").await;
    world.expire();
    let is_down = Arc::new(AtomicBool::new(true));
    let spy = Spy::new(world.store.clone(), {
        let is_down = Arc::clone(&is_down);
        move |operation, _| match operation {
            "put" if is_down.load(Ordering::SeqCst) => Before::Failure,
            _ => Before::Nothing,
        }
    });
    let app = world.builder().store(spy.clone()).build().expect("an app");
    let client = app.location("loc1");
    let error = send(&client).await.expect_err("not stored");
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Token, Delivery::NotSent));
    assert_eq!(
        error.to_string(),
        "send_message: the token store failed to save the new tokens, which are retained in memory until it does, \
         of the location loc1; see the source of this error; nothing was sent"
    );
    assert_eq!((world.refreshes(), world.sends()), (1, 0));
    assert!(spy.count("put") >= 4, "{}", spy.count("put"));
    is_down.store(false, Ordering::SeqCst);
    // An hour later, HighLevel would not repeat its answer, but it need not.
    world.clock.advance(3_600 * SECOND);
    send(&client).await.expect("a receipt");
    assert_eq!((world.refreshes(), world.sends()), (1, 1));
    let stored = world.stored("loc1").await.expect("tokens");
    assert_eq!(stored.access_token.expose_secret(), "access-5ec2e75ec2e7-2");
}

#[tokio::test]
async fn a_store_that_cannot_be_read_is_no_reason_to_ask_highlevel() {
    for operation in ["get", "lease"] {
        let world = World::new().await;
        world.installed("loc1").await;
        world.expire();
        let spy =
            Spy::new(
                world.store.clone(),
                move |op, _| {
                    if op == operation { Before::Failure } else { Before::Nothing }
                },
            );
        let app = world.builder().store(spy).build().expect("an app");
        let error = send(&app.location("loc1")).await.expect_err("no store");
        assert_eq!((error.kind(), error.delivery()), (ErrorKind::Token, Delivery::NotSent), "{operation}");
        assert_eq!(world.refreshes(), 0, "{operation}");
    }
}
