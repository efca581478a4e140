//! Failures of requests for tokens.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use highlevel::{Client, Delivery, ErrorKind};
use secrecy::ExposeSecret;
use serde_json::json;
use tokio::sync::Barrier;

use super::mock::{
    CLIENT_ID, DAY, MockHighLevel, SECOND, TokenReply, advance_monotonic_clock, send, status, wait_until,
};
use super::spy_store::{Before, SpyStore};
use crate::server::{Action, json as json_response, nowhere, response};

const NOTHING: Duration = Duration::ZERO;

/// A refresh whose response is lost is repeated with the same token while HighLevel repeats its response.
#[tokio::test]
async fn a_lost_response_is_requested_again() {
    let cut = b"HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n{\"access_token\":".to_vec();
    // Cut off without a length that would show it.
    let cut_without_length = Action::Respond(response("200 OK", "", "{\"access_token\":"));
    for action in [
        Action::Reset,
        Action::Close(Vec::new()),
        Action::Close(cut),
        cut_without_length,
        status("502 Bad Gateway"),
        status("500 Odd"),
    ] {
        let mock = MockHighLevel::new().await;
        let (_, client) = mock.installed("loc1").await;
        mock.expire();
        let after = |seconds| TokenReply::IssueThen(seconds * SECOND, action.clone());
        mock.token_replies([after(0), after(20), after(5)]);
        send(&client).await.expect("a receipt");
        assert_eq!(mock.refreshes(), 4);
        // All four requests were the same, so HighLevel issued one new token.
        assert_eq!(mock.count_requests("/oauth/token", "refresh_token", "refresh-5ec2e75ec2e7-1"), 4);
        assert_eq!(mock.bearers(), ["Bearer access-5ec2e75ec2e7-2"]);
    }
}

#[tokio::test]
async fn a_lost_response_is_not_requested_again_after_thirty_seconds() {
    for seconds in [30, 31, 3_600] {
        let mock = MockHighLevel::new().await;
        let (_, client) = mock.installed("loc1").await;
        mock.expire();
        mock.token_replies([TokenReply::IssueThen(seconds * SECOND, Action::Reset)]);
        let error = send(&client).await.expect_err("lost");
        assert_eq!(mock.refreshes(), 1, "after {seconds} s");
        assert_eq!((error.kind(), error.delivery()), (ErrorKind::Connection, Delivery::NotSent));
        let cause = error.source().and_then(|cause| cause.downcast_ref::<highlevel::Error>());
        let cause = cause.expect("the error of the refresh");
        assert_eq!((cause.operation(), cause.delivery()), ("refresh_token", Delivery::Unknown));
        // The next call sends the same refresh token, and HighLevel rejects it.
        let error = send(&client).await.expect_err("refused");
        assert_eq!((mock.refreshes(), error.kind()), (2, ErrorKind::NeedsAuthorization));
    }
}

/// A call with a short deadline starts a refresh that must continue: HighLevel has invalidated the old refresh token.
#[tokio::test]
async fn a_lost_response_is_requested_again_after_all_calls_have_given_up() {
    let mock = MockHighLevel::new().await;
    let (app, client) = mock.installed("loc1").await;
    mock.expire();
    let silent = || TokenReply::IssueThen(NOTHING, Action::Stall(Vec::new()));
    mock.token_replies([silent(), silent()]);
    give_up_after_the_first_attempt_is_sent(&mock, &client).await;
    // Attempts of ten seconds, which pass as soon as nothing else happens.
    tokio::time::pause();
    app.flush().await;
    tokio::time::resume();
    assert_eq!(mock.refreshes(), 3);
    // HighLevel no longer repeats its response.
    mock.clock.advance(60 * SECOND);
    send(&app.location("loc1")).await.expect("a receipt");
    assert_eq!(mock.refreshes(), 3);
}

/// Sends calls with a deadline that is too short for a refresh, until one of them has started it.
async fn give_up_after_the_first_attempt_is_sent(mock: &MockHighLevel, client: &Client) {
    let hasty = client.clone().with_call_timeout(Duration::from_millis(20));
    wait_until(async || {
        send(&hasty).await.expect_err("no time");
        mock.refreshes() > 0
    })
    .await;
}

#[tokio::test]
async fn a_response_that_arrives_after_the_call_has_given_up_is_stored() {
    let mock = MockHighLevel::new().await;
    let (app, client) = mock.installed("loc1").await;
    mock.expire();
    let both = Arc::new(Barrier::new(2));
    let tokens = json!({
        "access_token": "access-5ec2e75ec2e7-2", "refresh_token": "refresh-5ec2e75ec2e7-2", "expires_in": DAY,
        "userType": "Location", "locationId": "loc1"
    });
    let held = Action::Together(Arc::clone(&both), json_response("200 OK", &tokens));
    mock.token_replies([TokenReply::IssueThen(NOTHING, held)]);
    give_up_after_the_first_attempt_is_sent(&mock, &client).await;
    both.wait().await;
    app.flush().await;
    send(&client).await.expect("a receipt");
    assert_eq!(mock.refreshes(), 1);
}

#[tokio::test]
async fn a_lost_response_is_requested_again_even_if_the_store_fails_to_extend_the_lease() {
    let mock = MockHighLevel::new().await;
    mock.installed("loc1").await;
    mock.expire();
    let spy = SpyStore::new(mock.store.clone(), |operation, nth| match (operation, nth) {
        // The first lease is for the first attempt, the second for the next one, ten seconds later.
        ("lease", 1) => Before::Fail,
        _ => Before::Nothing,
    });
    let app = mock.builder().store(spy.clone()).build().expect("an app");
    mock.token_replies([TokenReply::IssueThen(NOTHING, Action::Stall(Vec::new()))]);
    tokio::time::pause();
    let sent = send(&app.location("loc1")).await;
    tokio::time::resume();
    sent.expect("a receipt");
    assert_eq!((spy.count("lease"), mock.refreshes()), (2, 2));
    assert_eq!(mock.bearers(), ["Bearer access-5ec2e75ec2e7-2"]);
}

#[tokio::test]
async fn an_attempt_without_a_response_ends_early_enough_for_two_more() {
    let mock = MockHighLevel::new().await;
    let (_, client) = mock.installed("loc1").await;
    mock.expire();
    let silent = || TokenReply::IssueThen(NOTHING, Action::Stall(Vec::new()));
    mock.token_replies([silent(), silent()]);
    tokio::time::pause();
    let sent = send(&client).await;
    tokio::time::resume();
    sent.expect("a receipt");
    assert_eq!(mock.refreshes(), 3);
}

/// The attempt timeout is for messages. A refresh token works once, so the response must be awaited.
#[tokio::test]
async fn the_attempt_timeout_does_not_apply_to_token_requests() {
    let mock = MockHighLevel::new().await;
    mock.installed("loc1").await;
    mock.expire();
    let app = mock.builder().attempt_timeout(Duration::from_millis(50)).build().expect("an app");
    let barrier = Arc::new(Barrier::new(2));
    mock.token_replies([TokenReply::IssueAfter(Arc::clone(&barrier))]);
    let call = tokio::spawn({
        let client = app.location("loc1").with_attempt_timeout(20 * SECOND);
        async move { send(&client).await }
    });
    mock.server.arrived(2).await;
    // Six times the attempt timeout.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(mock.refreshes(), 1);
    barrier.wait().await;
    call.await.expect("no panic").expect("a receipt");
    assert_eq!(mock.refreshes(), 1);
}

/// The error of a used code or refresh token does not blame the client secret.
#[tokio::test]
async fn used_codes_and_refresh_tokens_need_authorization() {
    let rejections = [
        ("400 Bad Request", json!({ "error": "invalid_grant" })),
        ("401 Unauthorized", json!({ "message": "Invalid refresh token" })),
        (
            "401 Unauthorized",
            json!({ "error": "UnAuthorized!", "error_description": "Refresh token has expired" }),
        ),
        ("401 Unauthorized", json!({ "statusCode": 401, "message": ["The refresh token was already used"] })),
    ];
    for (status, body) in rejections {
        let mock = MockHighLevel::new().await;
        let (_, client) = mock.installed("loc1").await;
        mock.expire();
        mock.token_replies([TokenReply::Instead(Action::Respond(json_response(status, &body)))]);
        let error = send(&client).await.expect_err("rejected");
        assert_eq!(
            (error.kind(), error.delivery()),
            (ErrorKind::NeedsAuthorization, Delivery::NotSent),
            "{body}"
        );
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    let rejections = [
        (
            "401 Unauthorized",
            json!({ "error": "UnAuthorized!", "error_description": "Authorization code not found" }),
        ),
        ("400 Bad Request", json!({ "error": "invalid_grant", "error_description": "code was used" })),
        ("401 Unauthorized", json!({ "message": "The authorization code has expired" })),
    ];
    for (status, body) in rejections {
        let mock = MockHighLevel::new().await;
        mock.token_replies([TokenReply::Instead(Action::Respond(json_response(status, &body)))]);
        let error = mock.app().exchange(MockHighLevel::code("loc1")).await.expect_err("rejected");
        assert_eq!(error.kind(), ErrorKind::NeedsAuthorization, "{body}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

#[tokio::test]
async fn temporary_failures_are_retried() {
    let mock = MockHighLevel::new().await;
    let (_, client) = mock.installed("loc1").await;
    mock.expire();
    mock.token_replies([
        TokenReply::Instead(Action::Respond(response("429 Too Many Requests", "retry-after: 0\r\n", ""))),
        TokenReply::Instead(status("503 Service Unavailable")),
        TokenReply::Instead(Action::Reset),
    ]);
    send(&client).await.expect("a receipt");
    assert_eq!(mock.refreshes(), 4);
}

#[tokio::test]
async fn persistent_failures_are_reported() {
    let mock = MockHighLevel::new().await;
    let (_, client) = mock.installed("loc1").await;
    mock.expire();
    mock.token_replies(vec![
        TokenReply::Instead(Action::Respond(response(
            "429 Too Many Requests",
            "retry-after: 90\r\n",
            ""
        )));
        2
    ]);
    let error = send(&client).await.expect_err("busy");
    assert_eq!((error.kind(), error.delivery(), error.status()), (ErrorKind::Token, Delivery::NotSent, None));
    assert_eq!(error.retry_after(), Some(90 * SECOND));
    assert_eq!(
        error.to_string(),
        "send_message: HighLevel responded with 429 Too Many Requests; nothing was sent"
    );
    let mock = MockHighLevel::new().await;
    let (_, _) = mock.installed("loc1").await;
    mock.expire();
    let app = mock.builder().base_url(format!("http://{}", nowhere().await));
    let app = app.call_timeout(Duration::from_millis(300)).build().expect("an app");
    // Connecting fails at once, and pauses of a known length pass as soon as nothing else happens.
    fastrand::seed(1);
    tokio::time::pause();
    let sent = send(&app.location("loc1")).await;
    tokio::time::resume();
    let error = sent.expect_err("no connection");
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Connect, Delivery::NotSent));
}

#[tokio::test]
async fn a_rejected_refresh_token_fails_all_calls_and_is_retried_after_thirty_seconds() {
    let mock = MockHighLevel::new().await;
    let (app, client) = mock.installed("loc1").await;
    mock.expire();
    mock.revoke_refresh();
    for (passes, attempts) in [(0, 1), (0, 1), (29, 1), (1, 2), (0, 2), (29, 2), (3_600, 3)] {
        mock.clock.advance(passes * SECOND);
        let calls: Vec<_> = (0..50)
            .map(|_| {
                let client = client.clone();
                tokio::spawn(async move { send(&client).await })
            })
            .collect();
        for call in calls {
            let error = call.await.expect("no panic").expect_err("no token");
            assert_eq!((error.kind(), error.delivery()), (ErrorKind::NeedsAuthorization, Delivery::NotSent));
            assert_eq!(
                error.to_string(),
                "send_message: the app must be reinstalled on the location loc1: HighLevel rejected its refresh \
                 token; send its owner to the URL of `authorize_url`: Invalid grant: refresh token is invalid \
                 (trace trace-1); nothing was sent"
            );
        }
        assert_eq!(mock.refreshes(), attempts, "after {passes} s");
    }
    // A clock that is put back does not extend the cooldown.
    mock.clock.put_back(3_600 * SECOND);
    for (passes, attempts) in [(15, 3), (15, 4)] {
        advance_monotonic_clock(passes * SECOND).await;
        send(&client).await.expect_err("no token");
        assert_eq!(mock.refreshes(), attempts, "after {passes} s");
    }
    // After a reinstallation through another process, calls succeed at once.
    mock.app().exchange(MockHighLevel::code("loc1")).await.expect("tokens");
    send(&client).await.expect("a receipt");
    assert_eq!((mock.refreshes(), mock.sends()), (4, 1));
    drop(app);
}

#[tokio::test]
async fn the_error_of_a_rejected_token_has_both_the_401_and_the_failed_refresh() {
    let mock = MockHighLevel::new().await;
    let (_, client) = mock.installed("loc1").await;
    mock.revoke_access();
    mock.revoke_refresh();
    let error = send(&client).await.expect_err("rejected");
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::NeedsAuthorization, Delivery::Rejected));
    assert_eq!((error.status(), error.attempts()), (Some(401), 1));
    assert_eq!(
        error.to_string(),
        "send_message: HighLevel responded with 401 Unauthorized, and the app must be reinstalled on the location loc1: \
         HighLevel rejected its refresh token; send its owner to the URL of `authorize_url`: Invalid grant: refresh \
         token is invalid (trace trace-1): Invalid JWT; it was not done"
    );
    // A temporary failure of the refresh does not hide the 401.
    let mock = MockHighLevel::new().await;
    let (_, client) = mock.installed("loc1").await;
    mock.revoke_access();
    mock.token_replies([TokenReply::IssueThen(30 * SECOND, Action::Reset)]);
    let error = send(&client).await.expect_err("rejected");
    assert_eq!((error.kind(), error.status()), (ErrorKind::Status, Some(401)));
    assert!(error.source().expect("the error of the refresh").to_string().contains("the connection broke"));
}

#[tokio::test]
async fn a_location_that_is_not_active_keeps_its_tokens() {
    let mock = MockHighLevel::new().await;
    let (_, client) = mock.installed("loc1").await;
    mock.expire();
    mock.set_active("loc1", false);
    for (passes, attempts) in [(0, 1), (0, 1), (4, 1), (1, 2)] {
        mock.clock.advance(passes * SECOND);
        let error = send(&client).await.expect_err("not active");
        assert_eq!((error.kind(), error.delivery()), (ErrorKind::LocationInactive, Delivery::NotSent));
        assert_eq!(
            error.to_string(),
            "send_message: the location is not active in HighLevel; have it activated there, its tokens remain \
             stored: Location is not active (trace trace-1); nothing was sent"
        );
        assert_eq!(mock.refreshes(), attempts, "after {passes} s");
    }
    let stored = mock.stored("loc1").await.expect("tokens");
    assert_eq!(stored.refresh_token.expect("kept").expose_secret(), "refresh-5ec2e75ec2e7-1");
    mock.set_active("loc1", true);
    mock.clock.advance(5 * SECOND);
    send(&client).await.expect("a receipt");
    assert_eq!(mock.count_requests("/oauth/token", "refresh_token", "refresh-5ec2e75ec2e7-1"), 3);
}

#[tokio::test]
async fn a_wrong_client_secret_is_retried_after_five_seconds() {
    let mock = MockHighLevel::new().await;
    mock.installed("loc1").await;
    mock.expire();
    let app = mock.builder().client_secret("another-5ec2e75ec2e7").build().expect("an app");
    for (passes, attempts) in [(0, 1), (0, 1), (5, 2)] {
        mock.clock.advance(passes * SECOND);
        let error = send(&app.location("loc1")).await.expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Token);
        assert_eq!(
            error.to_string(),
            format!(
                "send_message: HighLevel responded with 401 Unauthorized; check the client id and the client \
                 secret: {} (trace trace-1); nothing was sent",
                "Invalid JWT: invalid client"
            )
        );
        assert_eq!(mock.refreshes(), attempts, "after {passes} s");
    }
    assert_eq!(mock.count_requests("/oauth/token", "client_id", CLIENT_ID), 3);
}

#[tokio::test]
async fn a_lost_response_to_a_code_is_requested_again() {
    let mock = MockHighLevel::new().await;
    mock.token_replies([
        TokenReply::IssueThen(NOTHING, Action::Reset),
        TokenReply::IssueThen(29 * SECOND, Action::Reset),
    ]);
    mock.app().exchange(MockHighLevel::code("loc1")).await.expect("tokens");
    assert_eq!(mock.server.requests().len(), 3);
    let mock = MockHighLevel::new().await;
    mock.token_replies([TokenReply::IssueThen(30 * SECOND, Action::Reset)]);
    let error = mock.app().exchange(MockHighLevel::code("loc1")).await.expect_err("lost");
    assert_eq!(
        (error.kind(), error.delivery(), error.attempts()),
        (ErrorKind::Connection, Delivery::Unknown, 1)
    );
    assert_eq!(mock.server.requests().len(), 1);
}
