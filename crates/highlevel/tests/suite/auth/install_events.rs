//! Tokens are stored when the app is installed.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use highlevel::ErrorKind;
use highlevel::auth::store::Resource;
use highlevel::auth::{App, Handled};
use highlevel::webhook::testing::{EventBuilder, SigningKey};
use highlevel::webhook::{Event, Receiver, Verified};
use secrecy::ExposeSecret;

use super::mock::{APP_ID, COMPANY, MockHighLevel, SECOND, TokenReply, rejection, send, wait_until};
use super::spy_store::{Before, SpyStore};

/// Returns the event as a receiver verifies it.
pub(super) fn verified(event: &EventBuilder, now: SystemTime) -> Verified<Event> {
    let key = SigningKey::from_seed([7; 32]);
    let receiver = Receiver::builder().any_app().key(key.public_key("test")).build();
    let body = event.body();
    receiver.verify(&key.headers(&body), body, now).expect("a genuine event")
}

pub(super) fn install(location: &str) -> EventBuilder {
    EventBuilder::install().app_id(APP_ID).location_id(location).field("companyId", COMPANY)
}

pub(super) fn uninstall(location: &str) -> EventBuilder {
    EventBuilder::uninstall().app_id(APP_ID).location_id(location)
}

pub(super) fn of_company(event: EventBuilder) -> EventBuilder {
    event.without("locationId").field("companyId", COMPANY)
}

pub(super) fn location(id: &str) -> Resource {
    Resource::Location(id.to_owned().into())
}

pub(super) fn company() -> Resource {
    Resource::Company(COMPANY.to_owned().into())
}

pub(super) async fn handle(mock: &MockHighLevel, app: &App, event: &EventBuilder) -> Handled {
    app.handle(&verified(event, mock.clock.now())).await.expect("handled")
}

#[tokio::test]
async fn an_install_event_may_arrive_before_or_after_the_exchange() {
    for event_first in [true, false] {
        let mock = MockHighLevel::new().await;
        let app = mock.app();
        let event = install("loc1").at(mock.clock.now());
        mock.clock.advance(SECOND);
        let waiting = Handled::WaitingForExchange(location("loc1"));
        if event_first {
            assert_eq!(handle(&mock, &app, &event).await, waiting);
            assert_eq!(
                send(&app.location("loc1")).await.expect_err("not yet").kind(),
                ErrorKind::NeedsAuthorization
            );
        }
        app.exchange(MockHighLevel::code("loc1")).await.expect("tokens");
        send(&app.location("loc1")).await.expect("a receipt");
        // A redelivery.
        assert_eq!(handle(&mock, &app, &event).await, Handled::AlreadyStored(location("loc1")));
        assert_eq!(mock.server.requests().len(), 2);
    }
}

#[tokio::test]
async fn locations_of_a_company_get_their_tokens_when_they_are_installed() {
    let mock = MockHighLevel::new().await;
    let app = mock.app();
    // Before the exchange of the company.
    let early = install("early").at(mock.clock.now());
    assert_eq!(handle(&mock, &app, &early).await, Handled::WaitingForExchange(location("early")));
    let whole_company = of_company(EventBuilder::install().app_id(APP_ID)).field("installType", "Company");
    assert_eq!(handle(&mock, &app, &whole_company).await, Handled::WaitingForExchange(company()));
    mock.clock.advance(SECOND);
    app.exchange(MockHighLevel::company_code()).await.expect("tokens");
    wait_until(async || mock.stored("early").await.is_some()).await;
    assert_eq!(handle(&mock, &app, &whole_company).await, Handled::AlreadyStored(company()));
    // After the exchange of the company.
    let late = install("late").at(mock.clock.now() + SECOND);
    assert_eq!(handle(&mock, &app, &late).await, Handled::Stored(location("late")));
    mock.clock.advance(60 * SECOND);
    // Another process, which has received no event, uses the stored tokens.
    let other = mock.app();
    for id in ["early", "late"] {
        assert_eq!(send(&other.location(id)).await.expect("a receipt").conversation_id().as_str(), id);
    }
    assert_eq!(mock.location_token_requests(), 2);
    assert_eq!(handle(&mock, &app, &install("late")).await, Handled::AlreadyStored(location("late")));
    assert_eq!(mock.location_token_requests(), 2);
}

/// The exchange of the company ends while the event of a location is handled, between two reads of the store.
#[tokio::test]
async fn an_exchange_that_ends_while_the_event_is_handled_is_not_missed() {
    for nth in [0, 1] {
        let mock = MockHighLevel::new().await;
        let other = Arc::new(OnceLock::<App>::new());
        let spy = SpyStore::new(mock.store.clone(), {
            let other = Arc::clone(&other);
            move |operation, count| {
                if (operation, count) != ("get", nth) {
                    return Before::Nothing;
                }
                let app = other.get().expect("set below").clone();
                Before::Run(Box::pin(async move {
                    app.exchange(MockHighLevel::company_code()).await.expect("tokens");
                }))
            }
        });
        let app = mock.builder().store(spy).build().expect("an app");
        assert!(other.set(app.clone()).is_ok());
        assert_eq!(handle(&mock, &app, &install("loc1")).await, Handled::Stored(location("loc1")));
        assert!(mock.stored("loc1").await.is_some());
    }
}

/// The tokens of an older installation are refreshed while those of a new one are being stored.
#[tokio::test]
async fn a_new_installation_replaces_refreshed_tokens_of_an_older_one() {
    let mock = MockHighLevel::new().await;
    let (_, older) = mock.installed("loc1").await;
    mock.clock.advance(SECOND);
    let clock = mock.clock.clone();
    mock.revoke_access();
    let spy = SpyStore::new(mock.store.clone(), move |operation, nth| match (operation, nth) {
        ("put", 0) => {
            let (older, clock) = (older.clone(), clock.clone());
            Before::Run(Box::pin(async move {
                clock.advance(SECOND);
                send(&older).await.expect("a receipt");
            }))
        }
        _ => Before::Nothing,
    });
    let app = mock.builder().store(spy).build().expect("an app");
    let tokens = app.exchange(MockHighLevel::code("loc1")).await.expect("tokens");
    assert_eq!(mock.refreshes(), 1);
    let stored = mock.stored("loc1").await.expect("tokens");
    assert_eq!(stored.access_token.expose_secret(), tokens.access_token.expose_secret());
    assert_eq!(stored.installed_at, mock.clock.now() - SECOND);
}

#[tokio::test]
async fn events_of_other_apps_and_other_types_change_nothing() {
    let mock = MockHighLevel::new().await;
    let (app, _) = mock.installed("loc1").await;
    mock.clock.advance(SECOND);
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
        assert_eq!(handle(&mock, &app, &event).await, expected);
    }
    assert!(mock.stored("loc1").await.is_some());
    assert_eq!(mock.server.requests().len(), 1);
}

#[tokio::test]
async fn failures_are_errors_so_that_the_event_is_redelivered() {
    let mock = MockHighLevel::new().await;
    let app = mock.app();
    app.exchange(MockHighLevel::company_code()).await.expect("tokens");
    mock.token_replies([TokenReply::Instead(rejection("422 Unprocessable Entity", "unexpected"))]);
    let event = verified(&install("loc1"), mock.clock.now());
    let error = app.handle(&event).await.expect_err("no token");
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Token, "location_token"));
    mock.clock.advance(5 * SECOND);
    assert_eq!(app.handle(&event).await.expect("handled"), Handled::Stored(location("loc1")));
    let spy = SpyStore::new(mock.store.clone(), |operation, _| match operation {
        "remove" => Before::Fail,
        _ => Before::Nothing,
    });
    let app = mock.builder().store(spy).build().expect("an app");
    let later = mock.clock.now() + Duration::from_secs(1);
    let event = verified(&uninstall("loc1").at(later), later);
    let error = app.handle(&event).await.expect_err("not removed");
    assert_eq!(error.kind(), ErrorKind::Token);
    assert_eq!(
        error.to_string(),
        "token: the token store failed to remove the tokens of the location loc1; see the source of this error; \
         nothing was sent"
    );
}
