//! Accepts events: they are acknowledged after they are committed.

use std::borrow::Cow;
use std::fmt;
use std::time::SystemTime;

use bytes::Bytes;
use highlevel::ObservedMessage;
use highlevel::webhook::{Event, Verified, WebhookError};
use http::HeaderMap;
use serde_json::{Map, Value};
use tokio_postgres::types::Type;

use super::Inbox;
use crate::error::Error;
use crate::text::{self, LONGEST_KEY};

/// The headers that events are verified by.
pub(super) const SIGNATURES: [&str; 2] = ["x-ghl-signature", "x-wh-signature"];

/// The result of [`Inbox::accept`]. Respond with 200 to both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Accepted {
    /// The event is committed, and will be handled.
    New,
    /// The event was accepted before.
    Duplicate,
}

/// An error returned by [`Inbox::accept`].
#[derive(Debug)]
#[non_exhaustive]
pub enum AcceptError {
    /// The event is not valid.
    Rejected(WebhookError),
    /// The event could not be committed, or it is not known.
    Unavailable(Error),
}

impl AcceptError {
    /// Returns the HTTP status of the response. With 429, HighLevel redelivers the event.
    pub fn status(&self) -> u16 {
        match self {
            Self::Rejected(error) => error.status(),
            Self::Unavailable(_) => 429,
        }
    }
}

impl fmt::Display for AcceptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected(error) => error.fmt(f),
            Self::Unavailable(_) => {
                f.write_str("the event could not be committed: respond with 429, and HighLevel redelivers it")
            }
        }
    }
}

impl std::error::Error for AcceptError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Rejected(error) => error.source(),
            Self::Unavailable(error) => Some(error),
        }
    }
}

impl Inbox {
    /// Verifies an event and commits it. Respond with 200 afterwards, or with the [status](AcceptError::status) of the error.
    ///
    /// `headers` and `body` are the request's, the body exactly as it arrived.
    ///
    /// # Errors
    ///
    /// Returns an error if the event is not valid, or is not known to be committed.
    pub async fn accept(&self, headers: &HeaderMap, body: impl Into<Bytes>) -> Result<Accepted, AcceptError> {
        let received_at = SystemTime::now();
        let event = self.receiver.verify(headers, body, received_at).map_err(AcceptError::Rejected)?;
        self.store(headers, &event, received_at).await.map_err(AcceptError::Unavailable)
    }

    async fn store(
        &self,
        headers: &HeaderMap,
        event: &Verified<Event>,
        received_at: SystemTime,
    ) -> Result<Accepted, Error> {
        let json = text::storable_json(serde_json::from_slice(event.body())?);
        // Longer values are in no index. HighLevel sends ids of about 20 characters.
        let text =
            |name: &str| json[name].as_str().filter(|text| !text.is_empty() && text.len() <= LONGEST_KEY);
        let location = text("locationId");
        let order_key = text("contactId").or_else(|| text("conversationId")).filter(|_| location.is_some());
        let is_message = matches!(event.event(), Event::OutboundMessage(_) | Event::InboundMessage(_));
        let observed = ObservedMessage::from(&json);
        let message = observed.message_id().map(highlevel::MessageId::as_str);
        let message = message.filter(|id| is_message && location.is_some() && id.len() <= LONGEST_KEY);
        let (id, name) = (event_key(event.id().as_str()), text::storable(event.event().name()));
        let signatures = signatures(headers);
        let row = self
            .database
            .query_one(
                "SELECT highlevel.accept_v1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
                &[
                    (&id, Type::TEXT),
                    (&event.id().is_unique(), Type::BOOL),
                    (&location, Type::TEXT),
                    (&order_key, Type::TEXT),
                    (&name, Type::TEXT),
                    (&signatures, Type::JSONB),
                    (&event.body(), Type::BYTEA),
                    (&received_at, Type::TIMESTAMPTZ),
                    (&message, Type::TEXT),
                    (&json, Type::JSONB),
                ],
            )
            .await?;
        Ok(if row.try_get(0)? { Accepted::New } else { Accepted::Duplicate })
    }
}

/// Returns the id as an index can hold it.
fn event_key(id: &str) -> Cow<'_, str> {
    if id.len() <= LONGEST_KEY && !id.contains('\0') {
        return id.into();
    }
    text::sha256(id).into()
}

fn signatures(headers: &HeaderMap) -> Value {
    let value = |name: &&str| {
        let text = headers.get(*name)?.to_str().ok()?;
        Some(((*name).to_owned(), Value::from(text)))
    };
    Value::Object(SIGNATURES.iter().filter_map(value).collect::<Map<_, _>>())
}
