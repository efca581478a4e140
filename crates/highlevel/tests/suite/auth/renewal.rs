//! When tokens are renewed, how often, and which one a call carries.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use highlevel::limit::{Acquire, Permit};
use highlevel::{Delivery, ErrorKind, RateLimiter, Sms};
use secrecy::ExposeSecret;
use serde_json::json;

use super::spy::{Before, Spy};
use super::world::{DAY, Fate, PART, SECOND, World, refusal, send, steady_time_passes, until};
use crate::server::Act;

fn bearer(number: usize) -> String {
    format!("Bearer access-{PART}-{number}")
}

#[tokio::test]
async fn tokens_are_used_for_nearly_all_their_life_and_refreshed_before_they_expire() {
    let world = World::new().await;
    let (_, client) = world.installed("loc1").await;
    world.clock.advance(Duration::from_secs(DAY - 301));
    send(&client).await.expect("a receipt");
    assert_eq!(world.refreshes(), 0);
    world.clock.advance(122 * SECOND);
    send(&client).await.expect("a receipt");
    // The call that started the refresh has waited for it, so the program may end here.
    assert_eq!(world.bearers(), [bearer(1), bearer(2)]);
    let stored = world.stored("loc1").await.expect("tokens");
    assert!(stored.access_token.expose_secret().ends_with("-2"));
    send(&client).await.expect("a receipt");
    assert_eq!(world.refreshes(), 1);
}

/// Only the call that started it waits, and not for longer than half of its time.
#[tokio::test]
async fn a_refresh_ahead_of_expiry_that_does_not_end_delays_one_call_for_half_of_its_time() {
    let world = World::new().await;
    let (_, client) = world.installed("loc1").await;
    world.clock.advance(Duration::from_secs(DAY - 100));
    world.fates([Fate::Not(Act::Stall(Vec::new()))]);
    let first = tokio::spawn({
        let client = client.clone().with_call_timeout(2 * SECOND);
        async move { send(&client).await }
    });
    world.server.arrived(2).await;
    // It is under way: others use the token that there is.
    send(&client).await.expect("a receipt");
    assert!(!first.is_finished());
    first.await.expect("no panic").expect("a receipt");
    assert_eq!(world.bearers(), [bearer(1), bearer(1)]);
    assert_eq!(world.refreshes(), 1);
}

/// A program that ends waits for what it has begun.
#[tokio::test]
async fn a_renewal_ahead_of_time_is_waited_for_before_the_end() {
    let world = World::new().await;
    let (app, client) = world.installed("loc1").await;
    app.flush().await;
    for round in 2..4 {
        world.clock.advance(Duration::from_secs(DAY - 100));
        send(&client).await.expect("a receipt");
        app.flush().await;
        let stored = world.stored("loc1").await.expect("tokens");
        assert_eq!(format!("Bearer {}", stored.access_token.expose_secret()), bearer(round));
    }
    assert_eq!(world.refreshes(), 2);
}

#[tokio::test]
async fn a_renewal_ahead_of_time_that_fails_is_not_repeated_at_once() {
    let world = World::new().await;
    let (_, client) = world.installed("loc1").await;
    world.clock.advance(Duration::from_secs(DAY - 100));
    world.fates(std::iter::repeat_n(Fate::Not(refusal("422 Unprocessable Entity", "odd")), 10));
    for (passes, attempts) in [(0, 1), (0, 1), (29, 1), (1, 2), (0, 2)] {
        world.clock.advance(passes * SECOND);
        for _ in 0..5 {
            send(&client).await.expect("a receipt");
        }
        until(async || world.refreshes() >= attempts).await;
        assert_eq!(world.refreshes(), attempts, "after {passes} s");
    }
}

#[tokio::test]
async fn many_calls_on_an_expired_token_make_one_renewal() {
    let world = World::new().await;
    let (app, client) = world.installed("loc1").await;
    world.expire();
    // From all sorts of clients of the location.
    let calls: Vec<_> = (0..100)
        .map(|call| {
            let client = if call % 2 == 0 { client.clone() } else { app.location("loc1") };
            tokio::spawn(async move { send(&client).await })
        })
        .collect();
    for call in calls {
        call.await.expect("no panic").expect("a receipt");
    }
    assert_eq!(world.refreshes(), 1);
    assert_eq!(world.bearers(), vec![bearer(2); 100]);
}

#[tokio::test]
async fn a_revoked_token_heals_and_the_request_is_made_again_with_its_own_body() {
    let world = World::new().await;
    let (_, client) = world.installed("loc1").await;
    for round in 1..=3 {
        let text = format!("round {round}");
        world.revoke_access();
        let sent = client.messages().send(Sms::to("c").text(&text)).await.expect("a receipt");
        assert_eq!(sent.attempts(), 2);
        let requests = world.server.requests();
        let of_round: Vec<_> = requests[requests.len() - 3..].iter().collect();
        assert!(of_round[1].line.contains("/oauth/token"), "{}", of_round[1].line);
        assert_eq!(of_round[0].body, of_round[2].body);
        assert_eq!(of_round[2].json()["message"], json!(text));
        assert_eq!(world.refreshes(), round);
        world.clock.advance(30 * SECOND);
    }
}

#[tokio::test]
async fn many_calls_whose_token_is_rejected_make_one_renewal() {
    let world = World::new().await;
    let (_, client) = world.installed("loc1").await;
    send(&client).await.expect("a receipt");
    world.revoke_access();
    let calls: Vec<_> = (0..50)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { send(&client).await })
        })
        .collect();
    for call in calls {
        call.await.expect("no panic").expect("a receipt");
    }
    assert_eq!(world.refreshes(), 1);
}

#[tokio::test]
async fn a_token_that_is_rejected_as_soon_as_it_is_new_is_not_renewed_over_and_over() {
    let world = World::new().await;
    let (_, client) = world.installed("loc1").await;
    for (passes, renewals) in [(0, 1), (0, 1), (29, 1), (1, 2), (0, 2), (30, 3)] {
        world.clock.advance(passes * SECOND);
        for _ in 0..2 {
            world.sends_end(vec![refusal("401 Unauthorized", "Invalid JWT"); 2]);
            let error = send(&client).await.expect_err("rejected");
            assert_eq!((error.kind(), error.status()), (ErrorKind::Status, Some(401)));
            world.forget_sends();
        }
        assert_eq!(world.refreshes(), renewals, "after {passes} s");
    }
    // As soon as it works, all is well.
    send(&client).await.expect("a receipt");
}

/// One endpoint rejects every token, for a reason that nobody foresaw, while all others take them.
#[tokio::test]
async fn an_endpoint_that_rejects_every_token_for_an_unknown_reason_causes_one_refresh() {
    let world = World::new().await;
    let (_, client) = world.installed("loc1").await;
    let reject = async |renewals| {
        for round in 0..3 {
            send(&client).await.unwrap_or_else(|error| panic!("{renewals} {round}: {error}"));
            world.sends_end(vec![refusal("401 Unauthorized", "not for you"); 2]);
            let error = send(&client).await.expect_err("rejected");
            assert_eq!((error.kind(), error.status()), (ErrorKind::Status, Some(401)));
            world.forget_sends();
            assert_eq!(world.refreshes(), renewals);
        }
    };
    for passes in [0, 29, 1, 600, 3_600] {
        world.clock.advance(passes * SECOND);
        reject(1).await;
    }
    // Other processes know of it, and those that start later.
    for _ in 0..3 {
        let other = world.app().location("loc1");
        world.sends_end(vec![refusal("401 Unauthorized", "Not for you!"); 2]);
        assert_eq!(send(&other).await.expect_err("rejected").attempts(), 1);
        world.forget_sends();
    }
    assert_eq!(world.refreshes(), 1);
    // A new installation may be accepted, and is tried with the tokens that are there.
    world.clock.advance(SECOND);
    world.app().exchange(World::code("loc1")).await.expect("tokens");
    world.sends_end([refusal("401 Unauthorized", "not for you")]);
    send(&client).await.expect("a receipt");
    assert_eq!(world.bearers().last(), Some(&bearer(3)));
    assert_eq!(world.refreshes(), 1);
    world.clock.advance(30 * SECOND);
    steady_time_passes(30 * SECOND).await;
    reject(2).await;
}

/// The endpoint names another request each time, or another reason.
#[tokio::test]
async fn unknown_401s_with_changing_texts_do_not_rotate_tokens() {
    let world = World::new().await;
    world.installed("loc1").await;
    for number in 0..20 {
        world.clock.advance(31 * SECOND);
        let text = format!("no (request {number}f), {}", ["for you", "here", "today", "yet"][number % 4]);
        world.sends_end(vec![refusal("401 Unauthorized", &text); 2]);
        // A process that has just started.
        send(&world.app().location("loc1")).await.expect_err("rejected");
        world.forget_sends();
    }
    // Ten minutes and twenty seconds: one, and one for another text after ten minutes.
    assert!(world.refreshes() <= 2, "{}", world.refreshes());
}

/// An unknown text may well be about the token: then a fresh one is accepted, and the next such 401 refreshes again.
#[tokio::test]
async fn an_unknown_401_that_a_fresh_token_cures_is_cured_again_ten_minutes_later() {
    let world = World::new().await;
    let (app, client) = world.installed("loc1").await;
    for (passes, refreshes) in [(0, 1), (31, 1), (570, 2), (600, 3)] {
        world.clock.advance(passes * SECOND);
        world.sends_end([refusal("401 Unauthorized", "come back with something else")]);
        let result = send(&client).await;
        assert_eq!(result.is_ok(), passes != 31, "{passes}: {result:?}");
        // What is known of it is stored for other processes.
        app.flush().await;
        assert_eq!(world.refreshes(), refreshes, "after {passes} s");
    }
    let other = world.app().location("loc1");
    world.clock.advance(601 * SECOND);
    world.sends_end([refusal("401 Unauthorized", "come back with something else")]);
    send(&other).await.expect("a receipt");
    assert_eq!(world.refreshes(), 4);
}

#[tokio::test]
async fn a_401_that_is_not_about_the_token_is_rejected_at_once() {
    let world = World::new().await;
    let (_, client) = world.installed("loc1").await;
    for text in [
        "version header was not found.",
        "This authClass type is not allowed to access this scope. Please verify your IAM configuration.",
        "Token's user type mismatch!",
        "No message found for the id: t22c6DQcTDf3MjRhwf77 passed in params",
        "The token does not have access to this location.",
    ] {
        world.sends_end([refusal("401 Unauthorized", text)]);
        let error = send(&client).await.expect_err("rejected");
        assert_eq!((error.kind(), error.delivery()), (ErrorKind::Status, Delivery::Rejected), "{text}");
        assert_eq!((error.status(), error.attempts()), (Some(401), 1), "{text}");
    }
    let body = json!({ "statusCode": 401, "message": "Unauthorized",
        "canonicalCode": "CONVERSATIONS_MSG_PROVIDER_NO_ACCESS" });
    world.sends_end([Act::Answer(crate::server::json("401 Unauthorized", &body))]);
    assert_eq!(send(&client).await.expect_err("rejected").attempts(), 1);
    assert_eq!(world.refreshes(), 0);
}

/// Those that replace it count from when they were given, also if the store did not take them at once.
#[tokio::test]
async fn a_token_that_is_rejected_is_not_renewed_over_and_over_while_the_store_fails() {
    let world = World::new().await;
    world.installed("loc1").await;
    let spy = Spy::new(world.store.clone(), |operation, nth| match (operation, nth) {
        ("put", 0..=3) => Before::Failure,
        _ => Before::Nothing,
    });
    let client = world.builder().store(spy).build().expect("an app").location("loc1");
    let reject = || world.sends_end(vec![refusal("401 Unauthorized", "not for you"); 2]);
    reject();
    send(&client).await.expect_err("rejected");
    world.forget_sends();
    // Stored in the background, and then used.
    until(async || {
        send(&client).await.expect("a receipt");
        world.bearers().last() == Some(&bearer(2))
    })
    .await;
    reject();
    send(&client).await.expect_err("rejected");
    assert_eq!(world.refreshes(), 1);
}

/// Lets so much time pass before the first turn, on both clocks.
struct Queue {
    world: super::world::Clock,
    wait: Duration,
    turns: AtomicUsize,
}

impl RateLimiter for Queue {
    fn acquire<'a>(&'a self, _: &'a str, _: Duration) -> Acquire<'a> {
        Box::pin(async {
            if self.turns.fetch_add(1, Ordering::SeqCst) == 0 {
                self.world.advance(self.wait);
                steady_time_passes(self.wait).await;
            }
            Ok(Permit::unlimited())
        })
    }
}

#[tokio::test]
async fn a_token_that_expires_while_its_call_waits_for_a_turn_is_not_sent() {
    for dead in [false, true] {
        let world = World::new().await;
        world.installed("loc1").await;
        // Too early for the renewal ahead of time.
        world.clock.advance(Duration::from_secs(DAY - 301));
        let queue =
            Arc::new(Queue { world: world.clock.clone(), wait: 301 * SECOND, turns: AtomicUsize::new(0) });
        let app = world.builder().rate_limiter(queue.clone()).call_timeout(600 * SECOND);
        let client = app.build().expect("an app").location("loc1");
        if dead {
            world.revoke_refresh();
        }
        let result = send(&client).await;
        if dead {
            let error = result.expect_err("no token");
            assert_eq!((error.kind(), error.delivery()), (ErrorKind::NeedsAuthorization, Delivery::NotSent));
            assert_eq!((error.attempts(), world.sends()), (0, 0));
        } else {
            assert_eq!(result.expect("a receipt").attempts(), 1);
            assert_eq!(world.bearers(), [bearer(2)]);
        }
        // The turn that it had is the one that it used.
        assert_eq!(queue.turns.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test]
async fn a_scope_that_is_lacking_is_not_had_by_renewal_but_perhaps_from_the_store() {
    let world = World::new().await;
    let (_, client) = world.installed("loc1").await;
    send(&client).await.expect("a receipt");
    let lacking = || refusal("401 Unauthorized", "The token is not authorized for this scope.");
    for _ in 0..3 {
        world.sends_end([lacking()]);
        let error = send(&client).await.expect_err("refused");
        assert_eq!((error.kind(), error.status(), error.attempts()), (ErrorKind::Status, Some(401), 1));
    }
    // Another process has let the owner allow more.
    world.app().exchange(World::code("loc1")).await.expect("tokens");
    world.sends_end([lacking()]);
    send(&client).await.expect("a receipt");
    assert_eq!(world.bearers().last(), Some(&bearer(2)));
    assert_eq!(world.refreshes(), 0);
}

#[tokio::test]
async fn a_token_that_once_lacked_a_scope_is_renewed_when_it_is_rejected() {
    let world = World::new().await;
    let (_, client) = world.installed("loc1").await;
    world.sends_end([refusal("401 Unauthorized", "The token is not authorized for this scope.")]);
    send(&client).await.expect_err("refused");
    world.revoke_access();
    assert_eq!(send(&client).await.expect("a receipt").attempts(), 2);
    assert_eq!(world.refreshes(), 1);
}

#[tokio::test]
async fn a_401_about_the_version_says_nothing_of_the_token() {
    let world = World::new().await;
    let (_, client) = world.installed("loc1").await;
    world.sends_end([refusal("401 Unauthorized", "version header is invalid")]);
    let error = send(&client).await.expect_err("refused");
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Status, 1));
    assert_eq!(world.refreshes(), 0);
}

#[tokio::test]
async fn short_lives_are_used_as_well() {
    let world = World::new().await;
    world.tokens_live(json!("60"));
    let (_, client) = world.installed("loc1").await;
    world.clock.advance(44 * SECOND);
    send(&client).await.expect("a receipt");
    assert_eq!(world.refreshes(), 0);
    world.clock.advance(16 * SECOND);
    send(&client).await.expect("a receipt");
    assert_eq!(world.bearers(), [bearer(1), bearer(2)]);
}

#[tokio::test]
async fn a_renewal_goes_on_when_its_caller_is_gone() {
    let world = World::new().await;
    let (_, client) = world.installed("loc1").await;
    world.expire();
    tokio::select! {
        biased;
        () = world.server.arrived(2) => {}
        result = send(&client) => panic!("an answer: {result:?}"),
    }
    send(&client).await.expect("a receipt");
    assert_eq!((world.refreshes(), world.sends()), (1, 1));
}

#[tokio::test]
async fn a_call_waits_for_no_longer_than_it_may() {
    let world = World::new().await;
    let (_, client) = world.installed("loc1").await;
    world.expire();
    world.fates([Fate::Not(Act::Stall(Vec::new()))]);
    let patient = tokio::spawn({
        let client = client.clone();
        async move { send(&client).await }
    });
    world.server.arrived(2).await;
    let hasty = client.with_call_timeout(Duration::from_millis(50));
    let error = send(&hasty).await.expect_err("no time");
    assert_eq!((error.kind(), error.delivery(), error.attempts()), (ErrorKind::Token, Delivery::NotSent, 0));
    // The other one waits on, for the same renewal.
    assert!(!patient.is_finished());
    assert_eq!(world.refreshes(), 1);
    patient.abort();
}

#[tokio::test]
async fn nothing_is_asked_for_a_location_that_nobody_installed() {
    let world = World::new().await;
    let error = send(&world.app().location("loc1")).await.expect_err("no tokens");
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::NeedsAuthorization, Delivery::NotSent));
    assert_eq!(
        error.to_string(),
        "send_message: there are no tokens of the location loc1; if the app is installed on its company, use \
         `app.company(…).location(…)`: the app must be installed, starting at the URL of `authorize_url`; nothing \
         was sent"
    );
    assert_eq!(world.server.requests().len(), 0);
}

#[tokio::test]
async fn each_location_sends_with_its_own_token() {
    let world = World::new().await;
    let (app, first) = world.installed("loc1").await;
    app.exchange(World::code("loc2")).await.expect("tokens");
    let second = app.location("loc2");
    for _ in 0..2 {
        assert_eq!(send(&first).await.expect("a receipt").conversation_id().as_str(), "loc1");
        assert_eq!(send(&second).await.expect("a receipt").conversation_id().as_str(), "loc2");
        world.expire();
    }
    assert_eq!(world.refreshes(), 2);
    // The token can also be had for the client below.
    let (_, exchange) = first.wire().await.expect("a token");
    drop(exchange);
}
