//! The outbox: messages that are enqueued in the caller's transaction, and sent at most once.

mod begun;
mod claim;
mod clients;
mod control;
mod desk;
mod duties;
mod evidence;
#[cfg(test)]
mod model;
mod outcome;
mod outgoing;
mod request;
mod sender;
mod settle;
#[cfg(feature = "sqlx")]
mod sqlx;

pub(crate) use self::begun::Begun;
pub use self::clients::Clients;
pub use self::control::MessageState;
pub(crate) use self::desk::require_reason;
pub use self::desk::{Desk, DeskEntry, DeskReason, HistoryEntry};
pub use self::outgoing::{Enqueued, OutboxId, OutboxTransaction, Outgoing};
pub use self::request::OutgoingRequest;
pub(crate) use self::sender::jitter;
pub use self::sender::{Sender, SenderBuilder};
use crate::database::Database;
use crate::error::Result;

/// The outgoing messages of a database. From [`Database::outbox`].
#[derive(Debug, Clone)]
pub struct Outbox {
    pub(crate) database: Database,
}

impl Database {
    /// Returns the outgoing messages.
    pub fn outbox(&self) -> Outbox {
        Outbox { database: self.clone() }
    }
}

impl Outbox {
    /// Enqueues a message in a transaction of its own. Use [`Outgoing::enqueue`] in a transaction of the caller.
    ///
    /// # Errors
    ///
    /// As [`Outgoing::enqueue`]. If the database did not respond, the message may be enqueued: give it a
    /// [`once`](Outgoing::once) key, and enqueue it again.
    pub async fn enqueue(&self, outgoing: Outgoing) -> Result<Enqueued> {
        let (sql, json) = outgoing.into_statement()?;
        let json: serde_json::Value = serde_json::from_str(&json)?;
        let row = self.database.query_one(sql, &[(&json, tokio_postgres::types::Type::JSONB)]).await?;
        Ok(outgoing::enqueued(&row))
    }
}
