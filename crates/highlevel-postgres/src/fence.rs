//! The fence: a database sends only for the deployment that adopted it, and not after a failover that may have lost
//! commits.

use serde_json::{Value, json};
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::database::Database;
use crate::error::Result;
use crate::outbox::{Begun, require_reason};

/// The messages that were due when a database is [adopted](Database::adopt).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DueMessages {
    /// They get to the desk, where a person decides: another database, or this one before a failover, may have sent them.
    HoldForDecision,
    /// They are sent. Choose this only if nothing that was committed is missing, because the replication is synchronous or
    /// the storage is shared, and no other database sends them.
    Send,
}

impl Database {
    /// Lets this deployment send from the database, after it was copied, restored or failed over. Returns the number of
    /// messages that got to the desk.
    ///
    /// Stop the senders that still use another copy of the database first.
    ///
    /// # Errors
    ///
    /// Returns the error of the database.
    pub async fn adopt(&self, due: DueMessages, who: &str, why: &str) -> Result<u64> {
        require_reason(who, why)?;
        let release = due == DueMessages::Send;
        let row = self
            .query_one(
                "SELECT highlevel.adopt_v1($1, $2, $3, $4)",
                &[
                    (&self.deployment(), Type::TEXT),
                    (&release, Type::BOOL),
                    (&who, Type::TEXT),
                    (&why, Type::TEXT),
                ],
            )
            .await?;
        Ok(u64::try_from(row.try_get::<_, i64>(0)?).unwrap_or_default())
    }

    /// Adopts a database that no deployment has adopted, for migrations.
    pub(crate) async fn adopt_if_new(&self) -> Result<()> {
        self.query(
            "INSERT INTO highlevel.fence (deployment, system_identifier, database_oid, timeline)
                 SELECT $1, i.* FROM highlevel.identity_v1() i ON CONFLICT DO NOTHING",
            &[(&self.deployment(), Type::TEXT)],
        )
        .await
        .map(drop)
    }

    /// Returns without an error if this deployment may send from the database.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::NotAdopted`](crate::ErrorKind::NotAdopted) or
    /// [`ErrorKind::Quarantined`](crate::ErrorKind::Quarantined).
    pub async fn check_fence(&self) -> Result<()> {
        self.query("SELECT highlevel.check_fence_v1($1)", &[(&self.deployment(), Type::TEXT)]).await.map(drop)
    }

    /// Writes the recent attempts of a sender that a failover has lost. Returns their number.
    pub(crate) async fn reassert(&self, sender: Uuid, begun: &Begun) -> Result<usize> {
        let attempts = begun.recent();
        let known: Vec<Value> =
            attempts.iter().map(|it| json!({ "id": it.id, "attempt": it.attempt })).collect();
        let rows = self
            .query(
                "SELECT * FROM highlevel.reassert_v1($1, $2)",
                &[(&sender, Type::UUID), (&Value::Array(known), Type::JSONB)],
            )
            .await?;
        // Those in progress report their results as usual. A result that the database has changes nothing.
        let results: Vec<Value> = attempts.into_iter().filter_map(|attempt| attempt.result).collect();
        self.query(
            "SELECT * FROM highlevel.settle_v1($1, $2)",
            &[(&Value::Array(results), Type::JSONB), (&sender, Type::UUID)],
        )
        .await?;
        Ok(rows.len())
    }
}
