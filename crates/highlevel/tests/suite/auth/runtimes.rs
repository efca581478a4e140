//! Refreshes on runtimes that are shut down, or that nothing drives any more.

use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::task::Poll;
use std::time::Duration;

use fastrand::Rng;
use highlevel::Client;
use highlevel::auth::store::{Key, LeaseResult, Resource, TokenStore};
use secrecy::ExposeSecret;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Barrier, Notify};
use tokio::task::{JoinSet, spawn_blocking};

use super::mock::{CLIENT_ID, DAY, MockHighLevel, SECOND, TokenReply, send};
use super::spy_store::{Before, SpyStore};
use crate::server::Action;

/// The end of a runtime on which tokens are refreshed.
#[derive(Clone, Copy, Debug)]
enum End {
    Undriven,
    ShutDown,
}

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// Issues tokens, and never responds with them.
fn lost() -> TokenReply {
    TokenReply::IssueThen(Duration::ZERO, Action::Stall(Vec::new()))
}

/// Starts a call on another runtime, and leaves it when the request for tokens has arrived. The runtime is returned if it is
/// not shut down.
async fn refresh_elsewhere(mock: &Arc<MockHighLevel>, client: &Client, end: End) -> Option<Runtime> {
    let arrived = mock.server.requests().len() + 1;
    let (mock, client) = (Arc::clone(mock), client.clone());
    let left = spawn_blocking(move || {
        let runtime = current_thread();
        runtime.block_on(async {
            tokio::select! {
                () = mock.server.arrived(arrived) => {}
                result = send(&client) => panic!("a result: {result:?}"),
            }
        });
        match end {
            End::Undriven => Some(runtime),
            End::ShutDown => None,
        }
    });
    left.await.expect("no panic")
}

async fn drop_elsewhere(runtime: Option<Runtime>) {
    spawn_blocking(move || drop(runtime)).await.expect("no panic");
}

#[tokio::test]
async fn a_stalled_refresh_is_taken_over_by_the_next_call() {
    for end in [End::Undriven, End::ShutDown] {
        let mock = Arc::new(MockHighLevel::new().await);
        let (_, client) = mock.installed("loc1").await;
        mock.expire();
        mock.token_replies([lost()]);
        let left = refresh_elsewhere(&mock, &client, end).await;
        let calls = (0..10).map(|_| {
            let client = client.clone().with_call_timeout(20 * SECOND);
            tokio::spawn(async move { send(&client).await })
        });
        for call in calls.collect::<Vec<_>>() {
            call.await.expect("no panic").unwrap_or_else(|error| panic!("{end:?}: {error}"));
        }
        // The same request, so that HighLevel repeats its response: there is one new token.
        assert_eq!(
            mock.count_requests("/oauth/token", "refresh_token", "refresh-5ec2e75ec2e7-1"),
            2,
            "{end:?}"
        );
        assert_eq!(mock.bearers(), vec!["Bearer access-5ec2e75ec2e7-2"; 10], "{end:?}");
        drop_elsewhere(left).await;
        // The next refresh is not affected by the stalled task.
        mock.expire();
        send(&client).await.expect("a receipt");
        assert_eq!(mock.refreshes(), 3, "{end:?}");
    }
}

/// The task that takes over finds the tokens that another process has stored, and needs no lease itself.
#[tokio::test]
async fn the_lease_of_a_stalled_task_is_released() {
    for end in [End::Undriven, End::ShutDown] {
        let mock = Arc::new(MockHighLevel::new().await);
        let (other, _) = mock.installed("loc1").await;
        mock.expire();
        let (is_leased, leased) = (Arc::new(Notify::new()), Arc::new(AtomicBool::new(false)));
        let spy = {
            let (is_leased, leased) = (Arc::clone(&is_leased), Arc::clone(&leased));
            SpyStore::new(mock.store.clone(), move |operation, _| match operation {
                "lease" => {
                    leased.store(true, Ordering::SeqCst);
                    Before::Nothing
                }
                // The first read with the lease in hand does not complete.
                "get" if leased.swap(false, Ordering::SeqCst) => {
                    is_leased.notify_one();
                    Before::Run(Box::pin(pending()))
                }
                _ => Before::Nothing,
            })
        };
        let app = mock.builder().store(spy.clone()).build().expect("an app");
        let client = app.location("loc1");
        let left = {
            let client = client.clone();
            let left = spawn_blocking(move || {
                let runtime = current_thread();
                runtime.block_on(async {
                    tokio::select! {
                        () = is_leased.notified() => {}
                        result = send(&client) => panic!("a result: {result:?}"),
                    }
                });
                match end {
                    End::Undriven => Some(runtime),
                    End::ShutDown => None,
                }
            });
            left.await.expect("no panic")
        };
        other.exchange(MockHighLevel::code("loc1")).await.expect("tokens");
        send(&client).await.expect("a receipt");
        app.flush().await;
        assert_eq!((spy.count("lease"), mock.refreshes()), (1, 0), "{end:?}");
        let key = Key::new(CLIENT_ID, Resource::Location("loc1".into()));
        let lease = mock.store.lease(&key, "next", SECOND).await.expect("a store");
        assert_eq!(lease, LeaseResult::Granted, "{end:?}");
        drop_elsewhere(left).await;
    }
}

/// A program that ends: nothing but `flush` is called any more.
#[tokio::test]
async fn flush_completes_a_stalled_refresh() {
    for end in [End::Undriven, End::ShutDown] {
        let mock = Arc::new(MockHighLevel::new().await);
        let (app, client) = mock.installed("loc1").await;
        mock.expire();
        mock.token_replies([lost()]);
        let left = refresh_elsewhere(&mock, &client, end).await;
        app.flush().await;
        let stored = mock.stored("loc1").await.expect("tokens");
        assert_eq!(stored.access_token.expose_secret(), "access-5ec2e75ec2e7-2", "{end:?}");
        // HighLevel no longer repeats its response.
        mock.clock.advance(60 * SECOND);
        send(&client).await.expect("a receipt");
        assert_eq!(mock.refreshes(), 2, "{end:?}");
        drop_elsewhere(left).await;
    }
}

/// No call needs the new token yet, but it must be obtained while HighLevel repeats its response.
#[tokio::test]
async fn a_refresh_ahead_of_expiry_that_was_lost_with_its_runtime_is_repeated_by_the_next_call() {
    for end in [End::Undriven, End::ShutDown] {
        let mock = Arc::new(MockHighLevel::new().await);
        let (_, client) = mock.installed("loc1").await;
        mock.clock.advance(Duration::from_secs(DAY - 100));
        mock.token_replies([lost()]);
        let left = refresh_elsewhere(&mock, &client, end).await;
        if let End::Undriven = end {
            // Only a second without a beat shows that the task does not run.
            send(&client).await.expect("a receipt");
            mock.clock.advance(SECOND);
        }
        send(&client).await.expect("a receipt");
        assert_eq!(
            mock.bearers().last().map(String::as_str),
            Some("Bearer access-5ec2e75ec2e7-2"),
            "{end:?}"
        );
        assert_eq!(
            mock.count_requests("/oauth/token", "refresh_token", "refresh-5ec2e75ec2e7-1"),
            2,
            "{end:?}"
        );
        // HighLevel no longer repeats its response.
        mock.clock.advance(60 * SECOND);
        drop_elsewhere(left).await;
        mock.expire();
        send(&client).await.expect("a receipt");
        assert_eq!(mock.refreshes(), 3, "{end:?}");
    }
}

/// A program that makes a call and ends.
#[tokio::test]
async fn tokens_are_stored_before_the_call_that_refreshed_them_returns() {
    let mock = Arc::new(MockHighLevel::new().await);
    let (_, client) = mock.installed("loc1").await;
    mock.clock.advance(Duration::from_secs(DAY - 100));
    let barrier = Arc::new(Barrier::new(2));
    mock.token_replies([TokenReply::IssueAfter(Arc::clone(&barrier))]);
    let program = spawn_blocking({
        let client = client.clone();
        move || current_thread().block_on(async { send(&client).await.map(drop) })
    });
    mock.server.arrived(2).await;
    // HighLevel is slow.
    tokio::time::sleep(Duration::from_millis(100)).await;
    barrier.wait().await;
    program.await.expect("no panic").expect("a receipt");
    let stored = mock.stored("loc1").await.expect("tokens");
    assert_eq!(stored.access_token.expose_secret(), "access-5ec2e75ec2e7-2");
    assert_eq!(mock.refreshes(), 1);
}

/// A worker runs code that blocks, after the call that it runs as well has started to refresh.
#[test]
fn a_refresh_on_a_blocked_worker_is_taken_over() {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let (unblock, blocked) = mpsc::channel::<()>();
    runtime.block_on(async {
        let servers = current_thread();
        let (mock, client) = {
            // Its own runtime, so that the workers here have nothing but the calls to do.
            let (sender, receiver) = tokio::sync::oneshot::channel();
            std::thread::spawn(move || {
                servers.block_on(async {
                    let mock = Arc::new(MockHighLevel::new().await);
                    let (_, client) = mock.installed("loc1").await;
                    mock.expire();
                    assert!(sender.send((mock, client)).is_ok());
                    std::future::pending::<()>().await;
                });
            });
            receiver.await.expect("a mock")
        };
        let blocking = tokio::spawn({
            let client = client.clone();
            async move {
                let mut call = pin!(send(&client));
                // The task that refreshes is next in the queue of this worker.
                poll_fn(|context| {
                    let _pending = call.as_mut().poll(context);
                    Poll::Ready(())
                })
                .await;
                let _ended = blocked.recv();
            }
        });
        let sent = tokio::spawn(async move { send(&client.with_call_timeout(30 * SECOND)).await });
        sent.await.expect("no panic").expect("a receipt");
        unblock.send(()).expect("it waits");
        blocking.await.expect("no panic");
        assert!(mock.refreshes() <= 2, "{}", mock.refreshes());
    });
}

/// Calls on several runtimes, each of which stops at any point: undriven, or shut down.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runtimes_that_stop_at_any_point_lose_no_tokens() {
    let mut trials = JoinSet::new();
    for seed in 0..24 {
        trials.spawn(async move {
            let mut random = Rng::with_seed(0x5eed_0c00 + seed);
            let mock = MockHighLevel::new().await;
            let (app, client) = mock.installed("loc1").await;
            mock.expire();
            let mut left = Vec::new();
            for _ in 0..3 {
                let (client, polls, is_kept) = (client.clone(), random.usize(..12), random.bool());
                let runtime = spawn_blocking(move || {
                    let runtime = current_thread();
                    let mut polls = polls;
                    runtime.block_on(async {
                        let mut call = pin!(send(&client));
                        poll_fn(|context| {
                            if polls == 0 {
                                return Poll::Ready(());
                            }
                            polls -= 1;
                            call.as_mut().poll(context).map(drop)
                        })
                        .await;
                    });
                    is_kept.then_some(runtime)
                });
                left.extend(runtime.await.expect("no panic"));
            }
            if random.bool() {
                app.flush().await;
            }
            let client = client.with_call_timeout(60 * SECOND);
            send(&client).await.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            // All requests were the same: one new token.
            let identical = mock.count_requests("/oauth/token", "refresh_token", "refresh-5ec2e75ec2e7-1");
            assert_eq!(mock.refreshes(), identical, "seed {seed}");
            mock.expire();
            send(&client).await.unwrap_or_else(|error| panic!("seed {seed}, the next day: {error}"));
            spawn_blocking(move || drop(left)).await.expect("no panic");
        });
    }
    while let Some(trial) = trials.join_next().await {
        trial.expect("a successful trial");
    }
}
