//! What is known after a failure.

use std::fmt;

use crate::ErrorKind;

/// What is known about a request that did not end with a receipt.
///
/// HighLevel has no idempotency key, so whether a message may be sent again depends on this alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Delivery {
    /// No byte of the request reached HighLevel. It is safe to send it again.
    NotSent,
    /// HighLevel answered that it did not do it. It is safe to send it again, once the reason is mended.
    Refused,
    /// It may have been done. Sending it again may do it twice: look first.
    Unknown,
    /// It was accepted, but the receipt cannot be read. Do not send it again.
    Accepted,
}

impl Delivery {
    /// Whether sending the same request again cannot do it twice.
    pub fn is_safe_to_resend(self) -> bool {
        matches!(self, Self::NotSent | Self::Refused)
    }
}

impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotSent => "nothing was sent",
            Self::Refused => "it was not done",
            Self::Unknown => "it may have been done, so look before sending it again",
            Self::Accepted => "it was accepted, so do not send it again",
        })
    }
}

/// What was seen of one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// There was no answer.
    NoAnswer {
        /// Whether the transport began to take the request's body.
        written: bool,
        /// What the transport says went wrong.
        fault: Fault,
    },
    /// There was an answer with this status.
    Answer {
        status: u16,
        /// Whether the transport went to another address on its own.
        redirected: bool,
    },
}

/// What the transport says went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Connect,
    Timeout,
    Other,
}

/// What follows from what was seen, for an attempt that did not end with a receipt. An observation that no row
/// names is [`Delivery::Unknown`].
pub(crate) fn classify(seen: Seen) -> (Delivery, ErrorKind) {
    match seen {
        Seen::NoAnswer { written: false, fault } => (Delivery::NotSent, no_answer(fault)),
        Seen::NoAnswer { written: true, fault } => (Delivery::Unknown, no_answer(fault)),
        // The request itself was answered with a redirect, whatever came of following it.
        Seen::Answer { redirected: true, .. } => (Delivery::Refused, ErrorKind::Status),
        Seen::Answer { status, .. } => match status {
            200..=299 => (Delivery::Accepted, ErrorKind::Receipt),
            300..=399 | 400 | 401 | 403 | 404 | 409 | 413 | 415 | 422 | 429 => {
                (Delivery::Refused, ErrorKind::Status)
            }
            _ => (Delivery::Unknown, ErrorKind::Status),
        },
    }
}

fn no_answer(fault: Fault) -> ErrorKind {
    match fault {
        Fault::Connect => ErrorKind::Connect,
        Fault::Timeout => ErrorKind::Timeout,
        Fault::Other => ErrorKind::Connection,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_table() {
        let no_answer = |written, fault| Seen::NoAnswer { written, fault };
        let answer = |status| Seen::Answer { status, redirected: false };
        let mut cases = vec![
            (no_answer(false, Fault::Connect), Delivery::NotSent, ErrorKind::Connect),
            (no_answer(false, Fault::Timeout), Delivery::NotSent, ErrorKind::Timeout),
            (no_answer(false, Fault::Other), Delivery::NotSent, ErrorKind::Connection),
            (no_answer(true, Fault::Timeout), Delivery::Unknown, ErrorKind::Timeout),
            (no_answer(true, Fault::Other), Delivery::Unknown, ErrorKind::Connection),
            (no_answer(true, Fault::Connect), Delivery::Unknown, ErrorKind::Connect),
            (Seen::Answer { status: 200, redirected: true }, Delivery::Refused, ErrorKind::Status),
        ];
        cases.extend(
            [200, 201, 202, 204].map(|status| (answer(status), Delivery::Accepted, ErrorKind::Receipt)),
        );
        cases.extend(
            [301, 302, 303, 307, 308, 400, 401, 403, 404, 409, 413, 415, 422, 429]
                .map(|status| (answer(status), Delivery::Refused, ErrorKind::Status)),
        );
        cases.extend(
            [100, 402, 405, 408, 410, 418, 425, 499, 500, 501, 502, 503, 504, 599, 999]
                .map(|status| (answer(status), Delivery::Unknown, ErrorKind::Status)),
        );
        for (seen, delivery, kind) in cases {
            assert_eq!(classify(seen), (delivery, kind), "{seen:?}");
        }
    }

    #[test]
    fn only_what_was_not_done_may_be_sent_again() {
        let safe = [Delivery::NotSent, Delivery::Refused, Delivery::Unknown, Delivery::Accepted]
            .map(Delivery::is_safe_to_resend);
        assert_eq!(safe, [true, true, false, false]);
    }
}
