//! A server with a fixed or sliding window, on a clock that the test controls. It reports its counts in headers.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use highlevel::RateLimitHeaders;
use highlevel::limit::{LocalRateLimiter, RateLimited, RateLimiter};

use super::now;

/// The kind of window of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counting {
    Fixed,
    Sliding,
}

/// A server with one location.
#[derive(Clone)]
pub(super) struct Server {
    counting: Counting,
    began: Instant,
    state: Arc<Mutex<State>>,
}

struct State {
    limit: u64,
    interval: Duration,
    /// The times of accepted requests since the server was started, including those of other programs.
    accepted: Vec<Duration>,
    own: u64,
    rejected: u64,
}

impl Server {
    pub(super) fn new(counting: Counting, limit: u64, interval: Duration) -> Self {
        let state = State { limit, interval, accepted: Vec::new(), own: 0, rejected: 0 };
        Self { counting, began: now(), state: Arc::new(Mutex::new(state)) }
    }

    /// Another program uses so many requests.
    pub(super) fn foreign(&self, count: usize) {
        let time = now().duration_since(self.began);
        self.state.lock().unwrap().accepted.extend(std::iter::repeat_n(time, count));
    }

    pub(super) fn set_limit(&self, limit: u64) {
        self.state.lock().unwrap().limit = limit;
    }

    /// Own requests that were accepted, and those that were rejected.
    pub(super) fn own(&self) -> (u64, u64) {
        let state = self.state.lock().unwrap();
        (state.own, state.rejected)
    }

    /// Handles a request. Returns the headers of the response, and whether it was accepted.
    fn handle(&self) -> (RateLimitHeaders, bool) {
        let mut state = self.state.lock().unwrap();
        let now = now().duration_since(self.began);
        let interval = state.interval;
        let counts = |time: &&Duration| match self.counting {
            Counting::Fixed => time.as_nanos() / interval.as_nanos() == now.as_nanos() / interval.as_nanos(),
            Counting::Sliding => **time + interval > now,
        };
        let used = u64::try_from(state.accepted.iter().rev().take_while(counts).count()).unwrap();
        let is_accepted = used < state.limit;
        if is_accepted {
            state.accepted.push(now);
            state.own += 1;
        } else {
            state.rejected += 1;
        }
        let mut headers = RateLimitHeaders::default();
        headers.burst_limit = Some(state.limit);
        headers.burst_remaining = Some(state.limit.saturating_sub(used + u64::from(is_accepted)));
        headers.interval_ms = Some(u64::try_from(interval.as_millis()).unwrap());
        (headers, is_accepted)
    }
}

/// Sends one request: to the server and back takes this time each. Returns `None` without a permit, and otherwise
/// `true` if the server accepted the request.
pub(super) async fn send(
    limiter: &LocalRateLimiter,
    server: &Server,
    way: (Duration, Duration),
    timeout: Duration,
) -> Option<bool> {
    let permit = limiter.acquire("location", timeout).await.ok()?;
    assert!(permit.begin());
    tokio::time::sleep(way.0).await;
    let (headers, is_accepted) = server.handle();
    tokio::time::sleep(way.1).await;
    permit.observe(&headers, (!is_accepted).then(|| RateLimited::new(None)));
    Some(is_accepted)
}
