//! The app is installed on locations for which no code follows: their tokens come from their company.

use highlevel::ErrorKind;
use highlevel::auth::store::Resource;
use highlevel::auth::{App, Handled};
use highlevel::webhook::testing::EventBuilder;
use serde_json::{Value, json};

use super::install_events::{company, handle, install, location, verified};
use super::mock::{APP_ID, COMPANY, MockHighLevel, SECOND, TokenReply, rejection, send, wait_until};

/// Another company on which the app is installed.
const OTHER_COMPANY: &str = "Kq7Agency00000000000";

/// Returns the event for a location that was created after the installation on its company.
fn future_location(id: &str) -> EventBuilder {
    install(id).without("companyId")
}

/// Returns the event for an installation on several locations.
fn bulk(ids: &[&str]) -> EventBuilder {
    EventBuilder::install()
        .app_id(APP_ID)
        .without("locationId")
        .field("companyId", COMPANY)
        .field("installType", "Company")
        .field("locationIds", json!(ids))
}

/// Returns an app that is installed on both companies.
async fn on_both_companies(mock: &MockHighLevel) -> App {
    let app = mock.app();
    for company in [OTHER_COMPANY, COMPANY] {
        app.exchange(MockHighLevel::code_of(company)).await.expect("tokens");
    }
    app
}

/// Sends with an app that has received no event, as another process does.
async fn assert_usable(mock: &MockHighLevel, id: &str) {
    let sent = send(&mock.app().location(id)).await.expect("a receipt");
    assert_eq!(sent.conversation_id().as_str(), id);
}

#[tokio::test]
async fn a_future_location_gets_its_tokens_from_the_company_it_belongs_to() {
    for (id, company) in [("loc1", COMPANY), ("loc2", OTHER_COMPANY)] {
        for ids in [json!(null), json!("")] {
            let mock = MockHighLevel::new().await;
            mock.set_company(id, company);
            let app = on_both_companies(&mock).await;
            mock.clock.advance(SECOND);
            let event = future_location(id).field("companyId", ids.clone()).field("userId", ids);
            let event = event.at(mock.clock.now());
            assert_eq!(handle(&mock, &app, &event).await, Handled::Stored(location(id)));
            assert_usable(&mock, id).await;
            assert_eq!(
                mock.stored(id).await.expect("tokens").company_id.expect("a company").as_str(),
                company
            );
            // A redelivery, and a refresh after the tokens were revoked.
            assert_eq!(handle(&mock, &app, &event).await, Handled::AlreadyStored(location(id)));
            mock.revoke(&location(id));
            assert_usable(&mock, id).await;
        }
    }
}

#[tokio::test]
async fn a_future_location_waits_for_its_company() {
    let mock = MockHighLevel::new().await;
    let app = mock.app();
    let event = future_location("loc1").at(mock.clock.now());
    let waiting = Handled::WaitingForCompany("loc1".into());
    assert_eq!(handle(&mock, &app, &event).await, waiting);
    // Tokens of another company do not help.
    mock.clock.advance(SECOND);
    app.exchange(MockHighLevel::code_of(OTHER_COMPANY)).await.expect("tokens");
    wait_until(async || mock.location_token_requests() == 1).await;
    assert_eq!(handle(&mock, &app, &event).await, waiting);
    assert_eq!(mock.location_token_requests(), 2);
    app.exchange(MockHighLevel::company_code()).await.expect("tokens");
    wait_until(async || mock.stored("loc1").await.is_some()).await;
    assert_usable(&mock, "loc1").await;
    // The location no longer waits.
    let requests = mock.location_token_requests();
    app.exchange(MockHighLevel::company_code()).await.expect("tokens");
    app.flush().await;
    assert_eq!(mock.location_token_requests(), requests);
    // If the event names a user, a code follows.
    let with_user = future_location("loc2").field("userId", "u1");
    let app = MockHighLevel::new().await;
    let expected = Handled::WaitingForExchange(location("loc2"));
    assert_eq!(handle(&app, &app.app(), &with_user).await, expected);
}

#[tokio::test]
async fn a_failure_for_a_future_location_is_an_error_so_that_the_event_is_redelivered() {
    let mock = MockHighLevel::new().await;
    let app = mock.app();
    app.exchange(MockHighLevel::company_code()).await.expect("tokens");
    mock.token_replies([TokenReply::Instead(rejection("422 Unprocessable Entity", "malformed"))]);
    let event = future_location("loc1");
    let error = app.handle(&verified(&event, mock.clock.now())).await.expect_err("no tokens");
    assert_eq!((error.status(), error.operation()), (Some(422), "location_token"));
    assert_eq!(handle(&mock, &app, &event).await, Handled::Stored(location("loc1")));
}

/// A company whose tokens HighLevel rejects does not hide the others.
#[tokio::test]
async fn a_company_without_valid_tokens_is_skipped() {
    let mock = MockHighLevel::new().await;
    let app = on_both_companies(&mock).await;
    mock.revoke(&Resource::Company(OTHER_COMPANY.to_owned().into()));
    mock.clock.advance(SECOND);
    let event = future_location("loc1").at(mock.clock.now());
    assert_eq!(handle(&mock, &app, &event).await, Handled::Stored(location("loc1")));
    assert_usable(&mock, "loc1").await;
}

#[tokio::test]
async fn all_locations_of_a_bulk_installation_get_their_tokens() {
    let several = |stored: &[&str], waiting: &[&str]| Handled::Several {
        stored: stored.iter().map(|id| (*id).into()).collect(),
        waiting: waiting.iter().map(|id| (*id).into()).collect(),
    };
    let mock = MockHighLevel::new().await;
    let app = mock.app();
    // Before the exchange of the company.
    let early = bulk(&["loc1", "loc2"]).at(mock.clock.now());
    assert_eq!(handle(&mock, &app, &early).await, several(&[], &["loc1", "loc2"]));
    mock.clock.advance(SECOND);
    app.exchange(MockHighLevel::company_code()).await.expect("tokens");
    for id in ["loc1", "loc2"] {
        wait_until(async || mock.stored(id).await.is_some()).await;
        assert_usable(&mock, id).await;
    }
    assert_eq!(handle(&mock, &app, &early).await, several(&["loc1", "loc2"], &[]));
    // After it. `locationId` and `companyId` may be missing.
    mock.clock.advance(SECOND);
    for (event, ids) in [
        (bulk(&["loc3"]), vec!["loc3"]),
        (bulk(&["loc4", "", "loc5"]).without("companyId").without("installType"), vec!["loc4", "loc5"]),
        (bulk(&["loc6", "loc7"]).field("installType", "Location").location_id("loc6"), vec!["loc6", "loc7"]),
    ] {
        let event = event.at(mock.clock.now());
        assert_eq!(handle(&mock, &app, &event).await, several(&ids, &[]));
        for id in ids {
            assert_usable(&mock, id).await;
        }
    }
    // Without locations, it is an installation on the company.
    for locations in [json!([]), Value::Null] {
        let event = bulk(&[]).field("locationIds", locations);
        assert_eq!(handle(&mock, &app, &event).await, Handled::AlreadyStored(company()));
    }
}

#[tokio::test]
async fn a_failure_for_one_location_does_not_prevent_the_others() {
    let mock = MockHighLevel::new().await;
    let app = mock.app();
    app.exchange(MockHighLevel::company_code()).await.expect("tokens");
    mock.set_active("loc1", false);
    mock.clock.advance(SECOND);
    let event = bulk(&["loc1", "loc2"]).at(mock.clock.now());
    let error = app.handle(&verified(&event, mock.clock.now())).await.expect_err("not active");
    assert_eq!(error.kind(), ErrorKind::LocationInactive);
    assert_usable(&mock, "loc2").await;
    let requests = mock.location_token_requests();
    // The redelivery.
    mock.set_active("loc1", true);
    mock.clock.advance(5 * SECOND);
    assert!(
        matches!(handle(&mock, &app, &event).await, Handled::Several { stored, .. } if stored.len() == 2)
    );
    assert_eq!(mock.location_token_requests(), requests + 1);
}

/// HighLevel issues a token of the company if an app of companies is installed on one location.
#[tokio::test]
async fn a_company_token_for_one_location_serves_the_location_of_the_event() {
    for event_first in [true, false] {
        let mock = MockHighLevel::new().await;
        let app = mock.app();
        let event = install("loc1").at(mock.clock.now());
        if event_first {
            assert_eq!(handle(&mock, &app, &event).await, Handled::WaitingForExchange(location("loc1")));
        }
        mock.clock.advance(SECOND);
        let tokens = app.exchange(MockHighLevel::company_code()).await.expect("tokens");
        assert_eq!((tokens.location_id, tokens.company_id), (None, Some(COMPANY.into())));
        if event_first {
            wait_until(async || mock.stored("loc1").await.is_some()).await;
        } else {
            assert_eq!(handle(&mock, &app, &event).await, Handled::Stored(location("loc1")));
        }
        assert_usable(&mock, "loc1").await;
    }
}

/// Some responses have no refresh token, and no company either.
#[tokio::test]
async fn a_location_without_a_refresh_token_gets_new_tokens_from_its_company() {
    for from_company in [true, false] {
        for event_first in [true, false] {
            let mock = MockHighLevel::new().await;
            mock.omit(["refresh_token", "companyId"]);
            let app = mock.app();
            app.exchange(MockHighLevel::company_code()).await.expect("tokens");
            let event = install("loc1").at(mock.clock.now());
            if from_company {
                app.location_token(COMPANY, "loc1").await.expect("tokens");
            } else if event_first {
                assert_eq!(handle(&mock, &app, &event).await, Handled::Stored(location("loc1")));
                app.exchange(MockHighLevel::code("loc1")).await.expect("tokens");
            } else {
                app.exchange(MockHighLevel::code("loc1")).await.expect("tokens");
                assert_eq!(handle(&mock, &app, &event).await, Handled::AlreadyStored(location("loc1")));
            }
            assert_eq!(mock.stored("loc1").await.expect("tokens").company_id, Some(COMPANY.into()));
            let requests = mock.location_token_requests();
            for day in 1..=2 {
                mock.expire();
                assert_usable(&mock, "loc1").await;
                assert_eq!(mock.location_token_requests(), requests + day);
            }
        }
    }
}
