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

use super::spy::{Before, Spy};
use super::world::{CLIENT_ID, DAY, Fate, SECOND, World, send};
use crate::server::Act;

/// What becomes of a runtime while tokens are refreshed on it.
#[derive(Clone, Copy, Debug)]
enum End {
    Undriven,
    ShutDown,
}

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// The response of HighLevel is lost: nothing reads it.
fn lost() -> Fate {
    Fate::ButThen(Duration::ZERO, Act::Stall(Vec::new()))
}

/// Starts a call on another runtime, and leaves it when the request for tokens has arrived. The runtime is returned if it is
/// not shut down.
async fn refresh_elsewhere(world: &Arc<World>, client: &Client, end: End) -> Option<Runtime> {
    let arrived = world.server.requests().len() + 1;
    let (world, client) = (Arc::clone(world), client.clone());
    let left = spawn_blocking(move || {
        let runtime = current_thread();
        runtime.block_on(async {
            tokio::select! {
                () = world.server.arrived(arrived) => {}
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

/// The lease of the other task is of the same process, and the clock does not even move.
#[tokio::test]
async fn a_refresh_that_nothing_runs_any_more_is_taken_over_by_the_next_call() {
    for end in [End::Undriven, End::ShutDown] {
        let world = Arc::new(World::new().await);
        let (_, client) = world.installed("loc1").await;
        world.expire();
        world.fates([lost()]);
        let left = refresh_elsewhere(&world, &client, end).await;
        let calls = (0..10).map(|_| {
            let client = client.clone().with_call_timeout(20 * SECOND);
            tokio::spawn(async move { send(&client).await })
        });
        for call in calls.collect::<Vec<_>>() {
            call.await.expect("no panic").unwrap_or_else(|error| panic!("{end:?}: {error}"));
        }
        // The same request, so that HighLevel repeats its response: there is one new token.
        assert_eq!(world.asked("/oauth/token", "refresh_token", "refresh-5ec2e75ec2e7-1"), 2, "{end:?}");
        assert_eq!(world.bearers(), vec!["Bearer access-5ec2e75ec2e7-2"; 10], "{end:?}");
        drop_elsewhere(left).await;
        // What it left behind is of no more use, and does no harm.
        world.expire();
        send(&client).await.expect("a receipt");
        assert_eq!(world.refreshes(), 3, "{end:?}");
    }
}

/// The task that takes over finds the tokens that another process has stored, and needs no lease itself.
#[tokio::test]
async fn the_lease_of_a_task_that_nothing_runs_any_more_is_given_back() {
    for end in [End::Undriven, End::ShutDown] {
        let world = Arc::new(World::new().await);
        let (other, _) = world.installed("loc1").await;
        world.expire();
        let (is_leased, leased) = (Arc::new(Notify::new()), Arc::new(AtomicBool::new(false)));
        let spy = {
            let (is_leased, leased) = (Arc::clone(&is_leased), Arc::clone(&leased));
            Spy::new(world.store.clone(), move |operation, _| match operation {
                "lease" => {
                    leased.store(true, Ordering::SeqCst);
                    Before::Nothing
                }
                // The first read with the lease in hand does not complete.
                "get" if leased.swap(false, Ordering::SeqCst) => {
                    is_leased.notify_one();
                    Before::This(Box::pin(pending()))
                }
                _ => Before::Nothing,
            })
        };
        let app = world.builder().store(spy.clone()).build().expect("an app");
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
        other.exchange(World::code("loc1")).await.expect("tokens");
        send(&client).await.expect("a receipt");
        app.flush().await;
        assert_eq!((spy.count("lease"), world.refreshes()), (1, 0), "{end:?}");
        let key = Key::new(CLIENT_ID, Resource::Location("loc1".into()));
        let lease = world.store.lease(&key, "next", SECOND).await.expect("a store");
        assert_eq!(lease, LeaseResult::Granted, "{end:?}");
        drop_elsewhere(left).await;
    }
}

/// A program that ends: nothing but `flush` is called any more.
#[tokio::test]
async fn flush_gets_and_stores_the_tokens_of_a_refresh_that_nothing_runs_any_more() {
    for end in [End::Undriven, End::ShutDown] {
        let world = Arc::new(World::new().await);
        let (app, client) = world.installed("loc1").await;
        world.expire();
        world.fates([lost()]);
        let left = refresh_elsewhere(&world, &client, end).await;
        app.flush().await;
        let stored = world.stored("loc1").await.expect("tokens");
        assert_eq!(stored.access_token.expose_secret(), "access-5ec2e75ec2e7-2", "{end:?}");
        // HighLevel repeats its response no longer, and need not.
        world.clock.advance(60 * SECOND);
        send(&client).await.expect("a receipt");
        assert_eq!(world.refreshes(), 2, "{end:?}");
        drop_elsewhere(left).await;
    }
}

/// The old token is accepted for a while, so no call needs the new one: the next one fetches it nevertheless.
#[tokio::test]
async fn a_refresh_ahead_of_expiry_that_was_lost_with_its_runtime_is_repeated_by_the_next_call() {
    for end in [End::Undriven, End::ShutDown] {
        let world = Arc::new(World::new().await);
        let (_, client) = world.installed("loc1").await;
        world.clock.advance(Duration::from_secs(DAY - 100));
        world.fates([lost()]);
        let left = refresh_elsewhere(&world, &client, end).await;
        if let End::Undriven = end {
            // It may well run: only a second without a beat shows that it does not.
            send(&client).await.expect("a receipt");
            world.clock.advance(SECOND);
        }
        send(&client).await.expect("a receipt");
        assert_eq!(
            world.bearers().last().map(String::as_str),
            Some("Bearer access-5ec2e75ec2e7-2"),
            "{end:?}"
        );
        assert_eq!(world.asked("/oauth/token", "refresh_token", "refresh-5ec2e75ec2e7-1"), 2, "{end:?}");
        // HighLevel repeats its response no longer, and need not.
        world.clock.advance(60 * SECOND);
        drop_elsewhere(left).await;
        world.expire();
        send(&client).await.expect("a receipt");
        assert_eq!(world.refreshes(), 3, "{end:?}");
    }
}

/// A program that makes a call and ends.
#[tokio::test]
async fn a_runtime_that_ends_after_a_call_takes_no_tokens_with_it() {
    let world = Arc::new(World::new().await);
    let (_, client) = world.installed("loc1").await;
    world.clock.advance(Duration::from_secs(DAY - 100));
    let barrier = Arc::new(Barrier::new(2));
    world.fates([Fate::Held(Arc::clone(&barrier))]);
    let program = spawn_blocking({
        let client = client.clone();
        move || current_thread().block_on(async { send(&client).await.map(drop) })
    });
    world.server.arrived(2).await;
    // HighLevel takes its time.
    tokio::time::sleep(Duration::from_millis(100)).await;
    barrier.wait().await;
    program.await.expect("no panic").expect("a receipt");
    let stored = world.stored("loc1").await.expect("tokens");
    assert_eq!(stored.access_token.expose_secret(), "access-5ec2e75ec2e7-2");
    assert_eq!(world.refreshes(), 1);
}

/// A worker runs code that blocks, after the call that it runs as well has started to refresh.
#[test]
fn a_refresh_on_a_blocked_worker_is_taken_over() {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let (unblock, blocked) = mpsc::channel::<()>();
    runtime.block_on(async {
        let servers = current_thread();
        let (world, client) = {
            // Its own runtime, so that the workers here have nothing but the calls to do.
            let (sender, receiver) = tokio::sync::oneshot::channel();
            std::thread::spawn(move || {
                servers.block_on(async {
                    let world = Arc::new(World::new().await);
                    let (_, client) = world.installed("loc1").await;
                    world.expire();
                    assert!(sender.send((world, client)).is_ok());
                    std::future::pending::<()>().await;
                });
            });
            receiver.await.expect("a world")
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
        assert!(world.refreshes() <= 2, "{}", world.refreshes());
    });
}

/// Calls on several runtimes, each of which is left anywhere: undriven, or shut down.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runtimes_that_are_left_anywhere_lose_no_tokens() {
    let mut trials = JoinSet::new();
    for seed in 0..24 {
        trials.spawn(async move {
            let mut random = Rng::with_seed(0x5eed_0c00 + seed);
            let world = World::new().await;
            let (app, client) = world.installed("loc1").await;
            world.expire();
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
            let identical = world.asked("/oauth/token", "refresh_token", "refresh-5ec2e75ec2e7-1");
            assert_eq!(world.refreshes(), identical, "seed {seed}");
            world.expire();
            send(&client).await.unwrap_or_else(|error| panic!("seed {seed}, the next day: {error}"));
            spawn_blocking(move || drop(left)).await.expect("no panic");
        });
    }
    while let Some(trial) = trials.join_next().await {
        trial.expect("a trial that ends well");
    }
}
