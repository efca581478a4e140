//! The rate limiter that all processes share.
//!
//! Permits are granted by the database, in a sliding log per location and by its clock. Each process has one request for
//! permits of a location under way at a time, for as many as are waited for.

mod clock;
mod local;
mod observed;
mod prepaid;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use highlevel::RateLimiter;
use highlevel::limit::{Acquire, AcquireError, Expiry, Permit};
use serde_json::Value;
use tokio_postgres::types::Type;

pub(crate) use self::clock::{ClockCheck, JumpDetector};
pub(crate) use self::local::LocalState;
pub(crate) use self::prepaid::with_permit;
use crate::database::Database;
use crate::error::Result;

/// The limits of each location.
///
/// Defaults to the documented 100 requests in 10 seconds and 200,000 in a day, with a margin of 500 ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Requests in one interval.
    pub burst: u32,
    /// The length of the interval.
    pub interval: Duration,
    /// Added to the interval. A permit can be used for half of this time; the other half is for the way to the server.
    pub margin: Duration,
    /// Requests in a day, which begins with its first request.
    pub daily: u32,
}

impl Limits {
    /// Creates limits with the default margin of 500 ms.
    pub fn new(burst: u32, interval: Duration, daily: u32) -> Self {
        Self { burst, interval, daily, ..Self::default() }
    }

    /// Sets the margin.
    pub fn margin(mut self, margin: Duration) -> Self {
        self.margin = margin;
        self
    }

    /// The time for which a permit can be used, counted from before the database was asked for it.
    pub(crate) fn validity(&self) -> Duration {
        self.margin / 2
    }

    /// As `take_v1` expects them.
    pub(crate) fn parameter(&self) -> Vec<i64> {
        vec![
            self.burst.max(1).into(),
            milliseconds(self.interval).max(1),
            milliseconds(self.margin),
            self.daily.max(1).into(),
        ]
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            burst: 100,
            interval: Duration::from_secs(10),
            margin: Duration::from_millis(500),
            daily: 200_000,
        }
    }
}

/// A [`RateLimiter`] whose limits all processes share that use the database. From [`Database::limiter`].
///
/// Permits lapse half a [margin](Limits::margin) after the database was asked for them, and unused ones are not given
/// back. After a crash or a failover of the database no permit is issued for one interval.
#[derive(Debug, Clone)]
pub struct SharedRateLimiter {
    database: Database,
}

impl Database {
    /// Returns the limiter that all processes share.
    pub fn limiter(&self) -> SharedRateLimiter {
        SharedRateLimiter { database: self.clone() }
    }
}

impl RateLimiter for SharedRateLimiter {
    fn acquire<'a>(&'a self, location: &'a str, timeout: Duration) -> Acquire<'a> {
        Box::pin(async move {
            if let Some(permit) = prepaid::take(location) {
                return Ok(permit);
            }
            let lane = self.database.inner.limiter.lane(location);
            local::acquire(&self.database, &lane, location, timeout).await
        })
    }
}

/// The permits that the database granted.
#[derive(Debug)]
pub(crate) struct Granted {
    pub(crate) count: usize,
    /// The time before which each of them has to be used.
    pub(crate) expiry: Expiry,
    /// The time until the next permit, if there are fewer than were asked for.
    pub(crate) wait: Duration,
    pub(crate) daily: bool,
}

impl Database {
    /// Asks for permits of a location.
    pub(crate) async fn take(&self, location: &str, want: usize, seen: Option<&Value>) -> Result<Granted> {
        let limits = &self.inner.limits;
        let (monotonic, wall) = (Instant::now(), SystemTime::now());
        let want = i32::try_from(want).unwrap_or(i32::MAX);
        let row = self
            .query_one(
                "SELECT granted, wait_ms, is_daily, now_ms FROM highlevel.take_v1($1, $2, $3, $4)",
                &[
                    (&location, Type::TEXT),
                    (&want, Type::INT4),
                    (&limits.parameter(), Type::INT8_ARRAY),
                    (&seen, Type::JSONB),
                ],
            )
            .await?;
        let (granted, wait_ms, daily, now_ms): (i32, i64, bool, i64) =
            (row.get(0), row.get(1), row.get(2), row.get(3));
        let mut granted = usize::try_from(granted).unwrap_or_default();
        let mut wait_ms = u64::try_from(wait_ms).unwrap_or_default();
        let received = Instant::now();
        if !self.is_clock_consistent(now_ms, monotonic, received).await? {
            granted = 0;
        }
        if let Some(held) = self.inner.limiter.jumps.held_for(received) {
            granted = 0;
            wait_ms = wait_ms.max(u64::try_from(held.as_millis()).unwrap_or(u64::MAX));
        }
        Ok(Granted {
            count: granted,
            expiry: Expiry::after_at(limits.validity(), monotonic, wall),
            wait: Duration::from_millis(wait_ms.max(1)),
            daily,
        })
    }

    /// Compares a reading of the database's clock, asked for and received at these times, with the clocks of this process.
    /// Returns `false` if permits that were granted with it must not be used: after a jump forward, permits of the last
    /// interval may have left the log too early.
    pub(crate) async fn is_clock_consistent(
        &self,
        now_ms: i64,
        asked: Instant,
        received: Instant,
    ) -> Result<bool> {
        Ok(matches!(
            self.check_clock(now_ms, asked, received).await?,
            ClockCheck::Consistent | ClockCheck::Back
        ))
    }

    /// As [`is_clock_consistent`](Self::is_clock_consistent), with the result of the comparison.
    pub(crate) async fn check_clock(
        &self,
        now_ms: i64,
        asked: Instant,
        received: Instant,
    ) -> Result<ClockCheck> {
        let limits = &self.inner.limits;
        let hold = limits.interval + limits.margin;
        let check = self.inner.limiter.jumps.check(now_ms, asked, received, SystemTime::now(), hold);
        match check {
            // After it was set back, permits count for longer.
            ClockCheck::Consistent | ClockCheck::Back => {}
            ClockCheck::Forward => {
                tracing::warn!(
                    "the clock of the database was set forward; no permit is issued for one interval"
                );
                self.query("SELECT highlevel.pause_limiter_v1()", &[]).await?;
            }
            ClockCheck::Unverified => {
                tracing::warn!(
                    "the clocks of the database and of this host differ by more than a second; \
                     this process uses no permit for one interval"
                );
            }
        }
        Ok(check)
    }

    /// A permit of a location that was granted together with a claim.
    pub(crate) fn granted_permit(&self, location: &str, expiry: Expiry) -> Permit {
        let lane = self.inner.limiter.lane(location);
        Permit::new(expiry, local::Use::new(self.clone(), lane, location))
    }
}

fn unavailable(error: crate::Error) -> AcquireError {
    AcquireError::unavailable(error)
}

pub(crate) fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX).min(MAX_MILLISECONDS)
}

/// A year. Longer times count as this.
const MAX_MILLISECONDS: i64 = 365 * 24 * 60 * 60 * 1000;

/// State of the limiter in this process.
pub(crate) type Shared = Arc<LocalState>;
