//! Rate limits: headers, and requests over the limit.
//!
//! Nothing here depends on the speed of the machine. A sliding window is an hour long, and a fixed one is so long that
//! it ends in 2069; only the day may change during a test, which [`in_one_day`] handles.

use std::time::Duration;

use highlevel_sandbox::{BurstWindow, RateLimit};
use http::StatusCode;
use reqwest::Method;
use serde_json::{Value, json};

use crate::caller::{INBOUND, Response, SEND, authorised, bare, execute, post};
use crate::conformance::{Sandbox, StartChecked};
use crate::receiver::Receiver;

const HOUR: Duration = Duration::from_secs(60 * 60);
const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// Returns limits with windows that do not end during a test.
fn slow(window: BurstWindow) -> RateLimit {
    let interval = if window == BurstWindow::Fixed { CENTURY } else { HOUR };
    RateLimit::documented().window(window).interval(interval)
}

async fn limited(limit: RateLimit) -> Sandbox {
    Sandbox::builder().rate_limit(limit).start_checked().await.unwrap()
}

fn send(sandbox: &Sandbox) -> Value {
    json!({"type": "SMS", "contactId": sandbox.contact_id(), "status": "pending", "message": "Hello"})
}

fn header(response: &Response, name: &str) -> u64 {
    response.headers[name].to_str().unwrap().parse().unwrap()
}

/// Returns the remaining requests of the window and of the day.
fn remaining(response: &Response) -> (u64, u64) {
    (header(response, "x-ratelimit-remaining"), header(response, "x-ratelimit-daily-remaining"))
}

/// Repeats the test if midnight passed: the time until the next midnight has grown then.
async fn in_one_day(scenario: impl AsyncFn() -> Vec<Response>) -> Vec<Response> {
    loop {
        let responses = scenario().await;
        if responses.iter().map(|each| header(each, "x-ratelimit-daily-reset")).is_sorted_by(|a, b| a >= b) {
            return responses;
        }
    }
}

/// Asserts the shape of an error, and returns its message.
fn rejection_message(response: &Response) -> &str {
    let body = &response.body;
    assert_eq!(response.status, 429, "{body}");
    assert_eq!(response.headers["content-type"], "application/json; charset=utf-8");
    assert_eq!((&body["statusCode"], &body["error"]), (&json!(429), &json!("Too Many Requests")));
    assert_eq!(body["traceId"].as_str().map(str::len), Some(36), "{body}");
    body["message"].as_str().unwrap()
}

#[tokio::test]
async fn every_response_has_the_remaining_budget() {
    for window in [BurstWindow::Fixed, BurstWindow::Sliding] {
        let responses = in_one_day(async || {
            let s = &limited(slow(window)).await;
            vec![
                post(s, SEND, &send(s)).await,
                post(s, SEND, &json!({})).await,
                // Neither identifies an app and a location.
                execute(bare(s, Method::POST, SEND)).await,
                execute(bare(s, Method::GET, "/nope").bearer_auth("pit-wrong")).await,
                execute(bare(s, Method::GET, "/nope").bearer_auth(s.token())).await,
                execute(bare(s, Method::POST, SEND).bearer_auth(s.token())).await,
            ]
        })
        .await;
        let expected = [
            (201, 99, 199_999),
            (422, 98, 199_998),
            (401, 98, 199_998),
            (404, 98, 199_998),
            (404, 97, 199_997),
        ]
        .into_iter()
        .chain([(401, 96, 199_996)]);
        for (response, (status, burst, daily)) in responses.iter().zip(expected) {
            assert_eq!(response.status, status);
            assert_eq!(remaining(response), (burst, daily), "{status}");
            assert_eq!(header(response, "x-ratelimit-max"), 100);
            assert_eq!(header(response, "x-ratelimit-limit-daily"), 200_000);
            assert!((1..=86_400_000).contains(&header(response, "x-ratelimit-daily-reset")));
        }
    }
}

#[tokio::test]
async fn limits_are_not_enforced_by_default() {
    let sandbox = Sandbox::start().await.unwrap();
    sandbox.use_rate_limit(200_000);
    for _ in 0..101 {
        let response = post(&sandbox, SEND, &send(&sandbox)).await;
        assert_eq!(response.status, 201);
        assert_eq!(header(&response, "x-ratelimit-interval-milliseconds"), 10_000);
        assert!(response.headers.get("retry-after").is_none());
    }
    assert_eq!((sandbox.messages().len(), sandbox.rate_limited()), (101, 0));
}

#[tokio::test]
async fn a_request_over_the_burst_limit_is_rejected_and_not_counted() {
    for (window, interval) in [(BurstWindow::Fixed, CENTURY), (BurstWindow::Sliding, HOUR)] {
        for retry_after in [false, true] {
            let responses = in_one_day(async || {
                let sandbox = limited(slow(window).retry_after(retry_after)).await;
                let mut responses = Vec::new();
                for _ in 0..102 {
                    responses.push(post(&sandbox, SEND, &send(&sandbox)).await);
                }
                assert_eq!((sandbox.messages().len(), sandbox.rate_limited()), (100, 2));
                responses
            })
            .await;
            let (admitted, rejected) = responses.split_at(100);
            for (response, used) in admitted.iter().zip(1..) {
                assert_eq!(response.status, 201);
                assert_eq!(remaining(response), (100 - used, 200_000 - used));
                assert!(response.headers.get("retry-after").is_none());
            }
            for response in rejected {
                let message = rejection_message(response);
                let words = format!("too many requests: the burst limit of 100 in {interval:?} ");
                assert!(message.starts_with(&words) && message.contains("retry in "), "{message}");
                assert_eq!(remaining(response), (0, 199_900));
                assert_eq!(header(response, "x-ratelimit-max"), 100);
                let interval_ms = u128::from(header(response, "x-ratelimit-interval-milliseconds"));
                assert_eq!(interval_ms, interval.as_millis());
                assert_eq!(response.headers.contains_key("retry-after"), retry_after);
                if retry_after {
                    assert!((1..=interval.as_secs()).contains(&header(response, "retry-after")));
                }
            }
        }
    }
}

#[tokio::test]
async fn an_exhausted_daily_limit_rejects_all_requests() {
    for window in [BurstWindow::Fixed, BurstWindow::Sliding] {
        let responses = in_one_day(async || {
            let s =
                &limited(slow(window).interval(Duration::from_millis(500)).daily(3).retry_after(true)).await;
            vec![
                post(s, SEND, &send(s)).await,
                post(s, INBOUND, &json!({"type": "SMS", "contactId": s.contact_id(), "message": "Hello"}))
                    .await,
                post(s, SEND, &send(s)).await,
                post(s, INBOUND, &json!({"type": "SMS", "contactId": s.contact_id(), "message": "Hello"}))
                    .await,
                post(s, SEND, &send(s)).await,
            ]
        })
        .await;
        for (response, daily) in responses.iter().zip([2, 1, 0, 0, 0]) {
            assert_eq!(header(response, "x-ratelimit-daily-remaining"), daily);
            assert_eq!(header(response, "x-ratelimit-limit-daily"), 3);
            assert_eq!(header(response, "x-ratelimit-interval-milliseconds"), 500);
        }
        for response in &responses[3..] {
            let message = rejection_message(response);
            assert!(message.starts_with("too many requests: the daily limit of 3 "), "{message}");
            let reset = header(response, "x-ratelimit-daily-reset");
            assert_eq!(header(response, "retry-after"), reset.div_ceil(1000));
        }
    }
}

#[tokio::test]
async fn requests_of_other_programs_can_be_counted() {
    for window in [BurstWindow::Fixed, BurstWindow::Sliding] {
        let responses = in_one_day(async || {
            let s = &limited(slow(window)).await;
            let mut responses = vec![post(s, SEND, &send(s)).await];
            s.use_rate_limit(97);
            responses.push(post(s, SEND, &send(s)).await);
            // One of the two would exceed the limit, so neither counts.
            s.use_rate_limit(2);
            responses.push(post(s, SEND, &send(s)).await);
            assert_eq!((s.requests().len(), s.rate_limited()), (3, 1));
            responses
        })
        .await;
        assert_eq!((responses[0].status, remaining(&responses[0])), (StatusCode::CREATED, (99, 199_999)));
        assert_eq!((responses[1].status, remaining(&responses[1])), (StatusCode::CREATED, (1, 199_901)));
        rejection_message(&responses[2]);
        assert_eq!(remaining(&responses[2]), (0, 199_900));
    }
}

#[tokio::test]
async fn a_rate_limited_request_is_recorded_and_has_no_effect() {
    let s = limited(slow(BurstWindow::Sliding).burst(1)).await;
    post(&s, SEND, &send(&s)).await;
    // The limit is checked before the request is validated.
    let large = vec![b' '; 1024 * 1024 + 1];
    let rejected = [
        post(&s, SEND, &send(&s)).await,
        post(&s, SEND, &json!({})).await,
        execute(authorised(&s, SEND).header("Content-Type", "application/json").body(large)).await,
        execute(bare(&s, Method::POST, SEND).bearer_auth(s.token())).await,
        execute(bare(&s, Method::GET, "/nope").bearer_auth(s.token())).await,
    ];
    // Without a valid token there is no limit to count against.
    assert_eq!(execute(bare(&s, Method::POST, SEND)).await.status, 401);

    let requests = s.requests();
    let statuses: Vec<u16> = requests.iter().map(|request| request.status).collect();
    assert_eq!(statuses, [201, 429, 429, 429, 429, 429, 401]);
    for (request, response) in requests[1..].iter().zip(&rejected) {
        rejection_message(response);
        assert_eq!(serde_json::from_slice::<Value>(&request.response).unwrap(), response.body);
    }
    assert_eq!(requests[1].body, send(&s).to_string().as_bytes());
    assert_eq!((s.messages().len(), s.rate_limited()), (1, 5));
}

#[tokio::test]
async fn after_a_short_window_requests_are_accepted_again() {
    for window in [BurstWindow::Fixed, BurstWindow::Sliding] {
        let receiver = Receiver::start(StatusCode::OK).await;
        let limit = RateLimit::documented().window(window).burst(1).interval(Duration::from_millis(500));
        let s =
            Sandbox::builder().webhook_url(&receiver.url).rate_limit(limit).start_checked().await.unwrap();
        s.set_clock_speed(0.0);
        for round in 0..3 {
            let status = async || post(&s, SEND, &send(&s)).await.status.as_u16();
            assert_eq!([status().await, status().await], [201, 429], "{window:?}, round {round}");
            s.advance_clock(Duration::from_millis(500));
        }
        assert_eq!(s.rate_limited(), 3);

        // Events are sent in order, and the last one belongs to the last message: rejected requests have none.
        let messages = s.messages();
        let deliveries = s.wait_for_deliveries(messages.len(), HOUR).await.unwrap();
        assert_eq!(deliveries.len(), messages.len());
        for (delivery, message) in deliveries.iter().zip(&messages) {
            let event: Value = serde_json::from_slice(&delivery.body).unwrap();
            assert_eq!(event["messageId"], *message.id);
        }
    }
}

#[tokio::test]
async fn windows_and_days_follow_the_sandbox_clock() {
    struct Row {
        advance_ms: u64,
        status: u16,
        burst: u64,
        daily: u64,
        reset_ms: u64,
    }

    for window in [BurstWindow::Fixed, BurstWindow::Sliding] {
        let s = limited(RateLimit::documented().window(window).burst(1).daily(3)).await;
        s.set_clock_speed(0.0);
        // Ten seconds before midnight.
        s.set_clock(std::time::UNIX_EPOCH + Duration::from_secs(20_000 * 86_400 - 10));
        let steps = [
            Row { advance_ms: 0, status: 201, burst: 0, daily: 2, reset_ms: 10_000 },
            Row { advance_ms: 9_999, status: 429, burst: 0, daily: 2, reset_ms: 1 },
            Row { advance_ms: 1, status: 201, burst: 0, daily: 2, reset_ms: 86_400_000 },
            Row { advance_ms: 10_000, status: 201, burst: 0, daily: 1, reset_ms: 86_390_000 },
            Row { advance_ms: 10_000, status: 201, burst: 0, daily: 0, reset_ms: 86_380_000 },
            Row { advance_ms: 10_000, status: 429, burst: 1, daily: 0, reset_ms: 86_370_000 },
            Row { advance_ms: 86_370_000, status: 201, burst: 0, daily: 2, reset_ms: 86_400_000 },
        ];
        for Row { advance_ms, status, burst, daily, reset_ms } in steps {
            s.advance_clock(Duration::from_millis(advance_ms));
            let response = post(&s, SEND, &send(&s)).await;
            assert_eq!(response.status, status, "{window:?}, {advance_ms} ms later");
            assert_eq!(remaining(&response), (burst, daily), "{window:?}, {advance_ms} ms later");
            assert_eq!(header(&response, "x-ratelimit-daily-reset"), reset_ms);
        }
        // When the clock is set back, counting starts again at zero.
        s.set_clock(std::time::UNIX_EPOCH + Duration::from_secs(10_000 * 86_400));
        assert_eq!(remaining(&post(&s, SEND, &send(&s)).await), (0, 2), "{window:?}");
    }
}

/// A sliding window stores the time of each request, which needs a bound.
#[tokio::test]
async fn large_limits_do_not_overflow() {
    let s = Sandbox::start().await.unwrap();
    let status = async || post(&s, SEND, &send(&s)).await.status.as_u16();
    // Counted but not enforced.
    s.use_rate_limit(usize::MAX);
    assert_eq!(status().await, 201);
    let limit = RateLimit::documented().daily(usize::MAX);
    let rejected = s.set_rate_limit(limit.burst(usize::MAX)).unwrap_err();
    assert!(rejected.to_string().contains("maximum of 1,000,000"), "{rejected}");
    for window in [BurstWindow::Fixed, BurstWindow::Sliding] {
        s.set_rate_limit(limit.burst(1_000_000).window(window)).unwrap();
        s.use_rate_limit(usize::MAX);
        assert_eq!(status().await, 429, "{window:?}");
    }
    // The description of the admin API documents the same bound.
    let request = bare(&s, Method::PUT, "/_sandbox/rate-limit").json(&json!({"burst": 1_000_001}));
    assert_eq!(execute(request).await.status, 400);
    assert_eq!(s.rate_limit(), Some(limit.burst(1_000_000)));
}

#[tokio::test]
async fn limits_can_be_changed_at_runtime() {
    let s = Sandbox::start().await.unwrap();
    s.set_clock_speed(0.0);
    let status = async || post(&s, SEND, &send(&s)).await.status.as_u16();
    assert_eq!([status().await, status().await], [201, 201]);
    assert_eq!(s.rate_limit(), None);

    let limit = RateLimit::documented().burst(1).retry_after(true);
    s.set_rate_limit(limit).unwrap();
    assert_eq!(s.rate_limit(), Some(limit));
    assert_eq!([status().await, status().await], [201, 429]);
    assert!(s.set_rate_limit(limit.burst(0)).unwrap_err().to_string().contains("allows no requests"));

    // The same through the admin API.
    let admin = async |method: Method, path: &str, body: Value| {
        let path = format!("/_sandbox/{path}");
        execute(bare(&s, method, &path).json(&body)).await.body
    };
    let body = json!({"burst": 4, "intervalMs": 1_000, "daily": 9, "window": "fixed", "retryAfter": true});
    let set = admin(Method::PUT, "rate-limit", body).await;
    assert_eq!(set["accounts"], json!([]));
    let expected = RateLimit::documented().window(BurstWindow::Fixed).burst(4).daily(9).retry_after(true);
    assert_eq!(s.rate_limit(), Some(expected.interval(Duration::from_secs(1))));
    assert_eq!(status().await, 201);
    let elsewhere = json!({"requests": 1, "locationId": "elsewhere"});
    admin(Method::POST, "rate-limit/use", elsewhere).await;
    let used = admin(Method::POST, "rate-limit/use", json!({"requests": 2})).await;
    let own = |shown: &Value| {
        let accounts = shown["accounts"].as_array().unwrap().clone();
        accounts.into_iter().find(|each| each["locationId"] == s.location_id()).unwrap()
    };
    assert_eq!((&own(&used)["burstRemaining"], &own(&used)["dailyRemaining"]), (&json!(1), &json!(6)));
    assert_eq!([status().await, status().await], [201, 429]);
    admin(Method::PUT, "rate-limit", json!({"enforced": false})).await;
    assert_eq!((s.rate_limit(), status().await), (None, 201));
}
