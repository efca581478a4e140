//! Refreshes before and after the expiry of tokens, and the token that each call uses.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use highlevel::limit::{Acquire, Permit};
use highlevel::{Delivery, ErrorKind, RateLimiter};
use secrecy::ExposeSecret;
use serde_json::json;

use super::mock::{
    DAY, MockHighLevel, PART, SECOND, TokenReply, advance_monotonic_clock, rejection, send, wait_until,
};
use crate::server::Action;

fn bearer(number: usize) -> String {
    format!("Bearer access-{PART}-{number}")
}

#[tokio::test]
async fn tokens_are_refreshed_minutes_before_they_expire() {
    let mock = MockHighLevel::new().await;
    let (_, client) = mock.installed("loc1").await;
    mock.clock.advance(Duration::from_secs(DAY - 301));
    send(&client).await.expect("a receipt");
    assert_eq!(mock.refreshes(), 0);
    mock.clock.advance(122 * SECOND);
    send(&client).await.expect("a receipt");
    // The call that started the refresh has waited for it, so the program may end here.
    assert_eq!(mock.bearers(), [bearer(1), bearer(2)]);
    let stored = mock.stored("loc1").await.expect("tokens");
    assert!(stored.access_token.expose_secret().ends_with("-2"));
    send(&client).await.expect("a receipt");
    assert_eq!(mock.refreshes(), 1);
}

/// Only the call that started it waits, and not for longer than half of its time.
#[tokio::test]
async fn a_refresh_ahead_of_expiry_that_does_not_end_delays_one_call_for_half_of_its_time() {
    let mock = MockHighLevel::new().await;
    let (_, client) = mock.installed("loc1").await;
    mock.clock.advance(Duration::from_secs(DAY - 100));
    mock.token_replies([TokenReply::Instead(Action::Stall(Vec::new()))]);
    let first = tokio::spawn({
        let client = client.clone().with_call_timeout(2 * SECOND);
        async move { send(&client).await }
    });
    mock.server.arrived(2).await;
    // Other calls use the current token meanwhile.
    send(&client).await.expect("a receipt");
    assert!(!first.is_finished());
    first.await.expect("no panic").expect("a receipt");
    assert_eq!(mock.bearers(), [bearer(1), bearer(1)]);
    assert_eq!(mock.refreshes(), 1);
}

#[tokio::test]
async fn flush_waits_for_a_refresh_ahead_of_expiry() {
    let mock = MockHighLevel::new().await;
    let (app, client) = mock.installed("loc1").await;
    app.flush().await;
    for round in 2..4 {
        mock.clock.advance(Duration::from_secs(DAY - 100));
        send(&client).await.expect("a receipt");
        app.flush().await;
        let stored = mock.stored("loc1").await.expect("tokens");
        assert_eq!(format!("Bearer {}", stored.access_token.expose_secret()), bearer(round));
    }
    assert_eq!(mock.refreshes(), 2);
}

#[tokio::test]
async fn a_failed_refresh_ahead_of_expiry_is_retried_after_thirty_seconds() {
    let mock = MockHighLevel::new().await;
    let (_, client) = mock.installed("loc1").await;
    mock.clock.advance(Duration::from_secs(DAY - 100));
    mock.token_replies(std::iter::repeat_n(
        TokenReply::Instead(rejection("422 Unprocessable Entity", "unexpected")),
        10,
    ));
    for (passes, attempts) in [(0, 1), (0, 1), (29, 1), (1, 2), (0, 2)] {
        mock.clock.advance(passes * SECOND);
        for _ in 0..5 {
            send(&client).await.expect("a receipt");
        }
        wait_until(async || mock.refreshes() >= attempts).await;
        assert_eq!(mock.refreshes(), attempts, "after {passes} s");
    }
}

#[tokio::test]
async fn many_calls_with_an_expired_token_refresh_it_once() {
    let mock = MockHighLevel::new().await;
    let (app, client) = mock.installed("loc1").await;
    mock.expire();
    let calls: Vec<_> = (0..100)
        .map(|call| {
            let client = if call % 2 == 0 { client.clone() } else { app.location("loc1") };
            tokio::spawn(async move { send(&client).await })
        })
        .collect();
    for call in calls {
        call.await.expect("no panic").expect("a receipt");
    }
    assert_eq!(mock.refreshes(), 1);
    assert_eq!(mock.bearers(), vec![bearer(2); 100]);
}

/// A limiter that advances both clocks before it issues the first permit.
struct SlowLimiter {
    clock: super::mock::Clock,
    wait: Duration,
    permits: AtomicUsize,
}

impl RateLimiter for SlowLimiter {
    fn acquire<'a>(&'a self, _: &'a str, _: Duration) -> Acquire<'a> {
        Box::pin(async {
            if self.permits.fetch_add(1, Ordering::SeqCst) == 0 {
                self.clock.advance(self.wait);
                advance_monotonic_clock(self.wait).await;
            }
            Ok(Permit::unlimited())
        })
    }
}

#[tokio::test]
async fn a_token_that_expires_while_the_call_waits_for_a_permit_is_refreshed() {
    for is_revoked in [false, true] {
        let mock = MockHighLevel::new().await;
        mock.installed("loc1").await;
        // Too early for a refresh ahead of expiry.
        mock.clock.advance(Duration::from_secs(DAY - 301));
        let limiter = Arc::new(SlowLimiter {
            clock: mock.clock.clone(),
            wait: 301 * SECOND,
            permits: AtomicUsize::new(0),
        });
        let app = mock.builder().rate_limiter(limiter.clone()).call_timeout(600 * SECOND);
        let client = app.build().expect("an app").location("loc1");
        if is_revoked {
            mock.revoke_refresh();
        }
        let result = send(&client).await;
        if is_revoked {
            let error = result.expect_err("no token");
            assert_eq!((error.kind(), error.delivery()), (ErrorKind::NeedsAuthorization, Delivery::NotSent));
            assert_eq!((error.attempts(), mock.sends()), (0, 0));
        } else {
            assert_eq!(result.expect("a receipt").attempts(), 1);
            assert_eq!(mock.bearers(), [bearer(2)]);
        }
        // It has used the permit that it waited for.
        assert_eq!(limiter.permits.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test]
async fn tokens_with_short_lifetimes_are_used() {
    let mock = MockHighLevel::new().await;
    mock.tokens_live(json!("60"));
    let (_, client) = mock.installed("loc1").await;
    mock.clock.advance(44 * SECOND);
    send(&client).await.expect("a receipt");
    assert_eq!(mock.refreshes(), 0);
    mock.clock.advance(16 * SECOND);
    send(&client).await.expect("a receipt");
    assert_eq!(mock.bearers(), [bearer(1), bearer(2)]);
}

#[tokio::test]
async fn a_refresh_continues_when_its_call_is_dropped() {
    let mock = MockHighLevel::new().await;
    let (_, client) = mock.installed("loc1").await;
    mock.expire();
    tokio::select! {
        biased;
        () = mock.server.arrived(2) => {}
        result = send(&client) => panic!("a response: {result:?}"),
    }
    send(&client).await.expect("a receipt");
    assert_eq!((mock.refreshes(), mock.sends()), (1, 1));
}

#[tokio::test]
async fn a_call_that_waits_for_a_refresh_ends_at_its_deadline() {
    let mock = MockHighLevel::new().await;
    let (_, client) = mock.installed("loc1").await;
    mock.expire();
    mock.token_replies([TokenReply::Instead(Action::Stall(Vec::new()))]);
    let patient = tokio::spawn({
        let client = client.clone();
        async move { send(&client).await }
    });
    mock.server.arrived(2).await;
    let hasty = client.with_call_timeout(Duration::from_millis(50));
    let error = send(&hasty).await.expect_err("no time");
    assert_eq!((error.kind(), error.delivery(), error.attempts()), (ErrorKind::Token, Delivery::NotSent, 0));
    // The other call still waits for the same refresh.
    assert!(!patient.is_finished());
    assert_eq!(mock.refreshes(), 1);
    patient.abort();
}

#[tokio::test]
async fn a_location_without_tokens_sends_no_request() {
    let mock = MockHighLevel::new().await;
    let error = send(&mock.app().location("loc1")).await.expect_err("no tokens");
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::NeedsAuthorization, Delivery::NotSent));
    assert_eq!(
        error.to_string(),
        "send_message: there are no tokens of the location loc1; if the app is installed on its company, use \
         `app.company(…).location(…)`: the app must be installed, starting at the URL of `authorize_url`; nothing \
         was sent"
    );
    assert_eq!(mock.server.requests().len(), 0);
}

#[tokio::test]
async fn each_location_sends_with_its_own_token() {
    let mock = MockHighLevel::new().await;
    let (app, first) = mock.installed("loc1").await;
    app.exchange(MockHighLevel::code("loc2")).await.expect("tokens");
    let second = app.location("loc2");
    for _ in 0..2 {
        assert_eq!(send(&first).await.expect("a receipt").conversation_id().as_str(), "loc1");
        assert_eq!(send(&second).await.expect("a receipt").conversation_id().as_str(), "loc2");
        mock.expire();
    }
    assert_eq!(mock.refreshes(), 2);
    // The generated client gets a token as well.
    let (_, context) = first.wire().await.expect("a token");
    drop(context);
}
