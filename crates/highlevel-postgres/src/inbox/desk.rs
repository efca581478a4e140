//! Events that a person has to decide about.

use std::time::SystemTime;

use highlevel::LocationId;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::{Inbox, InboxId};
use crate::error::Result;
use crate::outbox::require_reason;

/// Events whose handler failed too often. From [`Inbox::desk`].
#[derive(Debug, Clone)]
pub struct InboxDesk {
    inbox: Inbox,
}

/// An event on the desk.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct InboxEntry {
    /// The id of the event in the inbox.
    pub id: InboxId,
    /// The name of the event, such as `InboundMessage`.
    pub name: String,
    /// The location, if the event names one.
    pub location: Option<LocationId>,
    /// The number of attempts.
    pub attempts: i32,
    /// The time at which it was received.
    pub received_at: SystemTime,
    /// The body, as it was received.
    pub body: Vec<u8>,
    /// The error of the last attempt.
    pub problem: Option<String>,
}

impl Inbox {
    /// Returns the events that a person has to decide about.
    pub fn desk(&self) -> InboxDesk {
        InboxDesk { inbox: self.clone() }
    }
}

impl InboxDesk {
    /// Returns the oldest events on the desk.
    ///
    /// # Errors
    ///
    /// Returns the error of the database.
    pub async fn list(&self, limit: u32) -> Result<Vec<InboxEntry>> {
        let sql = "SELECT id, name, location, attempts, received_at, body, problem FROM highlevel.inbox
                       WHERE state = 'd' ORDER BY id LIMIT $1";
        let rows = self.inbox.database.query(sql, &[(&i64::from(limit), Type::INT8)]).await?;
        let entry = |row: &Row| {
            Ok(InboxEntry {
                id: InboxId(row.try_get(0)?),
                name: row.try_get(1)?,
                location: row.try_get::<_, Option<String>>(2)?.map(LocationId::from),
                attempts: row.try_get(3)?,
                received_at: row.try_get(4)?,
                body: row.try_get(5)?,
                problem: row.try_get(6)?,
            })
        };
        rows.iter().map(entry).collect()
    }

    /// Handles the event again.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) if the event is not on the desk.
    pub async fn handle_again(&self, id: InboxId, who: &str, why: &str) -> Result<()> {
        self.decide(id, "again", who, why).await
    }

    /// Deletes the event.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) if the event is not on the desk.
    pub async fn discard(&self, id: InboxId, who: &str, why: &str) -> Result<()> {
        self.decide(id, "discard", who, why).await
    }

    async fn decide(&self, id: InboxId, decision: &str, who: &str, why: &str) -> Result<()> {
        require_reason(who, why)?;
        let parameters = [
            (&id.0 as _, Type::INT8),
            (&decision as _, Type::TEXT),
            (&who as _, Type::TEXT),
            (&why as _, Type::TEXT),
        ];
        let sql = "SELECT highlevel.decide_event_v1($1, $2, $3, $4)";
        self.inbox.database.query(sql, &parameters).await.map(drop)
    }
}
