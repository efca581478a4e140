//! Tokens are removed when the app is uninstalled.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use highlevel::ErrorKind;
use highlevel::auth::{App, Handled};
use highlevel::webhook::testing::EventBuilder;
use secrecy::ExposeSecret;

use super::install_events::{company, handle, location, of_company, uninstall, verified};
use super::mock::{APP_ID, COMPANY, MockHighLevel, SECOND, TokenReply, rejection, send, wait_until};
use super::spy_store::{Before, SpyStore};

#[tokio::test]
async fn removing_the_app_removes_the_tokens_once() {
    let mock = MockHighLevel::new().await;
    let (app, client) = mock.installed("loc1").await;
    send(&client).await.expect("a receipt");
    mock.clock.advance(SECOND);
    let event = uninstall("loc1").at(mock.clock.now());
    assert_eq!(handle(&mock, &app, &event).await, Handled::Removed(vec![location("loc1")]));
    assert!(mock.stored("loc1").await.is_none());
    assert_eq!(handle(&mock, &app, &event).await, Handled::Removed(Vec::new()));
    assert_eq!(send(&client).await.expect_err("removed").kind(), ErrorKind::NeedsAuthorization);
    // No request was sent with the removed tokens.
    assert_eq!((mock.refreshes(), mock.sends()), (0, 1));
}

#[tokio::test]
async fn removing_the_app_from_a_company_removes_the_tokens_of_its_locations() {
    let mock = MockHighLevel::new().await;
    let app = mock.app();
    app.exchange(MockHighLevel::company_code()).await.expect("tokens");
    for id in ["loc1", "loc2"] {
        app.location_token(COMPANY, id).await.expect("tokens");
    }
    mock.clock.advance(SECOND);
    let event = of_company(EventBuilder::uninstall().app_id(APP_ID)).at(mock.clock.now());
    let Handled::Removed(mut removed) = handle(&mock, &app, &event).await else { panic!("removed") };
    removed.sort();
    assert_eq!(removed, [location("loc1"), location("loc2"), company()]);
    for resource in removed {
        assert!(mock.stored_for(resource).await.is_none());
    }
    let error = send(&app.company(COMPANY).location("loc1")).await.expect_err("removed");
    assert_eq!(error.kind(), ErrorKind::NeedsAuthorization);
    assert_eq!((mock.location_token_requests(), mock.sends()), (2, 0));
}

#[tokio::test]
async fn a_late_removal_keeps_a_newer_installation() {
    let mock = MockHighLevel::new().await;
    let (app, client) = mock.installed("loc1").await;
    mock.clock.advance(10 * SECOND);
    let event = uninstall("loc1").at(mock.clock.now());
    mock.clock.advance(10 * SECOND);
    app.exchange(MockHighLevel::code("loc1")).await.expect("tokens");
    assert_eq!(handle(&mock, &app, &event).await, Handled::Reinstalled(location("loc1")));
    send(&client).await.expect("a receipt");
}

/// The event may be late, and of an earlier installation: only HighLevel knows.
#[tokio::test]
async fn a_removal_without_a_timestamp_removes_tokens_that_highlevel_no_longer_accepts() {
    for is_revoked in [false, true] {
        let mock = MockHighLevel::new().await;
        let (app, client) = mock.installed("loc1").await;
        if is_revoked {
            mock.revoke(&location("loc1"));
            assert_eq!(
                handle(&mock, &app, &uninstall("loc1")).await,
                Handled::Removed(vec![location("loc1")])
            );
            assert!(mock.stored("loc1").await.is_none());
            let error = send(&client).await.expect_err("removed");
            assert_eq!(error.kind(), ErrorKind::NeedsAuthorization);
            // A redelivery.
            assert_eq!(handle(&mock, &app, &uninstall("loc1")).await, Handled::Removed(Vec::new()));
        } else {
            assert_eq!(handle(&mock, &app, &uninstall("loc1")).await, Handled::Reinstalled(location("loc1")));
            send(&client).await.expect("a receipt");
            // The verification has refreshed the tokens, and stored the new ones.
            let stored = mock.stored("loc1").await.expect("tokens");
            assert_eq!(stored.access_token.expose_secret(), "access-5ec2e75ec2e7-2");
        }
        assert_eq!(mock.refreshes(), 1);
    }
}

#[tokio::test]
async fn a_removal_without_a_timestamp_fails_while_highlevel_does_not_verify_the_tokens() {
    let mock = MockHighLevel::new().await;
    let (app, client) = mock.installed("loc1").await;
    let event = verified(&uninstall("loc1"), mock.clock.now());
    mock.set_active("loc1", false);
    let error = app.handle(&event).await.expect_err("not active");
    assert_eq!(error.kind(), ErrorKind::LocationInactive);
    mock.set_active("loc1", true);
    mock.clock.advance(5 * SECOND);
    mock.token_replies([TokenReply::Instead(rejection("422 Unprocessable Entity", "unexpected"))]);
    let error = app.handle(&event).await.expect_err("not asked");
    assert_eq!(error.kind(), ErrorKind::Token);
    assert!(mock.stored("loc1").await.is_some());
    send(&client).await.expect("a receipt");
    mock.clock.advance(5 * SECOND);
    assert_eq!(app.handle(&event).await.expect("handled"), Handled::Reinstalled(location("loc1")));
}

#[tokio::test]
async fn a_removal_of_a_company_without_a_timestamp_keeps_reinstalled_locations() {
    let mock = MockHighLevel::new().await;
    let app = mock.app();
    app.exchange(MockHighLevel::company_code()).await.expect("tokens");
    for id in ["loc1", "loc2"] {
        app.location_token(COMPANY, id).await.expect("tokens");
    }
    let event = of_company(EventBuilder::uninstall().app_id(APP_ID));
    assert_eq!(handle(&mock, &app, &event).await, Handled::Reinstalled(company()));
    // Removed from the company, but reinstalled on one location.
    mock.revoke(&company());
    mock.revoke(&location("loc1"));
    let Handled::Removed(mut removed) = handle(&mock, &app, &event).await else { panic!("removed") };
    removed.sort();
    assert_eq!(removed, [location("loc1"), company()]);
    send(&app.location("loc2")).await.expect("a receipt");
}

/// The app is removed while the store saves tokens.
#[tokio::test]
async fn a_write_that_ends_after_a_removal_leaves_no_tokens() {
    let mock = MockHighLevel::new().await;
    let own = Arc::new(OnceLock::<App>::new());
    let event = uninstall("loc1").at(mock.clock.now() + SECOND);
    let spy = SpyStore::new(mock.store.clone(), {
        let (own, event) = (Arc::clone(&own), verified(&event, mock.clock.now()));
        move |operation, nth| match (operation, nth) {
            ("put", 0) => {
                let (own, event) = (own.get().expect("set below").clone(), event.clone());
                Before::Run(Box::pin(async move {
                    let handled = own.handle(&event).await.expect("handled");
                    assert_eq!(handled, Handled::Removed(Vec::new()));
                }))
            }
            _ => Before::Nothing,
        }
    });
    let app = mock.builder().store(spy).build().expect("an app");
    assert!(own.set(app.clone()).is_ok());
    let error = app.exchange(MockHighLevel::code("loc1")).await.expect_err("removed");
    assert_eq!(error.kind(), ErrorKind::Token);
    assert!(mock.stored("loc1").await.is_none());
}

/// Tokens that the store has not saved yet are dropped, and not offered to it any more.
#[tokio::test]
async fn a_removal_drops_pending_tokens() {
    let mock = MockHighLevel::new().await;
    let is_down = Arc::new(AtomicBool::new(true));
    let spy = SpyStore::not_saving(&mock.store, &is_down);
    let app = mock.builder().store(spy.clone()).build().expect("an app");
    let exchange = tokio::spawn({
        let app = app.clone();
        async move { app.exchange(MockHighLevel::code("loc1")).await }
    });
    wait_until(async || spy.count("put") > 0).await;
    let event = uninstall("loc1").at(mock.clock.now() + SECOND);
    mock.clock.advance(SECOND);
    assert_eq!(handle(&mock, &app, &event).await, Handled::Removed(Vec::new()));
    is_down.store(false, Ordering::SeqCst);
    let error = exchange.await.expect("no panic").expect_err("removed");
    assert_eq!(error.kind(), ErrorKind::Token);
    assert_eq!(
        error.to_string(),
        "token: the new tokens of the location loc1 were not stored, because the app was removed or reinstalled \
         meanwhile; nothing was sent"
    );
    assert!(mock.stored("loc1").await.is_none());
}

/// The app is removed between two offers of new tokens: neither the old nor the new ones remain.
#[tokio::test]
async fn a_removal_between_two_offers_to_the_store_removes_the_new_tokens() {
    let mock = MockHighLevel::new().await;
    mock.installed("loc1").await;
    let own = Arc::new(OnceLock::<App>::new());
    let event = uninstall("loc1").at(mock.clock.now() + SECOND);
    let spy = SpyStore::new(mock.store.clone(), {
        let (own, event) = (Arc::clone(&own), verified(&event, mock.clock.now()));
        move |operation, nth| match (operation, nth) {
            // The first put conflicts with the older installation.
            ("put", 1) => {
                let (own, event) = (own.get().expect("set below").clone(), event.clone());
                Before::Run(Box::pin(async move {
                    own.handle(&event).await.expect("handled");
                }))
            }
            _ => Before::Nothing,
        }
    });
    let app = mock.builder().store(spy).build().expect("an app");
    assert!(own.set(app.clone()).is_ok());
    app.exchange(MockHighLevel::code("loc1")).await.expect_err("removed");
    assert!(mock.stored("loc1").await.is_none());
}

#[tokio::test]
async fn removing_the_app_from_a_company_drops_pending_tokens_of_its_locations() {
    let mock = MockHighLevel::new().await;
    mock.app().exchange(MockHighLevel::company_code()).await.expect("tokens");
    let is_down = Arc::new(AtomicBool::new(true));
    let spy = SpyStore::not_saving(&mock.store, &is_down);
    let app = mock.builder().store(spy).build().expect("an app");
    app.location_token(COMPANY, "loc1").await.expect_err("not stored");
    mock.clock.advance(SECOND);
    let event = of_company(EventBuilder::uninstall().app_id(APP_ID)).at(mock.clock.now());
    assert_eq!(handle(&mock, &app, &event).await, Handled::Removed(vec![company()]));
    is_down.store(false, Ordering::SeqCst);
    let error = send(&app.location("loc1")).await.expect_err("removed");
    assert_eq!(error.kind(), ErrorKind::NeedsAuthorization);
    assert!(mock.stored("loc1").await.is_none());
}

#[tokio::test]
async fn a_refresh_does_not_change_the_time_of_the_installation() {
    for is_reinstalled in [false, true] {
        let mock = MockHighLevel::new().await;
        let (app, client) = mock.installed("loc1").await;
        mock.clock.advance(10 * SECOND);
        let event = uninstall("loc1").at(mock.clock.now());
        mock.clock.advance(10 * SECOND);
        if is_reinstalled {
            app.exchange(MockHighLevel::code("loc1")).await.expect("tokens");
        }
        for _ in 0..2 {
            mock.revoke_access();
            send(&client).await.expect("a receipt");
            mock.clock.advance(30 * SECOND);
        }
        assert_eq!(mock.refreshes(), 2);
        // Also for a process that reads them from the store.
        let app = mock.app();
        let handled = handle(&mock, &app, &event).await;
        if is_reinstalled {
            assert_eq!(handled, Handled::Reinstalled(location("loc1")));
            send(&client).await.expect("a receipt");
        } else {
            assert_eq!(handled, Handled::Removed(vec![location("loc1")]));
            assert!(mock.stored("loc1").await.is_none());
        }
    }
}

/// Tokens from the company prove that the app is installed on the location now.
#[tokio::test]
async fn a_late_removal_keeps_tokens_that_the_company_issued_since() {
    let mock = MockHighLevel::new().await;
    let app = mock.app();
    app.exchange(MockHighLevel::company_code()).await.expect("tokens");
    app.location_token(COMPANY, "loc1").await.expect("tokens");
    mock.clock.advance(10 * SECOND);
    let event = uninstall("loc1").at(mock.clock.now());
    mock.clock.advance(10 * SECOND);
    mock.revoke(&location("loc1"));
    send(&app.location("loc1")).await.expect("a receipt");
    assert_eq!(mock.location_token_requests(), 2);
    assert_eq!(handle(&mock, &app, &event).await, Handled::Reinstalled(location("loc1")));
}
