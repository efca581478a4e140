//! Evidence for unknown outcomes: messages that HighLevel reports are compared with the requests.

use std::time::{Duration, SystemTime};

use highlevel::webhook::{Event, Verified};
use highlevel::{MessageId, ObservedMessage, Reconciliation};
use serde_json::{Value, json};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::{Outbox, OutgoingRequest};
use crate::database::Database;
use crate::error::{ErrorKind, Result};
use crate::text::{self, LONGEST_KEY};
use crate::time::as_float;

/// Messages that are looked at in one round.
const AT_ONCE: usize = 100;

/// An unknown message that is due to be looked at.
struct Doubt {
    id: i64,
    location: String,
    attempt: i32,
    look: usize,
    request: Option<OutgoingRequest>,
    begun_at: SystemTime,
}

/// Another message of the outbox that evidence may belong to.
enum Owner {
    None,
    /// It is being sent: its receipt decides.
    MayBeInProgress,
    /// It was accepted without a receipt, or a person has decided about it without naming its message.
    MayBeCompleted,
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

    /// Looks for evidence for the messages that are due. `schedule` are the times between looks. Returns `true` if more
    /// messages may be due.
    pub(crate) async fn look_for_evidence(&self, schedule: &[Duration]) -> Result<bool> {
        let rows = self
            .query(
                "SELECT id, location, attempt, looks, operation, request, begun_at FROM highlevel.outbox
                     WHERE state = 'u' AND look_at <= clock_timestamp() ORDER BY look_at LIMIT $1",
                &[(&i64::try_from(AT_ONCE).unwrap_or(i64::MAX), Type::INT8)],
            )
            .await?;
        for row in &rows {
            let doubt = read(row)?;
            match self.look(&doubt, schedule).await {
                Err(error) if error.kind() != ErrorKind::Unavailable => {
                    // It stays due, and must not keep others from being looked at.
                    tracing::warn!(%error, id = doubt.id, "evidence for a message could not be compared");
                }
                result => result?,
            }
        }
        Ok(rows.len() == AT_ONCE)
    }

    /// Looks for the message of one attempt.
    async fn look(&self, doubt: &Doubt, schedule: &[Duration]) -> Result<()> {
        // First: evidence that arrives meanwhile is looked at in the next round.
        let newest = self.newest_evidence(&doubt.location).await?;
        let Some(result) = self.reconcile(doubt).await? else { return Ok(()) };
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
            return Ok(());
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
        .await
        .map(drop)
    }

    /// Returns the time of the newest evidence of a location.
    async fn newest_evidence(&self, location: &str) -> Result<Option<SystemTime>> {
        let sql = "SELECT max(seen_at) FROM highlevel.evidence WHERE location = $1";
        Ok(self.query_one(sql, &[(&location, Type::TEXT)]).await?.try_get(0)?)
    }

    /// Compares the request with the messages that belong to no other message of the outbox. Returns `None` if a message
    /// that was found may belong to an attempt that is in progress: its receipt decides.
    async fn reconcile(&self, doubt: &Doubt) -> Result<Option<Reconciliation>> {
        let Some(request) = &doubt.request else { return Ok(Some(Reconciliation::NotFound)) };
        let candidates = self.candidates(doubt).await?;
        if candidates.is_empty() {
            return Ok(Some(Reconciliation::NotFound));
        }
        // After the candidates: a receipt that is written in between excludes its message.
        let known = self.receipts(doubt, candidates.iter().map(|(id, _)| id.as_str()).collect()).await?;
        let observed = candidates.iter().map(|(_, body)| ObservedMessage::from(body));
        let result = request.fingerprint(doubt.begun_at).reconcile_excluding(observed, known);
        let Reconciliation::Sent(message) = &result else { return Ok(Some(result)) };
        Ok(match self.owner(doubt, message).await? {
            Owner::MayBeInProgress => None,
            Owner::MayBeCompleted => Some(Reconciliation::Ambiguous(vec![message.clone()])),
            Owner::None => Some(result),
        })
    }

    /// Returns the messages of the contact that were seen since the attempt and are not assigned to others, with their ids.
    async fn candidates(&self, doubt: &Doubt) -> Result<Vec<(String, Value)>> {
        let rows = self
            .query(
                // A message that was seen before the attempt is not its message: both times are of one clock.
                "SELECT e.message_id, e.body FROM highlevel.outbox m JOIN highlevel.evidence e ON e.location = m.location
                     WHERE m.id = $1 AND (e.assigned_to IS NULL OR e.assigned_to = m.id) AND e.seen_at >= m.begun_at
                         AND coalesce(e.body ->> 'contactId' = m.request ->> 'contactId', true)",
                &[(&doubt.id, Type::INT8)],
            )
            .await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
    }

    /// Returns those of the ids that completed messages have, from their receipts or by decision.
    async fn receipts(&self, doubt: &Doubt, ids: Vec<&str>) -> Result<Vec<MessageId>> {
        let rows = self
            .query(
                // One pass, however many messages of the location were completed since the attempt.
                "SELECT message_id FROM highlevel.outbox_done
                     WHERE location = $1 AND done_at >= $2 AND message_id = ANY ($3)",
                &[
                    (&doubt.location, Type::TEXT),
                    (&doubt.begun_at, Type::TIMESTAMPTZ),
                    (&ids, Type::TEXT_ARRAY),
                ],
            )
            .await?;
        rows.iter().map(|row| Ok(MessageId::from(row.try_get::<_, String>(0)?))).collect()
    }

    /// Returns the message of the outbox that evidence may belong to, besides the one in doubt.
    async fn owner(&self, doubt: &Doubt, message: &MessageId) -> Result<Owner> {
        let row = self
            .query_opt(
                "SELECT EXISTS (SELECT FROM highlevel.outbox o WHERE o.location = m.location
                         AND o.lease_until IS NOT NULL
                         AND o.id <> m.id AND o.begun_at <= e.seen_at
                         AND coalesce(o.request ->> 'contactId' = m.request ->> 'contactId', true))
                     -- Its receipt was written since it was compared.
                     OR EXISTS (SELECT FROM highlevel.outbox_done d WHERE d.location = m.location
                         AND d.done_at >= m.begun_at AND d.message_id = e.message_id),
                     EXISTS (SELECT FROM highlevel.outbox_done d WHERE d.location = m.location
                         AND d.outcome IN ('s', 'a') AND d.message_id IS NULL
                         AND d.done_at >= m.begun_at - interval '15 minutes'
                         AND coalesce(d.order_key = m.order_key, true))
                     FROM highlevel.outbox m JOIN highlevel.evidence e ON e.location = m.location
                     WHERE m.id = $1 AND e.message_id = $2",
                &[(&doubt.id, Type::INT8), (&message.as_str(), Type::TEXT)],
            )
            .await?;
        // The message in doubt was decided meanwhile.
        let Some(row) = row else { return Ok(Owner::MayBeInProgress) };
        Ok(match (row.try_get(0)?, row.try_get(1)?) {
            (true, _) => Owner::MayBeInProgress,
            (false, true) => Owner::MayBeCompleted,
            (false, false) => Owner::None,
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
