//! One limiter on several runtimes.

use std::time::Duration;

use highlevel::limit::{LocalRateLimiter, Permit, RateLimitHeaders, RateLimiter};
use tokio::runtime::{Builder, Runtime};

const INTERVAL: Duration = Duration::from_millis(300);
/// Much longer than necessary: it only ends a test that fails.
const GUARD: Duration = Duration::from_secs(60);

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn used(permit: &Permit) {
    assert!(permit.begin());
    permit.observe(&RateLimitHeaders::default(), None);
}

/// The requests at the front of the queue are on a runtime that is not driven. The others get all permits meanwhile, and
/// those at the front get theirs when their runtime is driven again.
#[test]
fn requests_of_a_runtime_that_is_not_driven_do_not_block_others() {
    let limiter = LocalRateLimiter::with_limits(1, INTERVAL, 1_000).margin(Duration::ZERO);
    let (stopped, driven) = (runtime(), runtime());
    driven.block_on(async {
        used(&limiter.acquire("location", GUARD).await.expect("the first permit"));
    });
    let waiting: Vec<_> = (0..20)
        .map(|_| {
            let limiter = limiter.clone();
            stopped.spawn(async move { used(&limiter.acquire("location", GUARD).await.expect("a permit")) })
        })
        .collect();
    // They join the queue, and are then left alone.
    stopped.block_on(async {
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    });
    driven.block_on(async {
        for number in 0..4 {
            let acquire = tokio::time::timeout(GUARD / 2, limiter.acquire("location", GUARD));
            let permit = acquire.await.unwrap_or_else(|_| panic!("permit {number} is blocked"));
            used(&permit.expect("a permit"));
        }
    });
    assert!(waiting.iter().all(|task| !task.is_finished()), "nothing drove them");
    stopped.block_on(async {
        for task in waiting {
            task.await.expect("a permit");
        }
    });
}

/// A runtime is dropped while its requests wait, and while it has permits that it did not use.
#[test]
fn requests_of_a_dropped_runtime_leave_the_queue() {
    let limiter = LocalRateLimiter::with_limits(2, INTERVAL, 1_000).margin(Duration::ZERO);
    let (dropped, driven) = (runtime(), runtime());
    dropped.block_on(async {
        let permit = limiter.acquire("location", GUARD).await.expect("a permit");
        tokio::spawn(async move {
            std::future::pending::<()>().await;
            drop(permit);
        });
        used(&limiter.acquire("location", GUARD).await.expect("a permit"));
        for _ in 0..20 {
            let limiter = limiter.clone();
            tokio::spawn(async move { limiter.acquire("location", GUARD).await });
        }
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    });
    drop(dropped);
    driven.block_on(async {
        // The permit that was not used is available at once.
        used(&limiter.acquire("location", Duration::ZERO).await.expect("a permit"));
        for _ in 0..3 {
            used(&limiter.acquire("location", GUARD).await.expect("a permit"));
        }
    });
}
