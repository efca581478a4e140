//! Many messages for one location at once, against a sandbox that counts like HighLevel.

use std::time::{Duration, Instant};

use highlevel::{Client, LocalRateLimiter, Sms};
use highlevel_sandbox::{RateLimit, Sandbox, Window};
use std::sync::Arc;

/// HighLevel's window is 10 seconds; this one is shorter, so that the test takes seconds.
const INTERVAL: Duration = Duration::from_millis(500);
/// The limiter's own margin.
const MARGIN: Duration = Duration::from_millis(250);
const TASKS: usize = 64;

/// Every message is accepted once, none fails, and none is refused for its rate. How long it took is printed beside
/// the least that is possible.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_handed_over_at_once_are_all_sent_and_none_is_refused() {
    let runs =
        [(Window::Fixed, 500), (Window::Sliding, 500), (Window::Fixed, 1_000), (Window::Sliding, 1_000)];
    let runs = runs.map(|(window, messages)| tokio::spawn(run(window, messages)));
    for run in runs {
        run.await.expect("no panic");
    }
}

async fn run(window: Window, messages: usize) {
    let limits = RateLimit::documented().window(window).interval(INTERVAL);
    let sandbox = Sandbox::builder().rate_limit(limits).start().await.expect("a sandbox");
    let client = Client::builder()
        .base_url(sandbox.base_url())
        .token(sandbox.token())
        .rate_limiter(Arc::new(LocalRateLimiter::with_limits(100, INTERVAL, 200_000)))
        .build()
        .expect("a client");

    let began = Instant::now();
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let (client, contact) = (client.clone(), sandbox.contact_id().to_owned());
            tokio::spawn(async move {
                for number in (task..messages).step_by(TASKS) {
                    let message = Sms::to(&contact).text(format!("message {number}"));
                    let sent = client.messages().send(message).await;
                    let sent = sent.unwrap_or_else(|error| panic!("message {number}: {error}"));
                    assert_eq!(sent.attempts(), 1, "message {number}");
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
    assert_eq!(sandbox.rate_limited(), 0, "{window:?}");

    let periods = u32::try_from((messages - 1) / 100).expect("a small number");
    let least = periods * (INTERVAL + MARGIN);
    println!(
        "{messages} messages, {window:?}: {took:.2?}; {least:.2?} is the least possible with the margin"
    );
}
