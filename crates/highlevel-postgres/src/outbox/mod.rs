//! The outbox: messages that are enqueued in the caller's transaction, and sent at most once.

mod begun;
mod claim;
mod clients;
mod control;
mod desk;
mod duties;
mod evidence;
mod look;
#[cfg(test)]
mod model;
mod outcome;
mod outgoing;
mod reading;
mod request;
mod sender;
mod sending;
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
pub use self::sender::{Sender, SenderBuilder};
use crate::database::Database;

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
