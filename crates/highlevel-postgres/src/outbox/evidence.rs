//! Evidence for unknown outcomes: messages that HighLevel reports are compared with the requests.

use std::time::{Duration, SystemTime};

use highlevel::webhook::{Event, Verified};
use highlevel::{MessageId, ObservedMessage, Reconciliation};
use serde_json::{Value, json};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::{Outbox, OutgoingRequest};
use crate::database::Database;
use crate::error::Result;
use crate::text::{self, LONGEST_KEY};
use crate::time::as_float;

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
        let body = text::storable_json(serde_json::from_slice(event.body())?);
        let Some(location) = body["locationId"].as_str() else { return Ok(()) };
        self.database.add_evidence(location, &body).await
    }
}

impl Database {
    /// Stores the JSON of a message: an event, or a message that was read back.
    pub(crate) async fn add_evidence(&self, location: &str, body: &Value) -> Result<()> {
        let observed = ObservedMessage::from(body);
        let message = observed.message_id().filter(|id| id.as_str().len() <= LONGEST_KEY);
        let Some(message) = message.filter(|_| location.len() <= LONGEST_KEY) else { return Ok(()) };
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
        // First: evidence that arrives meanwhile is looked at in the next round.
        let newest = self.newest_evidence(&doubt.location).await?;
        let Some(result) = self.reconcile(doubt).await? else { return Ok(false) };
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

    /// Compares the request with the messages that belong to no other message of the outbox. Returns `None` if a message
    /// that was found may belong to an attempt that is in progress: its receipt decides.
    async fn reconcile(&self, doubt: &Doubt) -> Result<Option<Reconciliation>> {
        let rows = self
            .query(
                // A message that was seen before the attempt is not its message: both times are of one clock.
                "SELECT e.body, e.message_id,
                     EXISTS (SELECT FROM highlevel.outbox o WHERE o.location = m.location AND o.state = 's'
                         AND o.id <> m.id AND o.begun_at <= e.seen_at
                         AND coalesce(o.request ->> 'contactId' = m.request ->> 'contactId', true)),
                     EXISTS (SELECT FROM highlevel.outbox_done d WHERE d.location = m.location
                         AND d.outcome IN ('s', 'a') AND d.message_id IS NULL
                         AND d.done_at >= m.begun_at - interval '15 minutes'
                         AND coalesce(d.order_key = m.order_key, true))
                     FROM highlevel.outbox m JOIN highlevel.evidence e ON e.location = m.location
                     WHERE m.id = $1 AND (e.assigned_to IS NULL OR e.assigned_to = m.id) AND e.seen_at >= m.begun_at
                         AND NOT EXISTS (SELECT FROM highlevel.outbox_done d WHERE d.location = e.location
                             AND d.done_at >= m.begun_at AND d.message_id = e.message_id)",
                &[(&doubt.id, Type::INT8)],
            )
            .await?;
        let Some(request) = &doubt.request else { return Ok(Some(Reconciliation::NotFound)) };
        let observed = rows.iter().map(|row| ObservedMessage::from(&row.get::<_, Value>(0)));
        let result = request.fingerprint(doubt.begun_at).reconcile(observed);
        let Reconciliation::Sent(message) = &result else { return Ok(Some(result)) };
        let row = rows.iter().find(|row| row.get::<_, &str>(1) == message.as_str());
        let (may_be_of_attempt, may_be_of_completed) =
            row.map_or((false, false), |row| (row.get(2), row.get(3)));
        Ok(match (may_be_of_attempt, may_be_of_completed) {
            (true, _) => None,
            // A message that was accepted without a receipt, or that a person has decided about without naming it.
            (false, true) => Some(Reconciliation::Ambiguous(vec![message.clone()])),
            (false, false) => Some(result),
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
