//! The receiver: all checks that an event has to pass.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http::HeaderMap;

use super::claim::{self, ClaimGuard};
use super::decode::{self, Decoded};
use super::deduplicator::Deduplicator;
use super::error::{WebhookError, WebhookErrorKind};
use super::event::Event;
use super::event_id::EventId;
use super::filter::{AcceptedApps, Locations};
use super::key::PublicKey;
#[cfg(feature = "rsa")]
use super::rsa::Rsa;
use super::signature;
use super::verified::{ReceivedEvent, Verified};
use super::window::AgeWindow;

/// Verifies, decodes and deduplicates events.
///
/// Cheap to clone; clones share the deduplicator. Reads no clock: the time is an argument.
#[derive(Clone)]
pub struct Receiver {
    pub(super) keys: Vec<PublicKey>,
    #[cfg(feature = "rsa")]
    pub(super) rsa: Option<Rsa>,
    pub(super) apps: AcceptedApps,
    pub(super) locations: Locations,
    pub(super) deduplicator: Option<Arc<dyn Deduplicator>>,
    pub(super) window: AgeWindow,
    pub(super) body_limit: usize,
}

impl Receiver {
    /// Verifies an event, and claims it for the caller.
    ///
    /// `headers` and `body` are the request's, the body exactly as it arrived; `now` is the current time.
    ///
    /// Dropping the future leaves no claim behind.
    ///
    /// # Errors
    ///
    /// Returns the error of the first check that fails, in the order that the [module](super) lists. Respond with its
    /// [`status`](WebhookError::status).
    pub async fn receive(
        &self,
        headers: &HeaderMap,
        body: impl Into<Bytes>,
        now: SystemTime,
    ) -> Result<ReceivedEvent, WebhookError> {
        let event = self.verify(headers, body, now)?;
        let claim = match &self.deduplicator {
            Some(deduplicator) => claim::begin(deduplicator, event.id(), now).await?,
            None => ClaimGuard::none(),
        };
        Ok(ReceivedEvent::new(event, claim))
    }

    /// Verifies an event without deduplicating it.
    ///
    /// For programs that deduplicate by [`Verified::id`] in the transaction that handles the event, and for an event
    /// whose bytes were stored. Does no I/O, and does not use the deduplicator, so redelivered events are accepted.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`receive`](Self::receive), except those of the deduplicator.
    pub fn verify(
        &self,
        headers: &HeaderMap,
        body: impl Into<Bytes>,
        now: SystemTime,
    ) -> Result<Verified<Event>, WebhookError> {
        let body = body.into();
        if body.len() > self.body_limit {
            return Err(WebhookError::new(
                WebhookErrorKind::TooLarge,
                format!("body of {} bytes exceeds the limit of {}", body.len(), self.body_limit),
            ));
        }
        let key_id = self.verify_signature(headers, &body, now)?.to_owned();
        let Decoded { envelope, event } = decode::decode(&body)?;
        self.apps.check(&envelope.app_id)?;
        self.locations.check(&envelope.location_id)?;
        self.window.check(&envelope.timestamp, now)?;
        let event = event?;
        let id = EventId::of(&envelope, &event, &body);
        Ok(Verified::new(event, id, key_id, body))
    }

    /// Returns the length of the longest body that is accepted, in bytes.
    pub fn body_limit(&self) -> usize {
        self.body_limit
    }

    /// Returns the name of the key that verifies the body. If the Ed25519 header is present in any form, it alone
    /// decides.
    fn verify_signature(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        now: SystemTime,
    ) -> Result<&str, WebhookError> {
        if let Some(signature) = signature::read(headers)? {
            return signature::verify(&self.keys, body, &signature, now).map(PublicKey::id);
        }
        #[cfg(feature = "rsa")]
        if let Some(rsa) = &self.rsa
            && let Some(key_id) = rsa.verify(headers, body, now)?
        {
            return Ok(key_id);
        }
        Err(signature::missing())
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Receiver");
        debug.field("keys", &self.keys);
        #[cfg(feature = "rsa")]
        debug.field("rsa", &self.rsa);
        debug
            .field("apps", &self.apps)
            .field("locations", &self.locations)
            .field("oldest", &self.window.oldest)
            .field("furthest_ahead", &self.window.furthest_ahead)
            .field("body_limit", &self.body_limit)
            .finish_non_exhaustive()
    }
}
