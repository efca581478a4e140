//! The state of the rate limiter in this process: the requests that wait for permits, in FIFO order for each location, and
//! the observations that the database does not have yet.

mod clock;
mod observed;
mod returns;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use highlevel::limit::{AcquireError, Expiry};
use tokio::sync::{MutexGuard, watch};

pub(crate) use self::clock::{ClockCheck, JumpDetector};
use self::observed::Observed;
pub(crate) use self::returns::{PermitUse, Returned, Returns, to_json};
use crate::sync::lock;

/// Idle locations are dropped when there are more locations than this, and then when their number has doubled.
const SWEEP_AT_LEAST: usize = 64;

/// The state of the limiter in this process.
#[derive(Debug, Default)]
pub(crate) struct LocalState {
    lanes: Mutex<Lanes>,
    pub(crate) jumps: JumpDetector,
    pub(crate) returns: Returns,
}

#[derive(Debug, Default)]
struct Lanes {
    known: HashMap<Box<str>, Arc<Lane>>,
    sweep_at: usize,
}

/// A permit that was granted and is not used yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Issued {
    pub(crate) expiry: Expiry,
    /// The number of its grant, or `None` if it needs no return.
    pub(crate) grant: Option<i64>,
}

/// The requests of one location.
#[derive(Debug)]
pub(crate) struct Lane {
    /// Held by the request that asks the database, or sleeps until there is a permit. Fair: FIFO.
    turn: tokio::sync::Mutex<VecDeque<Issued>>,
    waiting: AtomicUsize,
    /// The time at which the next permit is expected, while a request sleeps.
    free_at: watch::Sender<Option<Instant>>,
    pub(crate) observed: Mutex<Observed>,
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

impl Lane {
    /// Waits for its turn. Fails as soon as it is known that no permit is available before the deadline.
    pub(crate) async fn turn_before(
        &self,
        deadline: Instant,
    ) -> Result<MutexGuard<'_, VecDeque<Issued>>, AcquireError> {
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
}

/// A request that waits, counted until it is dropped.
pub(crate) struct Waiting<'a>(&'a Lane);

impl<'a> Waiting<'a> {
    pub(crate) fn join(lane: &'a Lane) -> Self {
        lane.waiting.fetch_add(1, Ordering::Relaxed);
        Self(lane)
    }

    pub(crate) fn count(&self) -> usize {
        self.0.waiting.load(Ordering::Relaxed)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A request that sleeps until a permit is expected, so that others need not wait behind it in vain.
pub(crate) struct Asleep<'a>(&'a Lane);

impl<'a> Asleep<'a> {
    pub(crate) fn until(lane: &'a Lane, free_at: Instant) -> Self {
        lane.free_at.send_replace(Some(free_at));
        Self(lane)
    }
}

impl Drop for Asleep<'_> {
    fn drop(&mut self) {
        self.0.free_at.send_replace(None);
    }
}
