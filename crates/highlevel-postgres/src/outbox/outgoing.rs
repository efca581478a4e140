//! A message to enqueue, and the transactions that it can be enqueued in.

use std::time::SystemTime;

use highlevel::{LocationId, Timestamp};
use serde_json::{Value, json};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::Outbox;
use super::request::OutgoingRequest;
use crate::error::{Error, Result};
use crate::text::{self, LONGEST_KEY};

/// Enqueues a message; its parameter is the JSON of it.
pub(crate) const ENQUEUE: &str = "SELECT id, is_new FROM highlevel.enqueue_v1($1::jsonb)";

/// The id of a message in the outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OutboxId(pub i64);

impl std::fmt::Display for OutboxId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A message to be sent once the caller's transaction is committed.
///
/// ```no_run
/// # async fn example(client: &mut tokio_postgres::Client, location: highlevel::LocationId) -> Result<(), Box<dyn std::error::Error>> {
/// use highlevel::Sms;
/// use highlevel_postgres::Outgoing;
///
/// let mut transaction = client.transaction().await?;
/// transaction.execute("UPDATE booking SET confirmed = true WHERE id = $1", &[&7]).await?;
/// Outgoing::new(&location, Sms::to("abc123def456").text("Your table is ready"))
///     .once("booking-7-ready")
///     .enqueue(&mut transaction)
///     .await?;
/// transaction.commit().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "a message is enqueued by `enqueue`"]
pub struct Outgoing {
    location: LocationId,
    request: OutgoingRequest,
    order: SendOrder,
    once: Option<String>,
    due_at: Option<SystemTime>,
    expires_at: Option<SystemTime>,
    trace: Option<String>,
}

#[derive(Debug, Clone)]
enum SendOrder {
    Recipient,
    Key(String),
    None,
}

/// The result of [`Outgoing::enqueue`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Enqueued {
    /// The id of the message.
    pub id: OutboxId,
    /// `false` if a message with the same [`once`](Outgoing::once) key was enqueued before: `id` is that of the other one.
    pub is_new: bool,
}

impl Outgoing {
    /// A message of a location, from a constructor of `highlevel` such as [`Sms`](highlevel::Sms).
    pub fn new(location: impl Into<LocationId>, request: impl Into<OutgoingRequest>) -> Self {
        Self {
            location: location.into(),
            request: request.into(),
            order: SendOrder::Recipient,
            once: None,
            due_at: None,
            expires_at: None,
            trace: None,
        }
    }

    /// Sets a key that makes the message unique: enqueueing it twice is enqueueing it once. The key is remembered for 90
    /// days by default, also after the message was sent.
    ///
    /// Two transactions that enqueue the same key wait for each other.
    pub fn once(mut self, key: impl Into<String>) -> Self {
        self.once = Some(key.into());
        self
    }

    /// Sets the time before which the message is not sent. Defaults to now.
    pub fn at(mut self, time: impl Into<SystemTime>) -> Self {
        self.due_at = Some(time.into());
        self
    }

    /// Sets the time after which the message is no longer sent.
    pub fn expires(mut self, time: impl Into<SystemTime>) -> Self {
        self.expires_at = Some(time.into());
        self
    }

    /// Sets the key of its order. Messages of a location with equal keys are sent one after the other, in the order of their
    /// times. Defaults to the contact.
    pub fn order_key(mut self, key: impl Into<String>) -> Self {
        self.order = SendOrder::Key(key.into());
        self
    }

    /// Sends the message without regard to others of its contact.
    pub fn unordered(mut self) -> Self {
        self.order = SendOrder::None;
        self
    }

    /// Sets the trace context of the caller (`traceparent`), which the span of the attempt records.
    pub fn trace(mut self, traceparent: impl Into<String>) -> Self {
        self.trace = Some(traceparent.into());
        self
    }

    /// Enqueues the message in a transaction of the caller. It is sent after the commit.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if the message cannot be stored, and the error of the
    /// database, after which the transaction can only be rolled back.
    pub async fn enqueue(self, transaction: &mut impl OutboxTransaction) -> Result<Enqueued> {
        let json = self.into_json()?;
        transaction.enqueue_json(json).await
    }

    /// Returns a statement that enqueues the message, and its only parameter (as text), for other drivers. It returns a row
    /// `(id bigint, is_new boolean)`.
    ///
    /// # Errors
    ///
    /// As [`enqueue`](Self::enqueue).
    pub fn into_statement(self) -> Result<(&'static str, String)> {
        Ok((ENQUEUE, self.into_json()?.to_string()))
    }

    fn into_json(self) -> Result<Value> {
        if self.location.as_str().is_empty() {
            return Err(Error::invalid("a message needs the id of a location"));
        }
        let order_key = match self.order {
            SendOrder::Recipient => self.request.recipient(),
            SendOrder::Key(key) => Some(key),
            SendOrder::None => None,
        };
        for (name, key) in [("once", &self.once), ("order", &order_key)] {
            if key.as_ref().is_some_and(|key| key.is_empty() || key.len() > LONGEST_KEY) {
                return Err(Error::invalid(format!(
                    "the {name} key is empty or longer than {LONGEST_KEY} bytes"
                )));
            }
        }
        let time = |time: Option<SystemTime>| time.map(|time| Timestamp::from(time).to_string());
        let message = json!({
            "location": self.location.as_str(),
            "order_key": order_key,
            "once": self.once,
            "due_at": time(self.due_at),
            "expires_at": time(self.expires_at),
            "operation": self.request.operation(),
            "request": self.request.to_json()?,
            "trace": self.trace,
        });
        if text::contains_nul(&message) {
            return Err(Error::invalid(
                "a message contains the character U+0000, which PostgreSQL cannot store; remove it",
            ));
        }
        Ok(message)
    }
}

/// A transaction that messages can be enqueued in.
///
/// Implemented for the transactions of `tokio-postgres` and `deadpool-postgres`, and with the feature `sqlx` for those of
/// sqlx 0.8. Other drivers execute the statement that [`Outgoing::into_statement`] returns.
pub trait OutboxTransaction: Send {
    /// Executes `enqueue_v1` with the JSON of a message.
    #[doc(hidden)]
    fn enqueue_json(&mut self, message: Value) -> impl Future<Output = Result<Enqueued>> + Send;
}

pub(crate) fn enqueued(row: &Row) -> Enqueued {
    Enqueued { id: OutboxId(row.get(0)), is_new: row.get(1) }
}

impl OutboxTransaction for tokio_postgres::Transaction<'_> {
    async fn enqueue_json(&mut self, message: Value) -> Result<Enqueued> {
        Ok(enqueued(&self.query_typed_one(ENQUEUE, &[(&message, Type::JSONB)]).await?))
    }
}

impl OutboxTransaction for deadpool_postgres::Transaction<'_> {
    async fn enqueue_json(&mut self, message: Value) -> Result<Enqueued> {
        // Its own type, with a cache of statements that is not used.
        let transaction: &tokio_postgres::Transaction<'_> = self;
        Ok(enqueued(&transaction.query_typed_one(ENQUEUE, &[(&message, Type::JSONB)]).await?))
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
        let json: Value = serde_json::from_str(&json)?;
        let row = self.database.query_one(sql, &[(&json, Type::JSONB)]).await?;
        Ok(enqueued(&row))
    }
}
