//! Deletes rows after their retention.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio_postgres::types::Type;

use crate::database::Database;
use crate::error::Result;
use crate::retention::Retention;

impl Database {
    /// Deletes rows after their retention, unless another process does it. Returns `true` if it was done.
    ///
    /// Senders and readers call it every minute.
    ///
    /// # Errors
    ///
    /// Returns the error of the database. Nothing is deleted then.
    pub async fn maintain(&self) -> Result<bool> {
        let Retention { completed, once, history, events } = self.inner.retention;
        let window = Duration::from_secs(self.inner.event_retention.load(Ordering::Relaxed));
        let seconds = [completed, once, history, events.max(window)]
            .map(|time| i64::try_from(time.as_secs()).unwrap_or(i64::MAX).min(1_000_000_000));
        let row = self
            .query_one("SELECT highlevel.maintain_v1($1)", &[(&seconds.as_slice(), Type::INT8_ARRAY)])
            .await?;
        Ok(row.try_get(0)?)
    }
}
