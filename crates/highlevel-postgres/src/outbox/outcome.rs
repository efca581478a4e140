//! The decision after an attempt: a pure function of its result.
//!
//! Only proof that the attempt was not done leads back to pending.

use std::time::Duration;

use highlevel::{Delivery, ErrorKind};
use serde_json::{Value, json};

use super::request::Accepted;

/// The time until a location without a valid token is tried again.
const NO_TOKEN: Duration = Duration::from_secs(30);
/// The same if a person has to authorize the app there first.
const NEEDS_AUTHORIZATION: Duration = Duration::from_secs(60);

/// The result of an attempt.
#[derive(Debug)]
pub(crate) enum SendResult {
    /// HighLevel returned a receipt.
    Accepted(Accepted),
    Failed(Failure),
    /// The stored request cannot be read, so nothing was sent.
    Unreadable(String),
    /// The task of the attempt panicked or was cancelled.
    Aborted,
}

/// A failed attempt, as far as the decision depends on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) delivery: Delivery,
    pub(crate) kind: ErrorKind,
    pub(crate) status: Option<u16>,
    pub(crate) text: String,
}

impl From<&highlevel::Error> for Failure {
    fn from(error: &highlevel::Error) -> Self {
        Self {
            delivery: error.delivery(),
            kind: error.kind(),
            status: error.status(),
            text: error.to_string(),
        }
    }
}

/// The next state of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NextState {
    /// Completed, with or without the id of its message.
    Sent,
    Accepted,
    /// It is sent again: the attempt is proven not to have been done.
    Pending,
    /// A person decides.
    Rejected,
    Unknown,
}

impl NextState {
    /// Returns the state as `settle_v1` expects it.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Sent => "s",
            Self::Accepted => "a",
            Self::Pending => "p",
            Self::Rejected => "r",
            Self::Unknown => "u",
        }
    }
}

/// The consequence of an attempt for other messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Consequence {
    None,
    /// Nothing of the location is sent for a while.
    HoldLocation(Duration),
    /// The host cannot be reached: this process pauses.
    PauseSender,
}

/// The next state of the message, and the consequence for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) next: NextState,
    pub(crate) consequence: Consequence,
}

impl SendResult {
    pub(crate) fn decide(&self) -> Decision {
        let next = |next| Decision { next, consequence: Consequence::None };
        match self {
            Self::Accepted(_) => next(NextState::Sent),
            Self::Unreadable(_) => next(NextState::Rejected),
            Self::Aborted => next(NextState::Unknown),
            Self::Failed(failure) => match failure.delivery {
                Delivery::Accepted => next(NextState::Accepted),
                Delivery::Unknown => next(NextState::Unknown),
                Delivery::Rejected => after_rejection(failure),
                Delivery::NotSent => after_no_byte(failure),
            },
        }
    }

    /// Returns the problem, for the desk and the history.
    pub(crate) fn problem(&self) -> Option<Value> {
        match self {
            Self::Accepted(_) => None,
            Self::Failed(failure) => Some(json!({
                "kind": format!("{:?}", failure.kind),
                "delivery": format!("{:?}", failure.delivery),
                "status": failure.status,
                "text": failure.text,
            })),
            Self::Unreadable(text) => Some(json!({ "kind": "Unreadable", "text": text })),
            Self::Aborted => {
                Some(json!({ "kind": "Aborted", "text": "the attempt was aborted or panicked" }))
            }
        }
    }
}

/// HighLevel responded that it did not do it.
fn after_rejection(failure: &Failure) -> Decision {
    let (next, consequence) = match (failure.status, failure.kind) {
        // The limiter blocks the location.
        (Some(429), _) => (NextState::Pending, Consequence::None),
        (_, ErrorKind::NeedsAuthorization | ErrorKind::LocationInactive) => {
            (NextState::Pending, Consequence::HoldLocation(NEEDS_AUTHORIZATION))
        }
        (Some(401), _) => (NextState::Pending, Consequence::HoldLocation(NO_TOKEN)),
        // A stream that was refused before it was processed.
        (None, _) => (NextState::Pending, Consequence::PauseSender),
        _ => (NextState::Rejected, Consequence::None),
    };
    Decision { next, consequence }
}

/// No byte of the request was sent.
fn after_no_byte(failure: &Failure) -> Decision {
    let (next, consequence) = match failure.kind {
        ErrorKind::InvalidRequest | ErrorKind::Configuration => (NextState::Rejected, Consequence::None),
        ErrorKind::NeedsAuthorization | ErrorKind::LocationInactive => {
            (NextState::Pending, Consequence::HoldLocation(NEEDS_AUTHORIZATION))
        }
        ErrorKind::Token => (NextState::Pending, Consequence::HoldLocation(NO_TOKEN)),
        ErrorKind::Connect | ErrorKind::Connection => (NextState::Pending, Consequence::PauseSender),
        // A permit or a lease has lapsed, or the limiter has none.
        _ => (NextState::Pending, Consequence::None),
    };
    Decision { next, consequence }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELIVERIES: [Delivery; 4] =
        [Delivery::NotSent, Delivery::Rejected, Delivery::Unknown, Delivery::Accepted];
    const KINDS: [ErrorKind; 12] = [
        ErrorKind::Configuration,
        ErrorKind::InvalidRequest,
        ErrorKind::Token,
        ErrorKind::NeedsAuthorization,
        ErrorKind::LocationInactive,
        ErrorKind::RateLimited,
        ErrorKind::Limiter,
        ErrorKind::Connect,
        ErrorKind::Timeout,
        ErrorKind::Connection,
        ErrorKind::Status,
        ErrorKind::Receipt,
    ];

    fn decide(delivery: Delivery, kind: ErrorKind, status: Option<u16>) -> Decision {
        SendResult::Failed(Failure { delivery, kind, status, text: String::new() }).decide()
    }

    #[test]
    fn only_attempts_that_were_not_done_return_to_pending() {
        for delivery in DELIVERIES {
            for kind in KINDS {
                for status in [None, Some(400), Some(401), Some(408), Some(429), Some(500), Some(503)] {
                    let next = decide(delivery, kind, status).next;
                    let is_proven = matches!(delivery, Delivery::NotSent | Delivery::Rejected);
                    assert!(
                        is_proven || !matches!(next, NextState::Pending | NextState::Rejected),
                        "{delivery:?} {kind:?} {status:?}: {next:?}"
                    );
                    assert!(
                        !is_proven
                            || !matches!(next, NextState::Sent | NextState::Accepted | NextState::Unknown),
                        "{delivery:?} {kind:?} {status:?}: {next:?}"
                    );
                }
            }
        }
        assert_eq!(SendResult::Aborted.decide().next, NextState::Unknown);
    }

    #[test]
    fn the_location_or_the_sender_pauses_if_the_reason_is_theirs() {
        struct Row {
            delivery: Delivery,
            kind: ErrorKind,
            status: Option<u16>,
            next: NextState,
            consequence: Consequence,
        }
        let hold = Consequence::HoldLocation;
        let row =
            |delivery, kind, status, next, consequence| Row { delivery, kind, status, next, consequence };
        let rows = [
            row(Delivery::Rejected, ErrorKind::Status, Some(429), NextState::Pending, Consequence::None),
            row(Delivery::Rejected, ErrorKind::Status, Some(401), NextState::Pending, hold(NO_TOKEN)),
            row(Delivery::Rejected, ErrorKind::Status, Some(400), NextState::Rejected, Consequence::None),
            row(Delivery::Rejected, ErrorKind::Status, Some(404), NextState::Rejected, Consequence::None),
            row(Delivery::NotSent, ErrorKind::InvalidRequest, None, NextState::Rejected, Consequence::None),
            row(Delivery::NotSent, ErrorKind::Connect, None, NextState::Pending, Consequence::PauseSender),
            row(Delivery::NotSent, ErrorKind::Timeout, None, NextState::Pending, Consequence::None),
            row(
                Delivery::NotSent,
                ErrorKind::NeedsAuthorization,
                None,
                NextState::Pending,
                hold(NEEDS_AUTHORIZATION),
            ),
            row(Delivery::Unknown, ErrorKind::Status, Some(503), NextState::Unknown, Consequence::None),
            row(Delivery::Accepted, ErrorKind::Receipt, Some(200), NextState::Accepted, Consequence::None),
        ];
        for Row { delivery, kind, status, next, consequence } in rows {
            assert_eq!(
                decide(delivery, kind, status),
                Decision { next, consequence },
                "{delivery:?} {kind:?} {status:?}"
            );
        }
    }
}
