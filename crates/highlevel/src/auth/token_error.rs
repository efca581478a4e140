//! The meaning of a response without tokens, and the decision to retry the request: pure functions.

use std::time::Duration;

use crate::classify::{AttemptResult, RepeatSafety, ResponseSummary, RetryAction, classify};
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
    /// The location does not belong to the company whose token was used.
    OtherCompany,
    /// HighLevel does not accept the access token of the request, or gives no reason.
    Unauthorized,
    /// HighLevel does not know the client id with this client secret.
    WrongClient,
    /// Another failure that a retry would repeat.
    Final,
}

/// The phrases that name the client id or the client secret, even if a text also names the code or the refresh token.
const CLIENT_CREDENTIALS: [&str; 8] = [
    "client id",
    "clientid",
    "client secret",
    "clientsecret",
    "client credentials",
    "invalid client",
    "unknown client",
    "unauthorized client",
];

/// Returns the reason why an attempt returned no tokens.
pub(super) fn evaluate(kind: RequestKind, result: AttemptResult, body: &[u8]) -> TokenFailure {
    let AttemptResult::Response(ResponseSummary { status, redirected: false, retry_after, .. }) = result
    else {
        return match (classify(result, RepeatSafety::Unsafe).action, result) {
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
        if text.has(&["not belong"]) {
            return TokenFailure::OtherCompany;
        }
        let is_token = status == 401 && unauthorized.is_about_the_token();
        return if is_token { TokenFailure::Unauthorized } else { TokenFailure::Final };
    }
    let names_credential = match kind {
        RequestKind::Code => text.has_stem(&["code", "authcode"]),
        RequestKind::Refresh | RequestKind::Location => text.has_stem(&["refresh"]),
    };
    // A code that was issued to another client is rejected whatever the secret.
    let is_credential = names_credential && !text.has(&CLIENT_CREDENTIALS);
    if text.has_stem(&["client"]) && !(is_credential && text.is_rejected()) {
        return if status == 401 { TokenFailure::WrongClient } else { TokenFailure::Final };
    }
    match kind {
        _ if is_credential && text.is_rejected() => TokenFailure::InvalidGrant,
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
pub(super) struct TokenAttempts {
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
    progress: TokenAttempts,
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
        | TokenFailure::OtherCompany
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
    fn attempts_without_a_rejection_are_evaluated_by_their_result() {
        use TokenFailure::{Busy, Final, Lost, NotSent};
        let wait = Duration::from_secs(7);
        let no_response = |written, error| AttemptResult::NoResponse { written, error };
        let response =
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
            (no_response(false, TransportError::Connect), NotSent),
            (no_response(false, TransportError::Timeout), NotSent),
            (no_response(false, TransportError::Broken), NotSent),
            (no_response(false, TransportError::Certificate), Final),
            (no_response(true, TransportError::Timeout), Lost(None)),
            (no_response(true, TransportError::Broken), Lost(None)),
            (response(408), Lost(None)),
            (response(429), Busy(None)),
            (response(500), Lost(None)),
            (response(503), Lost(None)),
            (later(503), Lost(Some(wait))),
            (later(429), Busy(Some(wait))),
            (redirected(200), Final),
            (redirected(500), Final),
            (response(302), Final),
            (response(404), Final),
        ] {
            for kind in [RequestKind::Code, RequestKind::Refresh, RequestKind::Location] {
                assert_eq!(evaluate(kind, result, b""), expected, "{kind:?} {result:?}");
                // A body does not turn a lost response into a rejection.
                if expected == Lost(None) {
                    assert_eq!(evaluate(kind, result, b"invalid grant"), expected, "{kind:?} {result:?}");
                }
            }
        }
    }

    /// A rejection by HighLevel, and its meaning.
    struct Rejection {
        status: u16,
        text: &'static str,
        failure: TokenFailure,
    }

    /// Checks the meaning of rejections in all formats.
    fn assert_failures(kind: RequestKind, rejections: &[Rejection]) {
        for Rejection { status, text, failure } in rejections {
            let attempt =
                AttemptResult::Response(ResponseSummary { status: *status, ..ResponseSummary::default() });
            for body in [
                format!(r#"{{"statusCode":{status},"message":"{text}","traceId":"7f"}}"#),
                format!(r#"{{"statusCode":{status},"message":["{text}"]}}"#),
                format!(r#"{{"error":"UnAuthorized!","error_description":"{text}"}}"#),
                (*text).to_owned(),
            ] {
                let found = evaluate(kind, attempt, body.as_bytes());
                assert_eq!(found, *failure, "{kind:?} {status} {body}");
            }
        }
    }

    #[test]
    fn rejections_of_a_refresh_token_are_evaluated_by_their_text() {
        use TokenFailure::{Final, InvalidGrant, LocationInactive, Unauthorized, WrongClient};
        assert_failures(
            RequestKind::Refresh,
            &[
                Rejection {
                    status: 400,
                    text: "Invalid grant: refresh token is invalid",
                    failure: InvalidGrant,
                },
                Rejection { status: 401, text: "invalid_grant", failure: InvalidGrant },
                Rejection { status: 400, text: "Invalid refresh token", failure: InvalidGrant },
                Rejection { status: 401, text: "Invalid refresh token", failure: InvalidGrant },
                Rejection { status: 401, text: "The refresh token has expired", failure: InvalidGrant },
                Rejection { status: 403, text: "Refresh token was revoked", failure: InvalidGrant },
                Rejection { status: 404, text: "Refresh token not found", failure: InvalidGrant },
                Rejection {
                    status: 401,
                    text: "This refresh_token has already been used",
                    failure: InvalidGrant,
                },
                Rejection { status: 401, text: "Invalid JWT", failure: InvalidGrant },
                Rejection { status: 401, text: "Invalid client credentials!", failure: WrongClient },
                Rejection { status: 401, text: "Invalid JWT: invalid client", failure: WrongClient },
                Rejection { status: 401, text: "invalid_client", failure: WrongClient },
                Rejection {
                    status: 401,
                    text: "Invalid refresh token for this client",
                    failure: InvalidGrant,
                },
                Rejection { status: 401, text: "", failure: Unauthorized },
                Rejection { status: 401, text: "version header is invalid", failure: Final },
                Rejection { status: 422, text: "refresh_token should not be empty", failure: Final },
                Rejection { status: 400, text: "client_id should not be empty", failure: Final },
                Rejection { status: 400, text: "Location is not active", failure: LocationInactive },
                Rejection { status: 403, text: "location is not active", failure: LocationInactive },
            ],
        );
    }

    #[test]
    fn rejections_of_a_code_are_evaluated_by_their_text() {
        use TokenFailure::{Final, InvalidGrant, WrongClient};
        assert_failures(
            RequestKind::Code,
            &[
                Rejection { status: 401, text: "Authorization code not found", failure: InvalidGrant },
                Rejection { status: 400, text: "Authorization code not found", failure: InvalidGrant },
                Rejection { status: 404, text: "No authorization code was not found", failure: InvalidGrant },
                Rejection { status: 401, text: "The code has expired", failure: InvalidGrant },
                Rejection { status: 400, text: "This code was already used", failure: InvalidGrant },
                Rejection {
                    status: 400,
                    text: "Invalid grant: authorization code is invalid",
                    failure: InvalidGrant,
                },
                Rejection {
                    status: 401,
                    text: "The authorization code is invalid: it was issued to another client",
                    failure: InvalidGrant,
                },
                Rejection { status: 401, text: "Invalid client secret for this code", failure: WrongClient },
                Rejection { status: 422, text: "grant_type must be a valid enum value", failure: Final },
                Rejection { status: 400, text: "API endpoint has been removed", failure: Final },
                // The code is checked before the secret.
                Rejection { status: 401, text: "", failure: InvalidGrant },
                Rejection { status: 401, text: "Invalid client credentials!", failure: WrongClient },
                Rejection { status: 422, text: "code is missing", failure: Final },
                Rejection { status: 422, text: "grant_type should not be empty", failure: Final },
            ],
        );
    }

    #[test]
    fn rejections_of_a_company_token_are_evaluated_by_their_text() {
        use TokenFailure::{Final, LocationInactive, OtherCompany, Unauthorized};
        assert_failures(
            RequestKind::Location,
            &[
                Rejection { status: 401, text: "Invalid JWT", failure: Unauthorized },
                Rejection {
                    status: 401,
                    text: "The token is not authorized for this scope",
                    failure: Unauthorized,
                },
                Rejection { status: 401, text: "", failure: Unauthorized },
                Rejection { status: 401, text: "version header is invalid", failure: Final },
                Rejection {
                    status: 400,
                    text: "Location does not belong to the company",
                    failure: OtherCompany,
                },
                Rejection { status: 400, text: "Location is not active", failure: LocationInactive },
            ],
        );
    }

    #[test]
    fn lost_responses_are_retried_while_highlevel_repeats_them() {
        use TokenFailure::{Busy, Final, InvalidGrant, LocationInactive, Lost, NotSent, Unauthorized};
        struct Case {
            failure: TokenFailure,
            progress: TokenAttempts,
            works_once: bool,
            left: Duration,
            pause: Option<Duration>,
        }
        let (secs, millis) = (Duration::from_secs, Duration::from_millis);
        let new = TokenAttempts::default();
        let retried = |retries| TokenAttempts { retries, sent: None };
        let sent = |ago| TokenAttempts { retries: 3, sent: Some(secs(ago)) };
        let minute = secs(60);
        for Case { failure, progress, works_once, left, pause } in [
            Case {
                failure: NotSent,
                progress: new,
                works_once: true,
                left: minute,
                pause: Some(millis(250)),
            },
            Case {
                failure: NotSent,
                progress: retried(9),
                works_once: true,
                left: minute,
                pause: Some(secs(5)),
            },
            Case { failure: NotSent, progress: new, works_once: true, left: millis(250), pause: None },
            Case {
                failure: Lost(None),
                progress: sent(0),
                works_once: true,
                left: minute,
                pause: Some(secs(2)),
            },
            Case {
                failure: Lost(None),
                progress: sent(27),
                works_once: true,
                left: minute,
                pause: Some(secs(2)),
            },
            Case { failure: Lost(None), progress: sent(28), works_once: true, left: minute, pause: None },
            Case { failure: Lost(None), progress: sent(30), works_once: true, left: minute, pause: None },
            Case { failure: Lost(None), progress: sent(300), works_once: true, left: minute, pause: None },
            Case {
                failure: Lost(Some(secs(7))),
                progress: sent(0),
                works_once: true,
                left: minute,
                pause: Some(secs(7)),
            },
            Case {
                failure: Lost(Some(secs(30))),
                progress: sent(0),
                works_once: true,
                left: minute,
                pause: None,
            },
            // A request that may be processed twice is retried until the deadline.
            Case {
                failure: Lost(None),
                progress: sent(45),
                works_once: false,
                left: minute,
                pause: Some(secs(2)),
            },
            // A later failure does not extend the time after a request that may have been processed.
            Case { failure: NotSent, progress: sent(30), works_once: true, left: minute, pause: None },
            Case { failure: Busy(None), progress: sent(30), works_once: true, left: minute, pause: None },
            Case {
                failure: Busy(None),
                progress: retried(3),
                works_once: true,
                left: minute,
                pause: Some(secs(2)),
            },
            Case {
                failure: Busy(Some(secs(59))),
                progress: new,
                works_once: true,
                left: minute,
                pause: Some(secs(59)),
            },
            Case { failure: Busy(Some(minute)), progress: new, works_once: true, left: minute, pause: None },
            Case { failure: InvalidGrant, progress: new, works_once: true, left: minute, pause: None },
            Case { failure: LocationInactive, progress: new, works_once: true, left: minute, pause: None },
            Case { failure: Unauthorized, progress: new, works_once: false, left: minute, pause: None },
            Case { failure: Final, progress: new, works_once: false, left: minute, pause: None },
        ] {
            let found = retry_pause(failure, progress, works_once, Some(left), 1.0);
            assert_eq!(found, pause, "{failure:?} {progress:?} {works_once} {left:?}");
        }
        // Without a deadline.
        for (progress, expected) in [(sent(0), Some(secs(2))), (sent(27), Some(secs(2))), (sent(28), None)] {
            assert_eq!(retry_pause(Lost(None), progress, true, None, 1.0), expected, "{progress:?}");
        }
    }
}
