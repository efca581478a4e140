//! Enqueueing in the transactions of sqlx 0.8.

use serde_json::Value;
use sqlx::{PgConnection, Postgres, Transaction};

use super::outgoing::ENQUEUE;
use super::{Enqueued, OutboxId, OutboxTransaction};
use crate::error::Result;

impl OutboxTransaction for PgConnection {
    async fn enqueue_json(&mut self, message: Value) -> Result<Enqueued> {
        // Not prepared with a name: a connection pooler may change the connection to the server.
        let query = sqlx::query_as(ENQUEUE).persistent(false).bind(message.to_string());
        let (id, is_new): (i64, bool) = query.fetch_one(self).await?;
        Ok(Enqueued { id: OutboxId(id), is_new })
    }
}

impl OutboxTransaction for Transaction<'_, Postgres> {
    async fn enqueue_json(&mut self, message: Value) -> Result<Enqueued> {
        PgConnection::enqueue_json(self, message).await
    }
}
