//! Deletes rows after their retention.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio_postgres::types::Type;

use crate::database::Database;
use crate::error::Result;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The times after which completed things are deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retention {
    /// Completed messages, in whole days. Defaults to 7 days.
    pub completed: Duration,
    /// Keys of [`once`](crate::Outgoing::once). Defaults to 90 days.
    pub once: Duration,
    /// The history of completed messages. Defaults to 30 days.
    pub history: Duration,
    /// Handled events. Defaults to 24 hours, and is at least the window of the receivers.
    pub events: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        Self { completed: 7 * DAY, once: 90 * DAY, history: 30 * DAY, events: DAY }
    }
}

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
