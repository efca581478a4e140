//! The first tokens: what is asked, what of the answer is read, and what an app is built from.

use highlevel::auth::store::{MemoryStore, Resource};
use highlevel::auth::{App, TokenSet};
use highlevel::{Delivery, ErrorKind, SecretString};
use reqwest::redirect::Policy;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::world::{
    CLIENT_ID, CLIENT_SECRET, COMPANY, DAY, Fate, REDIRECT_URI, World, form, refusal, send, until,
};
use crate::server::{Act, answer, json as json_answer};

fn expose(secret: &SecretString) -> &str {
    secret.expose_secret()
}

#[tokio::test]
async fn the_requests_are_as_documented() {
    let world = World::new().await;
    let (app, client) = world.installed("loc1").await;
    app.exchange(World::company_code()).await.expect("tokens");
    app.location_token(COMPANY, "loc2").await.expect("tokens");
    world.expire();
    send(&client).await.expect("a receipt");
    let requests = world.server.requests();
    let own = |more: &[(&str, &str)]| {
        let fields =
            [("client_id", CLIENT_ID), ("client_secret", CLIENT_SECRET), ("redirect_uri", REDIRECT_URI)];
        fields.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let code = World::code("loc1");
    assert_eq!(form(&requests[0]), own(&[("grant_type", "authorization_code"), ("code", &code)]));
    let location = [("companyId", COMPANY), ("locationId", "loc2")];
    assert_eq!(
        form(&requests[2]),
        location.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect()
    );
    let refresh = [
        ("grant_type", "refresh_token"),
        ("refresh_token", "refresh-5ec2e75ec2e7-1"),
        ("user_type", "Location"),
    ];
    assert_eq!(form(&requests[3]), own(&refresh));
    for request in &requests[..4] {
        assert_eq!(request.header("content-type"), ["application/x-www-form-urlencoded"]);
        assert_eq!(request.header("accept"), ["application/json"]);
        assert_eq!(request.header("version"), ["2021-07-28"]);
    }
    let bearer: Vec<_> = requests.iter().map(|request| request.header("authorization").concat()).collect();
    let expected = ["", "", "Bearer access-5ec2e75ec2e7-2", "", "Bearer access-5ec2e75ec2e7-4"];
    assert_eq!(bearer, expected);
    // An API request is of the version that was chosen for it.
    assert_eq!(requests[4].header("version"), ["2021-04-15"]);
}

/// What is read of an answer.
#[tokio::test]
async fn answers_are_read_in_both_spellings_and_odd_fields_cost_nothing() {
    type Expected = (u64, &'static [&'static str], Option<&'static str>, Option<&'static str>, bool);
    let rows: Vec<(Value, Expected)> = vec![
        (
            json!({ "access_token": "a", "refresh_token": "r", "expires_in": 3600, "scope": "x y",
                "userType": "Location", "companyId": "c", "locationId": "l", "userId": "u" }),
            (3600, &["x", "y"], Some("c"), Some("u"), true),
        ),
        (
            json!({ "accessToken": "a", "refreshToken": "r", "expiresIn": "3600", "scope": "x y",
                "user_type": "Location", "company_id": "c", "location_id": "l", "user_id": "u" }),
            (3600, &["x", "y"], Some("c"), Some("u"), true),
        ),
        // Odd in every other field.
        (
            json!({ "access_token": " a ", "refresh_token": "r", "expires_in": { "seconds": 1 }, "scope": 7,
                "userType": ["Location"], "companyId": 5, "locationId": "l", "userId": null, "planId": [[]],
                "approvedLocations": "x", "token_type": 1, "isBulkInstallation": "no" }),
            (DAY, &[], None, None, true),
        ),
        (
            json!({ "access_token": "a", "accessToken": "b", "expires_in": -1, "scope": ["x", "y z"], "locationId": "l",
                "refresh_token": "" }),
            (DAY, &["x", "y", "z"], None, None, false),
        ),
        (
            // A life of no time at all says nothing.
            json!({ "access_token": "a", "expires_in": 0, "expiresIn": "0", "locationId": "l", "refresh_token": "r" }),
            (DAY, &[], None, None, true),
        ),
        (
            json!({ "access_token": "a", "expires_in": 3600.9, "scope": "x,y", "locationId": "l", "refresh_token": null,
                "refreshToken": "r" }),
            (3600, &["x", "y"], None, None, true),
        ),
    ];
    for (body, (life, scopes, company, user, refresh)) in rows {
        let world = World::new().await;
        let app = world.app();
        world.fates([Fate::Not(Act::Answer(json_answer("200 OK", &body)))]);
        let tokens: TokenSet = app.exchange("a-code-of-highlevel").await.expect("tokens");
        assert_eq!(expose(&tokens.access_token), "a", "{body}");
        assert_eq!(tokens.refresh_token.as_ref().map(expose), refresh.then_some("r"), "{body}");
        let left = tokens.expires_at.duration_since(world.clock.now()).expect("a future");
        assert_eq!(left.as_secs(), life, "{body}");
        assert_eq!(tokens.scopes, scopes, "{body}");
        assert_eq!(tokens.company_id.as_ref().map(AsRef::as_ref), company, "{body}");
        assert_eq!(tokens.user_id.as_ref().map(AsRef::as_ref), user, "{body}");
        assert_eq!(tokens.location_id.as_ref().map(AsRef::as_ref), Some("l"), "{body}");
        assert_eq!(
            (tokens.obtained_at, tokens.installed_at),
            (world.clock.now(), world.clock.now()),
            "{body}"
        );
        // It was stored before it was returned.
        let stored = world.stored("l").await.expect("stored");
        assert_eq!(expose(&stored.access_token), expose(&tokens.access_token));
        assert_eq!(stored.scopes, tokens.scopes);
    }
}

#[tokio::test]
async fn the_answer_says_what_the_tokens_are_for() {
    let location = || Resource::Location("l".to_owned().into());
    let company = || Resource::Company("c".to_owned().into());
    for (body, expected) in [
        (json!({ "userType": "Company", "companyId": "c" }), Some(company())),
        (json!({ "userType": "company", "companyId": "c", "locationId": "l" }), Some(company())),
        (json!({ "userType": "Location", "companyId": "c", "locationId": "l" }), Some(location())),
        (json!({ "companyId": "c", "locationId": "l" }), Some(location())),
        (json!({ "companyId": "c" }), Some(company())),
        (json!({ "userType": "Company", "locationId": "l" }), None),
        (json!({ "userType": "Location" }), None),
    ] {
        let world = World::new().await;
        let mut answered = body.clone();
        answered["access_token"] = json!("a");
        world.fates([Fate::Not(Act::Answer(json_answer("200 OK", &answered)))]);
        let result = world.app().exchange("a-code-of-highlevel").await;
        if let Some(resource) = expected {
            result.expect("tokens");
            assert!(world.stored_for(resource).await.is_some(), "{body}");
        } else {
            let error = result.expect_err("no resource");
            assert_eq!((error.kind(), error.delivery()), (ErrorKind::Receipt, Delivery::Accepted));
            assert_eq!(
                error.to_string(),
                "exchange_code: HighLevel's response names neither the location nor the company of the tokens; it \
                 was accepted, so do not send it again"
            );
        }
    }
}

#[tokio::test]
async fn what_is_refused_says_what_to_do() {
    let unauthorized = "exchange_code: HighLevel responded with 401 Unauthorized; check the client id and the \
                        client secret: invalid client (trace trace-1); it was not done";
    for (act, kind, delivery, text) in [
        (
            refusal("400 Bad Request", "Invalid grant: authorization code is invalid"),
            ErrorKind::NeedsAuthorization,
            Delivery::Rejected,
            "exchange_code: HighLevel rejected the authorization code; codes work once and expire soon, so start at \
             the URL of `authorize_url` again: Invalid grant: authorization code is invalid (trace trace-1); it was \
             not done",
        ),
        (refusal("401 Unauthorized", "invalid client"), ErrorKind::Status, Delivery::Rejected, unauthorized),
        (
            Act::Answer(json_answer(
                "400 Bad Request",
                &json!({ "error": "invalid_grant", "error_description": "no such code" }),
            )),
            ErrorKind::NeedsAuthorization,
            Delivery::Rejected,
            "exchange_code: HighLevel rejected the authorization code; codes work once and expire soon, so start at \
             the URL of `authorize_url` again: no such code; it was not done",
        ),
        (
            Act::Answer(answer("200 OK", "", "<html>")),
            ErrorKind::Receipt,
            Delivery::Accepted,
            "exchange_code: HighLevel's response contains no readable access token; it was accepted, so do not send \
             it again",
        ),
        (
            Act::Answer(answer("302 Found", "location: /elsewhere\r\n", "")),
            ErrorKind::Status,
            Delivery::Rejected,
            "exchange_code: HighLevel responded with 302 Found; it was not done",
        ),
    ] {
        let world = World::new().await;
        world.fates([Fate::Not(act)]);
        let error = world.app().exchange("a-code-of-highlevel").await.expect_err(text);
        assert_eq!(error.to_string(), text);
        assert_eq!((error.kind(), error.delivery(), error.attempts()), (kind, delivery, 1), "{text}");
        assert_eq!(world.server.requests().len(), 1, "{text}");
    }
}

/// The token endpoint of another server gets no client secret, whatever the HTTP client is configured to do.
#[tokio::test]
async fn redirects_of_token_requests_are_not_followed() {
    let world = World::new().await;
    let app = world.builder().http_client(|http| http.redirect(Policy::default())).build().expect("an app");
    world.fates([Fate::Not(Act::Answer(answer("302 Found", "location: /elsewhere\r\n", "")))]);
    let error = app.exchange(World::code("loc1")).await.expect_err("a redirect");
    assert_eq!((error.status(), error.delivery()), (Some(302), Delivery::Rejected));
    assert_eq!(world.server.requests().len(), 1);
    assert!(world.stored("loc1").await.is_none());
}

#[tokio::test]
async fn an_exchange_goes_on_when_its_caller_is_gone() {
    let world = World::new().await;
    let app = world.app();
    tokio::select! {
        biased;
        () = world.server.arrived(1) => {}
        result = app.exchange(World::code("loc1")) => panic!("an answer: {result:?}"),
    }
    // The code is used up. Had the exchange been dropped with its caller, the tokens would be lost.
    let client = app.location("loc1");
    until(async || world.stored("loc1").await.is_some()).await;
    assert_eq!(send(&client).await.expect("a receipt").conversation_id().as_str(), "loc1");
}

#[test]
fn what_an_app_needs_is_named() {
    let full = || App::builder().client_id("a-b").client_secret("s").store(MemoryStore::new());
    let from_settings = "with the one from the settings of the app in the marketplace";
    for (builder, text) in [
        (full().client_id(" "), format!("build: no client id: call `.client_id(…)` {from_settings}")),
        (full().client_secret(""), format!("build: no client secret: call `.client_secret(…)` {from_settings}")),
        (
            App::builder().client_id("a-b").client_secret("s"),
            "build: no store: call `.store(…)`, on a single machine with a `FileStore`, so that tokens survive a \
             restart"
                .to_owned(),
        ),
    ] {
        let error = builder.build().expect_err(&text);
        assert_eq!((error.to_string(), error.kind()), (text, ErrorKind::Configuration));
    }
    let error = full().base_url("http://example.com").build().expect_err("no TLS");
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert_eq!(full().build().expect("an app").app_id().as_str(), "a");
    assert_eq!(full().client_id("abc").build().expect("an app").app_id().as_str(), "abc");
    assert_eq!(full().app_id("other").build().expect("an app").app_id().as_str(), "other");
}
