//! The deduplicator that all processes share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use highlevel::webhook::{Claim, ClaimToken, CommitResult, Deduplicator, DeduplicatorFuture, EventId};
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::database::Database;

/// The default time after which the claim of a process that was killed ends.
const CLAIM_TIMEOUT: Duration = Duration::from_secs(600);

/// A [`Deduplicator`] in the database, for any number of processes. From [`Database::deduplicator`].
///
/// Uses the clock of the database. The sender of an outbox and the reader of an inbox delete events that are no longer
/// needed; a program that has neither calls [`Database::maintain`].
#[derive(Debug, Clone)]
pub struct DatabaseDeduplicator {
    database: Database,
    claim_timeout: Duration,
    retention: Arc<AtomicU64>,
}

impl Database {
    /// Returns the deduplicator of webhook events.
    pub fn deduplicator(&self) -> DatabaseDeduplicator {
        DatabaseDeduplicator {
            database: self.clone(),
            claim_timeout: CLAIM_TIMEOUT,
            retention: Arc::clone(&self.inner.event_retention),
        }
    }
}

impl DatabaseDeduplicator {
    /// Sets the time after which a claim ends whose process was killed. Defaults to 10 minutes. It has to be longer than any
    /// handler takes.
    pub fn claim_timeout(mut self, timeout: Duration) -> Self {
        self.claim_timeout = timeout;
        self
    }
}

impl Deduplicator for DatabaseDeduplicator {
    fn begin<'a>(&'a self, id: &'a EventId, _: SystemTime) -> DeduplicatorFuture<'a, Claim> {
        Box::pin(async move {
            let (token, timeout) = (Uuid::from_u128(fastrand::u128(..)), self.claim_timeout.as_secs_f64());
            let row = self
                .database
                .query_one(
                    "SELECT token, handled FROM highlevel.begin_event_v1($1, $2, $3 * interval '1 second')",
                    &[(&id.as_str(), Type::TEXT), (&token, Type::UUID), (&timeout, Type::FLOAT8)],
                )
                .await?;
            let (token, handled): (Option<Uuid>, Option<bool>) = (row.try_get(0)?, row.try_get(1)?);
            Ok(match (token, handled) {
                (Some(token), _) => Claim::Granted(ClaimToken::from_u128(token.as_u128())),
                (None, Some(true)) => Claim::Handled,
                (None, _) => Claim::InProgress,
            })
        })
    }

    fn commit<'a>(&'a self, id: &'a EventId, token: ClaimToken) -> DeduplicatorFuture<'a, CommitResult> {
        Box::pin(async move {
            let sql = "UPDATE highlevel.event SET handled = true WHERE id = $1 AND token = $2 RETURNING 1";
            let token = Uuid::from_u128(token.as_u128());
            let row =
                self.database.query_opt(sql, &[(&id.as_str(), Type::TEXT), (&token, Type::UUID)]).await?;
            Ok(if row.is_some() { CommitResult::Committed } else { CommitResult::ClaimLost })
        })
    }

    fn abort<'a>(&'a self, id: &'a EventId, token: ClaimToken) -> DeduplicatorFuture<'a, ()> {
        Box::pin(async move {
            let sql = "DELETE FROM highlevel.event WHERE id = $1 AND token = $2 AND NOT handled";
            let token = Uuid::from_u128(token.as_u128());
            self.database.query(sql, &[(&id.as_str(), Type::TEXT), (&token, Type::UUID)]).await?;
            Ok(())
        })
    }

    fn retain_at_least(&self, window: Duration) {
        self.retention.fetch_max(window.as_secs().saturating_add(1), Ordering::Relaxed);
    }
}
