//! Evidence for unknown outcomes: messages that HighLevel reports are compared with what was sent.

use std::time::{Duration, SystemTime};

use highlevel::webhook::{Event, Verified};
use highlevel::{MessageId, ObservedMessage, Reconciliation};
use serde_json::{Value, json};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::settle::as_float;
use super::{Outbox, OutgoingRequest};
use crate::database::Database;
use crate::error::Result;

/// Messages that are looked at in one round.
const AT_ONCE: i64 = 100;

/// An unknown message that is due to be looked at.
struct Doubt {
    id: i64,
    location: String,
    attempt: i32,
    look: usize,
    request: Option<OutgoingRequest>,
    begun_at: SystemTime,
}

impl Outbox {
    /// Stores a message event as evidence for messages whose outcome is unknown. Other events are ignored.
    ///
    /// Call it for each event of the app's locations, before the response to the webhook. The inbox does so by itself.
    ///
    /// # Errors
    ///
    /// Returns the error of the database. Respond with 429 then, and HighLevel redelivers the event.
    pub async fn observe(&self, event: &Verified<Event>) -> Result<()> {
        if !matches!(event.event(), Event::OutboundMessage(_) | Event::InboundMessage(_)) {
            return Ok(());
        }
        let body: Value = serde_json::from_slice(event.body())?;
        let Some(location) = body["locationId"].as_str() else { return Ok(()) };
        self.database.add_evidence(location, &body).await
    }
}

impl Database {
    /// Stores the JSON of a message: an event, or a message that was read back.
    pub(crate) async fn add_evidence(&self, location: &str, body: &Value) -> Result<()> {
        let observed = ObservedMessage::from(body);
        let Some(message) = observed.message_id() else { return Ok(()) };
        self.query(
            "SELECT highlevel.observe_v1($1, $2, $3)",
            &[(&location, Type::TEXT), (&message.as_str(), Type::TEXT), (&body, Type::JSONB)],
        )
        .await
        .map(drop)
    }

    /// Looks for evidence for the messages that are due. `schedule` are the times between looks.
    pub(crate) async fn look_for_evidence(&self, schedule: &[Duration]) -> Result<usize> {
        let rows = self
            .query(
                "SELECT id, location, attempt, looks, operation, request, begun_at FROM highlevel.outbox
                     WHERE state = 'u' AND look_at <= clock_timestamp() ORDER BY look_at LIMIT $1",
                &[(&AT_ONCE, Type::INT8)],
            )
            .await?;
        let mut resolved = 0;
        for row in &rows {
            if self.look(&read(row)?, schedule).await? {
                resolved += 1;
            }
        }
        Ok(resolved)
    }

    /// Looks for the message of one attempt. Returns `true` if it was found.
    async fn look(&self, doubt: &Doubt, schedule: &[Duration]) -> Result<bool> {
        // First: what arrives meanwhile is looked at again.
        let newest = self.newest_evidence(&doubt.location).await?;
        let result = self.reconcile(doubt).await?;
        if let Reconciliation::Sent(message) = &result
            && self.assign(doubt, message).await?
        {
            let result = json!([{ "id": doubt.id, "attempt": doubt.attempt, "state": "s",
                "message_id": message.as_str() }]);
            self.query(
                "SELECT * FROM highlevel.settle_v1($1, $2)",
                &[(&result, Type::JSONB), (&None::<uuid::Uuid>, Type::UUID)],
            )
            .await?;
            tracing::info!(id = doubt.id, "an unknown message was found: it was sent");
            return Ok(true);
        }
        let found = match &result {
            Reconciliation::Ambiguous(ids) => {
                json!({ "result": "ambiguous", "messages": ids.iter().map(MessageId::as_str).collect::<Vec<_>>() })
            }
            Reconciliation::Sent(_) | Reconciliation::NotFound => json!({ "result": "not found" }),
        };
        let next = schedule.get(doubt.look).copied().map(as_float);
        let look = i32::try_from(doubt.look).unwrap_or(i32::MAX);
        self.query(
            "SELECT highlevel.looked_v1($1, $2, $3, $4, $5 * interval '1 ms', $6)",
            &[
                (&doubt.id, Type::INT8),
                (&doubt.attempt, Type::INT4),
                (&look, Type::INT4),
                (&newest, Type::TIMESTAMPTZ),
                (&next, Type::FLOAT8),
                (&found, Type::JSONB),
            ],
        )
        .await?;
        Ok(false)
    }

    /// Returns the time of the newest evidence of a location.
    async fn newest_evidence(&self, location: &str) -> Result<Option<SystemTime>> {
        let sql = "SELECT max(seen_at) FROM highlevel.evidence WHERE location = $1";
        Ok(self.query_one(sql, &[(&location, Type::TEXT)]).await?.try_get(0)?)
    }

    /// Compares what was sent with the messages that belong to no other message of the outbox.
    async fn reconcile(&self, doubt: &Doubt) -> Result<Reconciliation> {
        let rows = self
            .query(
                // What was seen before the attempt is not its message: both times are of one clock.
                "SELECT e.body FROM highlevel.evidence e
                     WHERE e.location = $1 AND (e.assigned_to IS NULL OR e.assigned_to = $2) AND e.seen_at >= $3
                         AND NOT EXISTS (SELECT FROM highlevel.outbox_done d WHERE d.location = e.location
                             AND d.done_at >= $3 AND d.message_id = e.message_id)",
                &[
                    (&doubt.location, Type::TEXT),
                    (&doubt.id, Type::INT8),
                    (&doubt.begun_at, Type::TIMESTAMPTZ),
                ],
            )
            .await?;
        let observed = rows.iter().map(|row| ObservedMessage::from(&row.get::<_, Value>(0)));
        Ok(match &doubt.request {
            Some(request) => request.fingerprint(doubt.begun_at).reconcile(observed),
            None => Reconciliation::NotFound,
        })
    }

    async fn assign(&self, doubt: &Doubt, message: &MessageId) -> Result<bool> {
        let row = self
            .query_one(
                "SELECT highlevel.assign_v1($1, $2, $3)",
                &[(&doubt.location, Type::TEXT), (&message.as_str(), Type::TEXT), (&doubt.id, Type::INT8)],
            )
            .await?;
        Ok(row.get(0))
    }
}

fn read(row: &Row) -> Result<Doubt> {
    let (operation, request): (String, Value) = (row.try_get(4)?, row.try_get(5)?);
    Ok(Doubt {
        id: row.try_get(0)?,
        location: row.try_get(1)?,
        attempt: row.try_get(2)?,
        look: usize::try_from(row.try_get::<_, i32>(3)?).unwrap_or_default(),
        request: OutgoingRequest::from_stored(&operation, request).ok(),
        begun_at: row.try_get(6)?,
    })
}
