//! The knowledge about a request after a failure.

use std::fmt;

/// The knowledge about a request that did not end with a receipt.
///
/// HighLevel has no idempotency key, so this alone decides if a message may be sent again. These four values cover all
/// that can be known, and none will be added: the enum is exhaustive, so that a `match` decides each of them and the
/// compiler reports one that is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Delivery {
    /// No byte of the request reached HighLevel; over HTTP/2 at most a head that does not end it. It is safe to send it again.
    NotSent,
    /// HighLevel responded that it did not do it, or refused its HTTP/2 stream. It is safe to send it again, once the reason is fixed.
    Rejected,
    /// It may have been done. Sending it again may do it twice: look for the message first.
    Unknown,
    /// It was accepted, but the receipt cannot be read. Do not send it again.
    Accepted,
}

impl Delivery {
    /// Returns `true` if sending the same request again cannot do it twice.
    pub fn is_safe_to_resend(self) -> bool {
        matches!(self, Self::NotSent | Self::Rejected)
    }
}

impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotSent => "nothing was sent",
            Self::Rejected => "it was not done",
            Self::Unknown => "it may have been done, so look before sending it again",
            Self::Accepted => "it was accepted, so do not send it again",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_requests_that_were_not_done_are_safe_to_resend() {
        let safe = [Delivery::NotSent, Delivery::Rejected, Delivery::Unknown, Delivery::Accepted]
            .map(Delivery::is_safe_to_resend);
        assert_eq!(safe, [true, true, false, false]);
    }
}
