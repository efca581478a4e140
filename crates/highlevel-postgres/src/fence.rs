//! The fence: a database sends only for the deployment that adopted it, and not after a failover that may have lost what
//! was committed.

use tokio_postgres::types::Type;

use crate::database::Database;
use crate::error::Result;

impl Database {
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
}
