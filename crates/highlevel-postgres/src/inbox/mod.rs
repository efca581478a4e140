//! The inbox: webhook events that are committed before they are acknowledged, and handled in a transaction.
//!
//! The writes of a handler, the messages that it enqueues, and the removal of the event commit together.

mod accept;
mod desk;
mod reader;

use highlevel::webhook::Receiver;

pub use self::accept::{AcceptError, Accepted};
pub use self::desk::{InboxDesk, InboxEntry};
pub use self::reader::{Handler, HandlerError, HandlerFuture, Reader, ReaderBuilder};
use crate::database::Database;

/// The id of an event in the inbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InboxId(pub i64);

impl std::fmt::Display for InboxId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// The received events of a database. From [`Database::inbox`].
#[derive(Debug, Clone)]
pub struct Inbox {
    database: Database,
    receiver: Receiver,
}

impl Database {
    /// Returns the received events. The receiver verifies them when they arrive, and again when they are handled: keep the
    /// keys that verified events which are not handled yet.
    ///
    /// The deduplicator of the receiver is not used: the inbox recognizes redelivered events itself.
    pub fn inbox(&self, receiver: Receiver) -> Inbox {
        Inbox { database: self.clone(), receiver }
    }
}
