//! What an answer that gave no tokens means, and whether the request is made again: functions of values.

use std::time::Duration;

use crate::call::is_about_version;
use crate::classify::{Answer, Replay};
use crate::classify::{Remedy, Seen, classify};
use crate::retry::pause;

/// How long HighLevel answers a refresh that is repeated with the same tokens.
const REPEATED_FOR: Duration = Duration::from_secs(30);

/// What became of a request for tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Nothing was sent.
    NotSent,
    /// It may have been done; the tokens, if there are any, were lost on the way.
    Lost(Option<Duration>),
    /// It was not done for lack of room, and can be asked for again after this time.
    Busy(Option<Duration>),
    /// HighLevel does not take the refresh token or the code, and never will.
    InvalidGrant,
    /// The location is not active. It may be later, and then takes the same refresh token.
    LocationInactive,
    /// HighLevel does not take the access token that asks.
    Unauthorized,
    /// Anything else that is the same the next time.
    Final,
}

/// What an attempt that did not end with tokens means.
pub(super) fn judge(seen: Seen, body: &[u8]) -> Trouble {
    let Seen::Answer(Answer { status, redirected: false, retry_after, .. }) = seen else {
        return match (classify(seen, Replay::Unsafe).remedy, seen) {
            (Remedy::Retry, _) => Trouble::NotSent,
            (_, Seen::NoAnswer { written: true, .. }) => Trouble::Lost(None),
            _ => Trouble::Final,
        };
    };
    let words = String::from_utf8_lossy(body).to_ascii_lowercase();
    match status {
        429 => Trouble::Busy(retry_after),
        408 | 500.. => Trouble::Lost(retry_after),
        400..=499 if words.contains("location is not active") => Trouble::LocationInactive,
        400..=499 if words.contains("invalid grant") || words.contains("invalid_grant") => {
            Trouble::InvalidGrant
        }
        401 if !is_about_version(body) => Trouble::Unauthorized,
        _ => Trouble::Final,
    }
}

/// The attempts of one request so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// How often it was made again.
    pub(super) retries: u32,
    /// Since when it may have been done.
    pub(super) sent: Option<Duration>,
}

/// The pause before the request is made again, if it is. `works_once` says that its token or code does: HighLevel
/// repeats its answer for a while, and after that a repetition would be refused. `left` is how long anybody waits, if that
/// matters. `random` is between 0 and 1.
pub(super) fn again(
    trouble: Trouble,
    progress: Progress,
    works_once: bool,
    left: Option<Duration>,
    random: f64,
) -> Option<Duration> {
    let pause = pause(progress.retries, random);
    let pause = match trouble {
        Trouble::NotSent => pause,
        Trouble::Lost(wait) | Trouble::Busy(wait) => wait.map_or(pause, |wait| wait.max(pause)),
        Trouble::InvalidGrant | Trouble::LocationInactive | Trouble::Unauthorized | Trouble::Final => {
            return None;
        }
    };
    if works_once && progress.sent.is_some_and(|ago| ago.saturating_add(pause) >= REPEATED_FOR) {
        return None;
    }
    left.is_none_or(|left| pause < left).then_some(pause)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::Fault;

    #[test]
    fn every_row_of_the_judgement() {
        let wait = Duration::from_secs(7);
        let no_answer = |written, fault| Seen::NoAnswer { written, fault };
        let answer = |status| Seen::Answer(Answer { status, ..Answer::default() });
        for (seen, body, expected) in [
            (no_answer(false, Fault::Connect), "", Trouble::NotSent),
            (no_answer(false, Fault::Timeout), "", Trouble::NotSent),
            (no_answer(false, Fault::Broken), "", Trouble::NotSent),
            (no_answer(false, Fault::Certificate), "", Trouble::Final),
            (no_answer(true, Fault::Timeout), "", Trouble::Lost(None)),
            (no_answer(true, Fault::Broken), "", Trouble::Lost(None)),
            (answer(408), "", Trouble::Lost(None)),
            (answer(429), "", Trouble::Busy(None)),
            (answer(500), "", Trouble::Lost(None)),
            (answer(503), "", Trouble::Lost(None)),
            (
                Seen::Answer(Answer { status: 503, retry_after: Some(wait), ..Answer::default() }),
                "",
                Trouble::Lost(Some(wait)),
            ),
            (
                Seen::Answer(Answer { status: 429, retry_after: Some(wait), ..Answer::default() }),
                "",
                Trouble::Busy(Some(wait)),
            ),
            (Seen::Answer(Answer { status: 200, redirected: true, ..Answer::default() }), "", Trouble::Final),
            (Seen::Answer(Answer { status: 500, redirected: true, ..Answer::default() }), "", Trouble::Final),
            (answer(302), "", Trouble::Final),
            (answer(400), r#"{"message":"Invalid grant: refresh token is invalid"}"#, Trouble::InvalidGrant),
            (answer(401), r#"{"error":"invalid_grant"}"#, Trouble::InvalidGrant),
            (answer(400), r#"{"message":"Location is not active"}"#, Trouble::LocationInactive),
            (answer(403), r#"{"error_description":"Location is not active"}"#, Trouble::LocationInactive),
            (answer(400), r#"{"message":"client_id should not be empty"}"#, Trouble::Final),
            (answer(401), r#"{"message":"Invalid JWT"}"#, Trouble::Unauthorized),
            (answer(401), r#"{"message":"version header is invalid"}"#, Trouble::Final),
            (answer(404), "", Trouble::Final),
            (answer(422), r#"{"message":["code is missing"]}"#, Trouble::Final),
            // A body that says so does not make a lost answer a refusal.
            (answer(502), "invalid grant", Trouble::Lost(None)),
        ] {
            assert_eq!(judge(seen, body.as_bytes()), expected, "{seen:?} {body}");
        }
    }

    #[test]
    fn every_row_of_making_it_again() {
        let seconds = Duration::from_secs;
        let first = Progress::default();
        let sent = |ago| Progress { retries: 3, sent: Some(seconds(ago)) };
        let minute = seconds(60);
        for (trouble, progress, works_once, left, expected) in [
            (Trouble::NotSent, first, true, minute, Some(Duration::from_millis(250))),
            (Trouble::NotSent, Progress { retries: 9, sent: None }, true, minute, Some(seconds(5))),
            (Trouble::NotSent, first, true, Duration::from_millis(250), None),
            (Trouble::Lost(None), sent(0), true, minute, Some(seconds(2))),
            (Trouble::Lost(None), sent(27), true, minute, Some(seconds(2))),
            (Trouble::Lost(None), sent(28), true, minute, None),
            (Trouble::Lost(None), sent(30), true, minute, None),
            (Trouble::Lost(None), sent(300), true, minute, None),
            (Trouble::Lost(Some(seconds(7))), sent(0), true, minute, Some(seconds(7))),
            (Trouble::Lost(Some(seconds(30))), sent(0), true, minute, None),
            // What can be done twice without harm is made again for as long as there is time.
            (Trouble::Lost(None), sent(45), false, minute, Some(seconds(2))),
            // Once it may have been done, nothing that came later makes it new.
            (Trouble::NotSent, sent(30), true, minute, None),
            (Trouble::Busy(None), sent(30), true, minute, None),
            (Trouble::Busy(None), Progress { retries: 3, sent: None }, true, minute, Some(seconds(2))),
            (Trouble::Busy(Some(seconds(59))), first, true, minute, Some(seconds(59))),
            (Trouble::Busy(Some(minute)), first, true, minute, None),
            (Trouble::InvalidGrant, first, true, minute, None),
            (Trouble::LocationInactive, first, true, minute, None),
            (Trouble::Unauthorized, first, false, minute, None),
            (Trouble::Final, first, false, minute, None),
        ] {
            let found = again(trouble, progress, works_once, Some(left), 1.0);
            assert_eq!(found, expected, "{trouble:?} {progress:?} {works_once} {left:?}");
        }
        // Nobody need wait for it.
        for (progress, expected) in
            [(sent(0), Some(seconds(2))), (sent(27), Some(seconds(2))), (sent(28), None)]
        {
            assert_eq!(again(Trouble::Lost(None), progress, true, None, 1.0), expected, "{progress:?}");
        }
    }
}
