//! The interface of the executor to the generated client.

use std::time::SystemTime;

use highlevel_wire::ResponseValue;

use crate::classify::RepeatSafety;
use crate::recent::Addressee;
use crate::telemetry::HttpRoute;
use crate::{Fingerprint, MessageId, Result};

/// A request that the generated client can send.
pub(crate) trait Operation: Sync {
    /// The type of the response.
    type Response: Send;

    /// The name that the generated client uses.
    const NAME: &'static str;

    /// Returns the method and the path template, for spans and metrics.
    fn route(&self) -> HttpRoute {
        HttpRoute::of(Self::NAME)
    }

    /// Returns whether the request may be repeated if it may have been done. Defaults to [`RepeatSafety::Unsafe`].
    fn replay(&self) -> RepeatSafety {
        RepeatSafety::Unsafe
    }

    /// Returns `true` if the response names the message or has the list that was requested. A response that does not is no
    /// receipt.
    fn is_receipt(_response: &Self::Response) -> bool {
        true
    }

    /// Reads a response that the generated client could not read.
    ///
    /// # Errors
    ///
    /// Returns an error if the response cannot be read without its mistyped fields either.
    fn read(body: &[u8]) -> serde_json::Result<Self::Response>;

    /// Returns the fingerprint of an attempt that starts at this time. Only requests that create a message have one.
    fn fingerprint(&self, _attempted: SystemTime) -> Option<Fingerprint> {
        None
    }

    /// Returns the contact and conversation that the request names. Only requests that create a message have them.
    fn addressee(&self) -> Option<Addressee> {
        None
    }

    /// Returns the ids of the messages that the request created.
    fn created(_response: &Self::Response) -> impl Iterator<Item = &MessageId> {
        std::iter::empty()
    }

    /// Sends the request once.
    fn send(
        &self,
        wire: &highlevel_wire::Client,
    ) -> impl Future<Output = Result<ResponseValue<Self::Response>, highlevel_wire::Error<()>>> + Send;
}
