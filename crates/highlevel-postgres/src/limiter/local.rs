//! The requests of this process that wait for permits, in FIFO order for each location.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use highlevel::RateLimitHeaders;
use highlevel::limit::{AcquireError, Expiry, Permit, PermitHandler, RateLimited};
use tokio::sync::{MutexGuard, watch};

use super::observed::Observed;
use super::{JumpDetector, unavailable};
use crate::database::Database;
use crate::sync::lock;

/// Idle locations are dropped when there are more locations than this, and then when their number has doubled.
const SWEEP_AT_LEAST: usize = 64;
/// Permits that one request to the database asks for.
const MOST_AT_ONCE: usize = 25;
/// Longer timeouts count as this.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The state of the limiter in this process.
#[derive(Debug, Default)]
pub(crate) struct LocalState {
    lanes: Mutex<Lanes>,
    pub(crate) jumps: JumpDetector,
}

#[derive(Debug, Default)]
struct Lanes {
    known: HashMap<Box<str>, Arc<Lane>>,
    sweep_at: usize,
}

/// The requests of one location.
#[derive(Debug)]
pub(crate) struct Lane {
    /// Held by the request that asks the database, or sleeps until there is a permit. Fair: FIFO.
    turn: tokio::sync::Mutex<VecDeque<Expiry>>,
    waiting: AtomicUsize,
    /// The time at which the next permit is expected, while a request sleeps.
    free_at: watch::Sender<Option<Instant>>,
    observed: Mutex<Observed>,
}

impl LocalState {
    pub(crate) fn lane(&self, location: &str) -> Arc<Lane> {
        let mut lanes = lock(&self.lanes);
        if let Some(lane) = lanes.known.get(location) {
            return Arc::clone(lane);
        }
        if lanes.known.len() >= lanes.sweep_at.max(SWEEP_AT_LEAST) {
            let now = Instant::now();
            lanes.known.retain(|_, lane| Arc::strong_count(lane) > 1 || !lock(&lane.observed).is_idle(now));
            lanes.sweep_at = lanes.known.len() * 2;
        }
        let lane = Arc::new(Lane {
            turn: tokio::sync::Mutex::default(),
            waiting: AtomicUsize::new(0),
            free_at: watch::Sender::new(None),
            observed: Mutex::default(),
        });
        lanes.known.insert(location.into(), Arc::clone(&lane));
        lane
    }
}

/// Waits for a permit.
pub(super) async fn acquire(
    database: &Database,
    lane: &Arc<Lane>,
    location: &str,
    timeout: Duration,
) -> Result<Permit, AcquireError> {
    let deadline = Instant::now() + timeout.min(LONGEST_TIMEOUT);
    let waiting = Waiting::join(lane);
    let mut surplus = lane.turn_before(deadline).await?;
    loop {
        while let Some(expiry) = surplus.pop_front() {
            if !expiry.has_passed() {
                return Ok(Permit::new(expiry, Use::new(database.clone(), Arc::clone(lane), location)));
            }
        }
        let now = Instant::now();
        if let Some(wait) = lock(&lane.observed).day_blocked_for(now) {
            return Err(AcquireError::daily(wait));
        }
        let blocked = lock(&lane.observed).blocked_for(now);
        let wait = if let Some(wait) = blocked {
            wait
        } else {
            let want = waiting.count().clamp(1, MOST_AT_ONCE);
            let granted = lane.take(database, location, want).await.map_err(unavailable)?;
            if granted.count > 0 {
                surplus.extend(std::iter::repeat_n(granted.expiry, granted.count));
                continue;
            }
            if granted.daily {
                return Err(AcquireError::daily(granted.wait));
            }
            granted.wait
        };
        let free_at = Instant::now() + wait;
        if free_at > deadline {
            return Err(AcquireError::burst(wait));
        }
        let asleep = Asleep::until(lane, free_at);
        tokio::time::sleep_until(free_at.into()).await;
        drop(asleep);
    }
}

impl Lane {
    /// Waits for its turn. Fails as soon as it is known that no permit is available before the deadline.
    async fn turn_before(&self, deadline: Instant) -> Result<MutexGuard<'_, VecDeque<Expiry>>, AcquireError> {
        let mut free_at = self.free_at.subscribe();
        let hopeless = async {
            // The sender is in `self`.
            let at = free_at.wait_for(|at| at.is_some_and(|at| at > deadline)).await.map(|at| *at);
            match at {
                Ok(at) => at.unwrap_or(deadline),
                Err(_) => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            turn = self.turn.lock() => Ok(turn),
            at = hopeless => {
                let wait = at.saturating_duration_since(Instant::now());
                Err(AcquireError::burst(wait.max(Duration::from_millis(1))))
            }
        }
    }

    /// Asks the database, and reports the observations to it.
    async fn take(&self, database: &Database, location: &str, want: usize) -> crate::Result<super::Granted> {
        let (unwritten, changes) = lock(&self.observed).unwritten(Instant::now());
        let granted = database.take(location, want, unwritten.as_ref()).await?;
        lock(&self.observed).wrote(changes);
        Ok(granted)
    }
}

/// A request that waits, counted until it is dropped.
struct Waiting<'a>(&'a Lane);

impl<'a> Waiting<'a> {
    fn join(lane: &'a Lane) -> Self {
        lane.waiting.fetch_add(1, Ordering::Relaxed);
        Self(lane)
    }

    fn count(&self) -> usize {
        self.0.waiting.load(Ordering::Relaxed)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A request that sleeps until a permit is expected, so that others need not wait behind it in vain.
struct Asleep<'a>(&'a Lane);

impl<'a> Asleep<'a> {
    fn until(lane: &'a Lane, free_at: Instant) -> Self {
        lane.free_at.send_replace(Some(free_at));
        Self(lane)
    }
}

impl Drop for Asleep<'_> {
    fn drop(&mut self) {
        self.0.free_at.send_replace(None);
    }
}

/// The use of one permit.
pub(crate) struct Use {
    database: Database,
    lane: Arc<Lane>,
    location: Box<str>,
}

impl Use {
    pub(super) fn new(database: Database, lane: Arc<Lane>, location: &str) -> Self {
        Self { database, lane, location: location.into() }
    }
}

impl PermitHandler for Use {
    fn observe(&self, headers: &RateLimitHeaders, rate_limited: Option<RateLimited>) {
        let limits = &self.database.inner.limits;
        let is_urgent = lock(&self.lane.observed).observe(limits, headers, rate_limited, Instant::now());
        if is_urgent && let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (database, lane, location) =
                (self.database.clone(), Arc::clone(&self.lane), self.location.clone());
            runtime.spawn(async move {
                // Asks for nothing. If this fails, the next request of the location reports it.
                if let Err(error) = lane.take(&database, &location, 0).await {
                    tracing::debug!(%error, "a block of a location could not be written");
                }
            });
        }
    }
}
