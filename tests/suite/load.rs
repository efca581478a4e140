//! Many messages for one location at once, against a sandbox that counts like HighLevel.

use std::time::{Duration, Instant};

use highlevel::{Client, LocalRateLimiter, Sms};
use highlevel_sandbox::{RateLimit, Sandbox, Window};

/// HighLevel's window is 10 seconds; this one is shorter, so that the test takes seconds.
const INTERVAL: Duration = Duration::from_secs(2);
/// More than the limiter's own 250 ms: on a busy machine a request is late by more than it would be on a network.
const MARGIN: Duration = Duration::from_millis(600);
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

/// A sandbox that enforces its limits in a shorter window, and a client that knows of it.
async fn set_up(window: Window) -> (Sandbox, Client) {
    let limits = RateLimit::documented().window(window).interval(INTERVAL);
    let sandbox = Sandbox::builder().rate_limit(limits).start().await.expect("a sandbox");
    let client = Client::builder()
        .base_url(sandbox.base_url())
        .token(sandbox.token())
        .location("location")
        .rate_limiter(LocalRateLimiter::with_limits(100, INTERVAL, 200_000).margin(MARGIN))
        .build()
        .expect("a client");
    (sandbox, client)
}

async fn run(window: Window, messages: usize) {
    let (sandbox, client) = set_up(window).await;

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

/// Another program uses the same budget. One message after the other, the headers say so in time and nothing is
/// refused; many at once find out by being refused, wait for their turn again, and are all sent once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_program_on_the_same_budget_is_learned_of() {
    for (window, tasks) in
        [(Window::Fixed, 1), (Window::Sliding, 1), (Window::Fixed, 20), (Window::Sliding, 20)]
    {
        let (sandbox, client) = set_up(window).await;
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
            assert_eq!(sandbox.rate_limited(), 0, "{window:?}");
        }
    }
}
