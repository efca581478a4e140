//! Returns permits to the database, those of all locations with one statement.

use std::time::{Duration, Instant};

use tokio_postgres::types::Type;

use crate::database::Database;
use crate::limiter_state::{PermitUse, Returned, to_json};

/// Permits are gathered for this long.
const GATHER: Duration = Duration::from_millis(20);
/// The number of times that a process which ends tries to return its permits. Claims lock locations for milliseconds.
const MOST_TRIES: usize = 100;

impl Database {
    /// Returns a permit, soon. If that fails, it counts until its [timeout](crate::Limits::return_timeout).
    pub(crate) fn return_permit(&self, location: &str, grant: i64, usage: PermitUse) {
        let returned = Returned { location: location.into(), grant, usage, at: Instant::now() };
        if self.inner.limiter.returns.add(returned) {
            self.schedule_returns();
        }
    }

    fn schedule_returns(&self) {
        let scheduled = Scheduled(self.clone());
        // Without a runtime, the next permit that is returned schedules the write.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                tokio::time::sleep(GATHER).await;
                let database = scheduled.0.clone();
                drop(scheduled);
                database.write_returns().await;
            });
        }
    }

    /// Writes all permits that are to be returned, also those of locations that are locked for a moment.
    pub(crate) async fn flush_returns(&self) {
        for _ in 0..MOST_TRIES {
            self.write_returns().await;
            if self.inner.limiter.returns.is_empty() {
                break;
            }
            tokio::time::sleep(GATHER).await;
        }
    }

    /// Writes the permits that are to be returned. Those of locations that are locked are scheduled again.
    async fn write_returns(&self) {
        let returns = &self.inner.limiter.returns;
        let _writing = returns.writing.lock().await;
        let taken = returns.take();
        if taken.is_empty() {
            return;
        }
        let returned = to_json(&taken, Instant::now());
        let statement = "SELECT * FROM highlevel.return_permits_v1($1)";
        match self.query(statement, &[(&returned, Type::JSONB)]).await {
            Ok(locked) if locked.is_empty() => {}
            Ok(locked) => {
                let locked: Vec<String> = locked.iter().map(|row| row.get(0)).collect();
                if returns.put_back(taken, &locked) {
                    self.schedule_returns();
                }
            }
            // Not repeated: it may have been done, and permits must not be returned twice.
            Err(error) => {
                tracing::warn!(%error, "permits could not be returned; they count until their timeout");
            }
        }
    }
}

/// A scheduled write. It is no longer scheduled when this is dropped, also by a runtime that ends.
struct Scheduled(Database);

impl Drop for Scheduled {
    fn drop(&mut self) {
        self.0.inner.limiter.returns.unschedule();
    }
}
