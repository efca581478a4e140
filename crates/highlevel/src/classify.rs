//! From what was seen of one attempt to what is known, and to what could be done about it. Pure, total, and the one
//! place where it is decided.

use std::time::Duration;

use crate::{Delivery, ErrorKind};

/// What was seen of one attempt that did not end with a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// There was no answer.
    NoAnswer {
        /// Whether the transport began to take the request's body, after which bytes may have been written.
        written: bool,
        /// What the transport says went wrong.
        fault: Fault,
    },
    /// There was an answer.
    Answer(Answer),
}

/// An answer, as far as it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Answer {
    /// Its status.
    pub(crate) status: u16,
    /// Whether the transport went to another address on its own.
    pub(crate) redirected: bool,
    /// Its `Retry-After`.
    pub(crate) retry_after: Option<Duration>,
    /// Whether its headers say that nothing is left of the daily limit.
    pub(crate) day_is_spent: bool,
    /// `true` for a 401 that no other token would cure.
    pub(crate) not_about_token: bool,
}

/// What the transport says went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// No connection.
    Connect,
    /// A connection, but not to whom it should be: its certificate was not accepted.
    Certificate,
    /// It took too long.
    Timeout,
    /// The server refused the HTTP/2 stream of the request, which it may do only if it has not processed the request.
    Refused,
    /// The connection broke, or what came is not HTTP.
    Broken,
}

/// Whether a request may be made again when it may have been done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Replay {
    /// It may not: it would be done twice.
    Unsafe,
    /// It may: doing it twice is doing it once (GET, HEAD, PUT, DELETE).
    Idempotent,
}

/// What is known, and what could be done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) delivery: Delivery,
    pub(crate) kind: ErrorKind,
    pub(crate) remedy: Remedy,
}

/// What could be done about a failure, if the policy allows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// Nothing.
    None,
    /// Make it again after a pause.
    Retry,
    /// Wait for a turn again.
    Turn,
    /// Make it again with another token.
    Token,
    /// Make it again after this time, which is only safe if a 503 means that nothing was done.
    Wait(Duration),
}

/// What follows from what was seen. An observation that no row names is [`Delivery::Unknown`], without a remedy.
pub(crate) fn classify(seen: Seen, replay: Replay) -> Verdict {
    let verdict = match seen {
        Seen::NoAnswer { written, fault } => no_answer(written, fault),
        Seen::Answer(answer) => answered(answer),
    };
    if replay == Replay::Idempotent && is_transient(seen) {
        return Verdict { remedy: Remedy::Retry, ..verdict };
    }
    verdict
}

fn no_answer(written: bool, fault: Fault) -> Verdict {
    let kind = match fault {
        Fault::Connect | Fault::Certificate => ErrorKind::Connect,
        Fault::Timeout => ErrorKind::Timeout,
        Fault::Broken | Fault::Refused => ErrorKind::Connection,
    };
    match (written, fault) {
        // As after a 429, the server has too many requests at once.
        (true, Fault::Refused) => Verdict { delivery: Delivery::Rejected, kind, remedy: Remedy::Turn },
        (true, _) => Verdict { delivery: Delivery::Unknown, kind, remedy: Remedy::None },
        // The next attempt would meet the same certificate.
        (false, Fault::Certificate) => Verdict { delivery: Delivery::NotSent, kind, remedy: Remedy::None },
        (false, _) => Verdict { delivery: Delivery::NotSent, kind, remedy: Remedy::Retry },
    }
}

fn answered(answer: Answer) -> Verdict {
    let status = |delivery, remedy| Verdict { delivery, kind: ErrorKind::Status, remedy };
    match answer.status {
        // The request itself was answered with a redirect, whatever came of following it.
        _ if answer.redirected => status(Delivery::Rejected, Remedy::None),
        200..=299 => Verdict { delivery: Delivery::Accepted, kind: ErrorKind::Receipt, remedy: Remedy::None },
        401 if !answer.not_about_token => status(Delivery::Rejected, Remedy::Token),
        429 if !answer.day_is_spent => status(Delivery::Rejected, Remedy::Turn),
        300..=399 | 400 | 401 | 403 | 404 | 409 | 413 | 415 | 422 | 429 => {
            status(Delivery::Rejected, Remedy::None)
        }
        503 => status(Delivery::Unknown, answer.retry_after.map_or(Remedy::None, Remedy::Wait)),
        _ => status(Delivery::Unknown, Remedy::None),
    }
}

/// Whether making it again later may well end otherwise.
fn is_transient(seen: Seen) -> bool {
    match seen {
        Seen::NoAnswer { fault, .. } => fault != Fault::Certificate,
        Seen::Answer(answer) => !answer.redirected && matches!(answer.status, 408 | 502 | 503 | 504),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn answer(status: u16) -> Answer {
        Answer { status, redirected: false, retry_after: None, day_is_spent: false, not_about_token: false }
    }

    #[test]
    fn every_row() {
        use Delivery::{Accepted, NotSent, Rejected, Unknown};
        let wait = Duration::from_secs(3);
        let no_answer = |written, fault| Seen::NoAnswer { written, fault };
        let mut rows = vec![
            (no_answer(false, Fault::Connect), NotSent, ErrorKind::Connect, Remedy::Retry),
            (no_answer(false, Fault::Certificate), NotSent, ErrorKind::Connect, Remedy::None),
            (no_answer(false, Fault::Timeout), NotSent, ErrorKind::Timeout, Remedy::Retry),
            (no_answer(false, Fault::Broken), NotSent, ErrorKind::Connection, Remedy::Retry),
            (no_answer(false, Fault::Refused), NotSent, ErrorKind::Connection, Remedy::Retry),
            (no_answer(true, Fault::Refused), Rejected, ErrorKind::Connection, Remedy::Turn),
            (no_answer(true, Fault::Connect), Unknown, ErrorKind::Connect, Remedy::None),
            (no_answer(true, Fault::Certificate), Unknown, ErrorKind::Connect, Remedy::None),
            (no_answer(true, Fault::Timeout), Unknown, ErrorKind::Timeout, Remedy::None),
            (no_answer(true, Fault::Broken), Unknown, ErrorKind::Connection, Remedy::None),
            (Seen::Answer(answer(401)), Rejected, ErrorKind::Status, Remedy::Token),
            (
                Seen::Answer(Answer { not_about_token: true, ..answer(401) }),
                Rejected,
                ErrorKind::Status,
                Remedy::None,
            ),
            (Seen::Answer(answer(429)), Rejected, ErrorKind::Status, Remedy::Turn),
            (
                Seen::Answer(Answer { day_is_spent: true, ..answer(429) }),
                Rejected,
                ErrorKind::Status,
                Remedy::None,
            ),
            (
                Seen::Answer(Answer { retry_after: Some(wait), ..answer(429) }),
                Rejected,
                ErrorKind::Status,
                Remedy::Turn,
            ),
            (Seen::Answer(answer(503)), Unknown, ErrorKind::Status, Remedy::None),
            (
                Seen::Answer(Answer { retry_after: Some(wait), ..answer(503) }),
                Unknown,
                ErrorKind::Status,
                Remedy::Wait(wait),
            ),
            (
                Seen::Answer(Answer { redirected: true, ..answer(200) }),
                Rejected,
                ErrorKind::Status,
                Remedy::None,
            ),
            (
                Seen::Answer(Answer { redirected: true, ..answer(500) }),
                Rejected,
                ErrorKind::Status,
                Remedy::None,
            ),
        ];
        rows.extend(
            (200..=299)
                .map(|status| (Seen::Answer(answer(status)), Accepted, ErrorKind::Receipt, Remedy::None)),
        );
        let refusals = (300..=399).chain([400, 403, 404, 409, 413, 415, 422]);
        rows.extend(
            refusals.map(|status| (Seen::Answer(answer(status)), Rejected, ErrorKind::Status, Remedy::None)),
        );
        // Whatever no row names is unknown: every other status there can be.
        let named = |status: &u16| {
            (200..=399).contains(status)
                || [400, 401, 403, 404, 409, 413, 415, 422, 429, 503].contains(status)
        };
        rows.extend(
            (0..=1000)
                .filter(|status| !named(status))
                .map(|status| (Seen::Answer(answer(status)), Unknown, ErrorKind::Status, Remedy::None)),
        );
        for (seen, delivery, kind, remedy) in rows {
            assert_eq!(classify(seen, Replay::Unsafe), Verdict { delivery, kind, remedy }, "{seen:?}");
        }
    }

    /// The whole table once more, by the one rule that matters most.
    #[test]
    fn what_may_have_been_done_has_no_remedy_that_is_on_by_default() {
        for written in [true, false] {
            for fault in [Fault::Connect, Fault::Certificate, Fault::Timeout, Fault::Refused, Fault::Broken] {
                check(Seen::NoAnswer { written, fault });
            }
        }
        for status in 0..=1000 {
            for bits in 0..16_u8 {
                check(Seen::Answer(Answer {
                    status,
                    redirected: bits & 1 != 0,
                    retry_after: (bits & 2 != 0).then_some(Duration::from_secs(1)),
                    day_is_spent: bits & 4 != 0,
                    not_about_token: bits & 8 != 0,
                }));
            }
        }
    }

    fn check(seen: Seen) {
        let verdict = classify(seen, Replay::Unsafe);
        if !verdict.delivery.is_safe_to_resend() {
            assert!(matches!(verdict.remedy, Remedy::None | Remedy::Wait(_)), "{seen:?}: {verdict:?}");
        }
    }

    #[test]
    fn what_is_idempotent_is_made_again_after_what_passes() {
        let no_answer = |written, fault| Seen::NoAnswer { written, fault };
        for (seen, again) in [
            (no_answer(true, Fault::Timeout), true),
            (no_answer(true, Fault::Broken), true),
            (no_answer(false, Fault::Connect), true),
            (no_answer(false, Fault::Certificate), false),
            (Seen::Answer(answer(408)), true),
            (Seen::Answer(answer(500)), false),
            (Seen::Answer(answer(502)), true),
            (Seen::Answer(answer(503)), true),
            (Seen::Answer(answer(504)), true),
            (Seen::Answer(answer(404)), false),
            (Seen::Answer(Answer { redirected: true, ..answer(503) }), false),
        ] {
            assert_eq!(classify(seen, Replay::Idempotent).remedy == Remedy::Retry, again, "{seen:?}");
        }
    }
}
