//! Calls whose token HighLevel rejects with a 401.

use highlevel::{Delivery, ErrorKind, Sms};
use serde_json::json;

use super::mock::{MockHighLevel, PART, SECOND, advance_monotonic_clock, rejection, send, wait_until};
use super::spy_store::{Before, SpyStore};
use crate::server::Action;

fn bearer(number: usize) -> String {
    format!("Bearer access-{PART}-{number}")
}

#[tokio::test]
async fn a_revoked_token_is_refreshed_and_the_request_is_retried_with_the_same_body() {
    let mock = MockHighLevel::new().await;
    let (_, client) = mock.installed("loc1").await;
    for round in 1..=3 {
        let text = format!("round {round}");
        mock.revoke_access();
        let sent = client.messages().send(Sms::to("c").text(&text)).await.expect("a receipt");
        assert_eq!(sent.attempts(), 2);
        let requests = mock.server.requests();
        let of_round: Vec<_> = requests[requests.len() - 3..].iter().collect();
        assert!(of_round[1].line.contains("/oauth/token"), "{}", of_round[1].line);
        assert_eq!(of_round[0].body, of_round[2].body);
        assert_eq!(of_round[2].json()["message"], json!(text));
        assert_eq!(mock.refreshes(), round);
        mock.clock.advance(30 * SECOND);
    }
}

#[tokio::test]
async fn many_calls_with_a_rejected_token_refresh_it_once() {
    let mock = MockHighLevel::new().await;
    let (_, client) = mock.installed("loc1").await;
    send(&client).await.expect("a receipt");
    mock.revoke_access();
    let calls: Vec<_> = (0..50)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { send(&client).await })
        })
        .collect();
    for call in calls {
        call.await.expect("no panic").expect("a receipt");
    }
    assert_eq!(mock.refreshes(), 1);
}

#[tokio::test]
async fn a_new_token_that_is_rejected_is_refreshed_once_in_thirty_seconds() {
    let mock = MockHighLevel::new().await;
    let (_, client) = mock.installed("loc1").await;
    for (passes, renewals) in [(0, 1), (0, 1), (29, 1), (1, 2), (0, 2), (30, 3)] {
        mock.clock.advance(passes * SECOND);
        for _ in 0..2 {
            mock.send_replies(vec![rejection("401 Unauthorized", "Invalid JWT"); 2]);
            let error = send(&client).await.expect_err("rejected");
            assert_eq!((error.kind(), error.status()), (ErrorKind::Status, Some(401)));
            mock.clear_send_replies();
        }
        assert_eq!(mock.refreshes(), renewals, "after {passes} s");
    }
    send(&client).await.expect("a receipt");
}

/// One endpoint rejects every token for an unknown reason, while all others accept them.
#[tokio::test]
async fn an_endpoint_that_rejects_every_token_for_an_unknown_reason_causes_one_refresh() {
    let mock = MockHighLevel::new().await;
    let (_, client) = mock.installed("loc1").await;
    let reject = async |renewals| {
        for round in 0..3 {
            send(&client).await.unwrap_or_else(|error| panic!("{renewals} {round}: {error}"));
            mock.send_replies(vec![rejection("401 Unauthorized", "not for you"); 2]);
            let error = send(&client).await.expect_err("rejected");
            assert_eq!((error.kind(), error.status()), (ErrorKind::Status, Some(401)));
            mock.clear_send_replies();
            assert_eq!(mock.refreshes(), renewals);
        }
    };
    for passes in [0, 29, 1, 600, 3_600] {
        mock.clock.advance(passes * SECOND);
        reject(1).await;
    }
    // Other processes do not refresh either: the text is stored with the tokens.
    for _ in 0..3 {
        let other = mock.app().location("loc1");
        mock.send_replies(vec![rejection("401 Unauthorized", "Not for you!"); 2]);
        assert_eq!(send(&other).await.expect_err("rejected").attempts(), 1);
        mock.clear_send_replies();
    }
    assert_eq!(mock.refreshes(), 1);
    // After a reinstallation, the call is retried with the tokens from the store.
    mock.clock.advance(SECOND);
    mock.app().exchange(MockHighLevel::code("loc1")).await.expect("tokens");
    mock.send_replies([rejection("401 Unauthorized", "not for you")]);
    send(&client).await.expect("a receipt");
    assert_eq!(mock.bearers().last(), Some(&bearer(3)));
    assert_eq!(mock.refreshes(), 1);
    mock.clock.advance(30 * SECOND);
    advance_monotonic_clock(30 * SECOND).await;
    reject(2).await;
}

/// The endpoint responds with another request id or another reason each time.
#[tokio::test]
async fn unknown_401s_with_changing_texts_do_not_rotate_tokens() {
    let mock = MockHighLevel::new().await;
    mock.installed("loc1").await;
    for number in 0..20 {
        mock.clock.advance(31 * SECOND);
        let text = format!("no (request {number}f), {}", ["for you", "here", "today", "yet"][number % 4]);
        mock.send_replies(vec![rejection("401 Unauthorized", &text); 2]);
        // Another process each time.
        send(&mock.app().location("loc1")).await.expect_err("rejected");
        mock.clear_send_replies();
    }
    // In ten minutes and twenty seconds: one refresh, and one for another text after ten minutes.
    assert!(mock.refreshes() <= 2, "{}", mock.refreshes());
}

/// If a new token cures a 401 with an unknown text, the next such 401 refreshes again.
#[tokio::test]
async fn an_unknown_401_that_a_new_token_cures_refreshes_again_after_ten_minutes() {
    let mock = MockHighLevel::new().await;
    let (app, client) = mock.installed("loc1").await;
    for (passes, refreshes) in [(0, 1), (31, 1), (570, 2), (600, 3)] {
        mock.clock.advance(passes * SECOND);
        mock.send_replies([rejection("401 Unauthorized", "try something else")]);
        let result = send(&client).await;
        assert_eq!(result.is_ok(), passes != 31, "{passes}: {result:?}");
        // The result is stored for other processes.
        app.flush().await;
        assert_eq!(mock.refreshes(), refreshes, "after {passes} s");
    }
    let other = mock.app().location("loc1");
    mock.clock.advance(601 * SECOND);
    mock.send_replies([rejection("401 Unauthorized", "try something else")]);
    send(&other).await.expect("a receipt");
    assert_eq!(mock.refreshes(), 4);
}

#[tokio::test]
async fn a_401_that_is_not_about_the_token_is_rejected_at_once() {
    let mock = MockHighLevel::new().await;
    let (_, client) = mock.installed("loc1").await;
    for text in [
        "version header was not found.",
        "This authClass type is not allowed to access this scope. Please verify your IAM configuration.",
        "Token's user type mismatch!",
        "No message found for the id: t22c6DQcTDf3MjRhwf77 passed in params",
        "The token does not have access to this location.",
        "version header is invalid",
        "Invalid API version segment 'v9' at position 0",
        "This authClass type is not allowed to access this scope. Please verify your IAM configuration if this is not the case.",
        "You don't have access to the conversationProvider with id: 61d6d1f9cdac7612faf80753",
        "The conversation provider belongs to another app",
        "No conversation provider found for this message",
    ] {
        mock.send_replies([rejection("401 Unauthorized", text)]);
        let error = send(&client).await.expect_err("rejected");
        assert_eq!((error.kind(), error.delivery()), (ErrorKind::Status, Delivery::Rejected), "{text}");
        assert_eq!((error.status(), error.attempts()), (Some(401), 1), "{text}");
    }
    let body = json!({ "statusCode": 401, "message": "Unauthorized",
        "canonicalCode": "CONVERSATIONS_MSG_PROVIDER_NO_ACCESS" });
    mock.send_replies([Action::Respond(crate::server::json("401 Unauthorized", &body))]);
    let error = send(&client).await.expect_err("rejected");
    assert_eq!((error.attempts(), error.is_provider_inaccessible(), error.is_retryable()), (1, true, false));
    assert_eq!(mock.refreshes(), 0);
}

/// The cooldown starts when the new tokens are issued, even if the store does not save them at once.
#[tokio::test]
async fn a_rejected_token_is_refreshed_once_while_the_store_fails() {
    let mock = MockHighLevel::new().await;
    mock.installed("loc1").await;
    let spy = SpyStore::new(mock.store.clone(), |operation, nth| match (operation, nth) {
        ("put", 0..=3) => Before::Fail,
        _ => Before::Nothing,
    });
    let client = mock.builder().store(spy).build().expect("an app").location("loc1");
    let reject = || mock.send_replies(vec![rejection("401 Unauthorized", "not for you"); 2]);
    reject();
    send(&client).await.expect_err("rejected");
    mock.clear_send_replies();
    // They are stored in the background, and then used.
    wait_until(async || {
        send(&client).await.expect("a receipt");
        mock.bearers().last() == Some(&bearer(2))
    })
    .await;
    reject();
    send(&client).await.expect_err("rejected");
    assert_eq!(mock.refreshes(), 1);
}

#[tokio::test]
async fn a_missing_scope_does_not_refresh_but_reads_the_store() {
    let mock = MockHighLevel::new().await;
    let (_, client) = mock.installed("loc1").await;
    send(&client).await.expect("a receipt");
    let lacking = || rejection("401 Unauthorized", "The token is not authorized for this scope.");
    for _ in 0..3 {
        mock.send_replies([lacking()]);
        let error = send(&client).await.expect_err("refused");
        assert_eq!((error.kind(), error.status(), error.attempts()), (ErrorKind::Status, Some(401), 1));
    }
    // Another process obtains tokens with more scopes.
    mock.app().exchange(MockHighLevel::code("loc1")).await.expect("tokens");
    mock.send_replies([lacking()]);
    send(&client).await.expect("a receipt");
    assert_eq!(mock.bearers().last(), Some(&bearer(2)));
    assert_eq!(mock.refreshes(), 0);
}

#[tokio::test]
async fn a_token_without_a_scope_is_refreshed_when_it_is_revoked() {
    let mock = MockHighLevel::new().await;
    let (_, client) = mock.installed("loc1").await;
    mock.send_replies([rejection("401 Unauthorized", "The token is not authorized for this scope.")]);
    send(&client).await.expect_err("refused");
    mock.revoke_access();
    assert_eq!(send(&client).await.expect("a receipt").attempts(), 2);
    assert_eq!(mock.refreshes(), 1);
}

#[tokio::test]
async fn a_401_about_the_version_header_does_not_refresh() {
    let mock = MockHighLevel::new().await;
    let (_, client) = mock.installed("loc1").await;
    mock.send_replies([rejection("401 Unauthorized", "version header is invalid")]);
    let error = send(&client).await.expect_err("refused");
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Status, 1));
    assert_eq!(mock.refreshes(), 0);
}
