//! Returns permits to the database, those of all locations with one statement.

use std::time::{Duration, Instant};

use tokio_postgres::types::Type;

use crate::database::Database;
use crate::limiter_state::{PermitUse, Returned};

/// Permits are gathered for this long.
const GATHER: Duration = Duration::from_millis(20);

impl Database {
    /// Returns a permit, soon. If that fails, it counts until its [timeout](crate::Limits::return_timeout).
    pub(crate) fn return_permit(&self, location: &str, grant: i64, usage: PermitUse) {
        let returned = Returned { location: location.into(), grant, usage, at: Instant::now() };
        if !self.inner.limiter.returns.add(returned) {
            return;
        }
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

    /// Writes the permits that are to be returned.
    pub(crate) async fn write_returns(&self) {
        let returns = &self.inner.limiter.returns;
        let _writing = returns.writing.lock().await;
        let Some(returned) = returns.take(Instant::now()) else { return };
        // Not repeated: it may have been done, and permits must not be returned twice.
        if let Err(error) =
            self.query("SELECT highlevel.return_permits_v1($1)", &[(&returned, Type::JSONB)]).await
        {
            tracing::debug!(%error, "permits could not be returned; they count until their timeout");
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
