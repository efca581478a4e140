//! Tokens, rate limits, an outbox and an inbox for HighLevel (GoHighLevel) that several machines share, on PostgreSQL.
//!
//! HighLevel has no idempotency key, so a queue that repeats jobs whose outcome it does not know sends messages twice. This one
//! commits a message as `sending` before the first byte, and only proof that the attempt was not done leads back to
//! `pending`. An unknown outcome is compared with the messages that HighLevel reports, and is otherwise decided by a person.

mod database;
mod deduplicator;
mod error;
mod fence;
pub mod inbox;
pub mod limiter;
mod maintenance;
pub mod outbox;
mod schema;
mod stats;
mod sync;
mod text;
mod tls;
mod tokens;
mod worker;

pub use database::{Database, DatabaseBuilder};
pub use deduplicator::DatabaseDeduplicator;
pub use error::{Error, ErrorKind, Result};
pub use fence::DueMessages;
pub use inbox::{Inbox, InboxId};
pub use limiter::{Limits, SharedRateLimiter};
pub use maintenance::Retention;
pub use outbox::{Enqueued, Outbox, OutboxId, OutboxTransaction, Outgoing, OutgoingRequest};
pub use schema::{Migration, migration_sql, migrations};
pub use stats::Stats;
pub use tokens::{DatabaseTokenStore, SealingKey};
