//! Messages and locations under a person's control: status, cancelling, pausing.

use std::time::{Duration, SystemTime};

use highlevel::{LocationId, MessageId};
use tokio_postgres::types::Type;

use super::desk::require_reason;
use super::{Outbox, OutboxId};
use crate::error::{Error, Result};
use crate::time::as_float;

/// The state of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum MessageState {
    /// It waits for its time, for a permit, for others of its contact, or for its location.
    Pending {
        /// The time before which it is not sent.
        due_at: SystemTime,
    },
    /// It is being sent.
    Sending,
    /// It may have been sent.
    Unknown {
        /// `true` if a person has to decide.
        is_on_desk: bool,
    },
    /// It was not sent, and a person has to decide.
    Rejected,
    /// It was sent.
    Sent {
        /// The id of the message, if it is known.
        message: Option<MessageId>,
    },
    /// HighLevel accepted it, but the receipt could not be read.
    Accepted,
    /// A person decided that it was not sent.
    NotSent,
    /// It was not sent because its time had passed.
    Expired,
    /// It was cancelled before it was sent.
    Cancelled,
}

impl Outbox {
    /// Returns the state of a message, or `None` if it does not exist or was deleted after its retention.
    ///
    /// # Errors
    ///
    /// Returns the error of the database.
    pub async fn state(&self, id: OutboxId) -> Result<Option<MessageState>> {
        // One statement: a message moves from one table to the other in one transaction.
        let sql = "SELECT state::text, due_at, desk_at IS NOT NULL, NULL FROM highlevel.outbox WHERE id = $1
            UNION ALL SELECT 'done ' || outcome::text, done_at, false, message_id FROM highlevel.outbox_done WHERE id = $1";
        let Some(row) = self.database.query_opt(sql, &[(&id.0, Type::INT8)]).await? else { return Ok(None) };
        let (state, due_at, is_on_desk): (String, SystemTime, bool) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let message: Option<String> = row.try_get(3)?;
        Ok(Some(match state.as_str() {
            "p" => MessageState::Pending { due_at },
            "s" => MessageState::Sending,
            "u" => MessageState::Unknown { is_on_desk },
            "r" => MessageState::Rejected,
            "done s" => MessageState::Sent { message: message.map(MessageId::from) },
            "done a" => MessageState::Accepted,
            "done n" => MessageState::NotSent,
            "done x" => MessageState::Expired,
            "done c" => MessageState::Cancelled,
            _ => return Err(Error::invalid(format!("message {id} has the unknown state `{state}`"))),
        }))
    }

    /// Cancels a message that is pending. Returns `false` if it is not: it is being sent, was sent, or waits for a decision.
    ///
    /// # Errors
    ///
    /// Returns the error of the database.
    pub async fn cancel(&self, id: OutboxId, who: &str, why: &str) -> Result<bool> {
        require_reason(who, why)?;
        let rows = self
            .database
            .query(
                "SELECT * FROM highlevel.close_v1(ARRAY[$1::bigint], 'c', $2, $3)",
                &[(&id.0, Type::INT8), (&who, Type::TEXT), (&why, Type::TEXT)],
            )
            .await?;
        Ok(!rows.is_empty())
    }

    /// Sends nothing of a location for a time, or until it is [resumed](Self::resume) without one. Messages that are being
    /// sent are completed.
    ///
    /// # Errors
    ///
    /// Returns the error of the database.
    pub async fn pause(
        &self,
        location: &LocationId,
        time: Option<Duration>,
        who: &str,
        why: &str,
    ) -> Result<()> {
        require_reason(who, why)?;
        let time = time.map(as_float);
        self.database
            .query(
                "SELECT highlevel.hold_v1($1, $2, $3, $4 * interval '1 ms')",
                &[
                    (&location.as_str(), Type::TEXT),
                    (&why, Type::TEXT),
                    (&who, Type::TEXT),
                    (&time, Type::FLOAT8),
                ],
            )
            .await
            .map(drop)
    }

    /// Ends the pause of a location, whether a person or a sender caused it. Returns `false` if there was none.
    ///
    /// # Errors
    ///
    /// Returns the error of the database.
    pub async fn resume(&self, location: &LocationId, who: &str) -> Result<bool> {
        let row = self
            .database
            .query_one(
                "SELECT highlevel.resume_v1($1, $2)",
                &[(&location.as_str(), Type::TEXT), (&who, Type::TEXT)],
            )
            .await?;
        Ok(row.try_get(0)?)
    }
}
