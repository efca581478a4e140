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
mod limiter;
mod limiter_state;
mod limits;
mod maintenance;
pub mod outbox;
mod retention;
mod schema;
mod sealing;
mod stats;
mod sync;
mod text;
mod time;
mod tls;
mod tokens;
mod worker;

pub use database::{Database, DatabaseBuilder};
pub use deduplicator::DatabaseDeduplicator;
pub use error::{Error, ErrorKind, Result};
pub use fence::DueMessages;
pub use inbox::{Inbox, InboxId};
pub use limiter::SharedRateLimiter;
pub use limits::Limits;
pub use outbox::{Enqueued, Outbox, OutboxId, OutboxTransaction, Outgoing, OutgoingRequest};
pub use retention::Retention;
pub use schema::{Migration, migration_sql, migrations};
pub use sealing::SealingKey;
pub use stats::Stats;
pub use tokens::DatabaseTokenStore;
