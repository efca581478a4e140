//! Evidence for unknown outcomes: messages that HighLevel reports are compared with the requests.

use std::time::SystemTime;

use highlevel::webhook::{Event, Verified};
use highlevel::{Fingerprint, MessageId, ObservedMessage, Reconciliation};
use serde_json::{Value, json};
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use super::look::{LookDecision, LookResult, LookSchedule, Reading};
use super::{Outbox, OutgoingRequest};
use crate::database::Database;
use crate::error::{ErrorKind, Result};
use crate::text::{self, LONGEST_KEY};
use crate::time::as_float;

/// Messages that are looked at in one round.
const AT_ONCE: i32 = 100;

/// An unknown message.
pub(super) struct Doubt {
    pub(super) id: i64,
    pub(super) location: String,
    attempt: i32,
    look: usize,
    request: Option<OutgoingRequest>,
    begun_at: SystemTime,
    evidence_at: Option<SystemTime>,
}

impl Doubt {
    /// Returns the fingerprint of the attempt, unless this version cannot read the request.
    pub(super) fn fingerprint(&self) -> Option<Fingerprint> {
        Some(self.request.as_ref()?.fingerprint(self.begun_at))
    }
}

const DOUBTS: &str =
    "SELECT id, location, attempt, looks, operation, request, begun_at, evidence_at FROM highlevel.outbox
    WHERE state = 'u'";

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

    /// Compares messages with evidence that has arrived since they were looked at. Returns `true` if more messages may be due.
    pub(super) async fn compare_new_evidence(&self) -> Result<bool> {
        let sql = format!("{DOUBTS} AND evidence_at IS NOT NULL ORDER BY evidence_at LIMIT $1");
        let doubts = self.doubts(&sql, &[(&i64::from(AT_ONCE), Type::INT8)]).await?;
        for doubt in &doubts {
            tolerate(doubt, self.compare(doubt).await)?;
        }
        Ok(is_full(&doubts))
    }

    /// Looks for evidence for the messages that are due and are not read back. Returns `true` if more messages may be due.
    pub(super) async fn look_for_evidence(&self, schedule: &LookSchedule) -> Result<bool> {
        let sql = format!(
            "{DOUBTS} AND look_at <= clock_timestamp() AND looks < coalesce($2, looks + 1) ORDER BY look_at LIMIT $1"
        );
        let reads_from = schedule.reads_from();
        let doubts =
            self.doubts(&sql, &[(&i64::from(AT_ONCE), Type::INT8), (&reads_from, Type::INT4)]).await?;
        for doubt in &doubts {
            tolerate(doubt, self.look(doubt, schedule, None).await)?;
        }
        Ok(is_full(&doubts))
    }

    /// Returns unknown messages by their ids.
    pub(super) async fn doubts_by_id(&self, ids: &[i64]) -> Result<Vec<Doubt>> {
        self.doubts(&format!("{DOUBTS} AND id = ANY ($1)"), &[(&ids, Type::INT8_ARRAY)]).await
    }

    async fn doubts(&self, sql: &str, parameters: &[(&(dyn ToSql + Sync), Type)]) -> Result<Vec<Doubt>> {
        self.query(sql, parameters).await?.iter().map(read).collect()
    }

    /// Compares a message with its evidence, outside of its schedule.
    async fn compare(&self, doubt: &Doubt) -> Result<()> {
        let result = self.reconcile(doubt, true).await?;
        if self.settle_if_sent(doubt, &result).await? || result == LookResult::InProgress {
            return Ok(());
        }
        self.query(
            "SELECT highlevel.compared_v1($1, $2, $3, $4)",
            &[
                (&doubt.id, Type::INT8),
                (&doubt.attempt, Type::INT4),
                (&doubt.evidence_at, Type::TIMESTAMPTZ),
                (&result.to_json(None), Type::JSONB),
            ],
        )
        .await
        .map(drop)
    }

    /// Looks for the message of one attempt, after its messages were read back if there is a `reading`.
    pub(super) async fn look(
        &self,
        doubt: &Doubt,
        schedule: &LookSchedule,
        reading: Option<&Reading>,
    ) -> Result<()> {
        // First: evidence that arrives meanwhile is looked at in the next round.
        let newest = self.newest_evidence(&doubt.location).await?;
        let result = self.reconcile(doubt, reading.is_none_or(Reading::is_complete)).await?;
        if self.settle_if_sent(doubt, &result).await? {
            return Ok(());
        }
        let LookDecision::Unknown { next, is_for_desk } = schedule.decide(&result, reading, doubt.look)
        else {
            return Ok(());
        };
        let look = i32::try_from(doubt.look).unwrap_or(i32::MAX);
        self.query(
            "SELECT highlevel.looked_v1($1, $2, $3, $4, $5 * interval '1 ms', $6, $7)",
            &[
                (&doubt.id, Type::INT8),
                (&doubt.attempt, Type::INT4),
                (&look, Type::INT4),
                (&newest, Type::TIMESTAMPTZ),
                (&next.map(as_float), Type::FLOAT8),
                (&is_for_desk, Type::BOOL),
                (&result.to_json(reading), Type::JSONB),
            ],
        )
        .await
        .map(drop)
    }

    /// Completes a message that was sent. Returns `false` if that is not proven.
    async fn settle_if_sent(&self, doubt: &Doubt, result: &LookResult) -> Result<bool> {
        let LookResult::Sent(message) = result else { return Ok(false) };
        if !self.assign(doubt, message).await? {
            // It was assigned to another message a moment ago. This one stays due, and is compared without it.
            return Ok(true);
        }
        let result = json!([{ "id": doubt.id, "attempt": doubt.attempt, "state": "s", "message_id": message.as_str() }]);
        self.query(
            "SELECT * FROM highlevel.settle_v1($1, $2)",
            &[(&result, Type::JSONB), (&None::<uuid::Uuid>, Type::UUID)],
        )
        .await?;
        tracing::info!(id = doubt.id, "an unknown message was found: it was sent");
        Ok(true)
    }

    /// Returns the time of the newest evidence of a location.
    async fn newest_evidence(&self, location: &str) -> Result<Option<SystemTime>> {
        let sql = "SELECT max(seen_at) FROM highlevel.evidence WHERE location = $1";
        Ok(self.query_one(sql, &[(&location, Type::TEXT)]).await?.try_get(0)?)
    }

    /// Compares the request with the messages that belong to no other message of the outbox. If not all messages are known,
    /// nothing is proven.
    async fn reconcile(&self, doubt: &Doubt, is_complete: bool) -> Result<LookResult> {
        let Some(fingerprint) = doubt.fingerprint() else { return Ok(LookResult::NotFound) };
        let candidates = self.candidates(doubt).await?;
        // After the candidates: a receipt that is written in between excludes its message.
        let known = self.receipts(doubt, candidates.iter().map(|(id, _)| id.as_str()).collect()).await?;
        let observed = candidates.iter().map(|(_, body)| ObservedMessage::from(body));
        Ok(match fingerprint.reconcile_excluding(observed, known) {
            Reconciliation::Sent(message) => match self.owner(doubt, &message).await? {
                Owner::MayBeInProgress => LookResult::InProgress,
                Owner::None if is_complete => LookResult::Sent(message),
                Owner::None | Owner::MayBeCompleted => LookResult::Ambiguous(vec![message]),
            },
            Reconciliation::NotFound if is_complete => LookResult::NotFound,
            Reconciliation::NotFound => LookResult::Ambiguous(Vec::new()),
            Reconciliation::Ambiguous(ids) => LookResult::Ambiguous(ids),
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
                // One pass, however many messages of the location were completed. Not only since the attempt: a message may be
                // dated before its request by minutes, because the clocks differ.
                "SELECT message_id FROM highlevel.outbox_done
                     WHERE location = $1 AND done_at >= $2 - interval '15 minutes' AND message_id = ANY ($3)",
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
                         AND d.done_at >= m.begun_at - interval '15 minutes' AND d.message_id = e.message_id),
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

/// Returns `true` if there may be more messages than were read in this round.
fn is_full(doubts: &[Doubt]) -> bool {
    i32::try_from(doubts.len()) == Ok(AT_ONCE)
}

/// Logs an error of one message. It stays due, and must not keep others from being looked at.
fn tolerate(doubt: &Doubt, result: Result<()>) -> Result<()> {
    match result {
        Err(error) if error.kind() != ErrorKind::Unavailable => {
            tracing::warn!(%error, id = doubt.id, "evidence for a message could not be compared");
            Ok(())
        }
        result => result,
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
        evidence_at: row.try_get(7)?,
    })
}
