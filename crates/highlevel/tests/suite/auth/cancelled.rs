//! Futures that are dropped at each of their await points: no tokens are lost.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use super::mock::{COMPANY, MockHighLevel, send};

/// Polls a future a number of times, and drops it. Returns its result if it was ready by then.
async fn poll_times<T>(polls: usize, future: impl Future<Output = T>) -> Option<T> {
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

/// More polls than any call here needs.
const POLLS: usize = 200;

#[tokio::test]
async fn calls_that_are_dropped_at_any_point_lose_no_tokens() {
    let mut given_up = 0;
    for polls in 0..POLLS {
        let mock = MockHighLevel::new().await;
        let (_, client) = mock.installed("loc1").await;
        mock.revoke_access();
        let done = poll_times(polls, send(&client)).await;
        send(&client).await.expect("a receipt");
        assert_eq!(mock.refreshes(), 1, "after {polls} polls");
        if done.is_some() {
            break;
        }
        given_up += 1;
    }
    assert!((3..POLLS).contains(&given_up), "{given_up}");
}

#[tokio::test]
async fn location_token_calls_that_are_dropped_at_any_point_lose_no_tokens() {
    let mut given_up = 0;
    for polls in 0..POLLS {
        let mock = MockHighLevel::new().await;
        let app = mock.app();
        app.exchange(MockHighLevel::company_code()).await.expect("tokens");
        mock.expire();
        let done = poll_times(polls, app.location_token(COMPANY, "loc1")).await;
        send(&app.company(COMPANY).location("loc1")).await.expect("a receipt");
        assert_eq!(mock.refreshes(), 1, "after {polls} polls");
        if done.is_some() {
            break;
        }
        given_up += 1;
    }
    assert!((1..POLLS).contains(&given_up), "{given_up}");
}
