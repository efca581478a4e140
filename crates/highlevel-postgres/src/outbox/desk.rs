//! The desk: messages that a person has to decide about, and the history of a message.

use std::time::{Duration, SystemTime};

use highlevel::{LocationId, MessageId};
use serde_json::Value;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::{Outbox, OutboxId, OutgoingRequest};
use crate::error::{Error, Result};

/// A process that has not been seen for this long is gone.
const GONE_AFTER: Duration = Duration::from_secs(15 * 60);

/// Messages that a person has to decide about. From [`Outbox::desk`].
///
/// A message gets there if HighLevel rejected it, or if its outcome is unknown and no evidence was found in time. Nothing is
/// sent again unless a person decides so. Each decision is recorded with the person and the reason.
#[derive(Debug, Clone)]
pub struct Desk {
    outbox: Outbox,
}

/// A message on the desk.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DeskEntry {
    /// The id of the message.
    pub id: OutboxId,
    /// The reason why a person has to decide.
    pub reason: DeskReason,
    /// The location.
    pub location: LocationId,
    /// The request, or `None` if this version cannot read it.
    pub request: Option<OutgoingRequest>,
    /// The number of the last attempt: 0 if there was none.
    pub attempt: i32,
    /// The time of the last attempt.
    pub begun_at: Option<SystemTime>,
    /// The time at which the message was enqueued.
    pub enqueued_at: SystemTime,
    /// The time since when it is on the desk.
    pub desk_at: SystemTime,
    /// Details of the last attempt: `kind`, `text`, `status`, and the `evidence` that was found.
    pub problem: Option<Value>,
}

/// The reason why a message is on the desk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DeskReason {
    /// It was not sent, and the same request would be rejected again.
    Rejected,
    /// It may have been sent. Look into the conversation before it is sent again.
    Unknown,
}

/// An entry in the history of a message.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct HistoryEntry {
    /// The time.
    pub at: SystemTime,
    /// The number of the attempt.
    pub attempt: Option<i32>,
    /// The event, such as `unknown` or `send again`.
    pub what: String,
    /// The person who decided, if it was a decision.
    pub by: Option<String>,
    /// Further details, such as the reason of a decision.
    pub detail: Option<Value>,
}

impl Outbox {
    /// Returns the messages that a person has to decide about.
    pub fn desk(&self) -> Desk {
        Desk { outbox: self.clone() }
    }

    /// Returns the history of a message, in order: everything except the usual way from pending to sent.
    ///
    /// # Errors
    ///
    /// Returns the error of the database.
    pub async fn history(&self, id: OutboxId) -> Result<Vec<HistoryEntry>> {
        let sql =
            "SELECT at, attempt, what, by, detail FROM highlevel.history WHERE message = $1 ORDER BY id";
        let rows = self.database.query(sql, &[(&id.0, Type::INT8)]).await?;
        let entry = |row: &Row| {
            Ok(HistoryEntry {
                at: row.try_get(0)?,
                attempt: row.try_get(1)?,
                what: row.try_get(2)?,
                by: row.try_get(3)?,
                detail: row.try_get(4)?,
            })
        };
        rows.iter().map(entry).collect()
    }
}

const ENTRY: &str =
    "SELECT id, state::text, location, operation, request, attempt, begun_at, enqueued_at, desk_at, problem
    FROM highlevel.outbox WHERE desk_at IS NOT NULL";

impl Desk {
    /// Returns the messages that are on the desk for the longest time.
    ///
    /// # Errors
    ///
    /// Returns the error of the database.
    pub async fn list(&self, limit: u32) -> Result<Vec<DeskEntry>> {
        let sql = format!("{ENTRY} ORDER BY desk_at, id LIMIT $1");
        let rows = self.outbox.database.query(&sql, &[(&i64::from(limit), Type::INT8)]).await?;
        rows.iter().map(entry).collect()
    }

    /// Returns a message, or `None` if it is not on the desk.
    ///
    /// # Errors
    ///
    /// Returns the error of the database.
    pub async fn inspect(&self, id: OutboxId) -> Result<Option<DeskEntry>> {
        let sql = format!("{ENTRY} AND id = $1");
        let row = self.outbox.database.query_opt(&sql, &[(&id.0, Type::INT8)]).await?;
        row.as_ref().map(entry).transpose()
    }

    /// Records that the message was sent, as this message if its id is known.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) if the outcome of the message is not open.
    pub async fn was_sent(
        &self,
        id: OutboxId,
        message: Option<MessageId>,
        who: &str,
        why: &str,
    ) -> Result<()> {
        self.decide(id, "sent", message.as_ref().map(MessageId::as_str), who, why).await
    }

    /// Records that the message was not sent. It is completed, and not sent.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) if the message is not on the desk.
    pub async fn was_not_sent(&self, id: OutboxId, who: &str, why: &str) -> Result<()> {
        self.decide(id, "not sent", None, who, why).await
    }

    /// Sends the message again. It no longer expires.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) if the message is not on the desk, or if its outcome is
    /// unknown and the process that sent it may still be alive: it has not ended in order, and was seen within 15 minutes.
    pub async fn send_again(&self, id: OutboxId, who: &str, why: &str) -> Result<()> {
        self.decide(id, "again", None, who, why).await
    }

    async fn decide(
        &self,
        id: OutboxId,
        decision: &str,
        message: Option<&str>,
        who: &str,
        why: &str,
    ) -> Result<()> {
        require_reason(who, why)?;
        let gone_after = GONE_AFTER.as_secs_f64();
        self.outbox
            .database
            .query(
                "SELECT highlevel.decide_v1($1, $2, $3, $4, $5, $6 * interval '1 second')",
                &[
                    (&id.0, Type::INT8),
                    (&decision, Type::TEXT),
                    (&message, Type::TEXT),
                    (&who, Type::TEXT),
                    (&why, Type::TEXT),
                    (&gone_after, Type::FLOAT8),
                ],
            )
            .await
            .map(drop)
    }
}

fn entry(row: &Row) -> Result<DeskEntry> {
    let (state, location): (String, String) = (row.try_get(1)?, row.try_get(2)?);
    let (operation, request): (String, Value) = (row.try_get(3)?, row.try_get(4)?);
    Ok(DeskEntry {
        id: OutboxId(row.try_get(0)?),
        reason: if state == "u" { DeskReason::Unknown } else { DeskReason::Rejected },
        location: location.into(),
        request: OutgoingRequest::from_stored(&operation, request).ok(),
        attempt: row.try_get(5)?,
        begun_at: row.try_get(6)?,
        enqueued_at: row.try_get(7)?,
        desk_at: row.try_get(8)?,
        problem: row.try_get(9)?,
    })
}

/// Rejects a decision without a name or a reason, or with one that cannot be stored.
pub(crate) fn require_reason(who: &str, why: &str) -> Result<()> {
    if who.trim().is_empty() || why.trim().is_empty() {
        return Err(Error::invalid("a decision needs the name of a person and a reason"));
    }
    if who.contains('\0') || why.contains('\0') {
        return Err(Error::invalid("a name or a reason contains the character U+0000; remove it"));
    }
    Ok(())
}
