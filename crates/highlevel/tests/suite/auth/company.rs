//! Locations that obtain their tokens from their company.

use highlevel::auth::App;
use highlevel::auth::store::{Key, Precondition, Resource, TokenStore};
use highlevel::{Client, Delivery, ErrorKind, Method};
use secrecy::ExposeSecret;
use serde_json::json;

use super::mock::{CLIENT_ID, COMPANY, MockHighLevel, SECOND, TokenReply, rejection, send, wait_until};
use crate::server::{Action, json as json_response, receipt};

/// Returns an app that is installed on the company.
async fn installed(mock: &MockHighLevel) -> App {
    let app = mock.app();
    app.exchange(MockHighLevel::company_code()).await.expect("tokens");
    app
}

fn location(id: &str) -> Resource {
    Resource::Location(id.to_owned().into())
}

fn company() -> Resource {
    Resource::Company(COMPANY.to_owned().into())
}

/// Sends with many clients at once.
async fn send_all(clients: impl IntoIterator<Item = Client>) -> Vec<highlevel::Result<String>> {
    let calls: Vec<_> = clients
        .into_iter()
        .map(|client| {
            tokio::spawn(async move { send(&client).await.map(|sent| sent.conversation_id().to_string()) })
        })
        .collect();
    let mut results = Vec::new();
    for call in calls {
        results.push(call.await.expect("no panic"));
    }
    results
}

#[tokio::test]
async fn fifty_locations_refresh_their_company_once() {
    let mock = MockHighLevel::new().await;
    let app = installed(&mock).await;
    mock.expire();
    let ids: Vec<String> = (0..50).map(|number| format!("loc{number}")).collect();
    let sent = send_all(ids.iter().map(|id| app.company(COMPANY).location(id.as_str()))).await;
    let sent: Vec<String> = sent.into_iter().map(|sent| sent.expect("a receipt")).collect();
    assert_eq!(sent, ids);
    assert_eq!((mock.refreshes(), mock.location_token_requests(), mock.sends()), (1, 50, 50));
    // They are stored: another process sends no request for tokens.
    let other = mock.app();
    let sent = send_all(ids.iter().map(|id| other.location(id.as_str()))).await;
    assert!(sent.iter().all(Result::is_ok), "{sent:?}");
    assert_eq!((mock.refreshes(), mock.location_token_requests()), (1, 50));
}

#[tokio::test]
async fn a_location_falls_back_to_its_company_when_its_refresh_token_is_rejected() {
    let mock = MockHighLevel::new().await;
    let app = installed(&mock).await;
    let client = app.company(COMPANY).location("loc1");
    send(&client).await.expect("a receipt");
    mock.expire();
    send(&client).await.expect("a receipt");
    assert_eq!((mock.refreshes(), mock.location_token_requests()), (1, 1));
    assert_eq!(mock.count_requests("/oauth/token", "user_type", "Location"), 1);
    mock.revoke(&location("loc1"));
    // Also for a client without the company: the tokens name it.
    send(&mock.app().location("loc1")).await.expect("a receipt");
    // A rejected refresh of the location, one of its company, and a new token of the location.
    assert_eq!((mock.refreshes(), mock.location_token_requests()), (3, 2));
    assert_eq!(mock.count_requests("/oauth/token", "user_type", "Company"), 1);
}

#[tokio::test]
async fn a_revoked_token_of_the_company_is_refreshed_once() {
    let mock = MockHighLevel::new().await;
    let app = installed(&mock).await;
    mock.revoke_access();
    let clients = (0..20).map(|number| app.company(COMPANY).location(format!("loc{number}")));
    let sent = send_all(clients).await;
    assert!(sent.iter().all(Result::is_ok), "{sent:?}");
    assert_eq!(mock.refreshes(), 1);
    let client = app.company(COMPANY).client();
    mock.revoke(&Resource::Location("unused".to_owned().into()));
    client.request(Method::GET, "/companies").send().await.expect("a response");
}

#[tokio::test]
async fn the_error_names_the_company_whose_refresh_token_is_rejected() {
    let mock = MockHighLevel::new().await;
    let app = installed(&mock).await;
    mock.expire();
    mock.revoke_refresh();
    for (passes, attempts) in [(0, 1), (29, 1), (1, 2)] {
        mock.clock.advance(passes * SECOND);
        let clients = (0..20).map(|number| app.company(COMPANY).location(format!("loc{number}")));
        for error in send_all(clients).await {
            let error = error.expect_err("no token");
            assert_eq!((error.kind(), error.delivery()), (ErrorKind::NeedsAuthorization, Delivery::NotSent));
            assert_eq!(
                error.to_string(),
                "send_message: the app must be reinstalled on the company GNb7aIv4rQFVb9iwNl5K: HighLevel rejected \
                 its refresh token; send its owner to the URL of `authorize_url`: Invalid grant: refresh token is \
                 invalid (trace trace-1); nothing was sent"
            );
        }
        assert_eq!((mock.refreshes(), mock.location_token_requests()), (attempts, 0), "after {passes} s");
    }
    // After a reinstallation, calls succeed at once.
    app.exchange(MockHighLevel::company_code()).await.expect("tokens");
    send(&app.company(COMPANY).location("loc1")).await.expect("a receipt");
}

#[tokio::test]
async fn the_error_names_a_company_without_tokens() {
    let mock = MockHighLevel::new().await;
    let error = send(&mock.app().company(COMPANY).location("loc1")).await.expect_err("no tokens");
    assert_eq!(error.kind(), ErrorKind::NeedsAuthorization);
    assert_eq!(
        error.to_string(),
        "send_message: there are no tokens of the location loc1, nor of the company GNb7aIv4rQFVb9iwNl5K: the app \
         must be installed, starting at the URL of `authorize_url`; nothing was sent"
    );
    let error = mock.app().location_token(COMPANY, "loc1").await.expect_err("no tokens");
    assert_eq!((error.kind(), error.operation()), (ErrorKind::NeedsAuthorization, "location_token"));
    assert_eq!(mock.server.requests().len(), 0);
}

#[tokio::test]
async fn rejections_of_a_location_token_are_reported() {
    let mock = MockHighLevel::new().await;
    let app = installed(&mock).await;
    let client = app.company(COMPANY).location("loc1");
    mock.set_active("loc1", false);
    assert_eq!(send(&client).await.expect_err("not active").kind(), ErrorKind::LocationInactive);
    mock.set_active("loc1", true);
    mock.clock.advance(5 * SECOND);
    mock.token_replies([TokenReply::Instead(rejection("403 Forbidden", "the app is not installed there"))]);
    for _ in 0..3 {
        let error = send(&client).await.expect_err("refused");
        assert_eq!(
            error.to_string(),
            "send_message: HighLevel responded with 403 Forbidden: the app is not installed there (trace trace-1); \
             nothing was sent"
        );
    }
    assert_eq!(mock.location_token_requests(), 2);
    mock.clock.advance(5 * SECOND);
    send(&client).await.expect("a receipt");
}

#[tokio::test]
async fn a_missing_scope_does_not_refresh_the_company() {
    let mock = MockHighLevel::new().await;
    let app = installed(&mock).await;
    let client = app.company(COMPANY).location("loc1");
    mock.token_replies([TokenReply::Instead(rejection(
        "401 Unauthorized",
        "The token is not authorized for this scope.",
    ))]);
    let error = send(&client).await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::NeedsAuthorization);
    assert_eq!(
        error.to_string(),
        "send_message: the app must be reinstalled on the company GNb7aIv4rQFVb9iwNl5K: its token lacks the scope \
         `oauth.write`; send its owner to the URL of `authorize_url`: The token is not authorized for this scope. \
         (trace trace-1); nothing was sent"
    );
    assert_eq!((mock.refreshes(), mock.location_token_requests()), (0, 1));
}

/// A rejected token is refreshed once in thirty seconds. A 401 in between does not prove that a refreshed one is rejected.
#[tokio::test]
async fn a_company_needs_authorization_only_if_a_refreshed_token_is_rejected_too() {
    let mock = MockHighLevel::new().await;
    let app = installed(&mock).await;
    let rejected = || TokenReply::Instead(rejection("401 Unauthorized", "Invalid JWT"));
    mock.revoke_access();
    send(&app.company(COMPANY).location("loc1")).await.expect("a receipt");
    mock.token_replies([rejected()]);
    let error = send(&app.company(COMPANY).location("loc2")).await.expect_err("rejected");
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Token, Delivery::NotSent));
    assert_eq!(
        error.to_string(),
        "send_message: HighLevel responded with 401 Unauthorized to the token of the company GNb7aIv4rQFVb9iwNl5K, \
         which was refreshed less than 30 seconds ago; retry after that: Invalid JWT (trace trace-1); nothing was \
         sent"
    );
    let error = app.location_token(COMPANY, "loc3");
    mock.token_replies([rejected()]);
    assert_eq!(error.await.expect_err("rejected").kind(), ErrorKind::Status);
    assert_eq!(mock.refreshes(), 1);
    mock.clock.advance(30 * SECOND);
    mock.token_replies([rejected(), TokenReply::Issue, rejected()]);
    let error = send(&app.company(COMPANY).location("loc2")).await.expect_err("rejected");
    assert_eq!(error.kind(), ErrorKind::NeedsAuthorization);
    assert!(error.to_string().contains("HighLevel rejected its token, and also a refreshed one"), "{error}");
    assert_eq!(mock.refreshes(), 2);
}

/// The location has moved: its tokens name another company, whose tokens are stored as well.
#[tokio::test]
async fn the_named_company_has_priority_over_that_of_the_tokens() {
    let mock = MockHighLevel::new().await;
    let app = installed(&mock).await;
    let old = Key::new(CLIENT_ID, Resource::Company("old-company".to_owned().into()));
    let tokens = mock.stored_for(company()).await.expect("tokens");
    mock.store.put(&old, &tokens, Precondition::Nothing).await.expect("a store");
    let response = json!({ "access_token": "a", "refresh_token": "gone", "expires_in": 60, "locationId": "loc1",
        "companyId": "old-company" });
    mock.token_replies([TokenReply::Instead(Action::Respond(json_response("200 OK", &response)))]);
    app.exchange(MockHighLevel::code("loc1")).await.expect("tokens");
    mock.clock.advance(60 * SECOND);
    send(&app.company(COMPANY).location("loc1")).await.expect("a receipt");
    assert_eq!(
        (mock.count_requests("/oauth/locationToken", "companyId", COMPANY), mock.location_token_requests()),
        (1, 1)
    );
}

/// Another process and the removal of the app from the company depend on it.
#[tokio::test]
async fn tokens_name_their_company_even_if_the_response_does_not() {
    let mock = MockHighLevel::new().await;
    let app = installed(&mock).await;
    let response = json!({ "access_token": "a", "refresh_token": "r", "expires_in": 60 });
    mock.token_replies([TokenReply::Instead(Action::Respond(json_response("200 OK", &response)))]);
    mock.send_replies([Action::Respond(receipt())]);
    send(&app.company(COMPANY).location("loc1")).await.expect("a receipt");
    let stored = mock.stored("loc1").await.expect("tokens");
    assert_eq!(stored.company_id.as_ref().map(AsRef::as_ref), Some(COMPANY));
}

#[tokio::test]
async fn location_token_stores_the_tokens() {
    let mock = MockHighLevel::new().await;
    let app = installed(&mock).await;
    let tokens = app.location_token(COMPANY, "loc1").await.expect("tokens");
    assert_eq!(tokens.company_id.as_ref().map(AsRef::as_ref), Some(COMPANY));
    send(&app.location("loc1")).await.expect("a receipt");
    assert_eq!(mock.location_token_requests(), 1);
    let stored = mock.stored("loc1").await.expect("tokens");
    assert_eq!(stored.access_token.expose_secret(), tokens.access_token.expose_secret());
}

#[tokio::test]
async fn approved_locations_of_a_company_get_tokens_in_the_background() {
    let mock = MockHighLevel::new().await;
    let app = mock.app();
    mock.token_replies([TokenReply::Issue]);
    let other = mock.app();
    other.exchange(MockHighLevel::company_code()).await.expect("tokens");
    let stored = mock.stored_for(company()).await.expect("tokens");
    let response = json!({
        "access_token": stored.access_token.expose_secret(),
        "refresh_token": stored.refresh_token.expect("one").expose_secret(),
        "expires_in": 86_399,
        "userType": "Company",
        "companyId": COMPANY,
        "approvedLocations": ["loc1", "loc2"],
    });
    mock.token_replies([TokenReply::Instead(Action::Respond(json_response("200 OK", &response)))]);
    app.exchange(MockHighLevel::company_code()).await.expect("tokens");
    send(&app.location("loc1")).await.expect("a receipt");
    wait_until(async || mock.stored("loc2").await.is_some()).await;
    send(&mock.app().location("loc2")).await.expect("a receipt");
    assert_eq!(mock.location_token_requests(), 2);
}
