//! Tokens that HighLevel has issued and the store failed to save. Only one process has them, and must retain them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use highlevel::ErrorKind;
use highlevel::auth::App;
use highlevel::auth::store::{Key, Precondition, Resource, TokenStore, Version};
use secrecy::ExposeSecret;
use serde_json::json;
use tokio::sync::Notify;

use super::mock::{CLIENT_ID, COMPANY, DAY, MockHighLevel, SECOND, TokenReply, send, wait_until};
use super::spy_store::{Before, SpyStore};
use crate::server::{Action, json as json_response};

/// Returns a store that fails while the switch is on.
fn failing(mock: &MockHighLevel, is_down: &Arc<AtomicBool>) -> SpyStore {
    let is_down = Arc::clone(is_down);
    SpyStore::new(mock.store.clone(), move |_, _| {
        if is_down.load(Ordering::SeqCst) { Before::Fail } else { Before::Nothing }
    })
}

#[tokio::test]
async fn pending_tokens_are_stored_without_another_call_when_the_store_recovers() {
    let mock = MockHighLevel::new().await;
    let is_down = Arc::new(AtomicBool::new(true));
    let app = mock.builder().store(failing(&mock, &is_down)).build().expect("an app");
    let error = app.exchange(MockHighLevel::code("loc1")).await.expect_err("not stored");
    assert_eq!(error.kind(), ErrorKind::Token);
    is_down.store(false, Ordering::SeqCst);
    wait_until(async || mock.stored("loc1").await.is_some()).await;
    send(&app.location("loc1")).await.expect("a receipt");
    assert_eq!(mock.server.requests().len(), 2);
}

#[tokio::test]
async fn flush_waits_for_pending_tokens() {
    let mock = MockHighLevel::new().await;
    let is_down = Arc::new(AtomicBool::new(true));
    let app = mock.builder().store(failing(&mock, &is_down)).build().expect("an app");
    app.exchange(MockHighLevel::code("loc1")).await.expect_err("not stored");
    assert!(tokio::time::timeout(Duration::ZERO, app.flush()).await.is_err());
    is_down.store(false, Ordering::SeqCst);
    app.flush().await;
    assert!(mock.stored("loc1").await.is_some());
}

#[tokio::test]
async fn pending_tokens_are_dropped_with_their_app() {
    let mock = MockHighLevel::new().await;
    let is_down = Arc::new(AtomicBool::new(true));
    let app = mock.builder().store(failing(&mock, &is_down)).build().expect("an app");
    app.exchange(MockHighLevel::code("loc1")).await.expect_err("not stored");
    assert_eq!(Arc::strong_count(&is_down), 2, "the store has a clone");
    drop(app);
    wait_until(async || Arc::strong_count(&is_down) == 1).await;
}

/// The runtime is shut down while the store saves the tokens.
#[tokio::test]
async fn pending_tokens_survive_the_runtime_that_stores_them() {
    let mock = MockHighLevel::new().await;
    mock.installed("loc1").await;
    mock.expire();
    let put_started = Arc::new(Notify::new());
    let spy = SpyStore::new(mock.store.clone(), {
        let put_started = Arc::clone(&put_started);
        move |operation, nth| match (operation, nth) {
            ("put", 0) => {
                let put_started = Arc::clone(&put_started);
                Before::Run(Box::pin(async move {
                    put_started.notify_one();
                    std::future::pending::<()>().await;
                }))
            }
            _ => Before::Nothing,
        }
    });
    let app = mock.builder().store(spy).build().expect("an app");
    let client = app.location("loc1");
    let dropped = tokio::task::spawn_blocking({
        let client = client.clone();
        move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                tokio::select! {
                    () = put_started.notified() => {}
                    result = send(&client) => panic!("a result: {result:?}"),
                }
            });
        }
    });
    dropped.await.expect("no panic");
    // HighLevel no longer repeats its response.
    mock.clock.advance(60 * SECOND);
    send(&client).await.expect("a receipt");
    assert_eq!((mock.refreshes(), mock.sends()), (1, 1));
}

/// The store has saved the tokens, but its result was lost: they are found there, and not stored twice.
#[tokio::test]
async fn tokens_that_were_stored_without_a_result_are_recognized() {
    let mock = MockHighLevel::new().await;
    let spy = SpyStore::new(mock.store.clone(), |operation, nth| match (operation, nth) {
        ("put", 0) => Before::LoseResult,
        _ => Before::Nothing,
    });
    let app = mock.builder().store(spy.clone()).build().expect("an app");
    app.exchange(MockHighLevel::code("loc1")).await.expect("tokens");
    assert_eq!(spy.count("put"), 2);
    let key = Key::new(CLIENT_ID, Resource::Location("loc1".to_owned().into()));
    let stored = mock.store.get(&key).await.expect("a store").expect("tokens");
    assert_eq!(stored.version, Version(1));
    send(&app.location("loc1")).await.expect("a receipt");
}

/// Only the response with the tokens of the company names the approved locations.
#[tokio::test]
async fn approved_locations_are_retained_until_their_company_is_stored() {
    let mock = MockHighLevel::new().await;
    mock.app().exchange(MockHighLevel::company_code()).await.expect("tokens");
    let company = Resource::Company(COMPANY.to_owned().into());
    let tokens = mock.stored_for(company.clone()).await.expect("tokens");
    mock.store.remove(&Key::new(CLIENT_ID, company.clone()), Precondition::Anything).await.expect("a store");
    let response = json!({ "access_token": tokens.access_token.expose_secret(), "userType": "Company",
        "companyId": COMPANY, "approvedLocations": ["loc1"] });
    mock.token_replies([TokenReply::Instead(Action::Respond(json_response("200 OK", &response)))]);
    let is_down = Arc::new(AtomicBool::new(true));
    let app = mock.builder().store(failing(&mock, &is_down)).build().expect("an app");
    app.exchange(MockHighLevel::company_code()).await.expect_err("not stored");
    is_down.store(false, Ordering::SeqCst);
    wait_until(async || mock.stored_for(company.clone()).await.is_some()).await;
    send(&app.location("loc1")).await.expect("a receipt");
}

/// Of two installations that could not be stored, the later one is stored.
#[tokio::test]
async fn a_later_installation_replaces_pending_tokens() {
    let mock = MockHighLevel::new().await;
    mock.installed("loc1").await;
    let is_down = Arc::new(AtomicBool::new(true));
    let app = mock.builder().store(failing(&mock, &is_down)).build().expect("an app");
    for _ in 0..2 {
        mock.clock.advance(SECOND);
        app.exchange(MockHighLevel::code("loc1")).await.expect_err("not stored");
    }
    is_down.store(false, Ordering::SeqCst);
    wait_until(async || {
        let stored = mock.stored("loc1").await.expect("tokens");
        stored.access_token.expose_secret().ends_with("-3")
    })
    .await;
}

/// The store has saved the tokens, but seemed to fail, and another process has refreshed them since.
#[tokio::test]
async fn pending_tokens_do_not_replace_those_that_another_process_has_refreshed() {
    let mock = MockHighLevel::new().await;
    let other = mock.app().location("loc1");
    let clock = mock.clock.clone();
    let spy = SpyStore::new(mock.store.clone(), move |operation, nth| match (operation, nth) {
        ("put", 0) => Before::LoseResult,
        ("put", 1) => {
            let (other, clock) = (other.clone(), clock.clone());
            Before::Run(Box::pin(async move {
                clock.advance(Duration::from_secs(DAY + 60));
                send(&other).await.expect("a receipt");
            }))
        }
        _ => Before::Nothing,
    });
    let app = mock.builder().store(spy).build().expect("an app");
    let tokens = app.exchange(MockHighLevel::code("loc1")).await.expect("tokens");
    assert_eq!(mock.refreshes(), 1);
    let stored = mock.stored("loc1").await.expect("tokens");
    assert!(stored.access_token.expose_secret().ends_with("-2"));
    assert_eq!(stored.access_token.expose_secret(), tokens.access_token.expose_secret());
}

/// The app is reinstalled during a refresh of the tokens of the older installation, and the store saves neither.
#[tokio::test]
async fn refreshed_tokens_do_not_replace_a_pending_installation() {
    let mock = MockHighLevel::new().await;
    mock.installed("loc1").await;
    mock.expire();
    let own = Arc::new(OnceLock::<App>::new());
    let spy = SpyStore::new(mock.store.clone(), {
        let (own, clock) = (Arc::clone(&own), mock.clock.clone());
        move |operation, nth| match (operation, nth) {
            ("put", 0..=3) => Before::Fail,
            // The refresh reads the store while it holds the lease.
            ("get", 1) => {
                let (own, clock) = (own.get().expect("set below").clone(), clock.clone());
                Before::Run(Box::pin(async move {
                    clock.advance(SECOND);
                    own.exchange(MockHighLevel::code("loc1")).await.expect_err("not stored");
                }))
            }
            _ => Before::Nothing,
        }
    });
    let app = mock.builder().store(spy).build().expect("an app");
    assert!(own.set(app.clone()).is_ok());
    send(&app.location("loc1")).await.expect("a receipt");
    assert_eq!(mock.refreshes(), 1);
    let stored = mock.stored("loc1").await.expect("tokens");
    assert!(stored.access_token.expose_secret().ends_with("-2"));
    assert_eq!(mock.bearers(), [format!("Bearer {}", stored.access_token.expose_secret())]);
}

/// Another process, which handles an earlier event late, removes the tokens that are to be replaced.
#[tokio::test]
async fn a_new_installation_is_stored_even_if_the_older_one_is_removed_meanwhile() {
    let mock = MockHighLevel::new().await;
    mock.installed("loc1").await;
    let store = mock.store.clone();
    let spy = SpyStore::new(mock.store.clone(), move |operation, nth| match (operation, nth) {
        ("put", 0..=3) => Before::Fail,
        ("put", 5) => {
            let store = store.clone();
            Before::Run(Box::pin(async move {
                let key = Key::new(CLIENT_ID, Resource::Location("loc1".to_owned().into()));
                assert!(store.remove(&key, Precondition::Anything).await.expect("a store"));
            }))
        }
        _ => Before::Nothing,
    });
    mock.clock.advance(SECOND);
    let app = mock.builder().store(spy.clone()).build().expect("an app");
    app.exchange(MockHighLevel::code("loc1")).await.expect_err("not stored");
    wait_until(async || spy.count("put") > 5).await;
    send(&app.location("loc1")).await.expect("a receipt");
    assert_eq!(mock.bearers(), ["Bearer access-5ec2e75ec2e7-2"]);
}

/// The owner need not authorize the app again while the tokens of the company are in memory only.
#[tokio::test]
async fn a_location_waits_for_pending_tokens_of_its_company() {
    let mock = MockHighLevel::new().await;
    let is_down = Arc::new(AtomicBool::new(true));
    let app = mock.builder().store(SpyStore::not_saving(&mock.store, &is_down)).build().expect("an app");
    app.exchange(MockHighLevel::company_code()).await.expect_err("not stored");
    let client = app.company(COMPANY).location("loc1");
    let error = send(&client).await.expect_err("not stored");
    assert_eq!(error.kind(), ErrorKind::Token);
    assert!(error.to_string().contains("save the new tokens, which are retained in memory"), "{error}");
    is_down.store(false, Ordering::SeqCst);
    send(&client).await.expect("a receipt");
}

/// The store can be read, but fails to save: tokens of another process are used, but not those that were refreshed.
#[tokio::test]
async fn stored_tokens_are_used_while_the_store_fails_to_save() {
    let mock = MockHighLevel::new().await;
    mock.installed("loc1").await;
    let is_down = Arc::new(AtomicBool::new(true));
    let app = mock.builder().store(SpyStore::not_saving(&mock.store, &is_down)).build().expect("an app");
    let client = app.location("loc1");
    mock.revoke_access();
    for _ in 0..2 {
        let error = send(&client).await.expect_err("not stored");
        assert_eq!(error.status(), Some(401));
    }
    assert_eq!((mock.refreshes(), mock.sends()), (1, 2));
    mock.app().exchange(MockHighLevel::code("loc1")).await.expect("tokens");
    send(&client).await.expect("a receipt");
    assert_eq!(mock.bearers().last().map(String::as_str), Some("Bearer access-5ec2e75ec2e7-3"));
    assert_eq!((mock.refreshes(), mock.sends()), (1, 4));
}
