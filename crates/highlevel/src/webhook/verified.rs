//! Verified events, and the claims to handle them.

use std::ops::Deref;

use bytes::Bytes;

use super::claim::ClaimGuard;
use super::error::WebhookError;
use super::event::Event;
use super::event_id::EventId;

/// A value that HighLevel signed for this receiver.
///
/// Only [`Receiver::verify`](super::Receiver::verify) and [`Receiver::receive`](super::Receiver::receive) create one. It dereferences to the event.
#[derive(Debug, Clone)]
pub struct Verified<T> {
    value: T,
    id: EventId,
    key_id: String,
    body: Bytes,
}

impl<T> Verified<T> {
    /// Call this only after all checks of the receiver.
    pub(super) fn new(value: T, id: EventId, key_id: String, body: Bytes) -> Self {
        Self { value, id, key_id, body }
    }

    /// Returns the event.
    pub fn event(&self) -> &T {
        &self.value
    }

    /// Returns the id that all deliveries of the event have.
    pub fn id(&self) -> &EventId {
        &self.id
    }

    /// Returns the name of the key that verified the event.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Returns the body as it arrived.
    pub fn body(&self) -> &[u8] {
        &self.body
    }
}

impl<T> Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// A verified event, and the claim to handle it. It dereferences to the [`Verified`] event.
///
/// Call [`commit`](Self::commit) once the event is handled, and respond with 200 if that succeeds: redeliveries are
/// duplicates from then on. If the event is dropped without a commit (the handler failed, panicked or was cancelled),
/// the claim is aborted; respond with 429, and the redelivered event is accepted.
#[derive(Debug)]
#[must_use = "call `commit` once the event is handled; otherwise the next delivery is processed again"]
pub struct ReceivedEvent {
    event: Verified<Event>,
    claim: ClaimGuard,
}

impl ReceivedEvent {
    pub(super) fn new(event: Verified<Event>, claim: ClaimGuard) -> Self {
        Self { event, claim }
    }

    /// Records that the event was handled: redeliveries of it are duplicates, unless its id is not
    /// [unique](EventId::is_unique).
    ///
    /// Once polled, the commit is finished as a task of the tokio runtime even if this future is dropped, so that a
    /// client that disconnects does not undo it.
    ///
    /// # Errors
    ///
    /// Returns an error with the status 429 if the event is not recorded as handled, so HighLevel has to redeliver it:
    /// [`Unavailable`](super::WebhookErrorKind::Unavailable) if the deduplicator failed, and
    /// [`ClaimLost`](super::WebhookErrorKind::ClaimLost) if the handler took longer than the deduplicator's timeout, so
    /// that another delivery may have been handled. A transaction that has not been committed yet should be rolled
    /// back.
    pub async fn commit(self) -> Result<(), WebhookError> {
        self.claim.commit().await
    }

    /// Ends the claim without a commit, and waits until the deduplicator has done so.
    ///
    /// Dropping the event does the same without waiting.
    pub async fn abort(self) {
        self.claim.abort().await;
    }

    /// Separates the event from its claim, for the layer that commits instead of the handler.
    #[cfg(feature = "axum")]
    pub(super) fn into_parts(self) -> (Verified<Event>, ClaimGuard) {
        (self.event, self.claim)
    }
}

impl Deref for ReceivedEvent {
    type Target = Verified<Event>;

    fn deref(&self) -> &Verified<Event> {
        &self.event
    }
}
