//! The processes that send messages or handle events.

use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::database::Database;
use crate::error::Result;

impl Database {
    /// Records that a worker is alive, and its longest claim since the last call. Returns the clock of the database, in milliseconds.
    pub(crate) async fn worker_seen(&self, id: Uuid, claim_ms: i64) -> Result<i64> {
        let process = i32::try_from(std::process::id()).unwrap_or_default();
        let host = std::env::var("HOSTNAME").unwrap_or_default();
        let row = self
            .query_one(
                "INSERT INTO highlevel.worker (id, host, process, claim_ms) VALUES ($1, $2, $3, $4)
                     ON CONFLICT (id) DO UPDATE SET seen_at = clock_timestamp(), claim_ms = excluded.claim_ms
                     RETURNING highlevel.now_ms_v1()",
                &[(&id, Type::UUID), (&host, Type::TEXT), (&process, Type::INT4), (&claim_ms, Type::INT8)],
            )
            .await?;
        Ok(row.try_get(0)?)
    }

    /// Records that a worker has ended, and everything that it started is settled.
    pub(crate) async fn worker_gone(&self, id: Uuid) {
        let sql = "UPDATE highlevel.worker SET gone_at = clock_timestamp() WHERE id = $1";
        if let Err(error) = self.query(sql, &[(&id, Type::UUID)]).await {
            tracing::debug!(%error, "the end of a worker could not be recorded");
        }
    }
}
