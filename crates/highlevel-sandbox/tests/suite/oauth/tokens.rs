//! Exchanging codes and refreshing tokens.

use std::time::Duration;

use highlevel_sandbox::{Fault, FaultRule, FaultSchedule, FaultStage, TokenResource};
use http::StatusCode;
use http::header::CACHE_CONTROL;
use reqwest::Method;
use serde_json::{Value, json};

use super::{INVALID, MINUTE, SCOPES, description, exchange, refresh, send, token};
use crate::caller::{bare, execute};
use crate::conformance::{Sandbox, StartChecked};

#[tokio::test]
async fn authorization_token_call_and_refresh_work_together() {
    let sandbox = Sandbox::start().await.unwrap();
    let own = TokenResource::location(sandbox.location_id());
    let tokens = exchange(&sandbox, ("location_id", sandbox.location_id())).await;
    assert_eq!((&tokens["userType"], &tokens["scope"]), (&json!("Location"), &json!(SCOPES)));
    assert_eq!(
        (&tokens["locationId"], &tokens["companyId"]),
        (&json!(own.id()), &json!(sandbox.company_id()))
    );
    assert_eq!(send(&sandbox, &tokens).await.status, 201);

    // A day later.
    sandbox.advance_clock(Duration::from_secs(86_399));
    assert_eq!(send(&sandbox, &tokens).await.status, 201);
    sandbox.advance_clock(Duration::from_secs(1));
    assert_eq!(send(&sandbox, &tokens).await.status, 401);

    sandbox.set_clock_speed(0.0);
    let fresh = refresh(&sandbox, &tokens).await;
    assert_eq!(fresh.status, 200);
    assert_eq!(fresh.headers[CACHE_CONTROL], "no-store");
    assert_ne!(fresh.body["access_token"], tokens["access_token"]);
    assert_ne!(fresh.body["refresh_token"], tokens["refresh_token"]);
    assert_eq!(send(&sandbox, &fresh.body).await.status, 201);

    // Repeating the refresh returns the same tokens for a while.
    sandbox.advance_clock(Duration::from_millis(29_999));
    assert_eq!(refresh(&sandbox, &tokens).await.body, fresh.body);
    sandbox.advance_clock(Duration::from_millis(1));
    assert_eq!(description(&refresh(&sandbox, &tokens).await), INVALID);
    assert_eq!(refresh(&sandbox, &fresh.body).await.status, 200);

    let counts = sandbox.token_requests_of(&own);
    let found = (counts.codes_exchanged, counts.rotated, counts.repeated, counts.refused, counts.refreshes());
    assert_eq!(found, (1, 2, 1, 1, 4));
    assert_eq!(sandbox.token_requests().len(), 1);
}

/// A missing type of grant is rejected in the format of the API, all other errors in that of OAuth.
#[tokio::test]
async fn a_missing_grant_type_is_a_validation_error() {
    let sandbox = Sandbox::start().await.unwrap();
    for fields in [&[("grant_type", "")][..], &[]] {
        let response = token(&sandbox, fields).await;
        assert_eq!(response.status, 422);
        let messages = ["grant_type must be a valid enum value", "grant_type should not be empty"];
        assert_eq!(response.body["message"], json!(messages));
        assert_eq!(
            (&response.body["statusCode"], &response.body["error"]),
            (&json!(422), &json!("Unprocessable Entity"))
        );
        assert!(response.body["traceId"].is_string() && response.body.get("error_description").is_none());
    }
}

#[tokio::test]
async fn token_requests_must_be_forms() {
    let sandbox = Sandbox::start().await.unwrap();
    let body = json!({"client_id": sandbox.client_id(), "client_secret": sandbox.client_secret()});
    let response = execute(bare(&sandbox, Method::POST, "/oauth/token").json(&body)).await;
    let words = "Invalid request: content must be application/x-www-form-urlencoded; the Content-Type is `application/json`";
    assert_eq!(description(&response), (400, words));
    assert_eq!(response.body["error"], "invalid_request");
    let response = execute(bare(&sandbox, Method::GET, "/oauth/token")).await;
    assert_eq!(
        (response.status, &response.body["message"]),
        (StatusCode::NOT_FOUND, &json!("Cannot GET /oauth/token"))
    );
    let wrong = [("grant_type", "refresh_token"), ("client_secret", "wrong"), ("refresh_token", "x")];
    let id = sandbox.client_id();
    let request = bare(&sandbox, Method::POST, "/oauth/token")
        .form(&[&[("client_id", id.as_str())], &wrong[..]].concat());
    let response = execute(request).await;
    assert_eq!(description(&response), (401, "Invalid client credentials!"));
}

#[tokio::test]
async fn token_responses_can_use_camel_case() {
    let sandbox = Sandbox::start().await.unwrap();
    let own = TokenResource::location(sandbox.location_id());
    let tokens = sandbox.issue_tokens(&own, [SCOPES]).unwrap();
    sandbox.use_camel_case_tokens(true);
    let fresh = refresh(&sandbox, &tokens).await.body;
    for name in ["accessToken", "tokenType", "expiresIn", "refreshToken", "refreshTokenId", "userType"] {
        assert!(fresh.get(name).is_some(), "{name}: {fresh}");
    }
    assert!(fresh.get("access_token").is_none());
}

#[tokio::test]
async fn tokens_have_the_requested_scopes() {
    let sandbox = Sandbox::start().await.unwrap();
    let own = TokenResource::location(sandbox.location_id());
    let without = sandbox.issue_tokens(&own, ["contacts.readonly"]).unwrap();
    let response = send(&sandbox, &without).await;
    assert_eq!((response.status, sandbox.messages().len()), (StatusCode::UNAUTHORIZED, 0));
    let words = response.body["message"].as_str().unwrap();
    assert!(words.contains("conversations/message.write"), "{words}");
    let with = sandbox.issue_tokens(&own, ["contacts.readonly", "conversations/message.write"]).unwrap();
    assert_eq!(send(&sandbox, &with).await.status, 201);
    // A refresh adds no scopes.
    let fresh = refresh(&sandbox, &without).await.body;
    assert_eq!(
        (&fresh["scope"], send(&sandbox, &fresh).await.status),
        (&json!("contacts.readonly"), StatusCode::UNAUTHORIZED)
    );
}

#[tokio::test]
async fn revoked_and_expired_tokens_are_rejected() {
    let sandbox = Sandbox::start().await.unwrap();
    let own = TokenResource::location(sandbox.location_id());
    let give = || sandbox.issue_tokens(&own, ["conversations/message.write"]).unwrap();
    let text = |tokens: &Value, name: &str| tokens[name].as_str().unwrap().to_owned();

    let tokens = give();
    assert!(sandbox.revoke_token(&text(&tokens, "access_token")));
    assert!(!sandbox.revoke_token(&text(&tokens, "access_token")));
    assert_eq!(send(&sandbox, &tokens).await.body["message"], "Invalid token: access token is invalid");
    assert_eq!(refresh(&sandbox, &tokens).await.status, 200);

    let tokens = give();
    assert!(sandbox.revoke_token(&text(&tokens, "refresh_token")));
    assert_eq!(send(&sandbox, &tokens).await.status, 201);
    assert_eq!(description(&refresh(&sandbox, &tokens).await), INVALID);

    let tokens = give();
    assert!(sandbox.expire_token(&text(&tokens, "access_token")));
    assert!(!sandbox.expire_token("unknown"));
    assert_eq!(send(&sandbox, &tokens).await.body["message"], "Invalid token: access token is expired");
    assert!(sandbox.expire_token(&text(&tokens, "refresh_token")));
    assert_eq!(description(&refresh(&sandbox, &tokens).await), INVALID);

    let (one, other) = (give(), give());
    assert!(sandbox.expire_access_tokens(&own) >= 2);
    assert_eq!([send(&sandbox, &one).await.status, send(&sandbox, &other).await.status], [401, 401]);
    assert!(sandbox.revoke_tokens(&own) >= 4);
    assert_eq!(description(&refresh(&sandbox, &one).await), INVALID);
    assert_eq!(sandbox.revoke_tokens(&own), 0);
}

#[tokio::test]
async fn refreshing_for_an_inactive_location_does_not_spend_the_token() {
    let sandbox = Sandbox::start().await.unwrap();
    let own = TokenResource::location(sandbox.location_id());
    let tokens = sandbox.issue_tokens(&own, [SCOPES]).unwrap();
    sandbox.set_location_active(own.id(), false);
    for _ in 0..2 {
        assert_eq!(description(&refresh(&sandbox, &tokens).await), (400, "Location is not active"));
    }
    sandbox.set_location_active(own.id(), true);
    assert_eq!(refresh(&sandbox, &tokens).await.status, 200);
}

#[tokio::test]
async fn a_refresh_with_a_lost_response_can_be_repeated() {
    let sandbox = Sandbox::start().await.unwrap();
    let own = TokenResource::location(sandbox.location_id());
    let tokens = sandbox.issue_tokens(&own, ["conversations/message.write"]).unwrap();
    let (id, secret) = (sandbox.client_id(), sandbox.client_secret());
    let fields = [
        ("client_id", id.as_str()),
        ("client_secret", secret.as_str()),
        ("grant_type", "refresh_token"),
        ("refresh_token", tokens["refresh_token"].as_str().unwrap()),
    ];
    for (stage, rotated) in [(FaultStage::Before, 0), (FaultStage::After, 1)] {
        let rule =
            FaultRule::new(Fault::RESET).stage(stage).path("/oauth/token").schedule(FaultSchedule::First(1));
        sandbox.add_fault(rule).unwrap();
        bare(&sandbox, Method::POST, "/oauth/token").form(&fields).send().await.unwrap_err();
        assert_eq!(sandbox.token_requests_of(&own).rotated, rotated, "{stage:?}");
    }
    let repeated = refresh(&sandbox, &tokens).await;
    assert_eq!(send(&sandbox, &repeated.body).await.status, 201);
    let counts = sandbox.token_requests_of(&own);
    assert_eq!((counts.rotated, counts.repeated, counts.refused), (1, 1, 0));
    let fault = |request: &highlevel_sandbox::RecordedRequest| request.fault.clone();
    let faults: Vec<_> = sandbox.requests().iter().map(fault).collect();
    assert_eq!(faults, [Some("reset".to_owned()), Some("reset".to_owned()), None, None]);
}

#[tokio::test]
async fn of_concurrent_refreshes_one_rotates_the_token() {
    let sandbox = Sandbox::start().await.unwrap();
    let own = TokenResource::location(sandbox.location_id());
    let tokens = sandbox.issue_tokens(&own, ["conversations/message.write"]).unwrap();
    let (id, secret) = (sandbox.client_id(), sandbox.client_secret());
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..30 {
        let fields = [
            ("client_id", id.clone()),
            ("client_secret", secret.clone()),
            ("grant_type", "refresh_token".to_owned()),
            ("refresh_token", tokens["refresh_token"].as_str().unwrap().to_owned()),
        ];
        waiting.spawn(execute(bare(&sandbox, Method::POST, "/oauth/token").form(&fields)));
    }
    let responses = waiting.join_all().await;
    assert!(responses.iter().all(|response| response.status == 200 && response.body == responses[0].body));
    let counts = sandbox.token_requests_of(&own);
    assert_eq!((counts.rotated, counts.repeated, counts.refused), (1, 29, 0));
}

#[tokio::test]
async fn rate_limits_do_not_count_token_requests() {
    let sandbox = Sandbox::builder()
        .rate_limit(highlevel_sandbox::RateLimit::documented().burst(1).interval(MINUTE))
        .start_checked()
        .await
        .unwrap();
    let own = TokenResource::location(sandbox.location_id());
    let mut tokens = sandbox.issue_tokens(&own, ["conversations/message.write"]).unwrap();
    for _ in 0..5 {
        let response = refresh(&sandbox, &tokens).await;
        assert!(response.headers.get("x-ratelimit-remaining").is_none());
        tokens = response.body;
    }
    assert_eq!(send(&sandbox, &tokens).await.status, 201);
    assert_eq!(send(&sandbox, &tokens).await.status, 429);
}
