//! Decides if a failed request may be sent again without a change.

use super::effect::RepeatEffect;
use super::{Error, ErrorKind, ErrorSource};
use crate::Delivery;

impl Error {
    /// Returns `true` if the same request may succeed when it is sent again, and cannot be done twice: there was no connection
    /// or no permit, no token was available for the moment, or HighLevel had no capacity (429). Wait for
    /// [`retry_after`](Self::retry_after) before, or for a pause that grows with each attempt.
    ///
    /// Messages and calls whose outcome is unknown are never retryable. Requests that can be repeated (all that read; updates,
    /// upserts and cancellations; raw GET, HEAD, OPTIONS, PUT and DELETE) are also retryable after timeouts, broken connections
    /// and the statuses 408, 500, 502, 503 and 504.
    ///
    /// The client has already retried as far as its [`RetryPolicy`](crate::RetryPolicy) and the deadline of the call allow.
    pub fn is_retryable(&self) -> bool {
        let is_repeatable = match self.0.delivery {
            Delivery::NotSent | Delivery::Rejected => true,
            Delivery::Unknown => self.0.effect != RepeatEffect::Repeated,
            Delivery::Accepted => false,
        };
        is_repeatable && self.is_transient()
    }

    /// Returns `true` if the cause can disappear without a change of the request or of settings.
    fn is_transient(&self) -> bool {
        if self.0.is_permanent {
            return false;
        }
        match self.0.kind {
            ErrorKind::RateLimited
            | ErrorKind::Limiter
            | ErrorKind::Connect
            | ErrorKind::Timeout
            | ErrorKind::Connection => true,
            ErrorKind::Status => matches!(self.status(), Some(408 | 429 | 500 | 502 | 503 | 504)),
            // The error of the request for the token, if there was one, decides.
            ErrorKind::Token => self.own_source().is_none_or(Self::is_transient),
            ErrorKind::Configuration
            | ErrorKind::InvalidRequest
            | ErrorKind::NeedsAuthorization
            | ErrorKind::LocationInactive
            | ErrorKind::Receipt => false,
        }
    }

    /// Returns the source, if it is an error of this crate.
    pub(super) fn own_source(&self) -> Option<&Self> {
        match self.0.source.as_ref()? {
            ErrorSource::Owned(source) => source.downcast_ref(),
            ErrorSource::Shared(source) => Some(source),
        }
    }
}
