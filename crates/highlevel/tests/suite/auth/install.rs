//! Tokens come and go with the app.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use highlevel::ErrorKind;
use highlevel::auth::store::Resource;
use highlevel::auth::{App, Handled};
use highlevel::webhook::testing::{EventBuilder, SigningKey};
use highlevel::webhook::{Event, Receiver, Verified};
use secrecy::ExposeSecret;

use super::spy::{Before, Spy};
use super::world::{APP_ID, COMPANY, Fate, SECOND, World, refusal, send, until};

/// The event as it comes out of a receiver. Nothing else makes one.
fn verified(event: &EventBuilder, now: SystemTime) -> Verified<Event> {
    let key = SigningKey::from_seed([7; 32]);
    let receiver = Receiver::builder().any_app().key(key.public_key("test")).build();
    let body = event.body();
    receiver.verify(&key.headers(&body), body, now).expect("a genuine event")
}

fn install(location: &str) -> EventBuilder {
    EventBuilder::install().app_id(APP_ID).location_id(location).field("companyId", COMPANY)
}

fn uninstall(location: &str) -> EventBuilder {
    EventBuilder::uninstall().app_id(APP_ID).location_id(location)
}

fn of_company(event: EventBuilder) -> EventBuilder {
    event.without("locationId").field("companyId", COMPANY)
}

fn location(id: &str) -> Resource {
    Resource::Location(id.to_owned().into())
}

fn company() -> Resource {
    Resource::Company(COMPANY.to_owned().into())
}

async fn handle(world: &World, app: &App, event: &EventBuilder) -> Handled {
    app.handle(&verified(event, world.clock.now())).await.expect("handled")
}

#[tokio::test]
async fn an_installation_may_be_told_before_or_after_the_exchange() {
    for event_first in [true, false] {
        let world = World::new().await;
        let app = world.app();
        let event = install("loc1").at(world.clock.now());
        world.clock.advance(SECOND);
        let waiting = Handled::WaitingForExchange(location("loc1"));
        if event_first {
            assert_eq!(handle(&world, &app, &event).await, waiting);
            assert_eq!(
                send(&app.location("loc1")).await.expect_err("not yet").kind(),
                ErrorKind::NeedsAuthorization
            );
        }
        app.exchange(World::code("loc1")).await.expect("tokens");
        send(&app.location("loc1")).await.expect("a receipt");
        // And once more, delivered again.
        assert_eq!(handle(&world, &app, &event).await, Handled::AlreadyStored(location("loc1")));
        assert_eq!(world.server.requests().len(), 2);
    }
}

#[tokio::test]
async fn locations_of_a_company_get_their_tokens_when_they_are_installed() {
    let world = World::new().await;
    let app = world.app();
    // Before the exchange of the company: it is not forgotten.
    let early = install("early").at(world.clock.now());
    assert_eq!(handle(&world, &app, &early).await, Handled::WaitingForExchange(location("early")));
    let whole = of_company(EventBuilder::install().app_id(APP_ID)).field("installType", "Company");
    assert_eq!(handle(&world, &app, &whole).await, Handled::WaitingForExchange(company()));
    world.clock.advance(SECOND);
    app.exchange(World::company_code()).await.expect("tokens");
    until(async || world.stored("early").await.is_some()).await;
    assert_eq!(handle(&world, &app, &whole).await, Handled::AlreadyStored(company()));
    // After it: at once. And then again.
    let late = install("late").at(world.clock.now() + SECOND);
    assert_eq!(handle(&world, &app, &late).await, Handled::Stored(location("late")));
    world.clock.advance(60 * SECOND);
    // Another process, which heard of nothing, has them as well.
    let other = world.app();
    for id in ["early", "late"] {
        assert_eq!(send(&other.location(id)).await.expect("a receipt").conversation_id().as_str(), id);
    }
    assert_eq!(world.mints(), 2);
    assert_eq!(handle(&world, &app, &install("late")).await, Handled::AlreadyStored(location("late")));
    assert_eq!(world.mints(), 2);
}

/// The exchange of the company ends while the event of a location is handled: between the two looks into the store.
#[tokio::test]
async fn an_exchange_that_ends_while_the_event_is_handled_is_not_missed() {
    for nth in [0, 1] {
        let world = World::new().await;
        let other = Arc::new(OnceLock::<App>::new());
        let spy = Spy::new(world.store.clone(), {
            let other = Arc::clone(&other);
            move |operation, count| {
                if (operation, count) != ("get", nth) {
                    return Before::Nothing;
                }
                let app = other.get().expect("set below").clone();
                Before::This(Box::pin(async move {
                    app.exchange(World::company_code()).await.expect("tokens");
                }))
            }
        });
        let app = world.builder().store(spy).build().expect("an app");
        assert!(other.set(app.clone()).is_ok());
        assert_eq!(handle(&world, &app, &install("loc1")).await, Handled::Stored(location("loc1")));
        assert!(world.stored("loc1").await.is_some());
    }
}

#[tokio::test]
async fn removing_the_app_removes_the_tokens_once() {
    let world = World::new().await;
    let (app, client) = world.installed("loc1").await;
    send(&client).await.expect("a receipt");
    world.clock.advance(SECOND);
    let event = uninstall("loc1").at(world.clock.now());
    assert_eq!(handle(&world, &app, &event).await, Handled::Removed(vec![location("loc1")]));
    assert!(world.stored("loc1").await.is_none());
    assert_eq!(handle(&world, &app, &event).await, Handled::Removed(Vec::new()));
    assert_eq!(send(&client).await.expect_err("removed").kind(), ErrorKind::NeedsAuthorization);
    // Nothing was asked with tokens that are gone.
    assert_eq!((world.refreshes(), world.sends()), (0, 1));
}

#[tokio::test]
async fn removing_the_app_from_a_company_removes_it_from_its_locations() {
    let world = World::new().await;
    let app = world.app();
    app.exchange(World::company_code()).await.expect("tokens");
    for id in ["loc1", "loc2"] {
        app.location_token(COMPANY, id).await.expect("tokens");
    }
    world.clock.advance(SECOND);
    let event = of_company(EventBuilder::uninstall().app_id(APP_ID)).at(world.clock.now());
    let Handled::Removed(mut removed) = handle(&world, &app, &event).await else { panic!("removed") };
    removed.sort();
    assert_eq!(removed, [location("loc1"), location("loc2"), company()]);
    for resource in removed {
        assert!(world.stored_for(resource).await.is_none());
    }
    let error = send(&app.company(COMPANY).location("loc1")).await.expect_err("removed");
    assert_eq!(error.kind(), ErrorKind::NeedsAuthorization);
    assert_eq!((world.mints(), world.sends()), (2, 0));
}

#[tokio::test]
async fn a_late_removal_does_not_touch_a_newer_installation() {
    let world = World::new().await;
    let (app, client) = world.installed("loc1").await;
    world.clock.advance(10 * SECOND);
    let event = uninstall("loc1").at(world.clock.now());
    world.clock.advance(10 * SECOND);
    app.exchange(World::code("loc1")).await.expect("tokens");
    assert_eq!(handle(&world, &app, &event).await, Handled::Reinstalled(location("loc1")));
    send(&client).await.expect("a receipt");
}

/// It may be late, and of an installation before this one: HighLevel knows.
#[tokio::test]
async fn a_removal_without_a_timestamp_removes_tokens_that_highlevel_no_longer_accepts() {
    for is_dead in [false, true] {
        let world = World::new().await;
        let (app, client) = world.installed("loc1").await;
        if is_dead {
            world.revoke(&location("loc1"));
            assert_eq!(
                handle(&world, &app, &uninstall("loc1")).await,
                Handled::Removed(vec![location("loc1")])
            );
            assert!(world.stored("loc1").await.is_none());
            let error = send(&client).await.expect_err("removed");
            assert_eq!(error.kind(), ErrorKind::NeedsAuthorization);
            // Delivered again.
            assert_eq!(handle(&world, &app, &uninstall("loc1")).await, Handled::Removed(Vec::new()));
        } else {
            assert_eq!(
                handle(&world, &app, &uninstall("loc1")).await,
                Handled::Reinstalled(location("loc1"))
            );
            send(&client).await.expect("a receipt");
            // It was asked with the refresh token, and the next one is stored.
            let stored = world.stored("loc1").await.expect("tokens");
            assert_eq!(stored.access_token.expose_secret(), "access-5ec2e75ec2e7-2");
        }
        assert_eq!(world.refreshes(), 1);
    }
}

/// Nothing is removed for a reason that passes.
#[tokio::test]
async fn a_removal_without_a_timestamp_is_an_error_as_long_as_highlevel_cannot_be_asked() {
    let world = World::new().await;
    let (app, client) = world.installed("loc1").await;
    let event = verified(&uninstall("loc1"), world.clock.now());
    world.set_active("loc1", false);
    let error = app.handle(&event).await.expect_err("not active");
    assert_eq!(error.kind(), ErrorKind::LocationInactive);
    world.set_active("loc1", true);
    world.clock.advance(5 * SECOND);
    world.fates([Fate::Not(refusal("422 Unprocessable Entity", "odd"))]);
    let error = app.handle(&event).await.expect_err("not asked");
    assert_eq!(error.kind(), ErrorKind::Token);
    assert!(world.stored("loc1").await.is_some());
    send(&client).await.expect("a receipt");
    world.clock.advance(5 * SECOND);
    assert_eq!(app.handle(&event).await.expect("handled"), Handled::Reinstalled(location("loc1")));
}

#[tokio::test]
async fn a_removal_of_a_company_without_a_timestamp_leaves_what_was_installed_again() {
    let world = World::new().await;
    let app = world.app();
    app.exchange(World::company_code()).await.expect("tokens");
    for id in ["loc1", "loc2"] {
        app.location_token(COMPANY, id).await.expect("tokens");
    }
    let event = of_company(EventBuilder::uninstall().app_id(APP_ID));
    assert_eq!(handle(&world, &app, &event).await, Handled::Reinstalled(company()));
    // Removed from the company, but one location has installed the app for itself.
    world.revoke(&company());
    world.revoke(&location("loc1"));
    let Handled::Removed(mut removed) = handle(&world, &app, &event).await else { panic!("removed") };
    removed.sort();
    assert_eq!(removed, [location("loc1"), company()]);
    send(&app.location("loc2")).await.expect("a receipt");
}

/// The store has been asked to take tokens, and has not done so yet, when the app is removed.
#[tokio::test]
async fn a_write_that_ends_after_a_removal_leaves_no_tokens() {
    let world = World::new().await;
    let own = Arc::new(OnceLock::<App>::new());
    let event = uninstall("loc1").at(world.clock.now() + SECOND);
    let spy = Spy::new(world.store.clone(), {
        let (own, event) = (Arc::clone(&own), verified(&event, world.clock.now()));
        move |operation, nth| match (operation, nth) {
            ("put", 0) => {
                let (own, event) = (own.get().expect("set below").clone(), event.clone());
                Before::This(Box::pin(async move {
                    let handled = own.handle(&event).await.expect("handled");
                    assert_eq!(handled, Handled::Removed(Vec::new()));
                }))
            }
            _ => Before::Nothing,
        }
    });
    let app = world.builder().store(spy).build().expect("an app");
    assert!(own.set(app.clone()).is_ok());
    let error = app.exchange(World::code("loc1")).await.expect_err("removed");
    assert_eq!(error.kind(), ErrorKind::Token);
    assert!(world.stored("loc1").await.is_none());
}

/// What the store has not taken yet is removed as well, and is not offered to it any more.
#[tokio::test]
async fn a_removal_stops_what_is_on_its_way_to_the_store() {
    let world = World::new().await;
    let is_down = Arc::new(AtomicBool::new(true));
    let spy = Spy::taking_nothing(&world.store, &is_down);
    let app = world.builder().store(spy.clone()).build().expect("an app");
    let exchange = tokio::spawn({
        let app = app.clone();
        async move { app.exchange(World::code("loc1")).await }
    });
    until(async || spy.count("put") > 0).await;
    let event = uninstall("loc1").at(world.clock.now() + SECOND);
    world.clock.advance(SECOND);
    assert_eq!(handle(&world, &app, &event).await, Handled::Removed(Vec::new()));
    is_down.store(false, Ordering::SeqCst);
    let error = exchange.await.expect("no panic").expect_err("removed");
    assert_eq!(error.kind(), ErrorKind::Token);
    assert_eq!(
        error.to_string(),
        "token: the new tokens of the location loc1 were not stored, because the app was removed or reinstalled \
         meanwhile; nothing was sent"
    );
    assert!(world.stored("loc1").await.is_none());
}

/// Between two tries to store what is new, the app is removed: with what was to be replaced, what is new goes.
#[tokio::test]
async fn a_removal_of_what_is_to_be_replaced_stops_it_too() {
    let world = World::new().await;
    world.installed("loc1").await;
    let own = Arc::new(OnceLock::<App>::new());
    let event = uninstall("loc1").at(world.clock.now() + SECOND);
    let spy = Spy::new(world.store.clone(), {
        let (own, event) = (Arc::clone(&own), verified(&event, world.clock.now()));
        move |operation, nth| match (operation, nth) {
            // The first one finds the older installation; its answer is waited for meanwhile.
            ("put", 1) => {
                let (own, event) = (own.get().expect("set below").clone(), event.clone());
                Before::This(Box::pin(async move {
                    own.handle(&event).await.expect("handled");
                }))
            }
            _ => Before::Nothing,
        }
    });
    let app = world.builder().store(spy).build().expect("an app");
    assert!(own.set(app.clone()).is_ok());
    app.exchange(World::code("loc1")).await.expect_err("removed");
    assert!(world.stored("loc1").await.is_none());
}

#[tokio::test]
async fn removing_the_app_from_a_company_reaches_locations_that_are_not_stored_yet() {
    let world = World::new().await;
    world.app().exchange(World::company_code()).await.expect("tokens");
    let is_down = Arc::new(AtomicBool::new(true));
    let spy = Spy::taking_nothing(&world.store, &is_down);
    let app = world.builder().store(spy).build().expect("an app");
    app.location_token(COMPANY, "loc1").await.expect_err("not stored");
    world.clock.advance(SECOND);
    let event = of_company(EventBuilder::uninstall().app_id(APP_ID)).at(world.clock.now());
    assert_eq!(handle(&world, &app, &event).await, Handled::Removed(vec![company()]));
    is_down.store(false, Ordering::SeqCst);
    let error = send(&app.location("loc1")).await.expect_err("removed");
    assert_eq!(error.kind(), ErrorKind::NeedsAuthorization);
    assert!(world.stored("loc1").await.is_none());
}

/// Renewing tokens makes the installation no newer.
#[tokio::test]
async fn a_removal_that_comes_after_a_renewal_is_no_older_than_the_installation() {
    for installed_again in [false, true] {
        let world = World::new().await;
        let (app, client) = world.installed("loc1").await;
        world.clock.advance(10 * SECOND);
        let event = uninstall("loc1").at(world.clock.now());
        world.clock.advance(10 * SECOND);
        if installed_again {
            app.exchange(World::code("loc1")).await.expect("tokens");
        }
        for _ in 0..2 {
            world.revoke_access();
            send(&client).await.expect("a receipt");
            world.clock.advance(30 * SECOND);
        }
        assert_eq!(world.refreshes(), 2);
        // Also for a process that has them from the store.
        let app = world.app();
        let handled = handle(&world, &app, &event).await;
        if installed_again {
            assert_eq!(handled, Handled::Reinstalled(location("loc1")));
            send(&client).await.expect("a receipt");
        } else {
            assert_eq!(handled, Handled::Removed(vec![location("loc1")]));
            assert!(world.stored("loc1").await.is_none());
        }
    }
}

/// Whoever gets tokens by those of the company shows that the app is installed there now.
#[tokio::test]
async fn a_late_removal_does_not_touch_a_location_that_its_company_has_installed_since() {
    let world = World::new().await;
    let app = world.app();
    app.exchange(World::company_code()).await.expect("tokens");
    app.location_token(COMPANY, "loc1").await.expect("tokens");
    world.clock.advance(10 * SECOND);
    let event = uninstall("loc1").at(world.clock.now());
    world.clock.advance(10 * SECOND);
    world.revoke(&location("loc1"));
    send(&app.location("loc1")).await.expect("a receipt");
    assert_eq!(world.mints(), 2);
    assert_eq!(handle(&world, &app, &event).await, Handled::Reinstalled(location("loc1")));
}

/// The tokens of an older installation are renewed while those of a new one are on their way to the store.
#[tokio::test]
async fn a_new_installation_replaces_what_was_renewed_of_an_older_one() {
    let world = World::new().await;
    let (_, older) = world.installed("loc1").await;
    world.clock.advance(SECOND);
    let clock = world.clock.clone();
    world.revoke_access();
    let spy = Spy::new(world.store.clone(), move |operation, nth| match (operation, nth) {
        ("put", 0) => {
            let (older, clock) = (older.clone(), clock.clone());
            Before::This(Box::pin(async move {
                clock.advance(SECOND);
                send(&older).await.expect("a receipt");
            }))
        }
        _ => Before::Nothing,
    });
    let app = world.builder().store(spy).build().expect("an app");
    let tokens = app.exchange(World::code("loc1")).await.expect("tokens");
    assert_eq!(world.refreshes(), 1);
    let stored = world.stored("loc1").await.expect("tokens");
    assert_eq!(stored.access_token.expose_secret(), tokens.access_token.expose_secret());
    assert_eq!(stored.installed_at, world.clock.now() - SECOND);
}

#[tokio::test]
async fn what_is_not_about_this_app_does_nothing() {
    let world = World::new().await;
    let (app, _) = world.installed("loc1").await;
    world.clock.advance(SECOND);
    for (event, expected) in [
        (uninstall("loc1").app_id("another-app"), Handled::OtherApp("another-app".to_owned().into())),
        (install("loc2").app_id("another-app"), Handled::OtherApp("another-app".to_owned().into())),
        (EventBuilder::inbound_sms("t").app_id(APP_ID), Handled::NotAboutInstallation),
        (EventBuilder::named("SomethingNew").app_id(APP_ID), Handled::NotAboutInstallation),
        (EventBuilder::uninstall().app_id(APP_ID).without("locationId"), Handled::NoResource),
        (
            EventBuilder::install().app_id(APP_ID).without("locationId").without("companyId"),
            Handled::NoResource,
        ),
    ] {
        assert_eq!(handle(&world, &app, &event).await, expected);
    }
    assert!(world.stored("loc1").await.is_some());
    assert_eq!(world.server.requests().len(), 1);
}

#[tokio::test]
async fn what_fails_is_an_error_so_that_the_event_comes_again() {
    let world = World::new().await;
    let app = world.app();
    app.exchange(World::company_code()).await.expect("tokens");
    world.fates([Fate::Not(refusal("422 Unprocessable Entity", "odd"))]);
    let event = verified(&install("loc1"), world.clock.now());
    let error = app.handle(&event).await.expect_err("no token");
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Token, "location_token"));
    world.clock.advance(5 * SECOND);
    assert_eq!(app.handle(&event).await.expect("handled"), Handled::Stored(location("loc1")));
    let spy = Spy::new(world.store.clone(), |operation, _| match operation {
        "remove" => Before::Failure,
        _ => Before::Nothing,
    });
    let app = world.builder().store(spy).build().expect("an app");
    let later = world.clock.now() + Duration::from_secs(1);
    let event = verified(&uninstall("loc1").at(later), later);
    let error = app.handle(&event).await.expect_err("not removed");
    assert_eq!(error.kind(), ErrorKind::Token);
    assert_eq!(
        error.to_string(),
        "token: the token store failed to remove the tokens of the location loc1; see the source of this error; \
         nothing was sent"
    );
}
