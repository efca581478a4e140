//! The result of comparing one property of a request with that of a message.

/// The result of comparing one property of a request with that of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Match {
    /// The message has the value that the request named.
    Agrees,
    /// The message does not have this property, or its value proves nothing.
    Undecided,
    /// The message is not that of the request.
    Contradicts,
    /// Neither of them has this property.
    Irrelevant,
}

/// Compares two values that are equal if the message is that of the request.
pub(super) fn compare<T: PartialEq>(sent: Option<&T>, observed: Option<&T>) -> Match {
    match (sent, observed) {
        (Some(sent), Some(observed)) if sent == observed => Match::Agrees,
        (Some(_), Some(_)) => Match::Contradicts,
        _ => Match::Undecided,
    }
}
