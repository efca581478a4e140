//! Many messages for one location at once, against a sandbox that counts like HighLevel.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use highlevel::limit::{Acquire, Grant, Permit, RateLimited};
use highlevel::{Client, LocalRateLimiter, RateLimitHeaders, RateLimiter, Sms};
use highlevel_sandbox::{RateLimit, Sandbox, Window};

/// HighLevel's window is 10 seconds; this one is shorter, so that the test takes seconds.
const INTERVAL: Duration = Duration::from_secs(2);
/// More than the limiter's own 250 ms: on a busy machine a request is late by more than it would be on a network.
const MARGIN: Duration = Duration::from_millis(600);
const TASKS: usize = 64;

/// A limiter that records when requests were started, and how long their responses took.
#[derive(Clone)]
struct Recorded {
    limiter: LocalRateLimiter,
    requests: Arc<Mutex<Vec<(Instant, Duration)>>>,
}

impl Recorded {
    fn new(limiter: LocalRateLimiter) -> Self {
        Self { limiter, requests: Arc::default() }
    }

    /// When requests were started, in order.
    fn started(&self) -> Vec<Instant> {
        let mut started: Vec<_> = self.requests.lock().unwrap().iter().map(|(started, _)| *started).collect();
        started.sort();
        started
    }

    /// The requests that may have reached the server later than the margin allows, because the machine is busy.
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

impl Grant for RecordedUse {
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

/// Every message is accepted once, none fails, and none is rejected for its rate unless a request was late because the
/// machine is busy. The time that it took is printed beside the least that is possible.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_handed_over_at_once_are_all_sent_and_none_is_refused() {
    let runs =
        [(Window::Fixed, 500), (Window::Sliding, 500), (Window::Fixed, 1_000), (Window::Sliding, 1_000)];
    let runs = runs.map(|(window, messages)| tokio::spawn(run(window, messages)));
    for run in runs {
        run.await.expect("no panic");
    }
}

/// A sandbox that enforces its limits in a shorter window, and a client that knows of it.
async fn set_up(window: Window) -> (Sandbox, Client, Recorded) {
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

async fn run(window: Window, messages: usize) {
    let (sandbox, client, limiter) = set_up(window).await;

    let began = Instant::now();
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
    let took = began.elapsed();

    let mut texts: Vec<String> =
        sandbox.messages().iter().filter_map(|message| message.text().map(str::to_owned)).collect();
    let mut expected: Vec<String> = (0..messages).map(|number| format!("message {number}")).collect();
    texts.sort();
    expected.sort();
    assert_eq!(texts, expected, "each message once");
    let started = limiter.started();
    for (first, later) in started.iter().zip(started.iter().skip(100)) {
        let apart = *later - *first;
        // The limiter reads its clock a moment after this test does.
        assert!(apart + MARGIN / 2 >= INTERVAL + MARGIN, "{window:?}: 101 requests in {apart:?}");
    }
    // One that is late takes the place of at most one other.
    let (rejected, late) = (sandbox.rate_limited() as u64, limiter.late());
    assert!(rejected <= late, "{window:?}: {rejected} rejected, {late} late");
    assert_eq!(started.len() as u64, messages as u64 + rejected, "{window:?}: no message was sent twice");

    let periods = u32::try_from((messages - 1) / 100).expect("a small number");
    let least = periods * (INTERVAL + MARGIN);
    println!(
        "{messages} messages, {window:?}: {took:.2?}; {least:.2?} is the least possible with the margin"
    );
}

/// Another program uses the same budget. One message after the other, the headers say so in time and nothing is
/// refused; many at once find out by being refused, wait for their turn again, and are all sent once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_program_on_the_same_budget_is_learned_of() {
    for (window, tasks) in
        [(Window::Fixed, 1), (Window::Sliding, 1), (Window::Fixed, 20), (Window::Sliding, 20)]
    {
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
