//! The limiter of one process, on a clock that the test moves.

use std::sync::Arc;
use std::time::{Duration, Instant};

use highlevel::limit::{AcquireErrorKind, LocalRateLimiter, RateLimiter};
use tokio::sync::Mutex;

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Waits for a permit as long as it takes, and uses it for a request without a response.
async fn acquire(limiter: &LocalRateLimiter, location: &str) {
    let permit = limiter.acquire(location, Duration::MAX).await.expect("the day is not spent");
    assert!(permit.begin());
}

#[tokio::test(start_paused = true)]
async fn turns_come_in_the_order_of_arrival_and_within_the_limit() {
    let limiter = Arc::new(LocalRateLimiter::new());
    let began = now();
    let turns = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = Vec::new();
    for number in 0..450 {
        let (limiter, turns) = (limiter.clone(), turns.clone());
        let task = tokio::spawn(async move {
            acquire(&limiter, "location").await;
            turns.lock().await.push((number, now().duration_since(began).as_millis()));
        });
        // Let it take its place before the next one comes.
        tokio::task::yield_now().await;
        tasks.push(task);
    }
    for task in tasks {
        task.await.expect("no panic");
    }
    let turns = turns.lock().await;
    let order: Vec<i32> = turns.iter().map(|(number, _)| *number).collect();
    assert_eq!(order, (0..450).collect::<Vec<_>>(), "nobody is overtaken, so nobody starves");
    for (turn, later) in turns.iter().zip(&turns[100..]) {
        assert!(later.1 - turn.1 >= 10_250, "{turn:?} and {later:?} are in one window");
    }
    assert_eq!(turns[449].1, 4 * 10_250, "and no turn is later than it has to be");
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
async fn what_cannot_be_served_in_time_is_denied_at_once_with_the_time() {
    let limiter = LocalRateLimiter::new();
    let began = now();
    for _ in 0..100 {
        acquire(&limiter, "location").await;
    }
    let denied = limiter.acquire("location", Duration::from_secs(10)).await.expect_err("no permit");
    assert_eq!(denied.kind(), AcquireErrorKind::Burst);
    assert_eq!(denied.retry_after(), Some(Duration::from_millis(10_250)));
    assert_eq!(now(), began, "it did not wait to find out");
    limiter.acquire("location", Duration::from_millis(10_250)).await.expect("just in time");

    let day = LocalRateLimiter::with_limits(100, Duration::from_secs(10), 3);
    for _ in 0..3 {
        acquire(&day, "location").await;
    }
    let denied = day.acquire("location", Duration::from_secs(60)).await.expect_err("spent");
    assert_eq!(denied.kind(), AcquireErrorKind::Daily);
    assert!(denied.retry_after() > Some(Duration::from_secs(60 * 60)), "{denied:?}");
}

#[tokio::test(start_paused = true)]
async fn a_permit_that_is_available_is_issued_without_any_time() {
    let limiter = LocalRateLimiter::new();
    for _ in 0..100 {
        assert!(limiter.acquire("location", Duration::ZERO).await.expect("a permit").begin());
    }
    let denied = limiter.acquire("location", Duration::ZERO).await.expect_err("the hundred are used up");
    assert_eq!(denied.retry_after(), Some(Duration::from_millis(10_250)));
}

#[tokio::test(start_paused = true)]
async fn giving_up_gives_up_the_place() {
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
async fn idle_locations_are_forgotten() {
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
