//! The interface of the executor to the generated client.

use std::time::SystemTime;

use highlevel_wire::ResponseValue;
use serde::de::DeserializeOwned;

use crate::classify::RepeatSafety;
use crate::{Fingerprint, Result};

/// A request that the generated client can send.
pub(crate) trait Operation: Sync {
    /// The type of the response.
    type Response: DeserializeOwned + Send;

    /// The name that the generated client uses.
    const NAME: &'static str;

    /// Returns whether the request may be repeated if it may have been done. Defaults to [`RepeatSafety::Unsafe`].
    fn replay(&self) -> RepeatSafety {
        RepeatSafety::Unsafe
    }

    /// Returns `true` if the response names a message. A response that does not is no receipt.
    fn is_receipt(_response: &Self::Response) -> bool {
        true
    }

    /// Returns the fingerprint of an attempt that starts at this time.
    fn fingerprint(&self, attempted: SystemTime) -> Option<Fingerprint>;

    /// Sends the request once.
    fn send(
        &self,
        wire: &highlevel_wire::Client,
    ) -> impl Future<Output = Result<ResponseValue<Self::Response>, highlevel_wire::Error<()>>> + Send;
}
