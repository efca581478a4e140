//! What goes wrong while tokens are renewed, and what comes of it.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use highlevel::{Client, Delivery, ErrorKind};
use secrecy::ExposeSecret;
use serde_json::json;
use tokio::sync::Barrier;

use super::spy::{Before, Spy};
use super::world::{CLIENT_ID, DAY, Fate, SECOND, World, send, status, steady_time_passes, until};
use crate::server::{Act, answer, json as json_answer, nowhere};

const NOTHING: Duration = Duration::ZERO;

/// The answer of a refresh is lost: it is repeated with the same token while HighLevel repeats its answer.
#[tokio::test]
async fn a_lost_answer_is_asked_for_again() {
    let cut = b"HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n{\"access_token\":".to_vec();
    // Cut where nothing says how much there is, so that it seems to be whole.
    let seemingly_whole = Act::Answer(answer("200 OK", "", "{\"access_token\":"));
    for act in [
        Act::Reset,
        Act::Close(Vec::new()),
        Act::Close(cut),
        seemingly_whole,
        status("502 Bad Gateway"),
        status("500 Odd"),
    ] {
        let world = World::new().await;
        let (_, client) = world.installed("loc1").await;
        world.expire();
        let after = |seconds| Fate::ButThen(seconds * SECOND, act.clone());
        world.fates([after(0), after(20), after(5)]);
        send(&client).await.expect("a receipt");
        assert_eq!(world.refreshes(), 4);
        // All four were the same request, so that there is one new token.
        assert_eq!(world.asked("/oauth/token", "refresh_token", "refresh-5ec2e75ec2e7-1"), 4);
        assert_eq!(world.bearers(), ["Bearer access-5ec2e75ec2e7-2"]);
    }
}

#[tokio::test]
async fn after_thirty_seconds_a_lost_answer_is_lost() {
    for seconds in [30, 31, 3_600] {
        let world = World::new().await;
        let (_, client) = world.installed("loc1").await;
        world.expire();
        world.fates([Fate::ButThen(seconds * SECOND, Act::Reset)]);
        let error = send(&client).await.expect_err("lost");
        assert_eq!(world.refreshes(), 1, "after {seconds} s");
        assert_eq!((error.kind(), error.delivery()), (ErrorKind::Connection, Delivery::NotSent));
        let cause = error.source().and_then(|cause| cause.downcast_ref::<highlevel::Error>());
        let cause = cause.expect("the error of the renewal");
        assert_eq!((cause.operation(), cause.delivery()), ("refresh_token", Delivery::Unknown));
        // The next call has nothing else to ask with, and then it is known.
        let error = send(&client).await.expect_err("refused");
        assert_eq!((world.refreshes(), error.kind()), (2, ErrorKind::NeedsAuthorization));
    }
}

/// A call that has little time begins what must not be given up with it: new tokens are on their way, and the old ones dead.
#[tokio::test]
async fn a_lost_answer_is_asked_for_again_when_nobody_waits_any_more() {
    let world = World::new().await;
    let (app, client) = world.installed("loc1").await;
    world.expire();
    let silent = || Fate::ButThen(NOTHING, Act::Stall(Vec::new()));
    world.fates([silent(), silent()]);
    give_up_after_the_first_attempt_is_begun(&world, &client).await;
    // Attempts of ten seconds, which pass as soon as nothing else happens.
    tokio::time::pause();
    app.flush().await;
    tokio::time::resume();
    assert_eq!(world.refreshes(), 3);
    // HighLevel repeats its answer no longer, and need not.
    world.clock.advance(60 * SECOND);
    send(&app.location("loc1")).await.expect("a receipt");
    assert_eq!(world.refreshes(), 3);
}

/// Calls that have so little time that none of them sees a renewal end, until one has begun it.
async fn give_up_after_the_first_attempt_is_begun(world: &World, client: &Client) {
    let hasty = client.clone().with_call_timeout(Duration::from_millis(20));
    until(async || {
        send(&hasty).await.expect_err("no time");
        world.refreshes() > 0
    })
    .await;
}

/// Nor is an answer that is slower than the call has time.
#[tokio::test]
async fn an_answer_that_comes_after_the_call_has_given_up_is_kept() {
    let world = World::new().await;
    let (app, client) = world.installed("loc1").await;
    world.expire();
    let both = Arc::new(Barrier::new(2));
    let tokens = json!({
        "access_token": "access-5ec2e75ec2e7-2", "refresh_token": "refresh-5ec2e75ec2e7-2", "expires_in": DAY,
        "userType": "Location", "locationId": "loc1"
    });
    let held = Act::Together(Arc::clone(&both), json_answer("200 OK", &tokens));
    world.fates([Fate::ButThen(NOTHING, held)]);
    give_up_after_the_first_attempt_is_begun(&world, &client).await;
    both.wait().await;
    app.flush().await;
    send(&client).await.expect("a receipt");
    assert_eq!(world.refreshes(), 1);
}

/// That the store fails meanwhile is no reason to give up what it is going to be asked to take.
#[tokio::test]
async fn a_lost_answer_is_asked_for_again_without_the_lease_if_the_store_fails() {
    let world = World::new().await;
    world.installed("loc1").await;
    world.expire();
    let spy = Spy::new(world.store.clone(), |operation, nth| match (operation, nth) {
        // The first is for the first attempt, and the second for the one after it, ten seconds later.
        ("lease", 1) => Before::Failure,
        _ => Before::Nothing,
    });
    let app = world.builder().store(spy.clone()).build().expect("an app");
    world.fates([Fate::ButThen(NOTHING, Act::Stall(Vec::new()))]);
    tokio::time::pause();
    let sent = send(&app.location("loc1")).await;
    tokio::time::resume();
    sent.expect("a receipt");
    assert_eq!((spy.count("lease"), world.refreshes()), (2, 2));
    assert_eq!(world.bearers(), ["Bearer access-5ec2e75ec2e7-2"]);
}

/// An answer that never comes, twice: there is still time for a third attempt.
#[tokio::test]
async fn an_attempt_ends_in_time_for_others() {
    let world = World::new().await;
    let (_, client) = world.installed("loc1").await;
    world.expire();
    let silent = || Fate::ButThen(NOTHING, Act::Stall(Vec::new()));
    world.fates([silent(), silent()]);
    tokio::time::pause();
    let sent = send(&client).await;
    tokio::time::resume();
    sent.expect("a receipt");
    assert_eq!(world.refreshes(), 3);
}

/// The time of an attempt is for messages. A refresh token works once, so the response with the next one is waited for.
#[tokio::test]
async fn a_token_request_has_its_own_time_whatever_the_attempt_timeout_is() {
    let world = World::new().await;
    world.installed("loc1").await;
    world.expire();
    let app = world.builder().attempt_timeout(Duration::from_millis(50)).build().expect("an app");
    let barrier = Arc::new(Barrier::new(2));
    world.fates([Fate::Held(Arc::clone(&barrier))]);
    let call = tokio::spawn({
        let client = app.location("loc1").with_attempt_timeout(20 * SECOND);
        async move { send(&client).await }
    });
    world.server.arrived(2).await;
    // Six attempts of messages.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(world.refreshes(), 1);
    barrier.wait().await;
    call.await.expect("no panic").expect("a receipt");
    assert_eq!(world.refreshes(), 1);
}

/// A used refresh token is no reason to look for the mistake in the client secret.
#[tokio::test]
async fn used_codes_and_refresh_tokens_lead_to_a_new_authorization() {
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
        let world = World::new().await;
        let (_, client) = world.installed("loc1").await;
        world.expire();
        world.fates([Fate::Not(Act::Answer(json_answer(status, &body)))]);
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
        let world = World::new().await;
        world.fates([Fate::Not(Act::Answer(json_answer(status, &body)))]);
        let error = world.app().exchange(World::code("loc1")).await.expect_err("rejected");
        assert_eq!(error.kind(), ErrorKind::NeedsAuthorization, "{body}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

#[tokio::test]
async fn what_passes_is_waited_out() {
    let world = World::new().await;
    let (_, client) = world.installed("loc1").await;
    world.expire();
    world.fates([
        Fate::Not(Act::Answer(answer("429 Too Many Requests", "retry-after: 0\r\n", ""))),
        Fate::Not(status("503 Service Unavailable")),
        Fate::Not(Act::Reset),
    ]);
    send(&client).await.expect("a receipt");
    assert_eq!(world.refreshes(), 4);
}

#[tokio::test]
async fn what_does_not_pass_in_time_is_reported_as_it_is() {
    let world = World::new().await;
    let (_, client) = world.installed("loc1").await;
    world.expire();
    world.fates(vec![Fate::Not(Act::Answer(answer("429 Too Many Requests", "retry-after: 90\r\n", ""))); 2]);
    let error = send(&client).await.expect_err("no room");
    assert_eq!((error.kind(), error.delivery(), error.status()), (ErrorKind::Token, Delivery::NotSent, None));
    assert_eq!(error.retry_after(), Some(90 * SECOND));
    assert_eq!(
        error.to_string(),
        "send_message: HighLevel responded with 429 Too Many Requests; nothing was sent"
    );
    let world = World::new().await;
    let (_, _) = world.installed("loc1").await;
    world.expire();
    let app = world.builder().base_url(format!("http://{}", nowhere().await));
    let app = app.call_timeout(Duration::from_millis(300)).build().expect("an app");
    let error = send(&app.location("loc1")).await.expect_err("no connection");
    assert!(matches!(error.kind(), ErrorKind::Connect | ErrorKind::Token), "{error}");
    assert_eq!(error.delivery(), Delivery::NotSent);
}

#[tokio::test]
async fn a_dead_refresh_token_fails_all_calls_alike_and_is_tried_every_thirty_seconds() {
    let world = World::new().await;
    let (app, client) = world.installed("loc1").await;
    world.expire();
    world.revoke_refresh();
    for (passes, attempts) in [(0, 1), (0, 1), (29, 1), (1, 2), (0, 2), (29, 2), (3_600, 3)] {
        world.clock.advance(passes * SECOND);
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
        assert_eq!(world.refreshes(), attempts, "after {passes} s");
    }
    // Not for longer if the clock is put back.
    world.clock.put_back(3_600 * SECOND);
    for (passes, attempts) in [(15, 3), (15, 4)] {
        steady_time_passes(passes * SECOND).await;
        send(&client).await.expect_err("no token");
        assert_eq!(world.refreshes(), attempts, "after {passes} s");
    }
    // The owner installs it again, with another process, and nobody has to wait.
    world.app().exchange(World::code("loc1")).await.expect("tokens");
    send(&client).await.expect("a receipt");
    assert_eq!((world.refreshes(), world.sends()), (4, 1));
    drop(app);
}

#[tokio::test]
async fn a_rejected_token_that_cannot_be_renewed_says_so_and_keeps_the_answer() {
    let world = World::new().await;
    let (_, client) = world.installed("loc1").await;
    world.revoke_access();
    world.revoke_refresh();
    let error = send(&client).await.expect_err("rejected");
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::NeedsAuthorization, Delivery::Rejected));
    assert_eq!((error.status(), error.attempts()), (Some(401), 1));
    assert_eq!(
        error.to_string(),
        "send_message: HighLevel responded with 401 Unauthorized, and the app must be reinstalled on the location loc1: \
         HighLevel rejected its refresh token; send its owner to the URL of `authorize_url`: Invalid grant: refresh \
         token is invalid (trace trace-1): Invalid JWT; it was not done"
    );
    // A transient failure does not hide the response.
    let world = World::new().await;
    let (_, client) = world.installed("loc1").await;
    world.revoke_access();
    world.fates([Fate::ButThen(30 * SECOND, Act::Reset)]);
    let error = send(&client).await.expect_err("rejected");
    assert_eq!((error.kind(), error.status()), (ErrorKind::Status, Some(401)));
    assert!(
        error.source().expect("why there is no other token").to_string().contains("the connection broke")
    );
}

#[tokio::test]
async fn a_location_that_is_not_active_keeps_its_tokens() {
    let world = World::new().await;
    let (_, client) = world.installed("loc1").await;
    world.expire();
    world.set_active("loc1", false);
    for (passes, attempts) in [(0, 1), (0, 1), (4, 1), (1, 2)] {
        world.clock.advance(passes * SECOND);
        let error = send(&client).await.expect_err("not active");
        assert_eq!((error.kind(), error.delivery()), (ErrorKind::LocationInactive, Delivery::NotSent));
        assert_eq!(
            error.to_string(),
            "send_message: the location is not active in HighLevel; have it activated there, its tokens remain \
             stored: Location is not active (trace trace-1); nothing was sent"
        );
        assert_eq!(world.refreshes(), attempts, "after {passes} s");
    }
    let stored = world.stored("loc1").await.expect("tokens");
    assert_eq!(stored.refresh_token.expect("kept").expose_secret(), "refresh-5ec2e75ec2e7-1");
    world.set_active("loc1", true);
    world.clock.advance(5 * SECOND);
    send(&client).await.expect("a receipt");
    assert_eq!(world.asked("/oauth/token", "refresh_token", "refresh-5ec2e75ec2e7-1"), 3);
}

#[tokio::test]
async fn a_wrong_client_secret_is_not_sent_over_and_over() {
    let world = World::new().await;
    world.installed("loc1").await;
    world.expire();
    let app = world.builder().client_secret("another-5ec2e75ec2e7").build().expect("an app");
    for (passes, attempts) in [(0, 1), (0, 1), (5, 2)] {
        world.clock.advance(passes * SECOND);
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
        assert_eq!(world.refreshes(), attempts, "after {passes} s");
    }
    assert_eq!(world.asked("/oauth/token", "client_id", CLIENT_ID), 3);
}

#[tokio::test]
async fn a_lost_code_is_asked_for_again_as_well() {
    let world = World::new().await;
    world.fates([Fate::ButThen(NOTHING, Act::Reset), Fate::ButThen(29 * SECOND, Act::Reset)]);
    world.app().exchange(World::code("loc1")).await.expect("tokens");
    assert_eq!(world.server.requests().len(), 3);
    let world = World::new().await;
    world.fates([Fate::ButThen(30 * SECOND, Act::Reset)]);
    let error = world.app().exchange(World::code("loc1")).await.expect_err("lost");
    assert_eq!(
        (error.kind(), error.delivery(), error.attempts()),
        (ErrorKind::Connection, Delivery::Unknown, 1)
    );
    assert_eq!(world.server.requests().len(), 1);
}
