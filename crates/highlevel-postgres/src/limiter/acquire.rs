//! Waits for permits, asks the database for them, and reports observations to it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use highlevel::RateLimitHeaders;
use highlevel::limit::{AcquireError, Permit, PermitHandler, RateLimited};
use tokio::sync::oneshot;

use super::take::Granted;
use crate::database::Database;
use crate::error::{Error, Result};
use crate::limiter_state::{Asleep, Issued, Lane, PermitUse, Waiting};
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
        while let Some(issued) = surplus.pop_front() {
            let used = Use::new(database.clone(), Arc::clone(lane), location, issued.grant);
            if !issued.expiry.has_passed() {
                return Ok(Permit::new(issued.expiry, used));
            }
            used.give_back();
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
            let granted = take_in_task(database, lane, location, want).await;
            let granted = granted.map_err(AcquireError::unavailable)?;
            if granted.count > 0 {
                let issued = Issued { expiry: granted.expiry, grant: Some(granted.grant) };
                surplus.extend(std::iter::repeat_n(issued, granted.count));
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

/// Asks the database for permits. If the caller is cancelled meanwhile, they are given back.
async fn take_in_task(database: &Database, lane: &Arc<Lane>, location: &str, want: usize) -> Result<Granted> {
    let (sender, receiver) = oneshot::channel();
    let (database, lane, location): (_, _, Box<str>) = (database.clone(), Arc::clone(lane), location.into());
    tokio::spawn(async move {
        if let Err(Ok(granted)) = sender.send(take(&database, &lane, &location, want).await) {
            (0..granted.count)
                .for_each(|_| database.return_permit(&location, granted.grant, PermitUse::Unused));
        }
    });
    receiver.await.unwrap_or_else(|_| Err(Error::timeout("a request for permits")))
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
    /// The number of the grant, or `None` if the permit needs no return.
    grant: Option<i64>,
}

impl Use {
    fn new(database: Database, lane: Arc<Lane>, location: &str, grant: Option<i64>) -> Self {
        Self { database, lane, location: location.into(), grant }
    }

    fn ended(&self, usage: PermitUse) {
        if let Some(grant) = self.grant {
            self.database.return_permit(&self.location, grant, usage);
        }
    }
}

impl Database {
    /// A permit of a location that was granted together with a claim.
    pub(crate) fn granted_permit(&self, location: &str, issued: Issued) -> Permit {
        let lane = self.inner.limiter.lane(location);
        Permit::new(issued.expiry, Use::new(self.clone(), lane, location, issued.grant))
    }
}

impl PermitHandler for Use {
    fn no_response(&self) {
        self.ended(PermitUse::Completed);
    }

    fn give_back(&self) {
        self.ended(PermitUse::Unused);
    }

    fn observe(&self, headers: &RateLimitHeaders, rate_limited: Option<RateLimited>) {
        self.ended(PermitUse::Completed);
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
