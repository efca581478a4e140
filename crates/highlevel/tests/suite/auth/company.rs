//! Locations whose tokens come by that of their company.

use highlevel::auth::App;
use highlevel::auth::store::{Key, Precondition, Resource, TokenStore};
use highlevel::{Client, Delivery, ErrorKind, Method};
use secrecy::ExposeSecret;
use serde_json::json;

use super::world::{CLIENT_ID, COMPANY, Fate, SECOND, World, refusal, send, until};
use crate::server::{Act, json as json_answer, receipt};

/// An app that is installed on the company.
async fn installed(world: &World) -> App {
    let app = world.app();
    app.exchange(World::company_code()).await.expect("tokens");
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
async fn fifty_locations_make_one_renewal_of_their_company() {
    let world = World::new().await;
    let app = installed(&world).await;
    world.expire();
    let ids: Vec<String> = (0..50).map(|number| format!("loc{number}")).collect();
    let sent = send_all(ids.iter().map(|id| app.company(COMPANY).location(id.as_str()))).await;
    let sent: Vec<String> = sent.into_iter().map(|sent| sent.expect("a receipt")).collect();
    assert_eq!(sent, ids);
    assert_eq!((world.refreshes(), world.mints(), world.sends()), (1, 50, 50));
    // They are stored, so that another process has them without asking.
    let other = world.app();
    let sent = send_all(ids.iter().map(|id| other.location(id.as_str()))).await;
    assert!(sent.iter().all(Result::is_ok), "{sent:?}");
    assert_eq!((world.refreshes(), world.mints()), (1, 50));
}

#[tokio::test]
async fn a_location_is_renewed_by_its_own_token_and_then_by_its_company() {
    let world = World::new().await;
    let app = installed(&world).await;
    let client = app.company(COMPANY).location("loc1");
    send(&client).await.expect("a receipt");
    world.expire();
    send(&client).await.expect("a receipt");
    assert_eq!((world.refreshes(), world.mints()), (1, 1));
    assert_eq!(world.asked("/oauth/token", "user_type", "Location"), 1);
    world.revoke(&location("loc1"));
    // Also for clients that know nothing of the company: the tokens say it.
    send(&world.app().location("loc1")).await.expect("a receipt");
    // A refused renewal of the location, one of its company, and one more token.
    assert_eq!((world.refreshes(), world.mints()), (3, 2));
    assert_eq!(world.asked("/oauth/token", "user_type", "Company"), 1);
}

#[tokio::test]
async fn a_revoked_token_of_the_company_heals() {
    let world = World::new().await;
    let app = installed(&world).await;
    world.revoke_access();
    let clients = (0..20).map(|number| app.company(COMPANY).location(format!("loc{number}")));
    let sent = send_all(clients).await;
    assert!(sent.iter().all(Result::is_ok), "{sent:?}");
    assert_eq!(world.refreshes(), 1);
    let client = app.company(COMPANY).client();
    world.revoke(&Resource::Location("nobody".to_owned().into()));
    client.request(Method::GET, "/companies").send().await.expect("an answer");
}

#[tokio::test]
async fn a_company_that_is_dead_is_asked_for_once_and_named() {
    let world = World::new().await;
    let app = installed(&world).await;
    world.expire();
    world.revoke_refresh();
    for (passes, attempts) in [(0, 1), (29, 1), (1, 2)] {
        world.clock.advance(passes * SECOND);
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
        assert_eq!((world.refreshes(), world.mints()), (attempts, 0), "after {passes} s");
    }
    // Installed again, all is well at once.
    app.exchange(World::company_code()).await.expect("tokens");
    send(&app.company(COMPANY).location("loc1")).await.expect("a receipt");
}

#[tokio::test]
async fn a_company_that_nobody_installed_is_named() {
    let world = World::new().await;
    let error = send(&world.app().company(COMPANY).location("loc1")).await.expect_err("no tokens");
    assert_eq!(error.kind(), ErrorKind::NeedsAuthorization);
    assert_eq!(
        error.to_string(),
        "send_message: there are no tokens of the location loc1, nor of the company GNb7aIv4rQFVb9iwNl5K: the app \
         must be installed, starting at the URL of `authorize_url`; nothing was sent"
    );
    let error = world.app().location_token(COMPANY, "loc1").await.expect_err("no tokens");
    assert_eq!((error.kind(), error.operation()), (ErrorKind::NeedsAuthorization, "location_token"));
    assert_eq!(world.server.requests().len(), 0);
}

#[tokio::test]
async fn what_highlevel_says_about_a_location_is_reported() {
    let world = World::new().await;
    let app = installed(&world).await;
    let client = app.company(COMPANY).location("loc1");
    world.set_active("loc1", false);
    assert_eq!(send(&client).await.expect_err("not active").kind(), ErrorKind::LocationInactive);
    world.set_active("loc1", true);
    world.clock.advance(5 * SECOND);
    world.fates([Fate::Not(refusal("403 Forbidden", "the app is not installed there"))]);
    for _ in 0..3 {
        let error = send(&client).await.expect_err("refused");
        assert_eq!(
            error.to_string(),
            "send_message: HighLevel responded with 403 Forbidden: the app is not installed there (trace trace-1); \
             nothing was sent"
        );
    }
    assert_eq!(world.mints(), 2);
    world.clock.advance(5 * SECOND);
    send(&client).await.expect("a receipt");
}

#[tokio::test]
async fn a_company_whose_token_lacks_the_scope_is_not_renewed_for_it() {
    let world = World::new().await;
    let app = installed(&world).await;
    let client = app.company(COMPANY).location("loc1");
    world.fates([Fate::Not(refusal("401 Unauthorized", "The token is not authorized for this scope."))]);
    let error = send(&client).await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::NeedsAuthorization);
    assert_eq!(
        error.to_string(),
        "send_message: the app must be reinstalled on the company GNb7aIv4rQFVb9iwNl5K: its token lacks the scope \
         `oauth.write`; send its owner to the URL of `authorize_url`: The token is not authorized for this scope. \
         (trace trace-1); nothing was sent"
    );
    assert_eq!((world.refreshes(), world.mints()), (0, 1));
}

/// Rejected tokens are replaced once in thirty seconds, so that a 401 in between says nothing of the next one.
#[tokio::test]
async fn the_owner_of_a_company_is_asked_only_if_a_renewed_token_is_rejected_too() {
    let world = World::new().await;
    let app = installed(&world).await;
    let rejected = || Fate::Not(refusal("401 Unauthorized", "Invalid JWT"));
    world.revoke_access();
    send(&app.company(COMPANY).location("loc1")).await.expect("a receipt");
    world.fates([rejected()]);
    let error = send(&app.company(COMPANY).location("loc2")).await.expect_err("rejected");
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Token, Delivery::NotSent));
    assert_eq!(
        error.to_string(),
        "send_message: HighLevel responded with 401 Unauthorized to the token of the company GNb7aIv4rQFVb9iwNl5K, \
         which was refreshed less than 30 seconds ago; retry after that: Invalid JWT (trace trace-1); nothing was \
         sent"
    );
    let error = app.location_token(COMPANY, "loc3");
    world.fates([rejected()]);
    assert_eq!(error.await.expect_err("rejected").kind(), ErrorKind::Status);
    assert_eq!(world.refreshes(), 1);
    world.clock.advance(30 * SECOND);
    world.fates([rejected(), Fate::Done, rejected()]);
    let error = send(&app.company(COMPANY).location("loc2")).await.expect_err("rejected");
    assert_eq!(error.kind(), ErrorKind::NeedsAuthorization);
    assert!(error.to_string().contains("HighLevel rejected its token, and also a refreshed one"), "{error}");
    assert_eq!(world.refreshes(), 2);
}

/// A location that has moved: its tokens name a company that is there as well.
#[tokio::test]
async fn the_company_that_was_named_goes_first() {
    let world = World::new().await;
    let app = installed(&world).await;
    let old = Key::new(CLIENT_ID, Resource::Company("old-company".to_owned().into()));
    let tokens = world.stored_for(company()).await.expect("tokens");
    world.store.put(&old, &tokens, Precondition::Nothing).await.expect("a store");
    let answer = json!({ "access_token": "a", "refresh_token": "gone", "expires_in": 60, "locationId": "loc1",
        "companyId": "old-company" });
    world.fates([Fate::Not(Act::Answer(json_answer("200 OK", &answer)))]);
    app.exchange(World::code("loc1")).await.expect("tokens");
    world.clock.advance(60 * SECOND);
    send(&app.company(COMPANY).location("loc1")).await.expect("a receipt");
    assert_eq!((world.asked("/oauth/locationToken", "companyId", COMPANY), world.mints()), (1, 1));
}

/// So that another process, and the removal of the app from the company, find it.
#[tokio::test]
async fn tokens_say_their_company_also_if_the_answer_does_not() {
    let world = World::new().await;
    let app = installed(&world).await;
    let answer = json!({ "access_token": "a", "refresh_token": "r", "expires_in": 60 });
    world.fates([Fate::Not(Act::Answer(json_answer("200 OK", &answer)))]);
    world.sends_end([Act::Answer(receipt())]);
    send(&app.company(COMPANY).location("loc1")).await.expect("a receipt");
    let stored = world.stored("loc1").await.expect("tokens");
    assert_eq!(stored.company_id.as_ref().map(AsRef::as_ref), Some(COMPANY));
}

#[tokio::test]
async fn a_token_for_a_location_is_had_once_and_stored() {
    let world = World::new().await;
    let app = installed(&world).await;
    let tokens = app.location_token(COMPANY, "loc1").await.expect("tokens");
    assert_eq!(tokens.company_id.as_ref().map(AsRef::as_ref), Some(COMPANY));
    send(&app.location("loc1")).await.expect("a receipt");
    assert_eq!(world.mints(), 1);
    let stored = world.stored("loc1").await.expect("tokens");
    assert_eq!(stored.access_token.expose_secret(), tokens.access_token.expose_secret());
}

/// The locations that were chosen when the app was installed on a company need nothing more.
#[tokio::test]
async fn locations_that_were_approved_with_their_company_are_there() {
    let world = World::new().await;
    let app = world.app();
    world.fates([Fate::Done]);
    let other = world.app();
    other.exchange(World::company_code()).await.expect("tokens");
    let stored = world.stored_for(company()).await.expect("tokens");
    let answer = json!({
        "access_token": stored.access_token.expose_secret(),
        "refresh_token": stored.refresh_token.expect("one").expose_secret(),
        "expires_in": 86_399,
        "userType": "Company",
        "companyId": COMPANY,
        "approvedLocations": ["loc1", "loc2"],
    });
    world.fates([Fate::Not(Act::Answer(json_answer("200 OK", &answer)))]);
    app.exchange(World::company_code()).await.expect("tokens");
    send(&app.location("loc1")).await.expect("a receipt");
    until(async || world.stored("loc2").await.is_some()).await;
    send(&world.app().location("loc2")).await.expect("a receipt");
    assert_eq!(world.mints(), 2);
}
