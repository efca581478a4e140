//! Claims messages, and gives back those whose claim was committed without the response being received.

use std::time::{Duration, Instant, SystemTime};

use highlevel::limit::Expiry;
use serde_json::{Value, json};
use tokio_postgres::Row;
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::database::Database;
use crate::error::{Error, Result};
use crate::limiter_state::Issued;
use crate::time::as_float;

/// Arrivals that are staged at a time.
const STAGED_AT_ONCE: i32 = 2_000;

/// A message that is committed as `sending`.
#[derive(Debug)]
pub(crate) struct Claimed {
    pub(crate) id: i64,
    pub(crate) location: String,
    pub(crate) attempt: i32,
    pub(crate) operation: String,
    pub(crate) request: Value,
    pub(crate) trace: Option<String>,
    /// Its permit. It has to be sent before that expires.
    pub(crate) permit: Issued,
}

/// The settings of a claim.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClaimSettings {
    pub(crate) sender: Uuid,
    pub(crate) lanes: i32,
    pub(crate) per_lane: i32,
    pub(crate) lease: Duration,
    /// Claims without permits, if `false`.
    pub(crate) is_limited: bool,
}

impl Database {
    /// Claims up to `most` messages. They are committed as `sending` when this returns.
    pub(crate) async fn claim(
        &self,
        settings: &ClaimSettings,
        number: i64,
        most: usize,
    ) -> Result<Vec<Claimed>> {
        let (monotonic, wall) = (Instant::now(), SystemTime::now());
        let most = i32::try_from(most).unwrap_or(i32::MAX);
        let limits = settings.is_limited.then(|| {
            let limits = self.inner.limits;
            limits.return_timeout(limits.return_timeout.max(settings.lease)).parameter()
        });
        let lease = as_float(settings.lease);
        let rows = self
            .query(
                "SELECT id, location, attempt, operation, request, trace, expires_ms, now_ms, grant_id
                     FROM highlevel.claim_v1($1, $2, $3, $4, $5, $6, $7 * interval '1 ms', $8)",
                &[
                    (&self.deployment(), Type::TEXT),
                    (&settings.sender, Type::UUID),
                    (&number, Type::INT8),
                    (&most, Type::INT4),
                    (&settings.lanes, Type::INT4),
                    (&settings.per_lane, Type::INT4),
                    (&lease, Type::FLOAT8),
                    (&limits, Type::INT8_ARRAY),
                ],
            )
            .await?;
        let received = Instant::now();
        let clocks = rows.iter().filter_map(|row| row.get::<_, Option<i64>>(7));
        let mut validity =
            if settings.is_limited { self.inner.limits.validity() } else { settings.lease / 2 };
        if let Some(now_ms) = clocks.max()
            && !self.is_clock_consistent(now_ms, monotonic, received).await?
        {
            // The permits may be too many: the messages are given back.
            validity = Duration::ZERO;
        }
        let expiry = |row: &Row| {
            let expires = row.get::<_, Option<i64>>(6).map(|ms| u64::try_from(ms).unwrap_or_default());
            let validity = expires.map_or(validity, |ms| validity.min(Duration::from_millis(ms)));
            Expiry::after_at(validity, monotonic, wall)
        };
        rows.iter().map(|row| read(row, expiry(row))).collect()
    }

    /// Updates the lanes for messages that were enqueued.
    pub(crate) async fn stage(&self) -> Result<()> {
        self.query("SELECT highlevel.stage_v1($1)", &[(&STAGED_AT_ONCE, Type::INT4)]).await.map(drop)
    }

    /// Gives back the messages of claims whose responses were lost. None of them was started, because the messages of a claim
    /// are started only after its response.
    pub(crate) async fn give_back_lost_claims(&self, sender: Uuid, claims: &[i64]) -> Result<usize> {
        let rows = self
            .query(
                "SELECT id, attempt FROM highlevel.outbox WHERE sender = $1 AND claim = ANY ($2)
                     AND (lease_until IS NOT NULL OR state = 'u' AND problem ->> 'kind' = 'lease')",
                &[(&sender, Type::UUID), (&claims, Type::INT8_ARRAY)],
            )
            .await?;
        let lost: Vec<Value> = rows
            .iter()
            .map(|row| {
                json!({ "id": row.get::<_, i64>(0), "attempt": row.get::<_, i32>(1), "state": "p", "problem": {
                    "kind": "claim", "text": "the response to the claim was lost, and the attempt was not started",
                } })
            })
            .collect();
        if lost.is_empty() {
            return Ok(0);
        }
        let rows = self
            .query(
                "SELECT * FROM highlevel.settle_v1($1, $2)",
                &[(&Value::Array(lost), Type::JSONB), (&sender, Type::UUID)],
            )
            .await?;
        Ok(rows.len())
    }
}

fn read(row: &Row, expiry: Expiry) -> Result<Claimed> {
    let read = || -> std::result::Result<Claimed, tokio_postgres::Error> {
        Ok(Claimed {
            id: row.try_get(0)?,
            location: row.try_get(1)?,
            attempt: row.try_get(2)?,
            operation: row.try_get(3)?,
            request: row.try_get(4)?,
            trace: row.try_get(5)?,
            permit: Issued { expiry, grant: row.try_get(8)? },
        })
    };
    read().map_err(|error| Error::invalid("a claimed row cannot be read").with_source(error))
}
