//! Waits for permits, asks the database for them, and reports observations to it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use highlevel::RateLimitHeaders;
use highlevel::limit::{AcquireError, Expiry, Permit, PermitHandler, RateLimited};

use super::take::Granted;
use crate::database::Database;
use crate::error::Result;
use crate::limiter_state::{Asleep, Lane, Waiting};
use crate::sync::lock;

/// Permits that one request to the database asks for.
const MOST_AT_ONCE: usize = 25;
/// Longer timeouts count as this.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

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
            let granted = take(database, lane, location, want).await.map_err(AcquireError::unavailable)?;
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

/// Asks the database, and reports the observations to it.
async fn take(database: &Database, lane: &Lane, location: &str, want: usize) -> Result<Granted> {
    let (unwritten, changes) = lock(&lane.observed).unwritten(Instant::now());
    let granted = database.take(location, want, unwritten.as_ref()).await?;
    lock(&lane.observed).wrote(changes);
    Ok(granted)
}

/// The use of one permit.
struct Use {
    database: Database,
    lane: Arc<Lane>,
    location: Box<str>,
}

impl Use {
    fn new(database: Database, lane: Arc<Lane>, location: &str) -> Self {
        Self { database, lane, location: location.into() }
    }
}

impl Database {
    /// A permit of a location that was granted together with a claim.
    pub(crate) fn granted_permit(&self, location: &str, expiry: Expiry) -> Permit {
        let lane = self.inner.limiter.lane(location);
        Permit::new(expiry, Use::new(self.clone(), lane, location))
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
                if let Err(error) = take(&database, &lane, &location, 0).await {
                    tracing::debug!(%error, "a block of a location could not be written");
                }
            });
        }
    }
}
