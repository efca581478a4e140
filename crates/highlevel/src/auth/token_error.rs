//! The meaning of a response without tokens, and the decision to retry the request: pure functions.

use std::time::Duration;

use crate::classify::{AttemptResult, Replay, ResponseSummary, RetryAction, classify};
use crate::retry::pause;
use crate::unauthorized::{Cause, Text, Unauthorized};

/// HighLevel repeats its response to an identical refresh for this long.
pub(super) const REPEATED_FOR: Duration = Duration::from_secs(30);

/// The credential of a request for tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RequestKind {
    /// An authorization code.
    Code,
    /// A refresh token.
    Refresh,
    /// The token of a company, for a location.
    Location,
}

/// The reason why a request returned no tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenFailure {
    /// Nothing was sent.
    NotSent,
    /// It may have been processed; the tokens, if any, were lost. Retry after this time.
    Lost(Option<Duration>),
    /// It was not processed for lack of capacity. Retry after this time.
    Busy(Option<Duration>),
    /// HighLevel does not accept the refresh token or the code, and never will.
    InvalidGrant,
    /// The location is not active. Once it is activated, HighLevel accepts the same refresh token.
    LocationInactive,
    /// HighLevel does not accept the access token of the request, or gives no reason.
    Unauthorized,
    /// HighLevel does not know the client id with this client secret.
    WrongClient,
    /// Another failure that a retry would repeat.
    Final,
}

/// Returns the reason why an attempt returned no tokens.
pub(super) fn evaluate(kind: RequestKind, result: AttemptResult, body: &[u8]) -> TokenFailure {
    let AttemptResult::Response(ResponseSummary { status, redirected: false, retry_after, .. }) = result
    else {
        return match (classify(result, Replay::Unsafe).action, result) {
            (RetryAction::Retry, _) => TokenFailure::NotSent,
            (_, AttemptResult::NoResponse { written: true, .. }) => TokenFailure::Lost(None),
            _ => TokenFailure::Final,
        };
    };
    match status {
        429 => TokenFailure::Busy(retry_after),
        408 | 500.. => TokenFailure::Lost(retry_after),
        400..=499 => rejected(kind, status, body),
        _ => TokenFailure::Final,
    }
}

/// Reads the reason of a rejection. HighLevel uses different statuses and texts for one reason, so features of the text
/// decide.
fn rejected(kind: RequestKind, status: u16, body: &[u8]) -> TokenFailure {
    let text = Text::read(body);
    if text.has(&[
        "location is not active",
        "location not active",
        "location is inactive",
        "inactive location",
    ]) {
        return TokenFailure::LocationInactive;
    }
    if text.has(&["invalid grant"]) {
        return TokenFailure::InvalidGrant;
    }
    // The request itself is incomplete.
    let incomplete =
        ["not be empty", "is required", "are required", "is missing", "are missing", "missing parameter"];
    if text.has(&incomplete) {
        return TokenFailure::Final;
    }
    let unauthorized = Unauthorized::read(body);
    if kind == RequestKind::Location {
        let is_token = status == 401 && unauthorized.is_about_the_token();
        return if is_token { TokenFailure::Unauthorized } else { TokenFailure::Final };
    }
    if text.has_stem(&["client"]) {
        return if status == 401 { TokenFailure::WrongClient } else { TokenFailure::Final };
    }
    let names_credential = match kind {
        RequestKind::Code => text.has_stem(&["code", "authcode"]),
        RequestKind::Refresh | RequestKind::Location => text.has_stem(&["refresh"]),
    };
    match kind {
        _ if names_credential && text.is_rejected() => TokenFailure::InvalidGrant,
        _ if status != 401 => TokenFailure::Final,
        RequestKind::Code if unauthorized.cause != Cause::Other => TokenFailure::InvalidGrant,
        // The only token of a request for a refresh is the refresh token.
        RequestKind::Refresh if unauthorized.cause == Cause::Token => TokenFailure::InvalidGrant,
        _ if unauthorized.cause == Cause::Other => TokenFailure::Final,
        _ => TokenFailure::Unauthorized,
    }
}

/// The attempts of one request so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// The number of retries.
    pub(super) retries: u32,
    /// The time since the first attempt that may have been processed.
    pub(super) sent: Option<Duration>,
}

/// Returns the pause before the request is retried, or `None` if it is not retried.
///
/// `works_once` is `true` if its code or refresh token works once: HighLevel repeats its response for a while, and rejects a
/// retry after that. `left` is the time until the deadline of the calls that wait, or `None` if the request is retried without
/// them. `random` is between 0 and 1.
pub(super) fn retry_pause(
    failure: TokenFailure,
    progress: Progress,
    works_once: bool,
    left: Option<Duration>,
    random: f64,
) -> Option<Duration> {
    let pause = pause(progress.retries, random);
    let pause = match failure {
        TokenFailure::NotSent => pause,
        TokenFailure::Lost(wait) | TokenFailure::Busy(wait) => wait.map_or(pause, |wait| wait.max(pause)),
        TokenFailure::InvalidGrant
        | TokenFailure::LocationInactive
        | TokenFailure::Unauthorized
        | TokenFailure::WrongClient
        | TokenFailure::Final => return None,
    };
    if works_once && progress.sent.is_some_and(|ago| ago.saturating_add(pause) >= REPEATED_FOR) {
        return None;
    }
    left.is_none_or(|left| pause < left).then_some(pause)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::TransportError;

    #[test]
    fn failures_are_evaluated_by_status_and_text() {
        use RequestKind::{Code, Location, Refresh};
        use TokenFailure::{
            Busy, Final, InvalidGrant, LocationInactive, Lost, NotSent, Unauthorized, WrongClient,
        };
        let wait = Duration::from_secs(7);
        let no_answer = |written, error| AttemptResult::NoResponse { written, error };
        let answer =
            |status| AttemptResult::Response(ResponseSummary { status, ..ResponseSummary::default() });
        let later = |status| {
            AttemptResult::Response(ResponseSummary {
                status,
                retry_after: Some(wait),
                ..ResponseSummary::default()
            })
        };
        let redirected = |status| {
            AttemptResult::Response(ResponseSummary {
                status,
                redirected: true,
                ..ResponseSummary::default()
            })
        };
        for (result, expected) in [
            (no_answer(false, TransportError::Connect), NotSent),
            (no_answer(false, TransportError::Timeout), NotSent),
            (no_answer(false, TransportError::Broken), NotSent),
            (no_answer(false, TransportError::Certificate), Final),
            (no_answer(true, TransportError::Timeout), Lost(None)),
            (no_answer(true, TransportError::Broken), Lost(None)),
            (answer(408), Lost(None)),
            (answer(429), Busy(None)),
            (answer(500), Lost(None)),
            (answer(503), Lost(None)),
            (later(503), Lost(Some(wait))),
            (later(429), Busy(Some(wait))),
            (redirected(200), Final),
            (redirected(500), Final),
            (answer(302), Final),
            (answer(404), Final),
        ] {
            for kind in [Code, Refresh, Location] {
                assert_eq!(evaluate(kind, result, b""), expected, "{kind:?} {result:?}");
                // A body does not turn a lost response into a rejection.
                if expected == Lost(None) {
                    assert_eq!(evaluate(kind, result, b"invalid grant"), expected, "{kind:?} {result:?}");
                }
            }
        }
        for (kind, status, text, expected) in [
            (Refresh, 400, "Invalid grant: refresh token is invalid", InvalidGrant),
            (Refresh, 401, "invalid_grant", InvalidGrant),
            (Refresh, 400, "Invalid refresh token", InvalidGrant),
            (Refresh, 401, "Invalid refresh token", InvalidGrant),
            (Refresh, 401, "The refresh token has expired", InvalidGrant),
            (Refresh, 403, "Refresh token was revoked", InvalidGrant),
            (Refresh, 404, "Refresh token not found", InvalidGrant),
            (Refresh, 401, "This refresh_token has already been used", InvalidGrant),
            (Refresh, 401, "Invalid JWT", InvalidGrant),
            (Refresh, 401, "Invalid client credentials!", WrongClient),
            (Refresh, 401, "Invalid JWT: invalid client", WrongClient),
            (Refresh, 401, "invalid_client", WrongClient),
            (Refresh, 401, "", Unauthorized),
            (Refresh, 401, "version header is invalid", Final),
            (Refresh, 422, "refresh_token should not be empty", Final),
            (Refresh, 400, "client_id should not be empty", Final),
            (Refresh, 400, "Location is not active", LocationInactive),
            (Refresh, 403, "location is not active", LocationInactive),
            (Code, 401, "Authorization code not found", InvalidGrant),
            (Code, 400, "Authorization code not found", InvalidGrant),
            (Code, 404, "No authorization code was not found", InvalidGrant),
            (Code, 401, "The code has expired", InvalidGrant),
            (Code, 400, "This code was already used", InvalidGrant),
            (Code, 400, "Invalid grant: authorization code is invalid", InvalidGrant),
            // The code is checked before the secret.
            (Code, 401, "", InvalidGrant),
            (Code, 401, "Invalid client credentials!", WrongClient),
            (Code, 422, "code is missing", Final),
            (Code, 422, "grant_type should not be empty", Final),
            (Location, 401, "Invalid JWT", Unauthorized),
            (Location, 401, "The token is not authorized for this scope", Unauthorized),
            (Location, 401, "", Unauthorized),
            (Location, 401, "version header is invalid", Final),
            (Location, 400, "Location does not belong to the company", Final),
            (Location, 400, "Location is not active", LocationInactive),
        ] {
            for body in [
                format!(r#"{{"statusCode":{status},"message":"{text}","traceId":"7f"}}"#),
                format!(r#"{{"statusCode":{status},"message":["{text}"]}}"#),
                format!(r#"{{"error":"UnAuthorized!","error_description":"{text}"}}"#),
                text.to_owned(),
            ] {
                let found = evaluate(kind, answer(status), body.as_bytes());
                assert_eq!(found, expected, "{kind:?} {status} {body}");
            }
        }
    }

    #[test]
    fn lost_responses_are_retried_while_highlevel_repeats_them() {
        let seconds = Duration::from_secs;
        let first = Progress::default();
        let sent = |ago| Progress { retries: 3, sent: Some(seconds(ago)) };
        let minute = seconds(60);
        for (failure, progress, works_once, left, expected) in [
            (TokenFailure::NotSent, first, true, minute, Some(Duration::from_millis(250))),
            (TokenFailure::NotSent, Progress { retries: 9, sent: None }, true, minute, Some(seconds(5))),
            (TokenFailure::NotSent, first, true, Duration::from_millis(250), None),
            (TokenFailure::Lost(None), sent(0), true, minute, Some(seconds(2))),
            (TokenFailure::Lost(None), sent(27), true, minute, Some(seconds(2))),
            (TokenFailure::Lost(None), sent(28), true, minute, None),
            (TokenFailure::Lost(None), sent(30), true, minute, None),
            (TokenFailure::Lost(None), sent(300), true, minute, None),
            (TokenFailure::Lost(Some(seconds(7))), sent(0), true, minute, Some(seconds(7))),
            (TokenFailure::Lost(Some(seconds(30))), sent(0), true, minute, None),
            // A request that may be processed twice is retried until the deadline.
            (TokenFailure::Lost(None), sent(45), false, minute, Some(seconds(2))),
            // A later failure does not extend the time after a request that may have been processed.
            (TokenFailure::NotSent, sent(30), true, minute, None),
            (TokenFailure::Busy(None), sent(30), true, minute, None),
            (TokenFailure::Busy(None), Progress { retries: 3, sent: None }, true, minute, Some(seconds(2))),
            (TokenFailure::Busy(Some(seconds(59))), first, true, minute, Some(seconds(59))),
            (TokenFailure::Busy(Some(minute)), first, true, minute, None),
            (TokenFailure::InvalidGrant, first, true, minute, None),
            (TokenFailure::LocationInactive, first, true, minute, None),
            (TokenFailure::Unauthorized, first, false, minute, None),
            (TokenFailure::Final, first, false, minute, None),
        ] {
            let found = retry_pause(failure, progress, works_once, Some(left), 1.0);
            assert_eq!(found, expected, "{failure:?} {progress:?} {works_once} {left:?}");
        }
        // Without a deadline.
        for (progress, expected) in
            [(sent(0), Some(seconds(2))), (sent(27), Some(seconds(2))), (sent(28), None)]
        {
            assert_eq!(
                retry_pause(TokenFailure::Lost(None), progress, true, None, 1.0),
                expected,
                "{progress:?}"
            );
        }
    }
}
