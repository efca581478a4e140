//! The automatic retries of a client and their limits, over real connections.

use std::future::pending;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use highlevel::limit::{Acquire, Permit};
use highlevel::{
    Client, ClientBuilder, Delivery, Error, ErrorKind, LocalRateLimiter, RateLimiter, Receipt, RetryPolicy,
    Sms, wire::types::SendMessageResponse,
};
use serde_json::json as value;
use tokio::net::TcpSocket;

use crate::server::{Action, Server, TOKEN, json, nowhere, receipt, response};

/// Much longer than necessary: it only ends a test that fails.
const TEST_TIMEOUT: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
/// The limiter rounds times up to the next millisecond.
const MAX_WAIT: Duration = Duration::from_millis(3_600_001);
const MANY: &str = "429 Too Many Requests";
const BUSY: &str = "503 Service Unavailable";

async fn send(client: &Client) -> Result<Receipt<SendMessageResponse>, Error> {
    let messages = client.messages();
    let call = messages.send(Sms::to("abc123def456").text("Your table is ready"));
    tokio::time::timeout(TEST_TIMEOUT, call).await.expect("an end")
}

async fn fail(client: &Client) -> Error {
    send(client).await.expect_err("a failure")
}

/// Returns a limiter whose limits are never reached.
fn unlimited() -> Arc<LocalRateLimiter> {
    Arc::new(LocalRateLimiter::with_limits(10_000, Duration::from_millis(1), 10_000))
}

/// Starts building a client with retries.
fn builder(url: impl Into<String>) -> ClientBuilder {
    Client::builder().token(TOKEN).base_url(url).location("location").rate_limiter(unlimited())
}

/// Starts a server that sends these responses one after the other, and repeats the last one.
async fn responding(responses: Vec<Vec<u8>>) -> Server {
    let next = AtomicU32::new(0);
    Server::start(move |_| {
        let next = next.fetch_add(1, Ordering::SeqCst) as usize;
        Action::Respond(responses[next.min(responses.len() - 1)].clone())
    })
    .await
}

/// A limiter that counts permits, and opens a port before it issues one of them.
struct Opening {
    turns: AtomicU32,
    opens_at: u32,
    port: Mutex<Option<TcpSocket>>,
    server: Mutex<Option<Listening>>,
}

struct Listening(Server);

impl RateLimiter for Opening {
    fn acquire<'a>(&'a self, _: &'a str, _: Duration) -> Acquire<'a> {
        Box::pin(async {
            if self.turns.fetch_add(1, Ordering::SeqCst) + 1 == self.opens_at {
                let port = self.port.lock().expect("not poisoned").take().expect("a port");
                let listener = port.listen(16).expect("a listener");
                let server = Server::on(listener, |_| Action::Respond(receipt()));
                *self.server.lock().expect("not poisoned") = Some(Listening(server));
            }
            Ok(Permit::unlimited())
        })
    }
}

/// The port refuses connections until the limiter has issued a number of permits.
#[tokio::test]
async fn connection_failures_are_retried_until_the_server_has_started() {
    for opens_at in [1, 2, 3, 4] {
        let port = TcpSocket::new_v4().expect("a socket");
        port.bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
        let url = format!("http://{}", port.local_addr().expect("an address"));
        let limiter = Arc::new(Opening {
            turns: AtomicU32::new(0),
            opens_at,
            port: Mutex::new(Some(port)),
            server: Mutex::default(),
        });
        let client = builder(url).rate_limiter(limiter.clone()).build().expect("a client");
        let result = send(&client).await;
        assert_eq!(limiter.turns.load(Ordering::SeqCst), opens_at.min(3));
        let server = limiter.server.lock().expect("not poisoned").take();
        if opens_at <= 3 {
            assert_eq!(result.expect("a receipt").attempts(), opens_at);
            assert_eq!(server.expect("it listens").0.requests().len(), 1);
        } else {
            let error = result.expect_err("nothing listens");
            assert_eq!((error.delivery(), error.attempts()), (Delivery::NotSent, 3));
            assert!(server.is_none());
        }
    }
}

#[tokio::test]
async fn the_policy_limits_the_retries() {
    let default = RetryPolicy::default();
    let rows = [
        (default, 3),
        (default.max_retries(0), 1),
        (default.max_retries(1), 2),
        (RetryPolicy::none(), 1),
        (RetryPolicy::none().max_retries(1), 2),
    ];
    for (policy, attempts) in rows {
        let url = format!("http://{}", nowhere().await);
        let client = builder(url).retry_policy(policy).build().expect("a client");
        let error = fail(&client).await;
        assert_eq!((error.delivery(), error.attempts()), (Delivery::NotSent, attempts), "{policy:?}");
        let other = client.with_retry_policy(RetryPolicy::none());
        assert_eq!(fail(&other).await.attempts(), 1, "{policy:?}");
    }

    // The policy also disables the retry after a 429.
    let rows = [
        (MANY, default, 2),
        (MANY, default.retry_rate_limited(false), 1),
        (MANY, RetryPolicy::none(), 1),
        (BUSY, default, 1),
        (BUSY, default.retry_unavailable(true), 2),
        (BUSY, RetryPolicy::none().retry_unavailable(true), 2),
    ];
    for (status, policy, requests) in rows {
        let server = responding(vec![response(status, "retry-after: 0\r\n", ""), receipt()]).await;
        let client = builder(server.url()).retry_policy(policy).build().expect("a client");
        let attempts = match send(&client).await {
            Ok(receipt) => receipt.attempts(),
            Err(error) => error.attempts(),
        };
        assert_eq!((attempts, server.requests().len()), (requests, requests as usize), "{status} {policy:?}");
    }
}

/// All calls of a client together may add a fifth to the number of its requests, and at least ten retries.
#[tokio::test]
async fn the_retry_budget_limits_the_retries_of_all_calls() {
    for (calls, allowed) in [(20, 10), (100, 20)] {
        let url = format!("http://{}", nowhere().await);
        let client = builder(url).build().expect("a client");
        let mut running = tokio::task::JoinSet::new();
        for _ in 0..calls {
            let client = client.clone();
            running.spawn(async move { fail(&client).await });
        }
        let errors = running.join_all().await;
        assert!(errors.iter().all(|error| error.delivery() == Delivery::NotSent));
        let attempts: u32 = errors.iter().map(Error::attempts).sum();
        // The budget is for ten seconds, and never smaller than its minimum.
        assert!((calls + 10..=calls + allowed).contains(&attempts), "{attempts} attempts of {calls} calls");
    }
}

/// A call does not wait for `Retry-After` if it ends after the deadline.
#[tokio::test]
async fn a_retry_after_beyond_the_deadline_ends_the_call_at_once() {
    let hour = HOUR.as_secs().to_string();
    for wait in [hour.as_str(), "4294967296", "9223372036854775807", "18446744073709551615"] {
        for (status, delivery) in [(MANY, Delivery::Rejected), (BUSY, Delivery::Unknown)] {
            let header = format!("retry-after: {wait}\r\n");
            let server = responding(vec![response(status, &header, "busy")]).await;
            let policy = RetryPolicy::default().retry_unavailable(true);
            let client = builder(server.url()).retry_policy(policy).build().expect("a client");
            let error = fail(&client).await;
            assert_eq!((error.delivery(), error.attempts()), (delivery, 1), "{status} {wait}");
            assert_eq!(error.body(), b"busy");
            let wait = error.retry_after().expect("a wait");
            assert!(wait > HOUR / 2, "{status}: {wait:?}");
            assert_eq!(server.requests().len(), 1);
        }
    }
}

/// The message may be that of the first attempt, so the search has to start at its time.
#[tokio::test]
async fn a_fingerprint_has_the_time_of_the_first_attempt_that_may_have_been_done() {
    let first = Arc::new(Mutex::new(None));
    let server = Server::start({
        let first = Arc::clone(&first);
        move |_| {
            first.lock().expect("no panic").get_or_insert_with(SystemTime::now);
            Action::Respond(response(BUSY, "retry-after: 0\r\n", "busy"))
        }
    })
    .await;
    let policy = RetryPolicy::default().retry_unavailable(true);
    let client = builder(server.url()).retry_policy(policy).build().expect("a client");
    let error = fail(&client).await;
    assert_eq!((error.delivery(), error.attempts()), (Delivery::Unknown, 2));
    let attempted = error.fingerprint().expect("a fingerprint").attempted();
    assert!(attempted <= first.lock().expect("no panic").expect("a request"));
}

/// A GET may be repeated, but not before the time in `Retry-After`.
#[tokio::test]
async fn idempotent_requests_are_retried_after_retry_after() {
    for (wait, attempts) in [("1", 2), ("3600", 1)] {
        let busy = response(BUSY, &format!("retry-after: {wait}\r\n"), "busy");
        let server = responding(vec![busy, response("200 OK", "", "{}")]).await;
        let client = builder(server.url()).build().expect("a client");
        let began = Instant::now();
        let result = client.request(reqwest::Method::GET, "/contacts/c1").send().await;
        assert_eq!(server.requests().len(), attempts, "{wait}: {result:?}");
        match result {
            Ok(receipt) => {
                assert_eq!((receipt.attempts(), attempts), (2, 2));
                // A pause never ends early. It may end late on a busy machine.
                assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
            }
            Err(error) => assert_eq!((error.retry_after(), attempts), (Some(HOUR), 1)),
        }
    }
}

#[tokio::test]
async fn the_longest_timeouts_are_accepted() {
    let server = Server::always(Action::Respond(receipt())).await;
    let client = builder(server.url()).build().expect("a client");
    let client = client.with_call_timeout(Duration::MAX).with_attempt_timeout(Duration::MAX);
    assert_eq!(send(&client).await.expect("a receipt").attempts(), 1);
}

#[tokio::test]
async fn a_429_waits_for_the_next_permit_until_the_deadline() {
    let body = value!({ "message": "Too many requests", "traceId": "t3" });
    let limits = "x-ratelimit-max: 100\r\nx-ratelimit-remaining: 0\r\n";
    let refusal = |wait| response(MANY, &format!("retry-after: {wait}\r\n{limits}"), body.to_string());
    let server = responding(vec![refusal("0"), refusal("0"), refusal("3600")]).await;
    let client = builder(server.url()).build().expect("a client");
    let error = fail(&client).await;
    assert_eq!((error.delivery(), error.kind()), (Delivery::Rejected, ErrorKind::Status));
    assert_eq!((error.attempts(), server.requests().len()), (3, 3));
    // The error has the last response, and the time until there is capacity.
    assert_eq!((error.status(), error.trace_id()), (Some(429), Some("t3")));
    assert_eq!(error.messages(), ["Too many requests"]);
    let limits = error.rate_limit().expect("a response");
    assert_eq!((limits.burst_limit, limits.burst_remaining), (Some(100), Some(0)));
    let wait = error.retry_after().expect("a wait");
    assert!(wait > HOUR / 2 && wait <= MAX_WAIT, "{wait:?}");
    assert!(error.fingerprint().is_some());

    // The next call sends no request.
    let error = fail(&client).await;
    assert_eq!((error.delivery(), error.kind()), (Delivery::NotSent, ErrorKind::RateLimited));
    assert_eq!((error.attempts(), error.status(), server.requests().len()), (0, None, 3));
    assert!(error.retry_after().is_some_and(|wait| wait > HOUR / 2 && wait <= MAX_WAIT));
}

#[tokio::test]
async fn without_a_permit_before_the_deadline_nothing_is_sent() {
    let server = Server::always(Action::Respond(receipt())).await;
    let limiter = Arc::new(LocalRateLimiter::with_limits(2, HOUR, 1_000).margin(Duration::ZERO));
    let client = builder(server.url()).rate_limiter(limiter).build().expect("a client");
    for _ in 0..2 {
        send(&client).await.expect("a receipt");
    }
    let error = fail(&client).await;
    assert_eq!((error.delivery(), error.kind()), (Delivery::NotSent, ErrorKind::RateLimited));
    assert_eq!((error.attempts(), error.status(), error.fingerprint().is_none()), (0, None, true));
    let wait = error.retry_after().expect("a wait");
    assert!(wait > HOUR / 2 && wait <= MAX_WAIT, "{wait:?}");
    assert_eq!(server.requests().len(), 2);
}

/// The headers of any response update the limiter.
#[tokio::test]
async fn an_exhausted_daily_limit_fails_at_once() {
    let spent = "x-ratelimit-limit-daily: 200000\r\nx-ratelimit-daily-remaining: 0\r\n\
                 x-ratelimit-daily-reset: 3600000\r\n";
    let body = r#"{"conversationId":"c1","messageId":"m1"}"#;
    for (status, delivery) in
        [("201 Created", None), (MANY, Some(Delivery::Rejected)), ("400 No", Some(Delivery::Rejected))]
    {
        let server = responding(vec![response(status, spent, body)]).await;
        let client = builder(server.url()).build().expect("a client");
        let (limits, found) = match send(&client).await {
            Ok(receipt) => (receipt.rate_limit(), None),
            Err(error) => (error.rate_limit().expect("a response"), Some(error.delivery())),
        };
        assert_eq!(found, delivery, "{status}");
        assert_eq!((limits.daily_limit, limits.daily_remaining), (Some(200_000), Some(0)), "{status}");
        assert_eq!(limits.daily_reset_ms, Some(3_600_000), "{status}");

        let error = fail(&client).await;
        assert_eq!((error.delivery(), error.kind()), (Delivery::NotSent, ErrorKind::RateLimited), "{status}");
        assert!(error.to_string().contains("the daily limit of the location is used up"), "{error}");
        let wait = error.retry_after().expect("a wait");
        assert!(wait > HOUR / 2 && wait <= MAX_WAIT, "{status}: {wait:?}");
        assert_eq!((error.attempts(), server.requests().len()), (0, 1), "{status}");
    }
}

/// A response that never ends is given up, and its status and headers are reported.
#[tokio::test]
async fn a_slow_body_ends_with_the_attempt_timeout() {
    let rows = [
        ("201 Created", Delivery::Accepted, ErrorKind::Receipt),
        ("400 Bad Request", Delivery::Rejected, ErrorKind::Status),
        ("502 Bad Gateway", Delivery::Unknown, ErrorKind::Status),
    ];
    for (status, delivery, kind) in rows {
        let head = format!("HTTP/1.1 {status}\r\ncontent-length: 90000\r\n\r\n{{");
        let server = Server::always(Action::Trickle(head.into_bytes())).await;
        let client = builder(server.url()).build().expect("a client");
        let error = fail(&client.with_attempt_timeout(Duration::from_secs(1))).await;
        assert_eq!((error.delivery(), error.kind()), (delivery, kind), "{status}");
        assert!(error.body().starts_with(b"{ ") && error.body().len() < 90_000, "{status}");
        assert_eq!(error.status(), status[..3].parse().ok());
        assert_eq!((error.attempts(), server.requests().len()), (1, 1), "{status}");
    }
}

#[tokio::test]
async fn a_call_can_have_separate_timeouts() {
    let (moment, long) = (Duration::from_secs(1), Duration::from_secs(50));
    let server = Server::always(Action::Stall(Vec::new())).await;
    let client = builder(server.url()).attempt_timeout(long).call_timeout(long).build().expect("a client");
    // The shorter timeout applies.
    let shorter = [client.clone().with_attempt_timeout(moment), client.clone().with_call_timeout(moment)];
    for client in shorter {
        let error = fail(&client).await;
        assert_eq!((error.delivery(), error.kind()), (Delivery::Unknown, ErrorKind::Timeout));
        assert_eq!(error.attempts(), 1);
    }
    assert_eq!(server.requests().len(), 2);

    // Without time left, the request is not sent.
    let error = fail(&client.with_call_timeout(Duration::ZERO)).await;
    assert_eq!((error.delivery(), error.kind()), (Delivery::NotSent, ErrorKind::Timeout));
    assert_eq!((error.attempts(), server.requests().len()), (0, 2));
}

/// A limiter that never returns.
struct Stuck;

impl RateLimiter for Stuck {
    fn acquire<'a>(&'a self, _: &'a str, _: Duration) -> Acquire<'a> {
        Box::pin(pending())
    }
}

#[tokio::test]
async fn a_limiter_that_never_returns_does_not_delay_a_call_beyond_its_deadline() {
    let server = Server::silent().await;
    let client = builder(server.url()).rate_limiter(Arc::new(Stuck)).build().expect("a client");
    let error = fail(&client.with_call_timeout(Duration::from_millis(50))).await;
    assert_eq!((error.delivery(), error.kind()), (Delivery::NotSent, ErrorKind::Timeout));
    assert_eq!((error.attempts(), server.connections()), (0, 0));
}

/// Receipts and errors have the status, headers and body of the last attempt.
#[tokio::test]
async fn receipts_and_errors_have_the_response() {
    struct Row<'r> {
        action: Action,
        status: u16,
        body: &'r str,
        trace_id: Option<&'static str>,
        delivery: Option<Delivery>,
    }

    let headers = "x-ratelimit-max: 100\r\nx-ratelimit-remaining: 93\r\nx-ratelimit-interval-milliseconds: 10000\r\n\
                   x-ratelimit-limit-daily: 200000\r\nx-ratelimit-daily-remaining: 199000\r\nx-trace: a1\r\n";
    let page = "<html><body>Sorry</body></html>";
    let sent = r#"{"conversationId":"c1","messageId":"m1","traceId":"t1"}"#;
    let other = r#"{"id":"m1","traceId":"t2"}"#;
    let invalid = r#"{"message":["type must be a string"],"traceId":"t4"}"#;
    let whole = |status: &str, body: &str| response(status, headers, body);
    let cut = format!("HTTP/1.1 201 Created\r\n{headers}content-length: 90\r\n\r\n{{\"mess");
    let row = |action, status, body, trace_id, delivery| Row { action, status, body, trace_id, delivery };
    let rows = [
        row(Action::Respond(whole("201 Created", sent)), 201, sent, Some("t1"), None),
        row(Action::Respond(whole("201 Created", page)), 201, page, None, Some(Delivery::Accepted)),
        row(Action::Close(cut.into_bytes()), 201, "{\"mess", None, Some(Delivery::Accepted)),
        row(Action::Respond(whole("201 Created", "")), 201, "", None, Some(Delivery::Accepted)),
        row(Action::Respond(whole("202 Accepted", other)), 202, other, Some("t2"), Some(Delivery::Accepted)),
        row(Action::Respond(whole("422 Odd", invalid)), 422, invalid, Some("t4"), Some(Delivery::Rejected)),
        row(Action::Respond(whole("502 Bad Gateway", page)), 502, page, None, Some(Delivery::Unknown)),
    ];
    for Row { action, status, body, trace_id, delivery } in rows {
        for refusals in [0, 1] {
            let (next, action) = (AtomicU32::new(0), action.clone());
            let server = Server::start(move |_| match next.fetch_add(1, Ordering::SeqCst) {
                nth if nth < refusals => Action::Respond(json(MANY, &value!({ "traceId": "t0" }))),
                _ => action.clone(),
            })
            .await;
            let client = builder(server.url()).build().expect("a client");
            let name = format!("{status} {body} after {refusals}");
            let (limits, attempts) = match send(&client).await {
                Ok(receipt) => {
                    assert_eq!(delivery, None, "{name}");
                    assert_eq!((receipt.http_status(), receipt.body()), (status, body.as_bytes()), "{name}");
                    assert_eq!(receipt.trace_id().as_deref(), trace_id, "{name}");
                    assert_eq!(receipt.header("x-trace"), Some("a1"), "{name}");
                    (receipt.rate_limit(), receipt.attempts())
                }
                Err(error) => {
                    assert_eq!(Some(error.delivery()), delivery, "{name}");
                    assert_eq!((error.status(), error.body()), (Some(status), body.as_bytes()), "{name}");
                    assert_eq!(error.trace_id(), trace_id, "{name}");
                    assert_eq!(error.header("x-trace"), Some("a1"), "{name}");
                    (error.rate_limit().expect("a response"), error.attempts())
                }
            };
            assert_eq!(attempts, refusals + 1, "{name}");
            assert_eq!(
                (limits.burst_limit, limits.burst_remaining, limits.interval_ms),
                (Some(100), Some(93), Some(10_000)),
                "{name}"
            );
            assert_eq!(
                (limits.daily_limit, limits.daily_remaining, limits.daily_reset_ms),
                (Some(200_000), Some(199_000), None),
                "{name}"
            );
        }
    }
}
