//! The exchange of an authorization code: request, response and errors. Also the settings of an app.

use highlevel::auth::store::{MemoryStore, Resource};
use highlevel::auth::{App, TokenSet};
use highlevel::{Delivery, ErrorKind, SecretString};
use reqwest::redirect::Policy;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::mock::{
    CLIENT_ID, CLIENT_SECRET, COMPANY, DAY, MockHighLevel, REDIRECT_URI, TokenReply, form, rejection, send,
    wait_until,
};
use crate::server::{Action, json as json_response, response};

fn expose(secret: &SecretString) -> &str {
    secret.expose_secret()
}

#[tokio::test]
async fn requests_match_the_documentation() {
    let mock = MockHighLevel::new().await;
    let (app, client) = mock.installed("loc1").await;
    app.exchange(MockHighLevel::company_code()).await.expect("tokens");
    app.location_token(COMPANY, "loc2").await.expect("tokens");
    mock.expire();
    send(&client).await.expect("a receipt");
    let requests = mock.server.requests();
    let with_client = |more: &[(&str, &str)]| {
        let fields =
            [("client_id", CLIENT_ID), ("client_secret", CLIENT_SECRET), ("redirect_uri", REDIRECT_URI)];
        fields.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let code = MockHighLevel::code("loc1");
    assert_eq!(form(&requests[0]), with_client(&[("grant_type", "authorization_code"), ("code", &code)]));
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
    assert_eq!(form(&requests[3]), with_client(&refresh));
    for request in &requests[..4] {
        assert_eq!(request.header("content-type"), ["application/x-www-form-urlencoded"]);
        assert_eq!(request.header("accept"), ["application/json"]);
        assert_eq!(request.header("version"), ["2021-07-28"]);
    }
    let bearer: Vec<_> = requests.iter().map(|request| request.header("authorization").concat()).collect();
    let expected = ["", "", "Bearer access-5ec2e75ec2e7-2", "", "Bearer access-5ec2e75ec2e7-4"];
    assert_eq!(bearer, expected);
    // The version of API requests is independent of it.
    assert_eq!(requests[4].header("version"), ["2021-04-15"]);
}

#[tokio::test]
async fn responses_are_read_in_both_spellings_and_with_malformed_fields() {
    struct Case {
        body: Value,
        lifetime: u64,
        scopes: &'static [&'static str],
        company: Option<&'static str>,
        user: Option<&'static str>,
        has_refresh_token: bool,
    }
    for Case { body, lifetime, scopes, company, user, has_refresh_token } in [
        Case {
            body: json!({ "access_token": "a", "refresh_token": "r", "expires_in": 3600, "scope": "x y",
                "userType": "Location", "companyId": "c", "locationId": "l", "userId": "u" }),
            lifetime: 3600,
            scopes: &["x", "y"],
            company: Some("c"),
            user: Some("u"),
            has_refresh_token: true,
        },
        Case {
            body: json!({ "accessToken": "a", "refreshToken": "r", "expiresIn": "3600", "scope": "x y",
                "user_type": "Location", "company_id": "c", "location_id": "l", "user_id": "u" }),
            lifetime: 3600,
            scopes: &["x", "y"],
            company: Some("c"),
            user: Some("u"),
            has_refresh_token: true,
        },
        // Malformed in all other fields.
        Case {
            body: json!({ "access_token": " a ", "refresh_token": "r", "expires_in": { "seconds": 1 }, "scope": 7,
                "userType": ["Location"], "companyId": 5, "locationId": "l", "userId": null, "planId": [[]],
                "approvedLocations": "x", "token_type": 1, "isBulkInstallation": "no" }),
            lifetime: DAY,
            scopes: &[],
            company: None,
            user: None,
            has_refresh_token: true,
        },
        Case {
            body: json!({ "access_token": "a", "accessToken": "b", "expires_in": -1, "scope": ["x", "y z"], "locationId": "l",
                "refresh_token": "" }),
            lifetime: DAY,
            scopes: &["x", "y", "z"],
            company: None,
            user: None,
            has_refresh_token: false,
        },
        Case {
            // A lifetime of zero is ignored.
            body: json!({ "access_token": "a", "expires_in": 0, "expiresIn": "0", "locationId": "l", "refresh_token": "r" }),
            lifetime: DAY,
            scopes: &[],
            company: None,
            user: None,
            has_refresh_token: true,
        },
        Case {
            body: json!({ "access_token": "a", "expires_in": 3600.9, "scope": "x,y", "locationId": "l", "refresh_token": null,
                "refreshToken": "r" }),
            lifetime: 3600,
            scopes: &["x", "y"],
            company: None,
            user: None,
            has_refresh_token: true,
        },
    ] {
        let mock = MockHighLevel::new().await;
        let app = mock.app();
        mock.token_replies([TokenReply::Instead(Action::Respond(json_response("200 OK", &body)))]);
        let tokens: TokenSet = app.exchange("a-code-of-highlevel").await.expect("tokens");
        assert_eq!(expose(&tokens.access_token), "a", "{body}");
        assert_eq!(tokens.refresh_token.as_ref().map(expose), has_refresh_token.then_some("r"), "{body}");
        let left = tokens.expires_at.duration_since(mock.clock.now()).expect("a future");
        assert_eq!(left.as_secs(), lifetime, "{body}");
        assert_eq!(tokens.scopes, scopes, "{body}");
        assert_eq!(tokens.company_id.as_ref().map(AsRef::as_ref), company, "{body}");
        assert_eq!(tokens.user_id.as_ref().map(AsRef::as_ref), user, "{body}");
        assert_eq!(tokens.location_id.as_ref().map(AsRef::as_ref), Some("l"), "{body}");
        assert_eq!((tokens.obtained_at, tokens.installed_at), (mock.clock.now(), mock.clock.now()), "{body}");
        // It was stored before it was returned.
        let stored = mock.stored("l").await.expect("stored");
        assert_eq!(expose(&stored.access_token), expose(&tokens.access_token));
        assert_eq!(stored.scopes, tokens.scopes);
    }
}

#[tokio::test]
async fn the_response_determines_the_resource_of_the_tokens() {
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
        let mock = MockHighLevel::new().await;
        let mut response = body.clone();
        response["access_token"] = json!("a");
        mock.token_replies([TokenReply::Instead(Action::Respond(json_response("200 OK", &response)))]);
        let result = mock.app().exchange("a-code-of-highlevel").await;
        if let Some(resource) = expected {
            result.expect("tokens");
            assert!(mock.stored_for(resource).await.is_some(), "{body}");
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
async fn errors_of_an_exchange_name_the_remedy() {
    struct Case {
        action: Action,
        kind: ErrorKind,
        delivery: Delivery,
        text: &'static str,
    }
    let unauthorized = "exchange_code: HighLevel responded with 401 Unauthorized; check the client id and the \
                        client secret: invalid client (trace trace-1); it was not done";
    for Case { action, kind, delivery, text } in [
        Case {
            action: rejection("400 Bad Request", "Invalid grant: authorization code is invalid"),
            kind: ErrorKind::NeedsAuthorization,
            delivery: Delivery::Rejected,
            text: "exchange_code: HighLevel rejected the authorization code; codes work once and expire soon, so start at \
             the URL of `authorize_url` again: Invalid grant: authorization code is invalid (trace trace-1); it was \
             not done",
        },
        Case {
            action: rejection("401 Unauthorized", "invalid client"),
            kind: ErrorKind::Status,
            delivery: Delivery::Rejected,
            text: unauthorized,
        },
        Case {
            action: Action::Respond(json_response(
                "400 Bad Request",
                &json!({ "error": "invalid_grant", "error_description": "no such code" }),
            )),
            kind: ErrorKind::NeedsAuthorization,
            delivery: Delivery::Rejected,
            text: "exchange_code: HighLevel rejected the authorization code; codes work once and expire soon, so start at \
             the URL of `authorize_url` again: no such code; it was not done",
        },
        Case {
            action: Action::Respond(response("200 OK", "", "<html>")),
            kind: ErrorKind::Receipt,
            delivery: Delivery::Accepted,
            text: "exchange_code: HighLevel's response contains no readable access token; it was accepted, so do not send \
             it again",
        },
        Case {
            action: Action::Respond(response("302 Found", "location: /elsewhere\r\n", "")),
            kind: ErrorKind::Status,
            delivery: Delivery::Rejected,
            text: "exchange_code: HighLevel responded with 302 Found; it was not done",
        },
    ] {
        let mock = MockHighLevel::new().await;
        mock.token_replies([TokenReply::Instead(action)]);
        let error = mock.app().exchange("a-code-of-highlevel").await.expect_err(text);
        assert_eq!(error.to_string(), text);
        assert_eq!((error.kind(), error.delivery(), error.attempts()), (kind, delivery, 1), "{text}");
        assert_eq!(mock.server.requests().len(), 1, "{text}");
    }
}

/// No other server receives the client secret, even if the HTTP client is configured to follow redirects.
#[tokio::test]
async fn redirects_of_token_requests_are_not_followed() {
    let mock = MockHighLevel::new().await;
    let app = mock.builder().http_client(|http| http.redirect(Policy::default())).build().expect("an app");
    mock.token_replies([TokenReply::Instead(Action::Respond(response(
        "302 Found",
        "location: /elsewhere\r\n",
        "",
    )))]);
    let error = app.exchange(MockHighLevel::code("loc1")).await.expect_err("a redirect");
    assert_eq!((error.status(), error.delivery()), (Some(302), Delivery::Rejected));
    assert_eq!(mock.server.requests().len(), 1);
    assert!(mock.stored("loc1").await.is_none());
}

#[tokio::test]
async fn an_exchange_continues_when_its_caller_is_dropped() {
    let mock = MockHighLevel::new().await;
    let app = mock.app();
    tokio::select! {
        biased;
        () = mock.server.arrived(1) => {}
        result = app.exchange(MockHighLevel::code("loc1")) => panic!("a result: {result:?}"),
    }
    // The code is used. If the exchange had been dropped with its caller, the tokens would be lost.
    let client = app.location("loc1");
    wait_until(async || mock.stored("loc1").await.is_some()).await;
    assert_eq!(send(&client).await.expect("a receipt").conversation_id().as_str(), "loc1");
}

#[test]
fn missing_settings_are_named() {
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
