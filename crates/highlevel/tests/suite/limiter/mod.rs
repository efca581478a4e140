//! The limiter of one process, on a clock that the test controls.

mod broken;
mod conformance;
mod headers;
mod simulated;

use std::sync::Arc;
use std::time::{Duration, Instant};

use highlevel::RateLimitHeaders;
use highlevel::limit::{AcquireErrorKind, LocalRateLimiter, Permit, RateLimiter};
use tokio::sync::Mutex;

use self::simulated::{Counting, Server, send};

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Waits for a permit without a timeout, and uses it for a request whose response has no rate limit headers.
async fn acquire(limiter: &LocalRateLimiter, location: &str) {
    let permit = limiter.acquire(location, Duration::MAX).await.expect("daily permits are left");
    used(&permit);
}

fn used(permit: &Permit) {
    assert!(permit.begin());
    permit.observe(&RateLimitHeaders::default(), None);
}

#[tokio::test(start_paused = true)]
async fn permits_are_issued_in_fifo_order_and_within_the_limit() {
    let limiter = Arc::new(LocalRateLimiter::new());
    let began = now();
    let issued = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = Vec::new();
    for number in 0..450 {
        let (limiter, issued) = (limiter.clone(), issued.clone());
        let task = tokio::spawn(async move {
            acquire(&limiter, "location").await;
            issued.lock().await.push((number, now().duration_since(began).as_millis()));
        });
        // The task joins the queue before the next one.
        tokio::task::yield_now().await;
        tasks.push(task);
    }
    for task in tasks {
        task.await.expect("no panic");
    }
    let issued = issued.lock().await;
    let order: Vec<i32> = issued.iter().map(|(number, _)| *number).collect();
    assert_eq!(order, (0..450).collect::<Vec<_>>(), "no request overtakes another");
    for (first, later) in issued.iter().zip(&issued[100..]) {
        assert!(later.1 - first.1 >= 10_250, "{first:?} and {later:?} are in one window");
    }
    assert_eq!(issued[449].1, 4 * 10_250, "no permit is issued later than necessary");
}

#[tokio::test(start_paused = true)]
async fn locations_do_not_wait_for_each_other() {
    let limiter = LocalRateLimiter::new();
    let began = now();
    for number in 0..1_000 {
        acquire(&limiter, &format!("location {}", number % 10)).await;
    }
    assert_eq!(now(), began);
    acquire(&limiter, "location 0").await;
    assert_eq!(now().duration_since(began), Duration::from_millis(10_250));
}

#[tokio::test(start_paused = true)]
async fn requests_beyond_their_timeout_fail_at_once_with_retry_after() {
    let limiter = LocalRateLimiter::new();
    let began = now();
    for _ in 0..100 {
        acquire(&limiter, "location").await;
    }
    let denied = limiter.acquire("location", Duration::from_secs(10)).await.expect_err("no permit");
    assert_eq!(denied.kind(), AcquireErrorKind::Burst);
    assert_eq!(denied.retry_after(), Some(Duration::from_millis(10_250)));
    assert_eq!(now(), began, "the error is returned without a wait");
    limiter.acquire("location", Duration::from_millis(10_250)).await.expect("just in time");

    let day = LocalRateLimiter::with_limits(100, Duration::from_secs(10), 3);
    for _ in 0..3 {
        acquire(&day, "location").await;
    }
    let denied =
        day.acquire("location", Duration::from_secs(60)).await.expect_err("the daily limit is used up");
    assert_eq!(denied.kind(), AcquireErrorKind::Daily);
    assert!(denied.retry_after() > Some(Duration::from_secs(60 * 60)), "{denied:?}");
}

#[tokio::test(start_paused = true)]
async fn available_permits_are_issued_with_a_timeout_of_zero() {
    let limiter = LocalRateLimiter::new();
    for _ in 0..100 {
        used(&limiter.acquire("location", Duration::ZERO).await.expect("a permit"));
    }
    let denied = limiter.acquire("location", Duration::ZERO).await.expect_err("the hundred are used up");
    assert_eq!(denied.retry_after(), Some(Duration::from_millis(10_250)));
}

#[tokio::test(start_paused = true)]
async fn cancelled_requests_leave_the_queue() {
    let limiter = Arc::new(LocalRateLimiter::with_limits(1, Duration::from_secs(10), 200_000));
    let began = now();
    acquire(&limiter, "location").await;
    let waiting: Vec<_> = (0..5)
        .map(|_| {
            let limiter = limiter.clone();
            tokio::spawn(async move { acquire(&limiter, "location").await })
        })
        .collect();
    tokio::task::yield_now().await;
    for task in waiting {
        task.abort();
        assert!(task.await.expect_err("it was aborted").is_cancelled());
    }
    acquire(&limiter, "location").await;
    assert_eq!(now().duration_since(began), Duration::from_millis(10_250));
}

#[tokio::test(start_paused = true)]
async fn idle_locations_are_evicted() {
    let limiter = LocalRateLimiter::new();
    for number in 0..10_000 {
        acquire(&limiter, &format!("location {number}")).await;
    }
    assert_eq!(limiter.locations(), 10_000);
    tokio::time::advance(Duration::from_secs(24 * 60 * 60)).await;
    for number in 0..10_001 {
        acquire(&limiter, &format!("later {number}")).await;
    }
    assert!(limiter.locations() <= 20_000, "{}", limiter.locations());
    tokio::time::advance(Duration::from_secs(24 * 60 * 60)).await;
    for number in 0..20_000 {
        acquire(&limiter, &format!("last {number}")).await;
    }
    assert!(limiter.locations() <= 20_000, "{}", limiter.locations());
}

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// Other programs have used a part of the server's limit. The limiter sends exactly as many requests as the server accepts,
/// concurrently or one after the other.
#[tokio::test(start_paused = true)]
async fn exactly_the_requests_that_the_server_accepts_are_sent() {
    struct Row {
        limit: u64,
        used: usize,
        tasks: u64,
        /// The number of requests, of 90, that the server accepts in its first interval.
        sent: u64,
    }
    let row = |limit, used, tasks, sent| Row { limit, used, tasks, sent };
    let mut failures = Vec::new();
    for counting in [Counting::Fixed, Counting::Sliding] {
        for Row { limit, used, tasks, sent } in [
            row(1_000, 149, 1, 90),
            row(1_000, 149, 3, 90),
            row(1_000, 149, 90, 90),
            row(1_000, 500, 30, 90),
            row(200, 100, 30, 90),
            row(200, 150, 10, 50),
            row(100, 50, 1, 50),
            row(100, 50, 10, 50),
            row(100, 50, 30, 50),
            row(25, 0, 90, 25),
            row(25, 10, 5, 15),
        ] {
            let server = Server::new(counting, limit, 10 * SECOND);
            server.foreign(used);
            let limiter = LocalRateLimiter::new();
            let running: Vec<_> = (0..tasks)
                .map(|task| {
                    let (limiter, server) = (limiter.clone(), server.clone());
                    tokio::spawn(async move {
                        for number in (task..90).step_by(usize::try_from(tasks).unwrap()) {
                            // Responses overtake each other.
                            let way = MILLISECOND * u32::try_from(1 + number * 7 % 40).unwrap();
                            send(&limiter, &server, (way, way), 7 * SECOND).await;
                        }
                    })
                })
                .collect();
            // Within the first interval.
            tokio::time::sleep(8 * SECOND).await;
            let found = server.own();
            running.iter().for_each(tokio::task::JoinHandle::abort);
            if found != (sent, 0) {
                failures.push(format!(
                    "{counting:?}, limit {limit}, {used} used by others, {tasks} at a time: sent and rejected {found:?} \
                     instead of {:?}",
                    (sent, 0)
                ));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Headers that report more requests and shorter intervals do not loosen the limits of the caller.
#[tokio::test(start_paused = true)]
async fn headers_do_not_loosen_the_limits_of_the_caller() {
    for (limit, interval) in [(100, 10 * SECOND), (5, SECOND), (1_000, MILLISECOND), (5, 3_600 * SECOND)] {
        let server = Server::new(Counting::Sliding, limit, interval);
        let limiter = LocalRateLimiter::with_limits(5, 60 * SECOND, 1_000);
        let running: Vec<_> = (0..40)
            .map(|_| {
                let (limiter, server) = (limiter.clone(), server.clone());
                tokio::spawn(async move {
                    send(&limiter, &server, (MILLISECOND, MILLISECOND), Duration::MAX).await
                })
            })
            .collect();
        tokio::time::sleep(59 * SECOND).await;
        running.iter().for_each(tokio::task::JoinHandle::abort);
        let (sent, rejected) = server.own();
        assert_eq!((sent, rejected), (5, 0), "in a minute, with headers {limit} in {interval:?}");
    }
}

/// Requests that wait on a runtime that is not driven do not delay others, whatever their position in the queue.
#[tokio::test(start_paused = true)]
async fn requests_that_are_not_polled_are_overtaken() {
    for seed in 0..200 {
        let mut random = fastrand::Rng::with_seed(seed);
        let burst = random.u32(1..8);
        let limiter = LocalRateLimiter::with_limits(burst, SECOND, 1_000_000).margin(Duration::ZERO);
        for _ in 0..burst {
            acquire(&limiter, "location").await;
        }
        let began = now();
        // Polled once, and never again. The first one is always among them.
        let mut stuck = Vec::new();
        let mut running = Vec::new();
        for number in 0..random.usize(2..60) {
            if number == 0 || random.bool() {
                let limiter = limiter.clone();
                let mut waiting = Box::pin(async move { limiter.acquire("location", Duration::MAX).await });
                let waker = std::task::Waker::noop();
                assert!(waiting.as_mut().poll(&mut std::task::Context::from_waker(waker)).is_pending());
                stuck.push(waiting);
            } else {
                let limiter = limiter.clone();
                running.push(tokio::spawn(async move {
                    acquire(&limiter, "location").await;
                    now()
                }));
                tokio::task::yield_now().await;
            }
        }
        let mut times = Vec::new();
        for task in running {
            times.push(task.await.expect("no panic"));
        }
        // Requests with the same number of stuck ones before them may overtake them in any order.
        times.sort();
        // Each stuck request delays the others by no more than the time in which it could have used its permit.
        let moment = 100 * MILLISECOND * u32::try_from(stuck.len()).unwrap();
        for (number, time) in (0..).zip(&times) {
            let round = number / burst + 1;
            let late = (*time - began).saturating_sub(round * SECOND);
            assert!(late <= moment, "seed {seed}: request {number} of {burst} a second is {late:?} late");
        }
        for (first, later) in times.iter().zip(times.iter().skip(burst as usize)) {
            assert!(*later - *first >= SECOND, "seed {seed}: more than {burst} in a second");
        }
        // Stuck requests are still in the queue, and obtain their permits when they are polled.
        for waiting in stuck {
            used(&waiting.await.expect("a permit"));
        }
        assert_eq!(limiter.locations(), 1);
    }
}

/// The server lowers its limit, and raises it later.
#[tokio::test(start_paused = true)]
async fn the_limiter_adapts_to_a_changed_limit() {
    let server = Server::new(Counting::Sliding, 100, 10 * SECOND);
    let limiter = LocalRateLimiter::new();
    let mut sent = Vec::new();
    for limit in [100, 25, 100] {
        server.set_limit(limit);
        let before = server.own().0;
        let began = now();
        while now() - began < 60 * SECOND {
            let way = (MILLISECOND, MILLISECOND);
            let _ = tokio::time::timeout(SECOND, send(&limiter, &server, way, Duration::MAX)).await;
        }
        sent.push(server.own().0 - before);
    }
    assert!(sent[0] >= 580 && sent[2] >= 480, "{sent:?}");
    assert!((125..=150).contains(&sent[1]), "{sent:?}");
    // The requests that were within the former limit are in the window of the new one.
    assert!(server.own().1 <= 2, "{:?}", server.own());
}
