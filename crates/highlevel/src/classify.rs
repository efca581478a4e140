//! Classifies the result of an attempt: what is known about the request, and which retry is safe.
//!
//! A pure and total function, and the only place where this is decided.

use std::time::Duration;

use crate::{Delivery, ErrorKind};

/// The result of an attempt that did not end with a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AttemptResult {
    /// No response arrived.
    NoResponse {
        /// The transport has started to take the request's body, after which bytes may have been written.
        written: bool,
        /// The error of the transport.
        error: TransportError,
    },
    /// A response arrived.
    Response(ResponseSummary),
}

/// The properties of a response that decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct ResponseSummary {
    pub(crate) status: u16,
    /// The transport has followed a redirect.
    pub(crate) redirected: bool,
    /// The value of `Retry-After`.
    pub(crate) retry_after: Option<Duration>,
    /// The headers report that the daily limit is used up.
    pub(crate) day_is_spent: bool,
    /// A 401 that another token would not fix.
    pub(crate) not_about_token: bool,
}

/// The kind of an error of the transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TransportError {
    /// No connection.
    Connect,
    /// The certificate of the server was not accepted.
    Certificate,
    /// A timeout.
    Timeout,
    /// The server refused the HTTP/2 stream of the request, which it may do only if it has not processed the request.
    RefusedStream,
    /// The connection broke, or the response is not HTTP.
    Broken,
}

/// Whether a request may be repeated if it may have been done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RepeatSafety {
    /// Repeating it could do it twice.
    Unsafe,
    /// Repeating it has no further effect (PUT, DELETE).
    Idempotent,
    /// It has no effect (GET, HEAD).
    ReadOnly,
}

/// The classification of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Classification {
    pub(crate) delivery: Delivery,
    pub(crate) kind: ErrorKind,
    pub(crate) action: RetryAction,
}

/// The retry that is safe after an attempt. The policy decides if it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RetryAction {
    /// No retry.
    None,
    /// Retry after a pause.
    Retry,
    /// Retry with another permit.
    Requeue,
    /// Retry with another token.
    RefreshToken,
    /// Retry after this time, which is safe only if the server responds with 503 before it does anything.
    Wait(Duration),
}

/// Classifies the result of an attempt. A result that no row covers is [`Delivery::Unknown`], and is not retried.
pub(crate) fn classify(result: AttemptResult, replay: RepeatSafety) -> Classification {
    let verdict = match result {
        AttemptResult::NoResponse { written, error } => classify_error(written, error),
        AttemptResult::Response(response) => classify_response(response),
    };
    if replay != RepeatSafety::Unsafe && is_transient(result) {
        return Classification { action: RetryAction::Retry, ..verdict };
    }
    verdict
}

fn classify_error(written: bool, error: TransportError) -> Classification {
    let kind = match error {
        TransportError::Connect | TransportError::Certificate => ErrorKind::Connect,
        TransportError::Timeout => ErrorKind::Timeout,
        TransportError::Broken | TransportError::RefusedStream => ErrorKind::Connection,
    };
    let (delivery, action) = match (written, error) {
        // As after a 429, the server has too many requests at once.
        (true, TransportError::RefusedStream) => (Delivery::Rejected, RetryAction::Requeue),
        (true, _) => (Delivery::Unknown, RetryAction::None),
        // The next attempt would get the same certificate.
        (false, TransportError::Certificate) => (Delivery::NotSent, RetryAction::None),
        (false, _) => (Delivery::NotSent, RetryAction::Retry),
    };
    Classification { delivery, kind, action }
}

fn classify_response(response: ResponseSummary) -> Classification {
    let (delivery, action) = match response.status {
        // HighLevel responded to the request itself with a redirect, whatever the response to the next one was.
        _ if response.redirected => (Delivery::Rejected, RetryAction::None),
        200..=299 => {
            return Classification {
                delivery: Delivery::Accepted,
                kind: ErrorKind::Receipt,
                action: RetryAction::None,
            };
        }
        401 if !response.not_about_token => (Delivery::Rejected, RetryAction::RefreshToken),
        429 if !response.day_is_spent => (Delivery::Rejected, RetryAction::Requeue),
        300..=399 | 400 | 401 | 403 | 404 | 409 | 413 | 415 | 422 | 429 => {
            (Delivery::Rejected, RetryAction::None)
        }
        503 => (Delivery::Unknown, response.retry_after.map_or(RetryAction::None, RetryAction::Wait)),
        _ => (Delivery::Unknown, RetryAction::None),
    };
    Classification { delivery, kind: ErrorKind::Status, action }
}

/// Returns `true` if a later attempt may succeed.
fn is_transient(result: AttemptResult) -> bool {
    match result {
        AttemptResult::NoResponse { error, .. } => error != TransportError::Certificate,
        AttemptResult::Response(response) => {
            !response.redirected && matches!(response.status, 408 | 502 | 503 | 504)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One row of the table.
    struct Row {
        result: AttemptResult,
        delivery: Delivery,
        kind: ErrorKind,
        action: RetryAction,
    }

    const fn response(status: u16) -> ResponseSummary {
        ResponseSummary {
            status,
            redirected: false,
            retry_after: None,
            day_is_spent: false,
            not_about_token: false,
        }
    }

    fn no_response(written: bool, error: TransportError) -> AttemptResult {
        AttemptResult::NoResponse { written, error }
    }

    #[test]
    fn errors_of_the_transport_are_classified() {
        use Delivery::{NotSent, Rejected, Unknown};
        use ErrorKind::{Connect, Connection, Timeout};
        let row = |written, error, delivery, kind, action| Row {
            result: no_response(written, error),
            delivery,
            kind,
            action,
        };
        for Row { result, delivery, kind, action } in [
            row(false, TransportError::Connect, NotSent, Connect, RetryAction::Retry),
            row(false, TransportError::Certificate, NotSent, Connect, RetryAction::None),
            row(false, TransportError::Timeout, NotSent, Timeout, RetryAction::Retry),
            row(false, TransportError::Broken, NotSent, Connection, RetryAction::Retry),
            row(false, TransportError::RefusedStream, NotSent, Connection, RetryAction::Retry),
            row(true, TransportError::RefusedStream, Rejected, Connection, RetryAction::Requeue),
            row(true, TransportError::Connect, Unknown, Connect, RetryAction::None),
            row(true, TransportError::Certificate, Unknown, Connect, RetryAction::None),
            row(true, TransportError::Timeout, Unknown, Timeout, RetryAction::None),
            row(true, TransportError::Broken, Unknown, Connection, RetryAction::None),
        ] {
            assert_eq!(
                classify(result, RepeatSafety::Unsafe),
                Classification { delivery, kind, action },
                "{result:?}"
            );
        }
    }

    #[test]
    fn responses_are_classified() {
        use Delivery::{Accepted, Rejected, Unknown};
        let wait = Duration::from_secs(3);
        let row = |response, delivery, action| Row {
            result: AttemptResult::Response(response),
            delivery,
            kind: if delivery == Accepted { ErrorKind::Receipt } else { ErrorKind::Status },
            action,
        };
        let mut rows = vec![
            row(response(401), Rejected, RetryAction::RefreshToken),
            row(ResponseSummary { not_about_token: true, ..response(401) }, Rejected, RetryAction::None),
            row(response(429), Rejected, RetryAction::Requeue),
            row(ResponseSummary { day_is_spent: true, ..response(429) }, Rejected, RetryAction::None),
            row(ResponseSummary { retry_after: Some(wait), ..response(429) }, Rejected, RetryAction::Requeue),
            row(response(503), Unknown, RetryAction::None),
            row(
                ResponseSummary { retry_after: Some(wait), ..response(503) },
                Unknown,
                RetryAction::Wait(wait),
            ),
            row(ResponseSummary { redirected: true, ..response(200) }, Rejected, RetryAction::None),
            row(ResponseSummary { redirected: true, ..response(500) }, Rejected, RetryAction::None),
        ];
        rows.extend((200..=299).map(|status| row(response(status), Accepted, RetryAction::None)));
        let rejected = (300..=399).chain([400, 403, 404, 409, 413, 415, 422]);
        rows.extend(rejected.map(|status| row(response(status), Rejected, RetryAction::None)));
        // Every other status is unknown.
        let is_listed = |status: &u16| {
            (200..=399).contains(status)
                || [400, 401, 403, 404, 409, 413, 415, 422, 429, 503].contains(status)
        };
        let unlisted = (0..=1000).filter(|status| !is_listed(status));
        rows.extend(unlisted.map(|status| row(response(status), Unknown, RetryAction::None)));
        for Row { result, delivery, kind, action } in rows {
            assert_eq!(
                classify(result, RepeatSafety::Unsafe),
                Classification { delivery, kind, action },
                "{result:?}"
            );
        }
    }

    /// Checks the whole table against the rule that matters most.
    #[test]
    fn unknown_outcomes_are_never_retried_by_default() {
        let check = |result| {
            let verdict = classify(result, RepeatSafety::Unsafe);
            if !verdict.delivery.is_safe_to_resend() {
                assert!(
                    matches!(verdict.action, RetryAction::None | RetryAction::Wait(_)),
                    "{result:?}: {verdict:?}"
                );
            }
        };
        for written in [true, false] {
            for error in [
                TransportError::Connect,
                TransportError::Certificate,
                TransportError::Timeout,
                TransportError::RefusedStream,
                TransportError::Broken,
            ] {
                check(no_response(written, error));
            }
        }
        for status in 0..=1000 {
            for bits in 0..16_u8 {
                check(AttemptResult::Response(ResponseSummary {
                    status,
                    redirected: bits & 1 != 0,
                    retry_after: (bits & 2 != 0).then_some(Duration::from_secs(1)),
                    day_is_spent: bits & 4 != 0,
                    not_about_token: bits & 8 != 0,
                }));
            }
        }
    }

    #[test]
    fn idempotent_requests_are_retried_after_transient_failures() {
        struct Row {
            result: AttemptResult,
            is_retried: bool,
        }
        let row = |result, is_retried| Row { result, is_retried };
        let status = |status| AttemptResult::Response(response(status));
        for Row { result, is_retried } in [
            row(no_response(true, TransportError::Timeout), true),
            row(no_response(true, TransportError::Broken), true),
            row(no_response(false, TransportError::Connect), true),
            row(no_response(false, TransportError::Certificate), false),
            row(status(408), true),
            row(status(500), false),
            row(status(502), true),
            row(status(503), true),
            row(status(504), true),
            row(status(404), false),
            row(AttemptResult::Response(ResponseSummary { redirected: true, ..response(503) }), false),
        ] {
            for replay in [RepeatSafety::Idempotent, RepeatSafety::ReadOnly] {
                let action = classify(result, replay).action;
                assert_eq!(action == RetryAction::Retry, is_retried, "{result:?}");
            }
        }
    }
}
