//! The permits of the database, and the check of its clock.

use std::time::{Duration, Instant, SystemTime};

use highlevel::limit::Expiry;
use serde_json::Value;
use tokio_postgres::types::Type;

use crate::database::Database;
use crate::error::Result;
use crate::limiter_state::{ClockCheck, PermitUse};

/// The permits that the database granted.
#[derive(Debug)]
pub(crate) struct Granted {
    pub(crate) count: usize,
    /// The number of the grant.
    pub(crate) grant: i64,
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
                "SELECT granted, wait_ms, is_daily, now_ms, grant_id FROM highlevel.take_v1($1, $2, $3, $4)",
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
        let grant: i64 = row.get::<_, Option<i64>>(4).unwrap_or_default();
        let mut granted = usize::try_from(granted).unwrap_or_default();
        let mut wait_ms = u64::try_from(wait_ms).unwrap_or_default();
        let received = Instant::now();
        let mut is_usable = self.is_clock_consistent(now_ms, monotonic, received).await?;
        if let Some(held) = self.inner.limiter.jumps.held_for(received) {
            is_usable = false;
            wait_ms = wait_ms.max(u64::try_from(held.as_millis()).unwrap_or(u64::MAX));
        }
        if !is_usable {
            (0..granted).for_each(|_| self.return_permit(location, grant, PermitUse::Unused));
            granted = 0;
        }
        Ok(Granted {
            count: granted,
            grant,
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
        let hold = limits.interval + limits.margin + limits.validity();
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
}
