//! Several processes that share a store, played by several apps: one refreshes, and newer tokens are not overwritten.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use highlevel::auth::App;
use highlevel::auth::store::{Key, LeaseResult, Precondition, Resource, TokenStore};
use highlevel::{Delivery, ErrorKind};
use secrecy::ExposeSecret;

use super::mock::{CLIENT_ID, MockHighLevel, SECOND, TokenReply, rejection, send};
use super::spy_store::{Before, SpyStore};

fn key() -> Key {
    Key::new(CLIENT_ID, Resource::Location("loc1".to_owned().into()))
}

#[tokio::test]
async fn four_processes_refresh_once() {
    let mock = MockHighLevel::new().await;
    mock.installed("loc1").await;
    mock.expire();
    let apps = [mock.app(), mock.app(), mock.app(), mock.app()];
    let calls: Vec<_> = (0..40)
        .map(|call| {
            let client = apps[call % apps.len()].location("loc1");
            tokio::spawn(async move { send(&client).await })
        })
        .collect();
    for call in calls {
        call.await.expect("no panic").expect("a receipt");
    }
    assert_eq!((mock.refreshes(), mock.sends()), (1, 40));
}

#[tokio::test]
async fn a_rejected_token_that_another_process_has_refreshed_is_not_refreshed_again() {
    let mock = MockHighLevel::new().await;
    let (_, first) = mock.installed("loc1").await;
    let second = mock.app().location("loc1");
    send(&first).await.expect("a receipt");
    send(&second).await.expect("a receipt");
    mock.revoke_access();
    send(&first).await.expect("a receipt");
    send(&second).await.expect("a receipt");
    assert_eq!(mock.refreshes(), 1);
}

#[tokio::test]
async fn a_lease_is_respected_until_it_ends() {
    let mock = MockHighLevel::new().await;
    let (_, client) = mock.installed("loc1").await;
    mock.expire();
    // The process that holds the lease has died.
    let lease = mock.store.lease(&key(), "dead", 15 * SECOND).await.expect("a store");
    assert_eq!(lease, LeaseResult::Granted);
    let hasty = client.clone().with_call_timeout(Duration::from_millis(150));
    let error = send(&hasty).await.expect_err("no lease");
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Token, Delivery::NotSent));
    assert_eq!(mock.refreshes(), 0);
    mock.clock.advance(15 * SECOND);
    send(&client).await.expect("a receipt");
    assert_eq!(mock.refreshes(), 1);
    // The lease was released.
    let lease = mock.store.lease(&key(), "next", SECOND).await.expect("a store");
    assert_eq!(lease, LeaseResult::Granted);
}

#[tokio::test]
async fn a_lease_from_before_the_clock_was_put_back_is_ignored() {
    let mock = MockHighLevel::new().await;
    let (_, client) = mock.installed("loc1").await;
    let lease = mock.store.lease(&key(), "dead", 15 * SECOND).await.expect("a store");
    assert_eq!(lease, LeaseResult::Granted);
    mock.clock.put_back(3_600 * SECOND);
    mock.revoke_access();
    send(&client.with_call_timeout(5 * SECOND)).await.expect("a receipt");
    assert_eq!(mock.refreshes(), 1);
}

#[tokio::test]
async fn a_refresh_acquires_one_lease_and_releases_it() {
    let mock = MockHighLevel::new().await;
    mock.installed("loc1").await;
    mock.expire();
    let spy = SpyStore::new(mock.store.clone(), |_, _| Before::Nothing);
    let app = mock.builder().store(spy.clone()).build().expect("an app");
    send(&app.location("loc1")).await.expect("a receipt");
    app.flush().await;
    assert_eq!((spy.count("lease"), spy.count("release"), mock.refreshes()), (1, 1, 1));
}

/// A process is suspended while it holds the lease: another may have refreshed meanwhile.
#[tokio::test]
async fn a_lease_that_has_ended_before_the_request_is_sent_is_acquired_again() {
    let mock = MockHighLevel::new().await;
    mock.installed("loc1").await;
    mock.expire();
    let spy = SpyStore::new(mock.store.clone(), |operation, nth| match (operation, nth) {
        // The first is extended, because it has ended. The second ends before the request is sent.
        ("lease", 0 | 1) => Before::Run(Box::pin(super::mock::advance_monotonic_clock(16 * SECOND))),
        _ => Before::Nothing,
    });
    let app = mock.builder().store(spy.clone()).build().expect("an app");
    send(&app.location("loc1")).await.expect("a receipt");
    assert_eq!((spy.count("lease"), mock.refreshes()), (3, 1));
}

/// Returns an app whose store runs some work before one of its operations.
fn app_with_interference(
    mock: &MockHighLevel,
    operation: &'static str,
    nth: usize,
    work: Work,
) -> (App, SpyStore) {
    let other = Arc::new(OnceLock::new());
    let spy = SpyStore::new(mock.store.clone(), {
        let other: Arc<OnceLock<(App, String)>> = Arc::clone(&other);
        let store = mock.store.clone();
        move |op, count| {
            if (op, count) != (operation, nth) {
                return Before::Nothing;
            }
            let (other, store) = (Arc::clone(&other), store.clone());
            Before::Run(Box::pin(async move {
                match work {
                    Work::Reinstall => {
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
    assert!(other.set((mock.app(), MockHighLevel::code("loc1"))).is_ok());
    (mock.builder().store(spy.clone()).build().expect("an app"), spy)
}

#[derive(Clone, Copy)]
enum Work {
    Reinstall,
    Remove,
}

#[tokio::test]
async fn a_new_installation_is_not_overwritten_by_an_older_refresh() {
    let mock = MockHighLevel::new().await;
    mock.installed("loc1").await;
    mock.expire();
    let (app, spy) = app_with_interference(&mock, "put", 0, Work::Reinstall);
    send(&app.location("loc1")).await.expect("a receipt");
    assert_eq!((mock.refreshes(), spy.count("put")), (1, 1));
    let stored = mock.stored("loc1").await.expect("tokens");
    assert_eq!(stored.access_token.expose_secret(), "access-5ec2e75ec2e7-3");
    assert_eq!(mock.bearers(), ["Bearer access-5ec2e75ec2e7-3"]);
}

#[tokio::test]
async fn the_store_is_read_again_after_the_lease_was_granted() {
    let mock = MockHighLevel::new().await;
    mock.installed("loc1").await;
    mock.expire();
    let (app, _) = app_with_interference(&mock, "lease", 0, Work::Reinstall);
    send(&app.location("loc1")).await.expect("a receipt");
    assert_eq!(mock.refreshes(), 0);
}

#[tokio::test]
async fn tokens_that_were_removed_during_a_refresh_stay_removed() {
    let mock = MockHighLevel::new().await;
    mock.installed("loc1").await;
    mock.expire();
    let (app, _) = app_with_interference(&mock, "put", 0, Work::Remove);
    let error = send(&app.location("loc1")).await.expect_err("removed");
    assert_eq!((error.kind(), mock.sends()), (ErrorKind::NeedsAuthorization, 0));
    assert!(mock.stored("loc1").await.is_none());
}

#[tokio::test]
async fn after_an_invalid_grant_newer_tokens_in_the_store_are_used() {
    let mock = MockHighLevel::new().await;
    mock.installed("loc1").await;
    mock.expire();
    mock.token_replies([TokenReply::Instead(rejection(
        "400 Bad Request",
        "Invalid grant: refresh token is invalid",
    ))]);
    // The store is read twice before the request: before and after the lease.
    let (app, _) = app_with_interference(&mock, "get", 2, Work::Reinstall);
    send(&app.location("loc1")).await.expect("a receipt");
    assert_eq!(mock.refreshes(), 1);
}

#[tokio::test]
async fn tokens_are_stored_before_they_are_used_and_never_lost() {
    let mock = MockHighLevel::new().await;
    mock.installed("loc1").await;
    mock.expire();
    let is_down = Arc::new(AtomicBool::new(true));
    let spy = SpyStore::new(mock.store.clone(), {
        let is_down = Arc::clone(&is_down);
        move |operation, _| match operation {
            "put" if is_down.load(Ordering::SeqCst) => Before::Fail,
            _ => Before::Nothing,
        }
    });
    let app = mock.builder().store(spy.clone()).build().expect("an app");
    let client = app.location("loc1");
    let error = send(&client).await.expect_err("not stored");
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Token, Delivery::NotSent));
    assert_eq!(
        error.to_string(),
        "send_message: the token store failed to save the new tokens, which are retained in memory until it does, \
         of the location loc1; see the source of this error; nothing was sent"
    );
    assert_eq!((mock.refreshes(), mock.sends()), (1, 0));
    assert!(spy.count("put") >= 4, "{}", spy.count("put"));
    is_down.store(false, Ordering::SeqCst);
    // An hour later, HighLevel no longer repeats its response.
    mock.clock.advance(3_600 * SECOND);
    send(&client).await.expect("a receipt");
    assert_eq!((mock.refreshes(), mock.sends()), (1, 1));
    let stored = mock.stored("loc1").await.expect("tokens");
    assert_eq!(stored.access_token.expose_secret(), "access-5ec2e75ec2e7-2");
}

#[tokio::test]
async fn nothing_is_requested_while_the_store_cannot_be_read_or_leased() {
    for operation in ["get", "lease"] {
        let mock = MockHighLevel::new().await;
        mock.installed("loc1").await;
        mock.expire();
        let spy =
            SpyStore::new(
                mock.store.clone(),
                move |op, _| {
                    if op == operation { Before::Fail } else { Before::Nothing }
                },
            );
        let app = mock.builder().store(spy).build().expect("an app");
        let error = send(&app.location("loc1")).await.expect_err("no store");
        assert_eq!((error.kind(), error.delivery()), (ErrorKind::Token, Delivery::NotSent), "{operation}");
        assert_eq!(mock.refreshes(), 0, "{operation}");
    }
}
