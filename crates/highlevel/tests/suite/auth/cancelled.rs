//! Whoever asks gives up at each point at which it waits, and leaves nothing behind that costs tokens.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use super::world::{COMPANY, World, send};

/// Runs a future until it has been polled so often, and drops it then; whether it was done by then.
async fn given_up_after<T>(polls: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(context).map(Some)
    })
    .await
}

/// More than any call here is polled.
const POLLS: usize = 200;

#[tokio::test]
async fn calls_that_are_given_up_anywhere_lose_no_tokens() {
    let mut given_up = 0;
    for polls in 0..POLLS {
        let world = World::new().await;
        let (_, client) = world.installed("loc1").await;
        world.revoke_access();
        let done = given_up_after(polls, send(&client)).await;
        send(&client).await.expect("a receipt");
        assert_eq!(world.refreshes(), 1, "after {polls} polls");
        if done.is_some() {
            break;
        }
        given_up += 1;
    }
    assert!((3..POLLS).contains(&given_up), "{given_up}");
}

#[tokio::test]
async fn installations_that_are_given_up_anywhere_lose_no_tokens() {
    let mut given_up = 0;
    for polls in 0..POLLS {
        let world = World::new().await;
        let app = world.app();
        app.exchange(World::company_code()).await.expect("tokens");
        world.expire();
        let done = given_up_after(polls, app.location_token(COMPANY, "loc1")).await;
        send(&app.company(COMPANY).location("loc1")).await.expect("a receipt");
        assert_eq!(world.refreshes(), 1, "after {polls} polls");
        if done.is_some() {
            break;
        }
        given_up += 1;
    }
    assert!((1..POLLS).contains(&given_up), "{given_up}");
}
