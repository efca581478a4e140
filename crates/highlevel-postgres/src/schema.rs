//! Migrations: embedded, additive, checksummed.

use tokio_postgres::types::Type;

use crate::database::Database;
use crate::error::{Error, ErrorKind, Result};
use crate::text;

/// One migration of the schema `highlevel`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Migration {
    /// The version of the schema after this migration. The first one is 1.
    pub version: i32,
    /// The name, such as `outbox`.
    pub name: &'static str,
    /// The statements, without a transaction around them.
    pub sql: &'static str,
}

macro_rules! migrations {
    ($($version:literal $name:literal $file:literal)+) => {
        &[$(Migration {
            version: $version,
            name: $name,
            sql: include_str!(concat!("../migrations/", $file)),
        }),+]
    };
}

/// In the order of their versions.
const MIGRATIONS: &[Migration] = migrations! {
    1 "fence" "0001_fence.sql"
    2 "limiter" "0002_limiter.sql"
    3 "outbox" "0003_outbox.sql"
    4 "claim" "0004_claim.sql"
    5 "tokens" "0005_tokens.sql"
    6 "doubt" "0006_doubt.sql"
    7 "inbox" "0007_inbox.sql"
    8 "maintenance" "0008_maintenance.sql"
    9 "adopt" "0009_adopt.sql"
    10 "clock" "0010_clock.sql"
};

/// Creates the table of the applied migrations.
const BOOTSTRAP: &str = "CREATE SCHEMA IF NOT EXISTS highlevel;
CREATE TABLE IF NOT EXISTS highlevel.migration (
    version    integer PRIMARY KEY,
    name       text NOT NULL,
    sha256     text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);";

/// Two processes that start at the same time migrate one after the other. The lock ends with its transaction.
const LOCK: &str = "SET LOCAL lock_timeout = '10s'; SELECT pg_advisory_xact_lock(7519063413227650917);";

/// Returns all migrations, in order, for programs that apply them with a tool of theirs.
///
/// Apply them with the script that [`migration_sql`] returns: it records them as well.
pub fn migrations() -> &'static [Migration] {
    MIGRATIONS
}

/// Returns a script for `psql` that applies all migrations, each in a transaction, and records them.
///
/// The script is for an empty database. It does not adopt the database: see [`Database::adopt`].
pub fn migration_sql() -> String {
    let mut script = format!("{BOOTSTRAP}\n");
    for migration in MIGRATIONS {
        let (sql, record) = (migration.sql.trim(), migration.record());
        script.extend(["\nBEGIN;\n", LOCK, "\n", sql, "\n", &record, "\nCOMMIT;\n"]);
    }
    script
}

impl Migration {
    /// Returns the SHA-256 of the statements, in hexadecimal digits.
    pub fn checksum(&self) -> String {
        text::sha256(self.sql)
    }

    /// Name and checksum contain no quotes.
    fn record(&self) -> String {
        format!(
            "INSERT INTO highlevel.migration (version, name, sha256) VALUES ({}, '{}', '{}');",
            self.version,
            self.name,
            self.checksum()
        )
    }
}

/// A migration as the database has recorded it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Applied {
    version: i32,
    sha256: String,
}

/// Returns the migrations that are missing. Fails if the database has others than this version knows.
fn missing(applied: &[Applied]) -> Result<&'static [Migration]> {
    for (applied, known) in applied.iter().zip(MIGRATIONS) {
        if applied.version != known.version || applied.sha256 != known.checksum() {
            return Err(Error::new(
                ErrorKind::Schema,
                format!(
                    "migration {} of the database is not migration {} of this version of highlevel-postgres; \
                     the schema was changed by another program",
                    applied.version, known.version
                ),
            ));
        }
    }
    // A later version only adds to the schema, so this one still works.
    Ok(MIGRATIONS.get(applied.len()..).unwrap_or_default())
}

impl Database {
    /// Creates or updates the schema `highlevel`, and adopts a database that no deployment has adopted.
    ///
    /// Can be called by several processes at the same time. Each migration is one transaction. A schema of a later version
    /// is left as it is: migrations only add to it.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Schema`] if the database has other migrations than this version knows, and the error of a
    /// statement that fails; the migrations before it remain.
    pub async fn migrate(&self) -> Result<()> {
        let mut client = self.client().await?;
        let bootstrap = client.transaction().await?;
        bootstrap.batch_execute(LOCK).await?;
        bootstrap.batch_execute(BOOTSTRAP).await?;
        bootstrap.commit().await?;
        for _ in 0..=MIGRATIONS.len() {
            let transaction = client.transaction().await?;
            transaction.batch_execute(LOCK).await?;
            let rows = transaction
                .query_typed("SELECT version, sha256 FROM highlevel.migration ORDER BY version", &[])
                .await?;
            let applied: Vec<Applied> =
                rows.iter().map(|row| Applied { version: row.get(0), sha256: row.get(1) }).collect();
            let Some(migration) = missing(&applied)?.first() else { break };
            transaction.batch_execute(migration.sql).await?;
            transaction.batch_execute(&migration.record()).await?;
            transaction.commit().await?;
            tracing::info!(version = migration.version, name = migration.name, "applied a migration");
        }
        drop(client);
        self.adopt_if_new().await
    }

    /// Returns the migrations that the database lacks. Empty if the schema is that of this version or a later one.
    ///
    /// # Errors
    ///
    /// As [`migrate`](Self::migrate).
    pub async fn missing_migrations(&self) -> Result<&'static [Migration]> {
        let exists = self
            .query_one("SELECT to_regclass('highlevel.migration') IS NOT NULL", &[])
            .await?
            .get::<_, bool>(0);
        if !exists {
            return Ok(MIGRATIONS);
        }
        let rows = self
            .query(
                "SELECT version, sha256 FROM highlevel.migration WHERE version > $1 ORDER BY version",
                &[(&0_i32, Type::INT4)],
            )
            .await?;
        let applied: Vec<Applied> =
            rows.iter().map(|row| Applied { version: row.get(0), sha256: row.get(1) }).collect();
        missing(&applied)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(count: usize) -> Vec<Applied> {
        let applied =
            MIGRATIONS.iter().map(|known| Applied { version: known.version, sha256: known.checksum() });
        applied.take(count).collect()
    }

    #[test]
    fn versions_count_from_one() {
        for (index, migration) in MIGRATIONS.iter().enumerate() {
            assert_eq!(usize::try_from(migration.version), Ok(index + 1));
        }
    }

    #[test]
    fn only_missing_migrations_are_applied() {
        for count in 0..=MIGRATIONS.len() {
            assert_eq!(missing(&applied(count)).expect("known migrations"), &MIGRATIONS[count..]);
        }
    }

    #[test]
    fn a_later_schema_is_left_as_it_is() {
        let mut later = applied(MIGRATIONS.len());
        later.push(Applied { version: 1_000, sha256: String::new() });
        assert_eq!(missing(&later).expect("additive"), &[]);
    }

    #[test]
    fn changed_migrations_are_an_error() {
        let mut changed = applied(2);
        changed[1].sha256 = "0".repeat(64);
        assert_eq!(missing(&changed).expect_err("another checksum").kind(), ErrorKind::Schema);
    }
}
