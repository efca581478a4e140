//! The rate limiter that all processes share.
//!
//! Permits are granted by the database, in a sliding log per location and by its clock. Each process has one request for
//! permits of a location under way at a time, for as many as are waited for. A permit counts until one interval after the
//! response to its request, however long the request was on its way; processes return their permits in batches.

mod acquire;
mod prepaid;
mod returns;
mod take;

use std::time::Duration;

use highlevel::RateLimiter;
use highlevel::limit::Acquire;

pub(crate) use self::prepaid::with_permit;
use crate::database::Database;

/// A [`RateLimiter`] whose limits all processes share that use the database. From [`Database::limiter`].
///
/// Permits lapse two seconds after the database was asked for them. Those of a process that was killed count for
/// [a minute](crate::Limits::return_timeout). After a crash or a failover of the database no permit is issued for one interval.
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

impl SharedRateLimiter {
    /// Returns the permits that were completed a moment ago. Call it at the end of a short program, so that they do not count
    /// for longer than an interval.
    pub async fn flush(&self) {
        self.database.flush_returns().await;
    }
}

impl RateLimiter for SharedRateLimiter {
    fn acquire<'a>(&'a self, location: &'a str, timeout: Duration) -> Acquire<'a> {
        Box::pin(async move {
            if let Some(permit) = prepaid::take(location) {
                return Ok(permit);
            }
            let lane = self.database.inner.limiter.lane(location);
            acquire::acquire(&self.database, &lane, location, timeout).await
        })
    }
}
