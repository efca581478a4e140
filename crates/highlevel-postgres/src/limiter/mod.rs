//! The rate limiter that all processes share.
//!
//! Permits are granted by the database, in a sliding log per location and by its clock. Each process has one request for
//! permits of a location under way at a time, for as many as are waited for.

mod acquire;
mod prepaid;
mod take;

use std::time::Duration;

use highlevel::RateLimiter;
use highlevel::limit::Acquire;

pub(crate) use self::prepaid::with_permit;
use crate::database::Database;

/// A [`RateLimiter`] whose limits all processes share that use the database. From [`Database::limiter`].
///
/// Permits lapse half a [margin](crate::Limits::margin) after the database was asked for them, and unused ones are not given
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
            acquire::acquire(&self.database, &lane, location, timeout).await
        })
    }
}
