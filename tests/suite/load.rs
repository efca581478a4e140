//! Many concurrent messages for one location, against a sandbox with the rate limits of HighLevel.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use highlevel::limit::{Acquire, Permit, PermitHandler, RateLimited};
use highlevel::{Client, LocalRateLimiter, RateLimitHeaders, RateLimiter, Sms};
use highlevel_sandbox::{BurstWindow, RateLimit, Sandbox};

/// HighLevel's window is 10 seconds; this one is shorter, so that the test takes seconds.
const INTERVAL: Duration = Duration::from_secs(2);
/// More than the default margin of 250 ms: the delay of a request on a busy machine can be longer than on a network.
const MARGIN: Duration = Duration::from_millis(600);
const TASKS: usize = 64;

/// A limiter that records the start of each request and the time until its response.
#[derive(Clone)]
struct Recorded {
    limiter: LocalRateLimiter,
    requests: Arc<Mutex<Vec<(Instant, Duration)>>>,
}

impl Recorded {
    fn new(limiter: LocalRateLimiter) -> Self {
        Self { limiter, requests: Arc::default() }
    }

    /// Returns the times at which requests were started, in order.
    fn started(&self) -> Vec<Instant> {
        let mut started: Vec<_> = self.requests.lock().unwrap().iter().map(|(started, _)| *started).collect();
        started.sort();
        started
    }

    /// Returns the number of requests that may have reached the server after the margin because the machine is busy.
    fn late(&self) -> u64 {
        self.requests.lock().unwrap().iter().filter(|(_, took)| *took >= MARGIN).count() as u64
    }
}

impl RateLimiter for Recorded {
    fn acquire<'a>(&'a self, location: &'a str, timeout: Duration) -> Acquire<'a> {
        Box::pin(async move {
            let permit = self.limiter.acquire(location, timeout).await?;
            let expiry = permit.expiry().expect("an expiry");
            let requests = Arc::clone(&self.requests);
            Ok(Permit::new(expiry, RecordedUse { permit, requests, started: Mutex::new(None) }))
        })
    }
}

struct RecordedUse {
    permit: Permit,
    requests: Arc<Mutex<Vec<(Instant, Duration)>>>,
    started: Mutex<Option<Instant>>,
}

impl PermitHandler for RecordedUse {
    fn begin(&self) -> bool {
        *self.started.lock().unwrap() = Some(Instant::now());
        self.permit.begin()
    }

    fn observe(&self, headers: &RateLimitHeaders, rate_limited: Option<RateLimited>) {
        let started = self.started.lock().unwrap().expect("it was started");
        self.requests.lock().unwrap().push((started, started.elapsed()));
        self.permit.observe(headers, rate_limited);
    }
}

/// Each message is accepted once, none fails, and none is rejected for its rate, however long requests take on a busy
/// machine. The test prints its duration and the shortest possible one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_messages_are_all_sent_and_none_is_rate_limited() {
    let runs = [
        (BurstWindow::Fixed, 500),
        (BurstWindow::Sliding, 500),
        (BurstWindow::Fixed, 1_000),
        (BurstWindow::Sliding, 1_000),
    ];
    let runs = runs.map(|(window, messages)| tokio::spawn(run(window, messages)));
    for run in runs {
        run.await.expect("no panic");
    }
}

/// Starts a sandbox with a shorter window than HighLevel, and a client with the same window.
async fn set_up(window: BurstWindow) -> (Sandbox, Client, Recorded) {
    let limits = RateLimit::documented().window(window).interval(INTERVAL);
    let sandbox = Sandbox::builder().rate_limit(limits).start().await.expect("a sandbox");
    let limiter = Recorded::new(LocalRateLimiter::with_limits(100, INTERVAL, 200_000).margin(MARGIN));
    let client = Client::builder()
        .base_url(sandbox.base_url())
        .token(sandbox.token())
        .location("location")
        .rate_limiter(limiter.clone())
        .build()
        .expect("a client");
    (sandbox, client, limiter)
}

async fn run(window: BurstWindow, messages: usize) {
    let (sandbox, client, limiter) = set_up(window).await;

    let started_at = Instant::now();
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let (client, contact) = (client.clone(), sandbox.contact_id().to_owned());
            tokio::spawn(async move {
                for number in (task..messages).step_by(TASKS) {
                    let message = Sms::to(&contact).text(format!("message {number}"));
                    let sent = client.messages().send(message).await;
                    sent.unwrap_or_else(|error| panic!("message {number}: {error}"));
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no message failed");
    }
    let took = started_at.elapsed();

    let mut texts: Vec<String> =
        sandbox.messages().iter().filter_map(|message| message.text().map(str::to_owned)).collect();
    let mut expected: Vec<String> = (0..messages).map(|number| format!("message {number}")).collect();
    texts.sort();
    expected.sort();
    assert_eq!(texts, expected, "each message is stored once");
    let started = limiter.started();
    for (first, later) in started.iter().zip(started.iter().skip(100)) {
        let apart = *later - *first;
        // The limiter reads its clock shortly after this test does.
        assert!(apart + MARGIN / 2 >= INTERVAL + MARGIN, "{window:?}: 101 requests in {apart:?}");
    }
    assert_eq!(sandbox.rate_limited(), 0, "{window:?}, {} late", limiter.late());
    assert_eq!(started.len(), messages, "{window:?}: no message was sent twice");

    let periods = u32::try_from((messages - 1) / 100).expect("a small number");
    let shortest = periods * (INTERVAL + MARGIN);
    println!(
        "{messages} messages, {window:?}: {took:.2?}; {shortest:.2?} is the shortest possible time with the margin"
    );
}

/// Another program uses the same budget. Consecutive messages adapt to the headers of the responses, without a 429.
/// Concurrent messages may receive a 429, wait for another permit, and are all sent once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limiter_adapts_to_another_program_on_the_same_budget() {
    for (window, tasks) in [
        (BurstWindow::Fixed, 1),
        (BurstWindow::Sliding, 1),
        (BurstWindow::Fixed, 20),
        (BurstWindow::Sliding, 20),
    ] {
        let (sandbox, client, limiter) = set_up(window).await;
        sandbox.use_rate_limit(95);
        let tasks: Vec<_> = (0..tasks)
            .map(|task| {
                let (client, contact) = (client.clone(), sandbox.contact_id().to_owned());
                tokio::spawn(async move {
                    for number in (task..40).step_by(tasks) {
                        let message = Sms::to(&contact).text(format!("message {number}"));
                        client
                            .messages()
                            .send(message)
                            .await
                            .unwrap_or_else(|error| panic!("message {number}: {error}"));
                    }
                })
            })
            .collect();
        let one_by_one = tasks.len() == 1;
        for task in tasks {
            task.await.expect("no message failed");
        }
        assert_eq!(sandbox.messages().len(), 40, "{window:?}");
        if one_by_one {
            assert!(sandbox.rate_limited() as u64 <= limiter.late(), "{window:?}");
        }
    }
}
