//! The decision after an attempt: a function of what was seen, of what was tried before, and of a random number.

use std::time::Duration;

use crate::classify::Remedy;

/// The longest pause before a retry.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// The longest pause before the first retry.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// What a client does by itself when a request was certainly not done.
///
/// It never makes a request again that may have been done; no policy changes that. The one exception has to be asked
/// for: [`retry_unavailable`](Self::retry_unavailable).
///
/// ```
/// use highlevel::{Client, RetryPolicy};
///
/// let client = Client::builder().token("pit-12345678").retry_policy(RetryPolicy::none()).build()?;
/// # Ok::<(), highlevel::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    max_retries: u32,
    retry_rate_limited: bool,
    refresh_on_401: bool,
    unavailable: bool,
}

impl RetryPolicy {
    /// A policy that retries nothing.
    pub fn none() -> Self {
        Self { max_retries: 0, retry_rate_limited: false, refresh_on_401: false, unavailable: false }
    }

    /// Sets how often a request is retried if nothing of it was sent. Defaults to 2. A random pause of at most 0.25 s,
    /// 0.5 s, 1 s … 5 s precedes each retry, and all calls of a client together add at most 20 % to its requests.
    #[must_use]
    pub fn max_retries(mut self, retries: u32) -> Self {
        self.max_retries = retries;
        self
    }

    /// Sets if a request that was rejected for the burst limit (429) waits for another permit, until the deadline of its
    /// call. Defaults to `true`.
    #[must_use]
    pub fn retry_rate_limited(mut self, enabled: bool) -> Self {
        self.retry_rate_limited = enabled;
        self
    }

    /// Sets if a request that was rejected for its token (401) is retried once, if the token source has another token.
    /// Defaults to `true`.
    #[must_use]
    pub fn refresh_on_401(mut self, enabled: bool) -> Self {
        self.refresh_on_401 = enabled;
        self
    }

    /// Whether a 503 with `Retry-After` is taken as a refusal and made again, once. Off by default: nothing says that
    /// HighLevel answers so only before it has done anything, and if it does, a message is sent twice.
    #[must_use]
    pub fn retry_unavailable(mut self, again: bool) -> Self {
        self.unavailable = again;
        self
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { max_retries: 2, retry_rate_limited: true, refresh_on_401: true, unavailable: false }
    }
}

/// What was tried before in this call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Retries after nothing was sent, or of an idempotent request.
    pub(crate) retries: u32,
    /// Whether another token was tried.
    pub(crate) fresh_token: bool,
    /// Whether a 503 was waited out.
    pub(crate) unavailable: bool,
    /// Responses 429.
    pub(crate) rate_limited: u32,
    /// Permits that lapsed before the request began.
    pub(crate) lapses: u32,
}

/// What to do after an attempt that did not end with a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Report it.
    Stop,
    /// Make it again after a pause, if the budget has room.
    Retry(Duration),
    /// Wait for another permit after a pause, or after the wait that the server asked for if that is longer.
    Queue(Duration),
    /// Ask for another token, and make it again if there is one.
    FreshToken,
    /// Make it again after the wait that the server asked for.
    Unavailable(Duration),
}

impl RetryPolicy {
    /// The decision. `random` is between 0 and 1.
    pub(crate) fn next(self, remedy: Remedy, progress: Progress, random: f64) -> Next {
        match remedy {
            Remedy::Retry if progress.retries < self.max_retries => {
                Next::Retry(pause(progress.retries, random))
            }
            Remedy::Turn if self.retry_rate_limited => Next::Queue(backoff(progress.rate_limited, random)),
            Remedy::Token if self.refresh_on_401 && !progress.fresh_token => Next::FreshToken,
            Remedy::Wait(wait) if self.unavailable && !progress.unavailable => Next::Unavailable(wait),
            // There is no remedy, or it was tried, or it is not wanted.
            _ => Next::Stop,
        }
    }
}

/// Full jitter: between nothing and the longest pause of this retry.
pub(crate) fn pause(retries: u32, random: f64) -> Duration {
    let longest = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(retries)).min(LONGEST_PAUSE);
    longest.mul_f64(random.clamp(0.0, 1.0))
}

/// Between half of the longest pause and all of it: never nothing, so that no loop is without a pause.
pub(crate) fn backoff(retries: u32, random: f64) -> Duration {
    let half = pause(retries, 1.0) / 2;
    half + half.mul_f64(random.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_five_seconds() {
        let longest: Vec<u128> = (0..8).map(|retries| pause(retries, 1.0).as_millis()).collect();
        assert_eq!(longest, [250, 500, 1_000, 2_000, 4_000, 5_000, 5_000, 5_000]);
        assert_eq!(pause(3, 0.0), Duration::ZERO);
        assert_eq!(pause(1, 0.5), Duration::from_millis(250));
        assert_eq!(pause(u32::MAX, 1.0), LONGEST_PAUSE);
    }

    #[test]
    fn a_backoff_is_never_shorter_than_half_of_the_longest_pause() {
        let ends: Vec<(u128, u128)> = (0..7)
            .map(|retries| (backoff(retries, 0.0).as_millis(), backoff(retries, 1.0).as_millis()))
            .collect();
        assert_eq!(
            ends,
            [
                (125, 250),
                (250, 500),
                (500, 1_000),
                (1_000, 2_000),
                (2_000, 4_000),
                (2_500, 5_000),
                (2_500, 5_000)
            ]
        );
        assert_eq!(backoff(u32::MAX, 1.0), LONGEST_PAUSE);
    }

    #[test]
    fn the_policy_decides() {
        let wait = Duration::from_secs(7);
        let fresh = Progress::default();
        let tried = Progress { retries: 2, fresh_token: true, unavailable: true, rate_limited: 3, lapses: 0 };
        let (default, none) = (RetryPolicy::default(), RetryPolicy::none());
        let patient = default.retry_unavailable(true);
        for (policy, remedy, progress, expected) in [
            (default, Remedy::None, fresh, Next::Stop),
            (default, Remedy::Retry, fresh, Next::Retry(Duration::from_millis(250))),
            (
                default,
                Remedy::Retry,
                Progress { retries: 1, ..fresh },
                Next::Retry(Duration::from_millis(500)),
            ),
            (default, Remedy::Retry, tried, Next::Stop),
            (default.max_retries(0), Remedy::Retry, fresh, Next::Stop),
            (default, Remedy::Turn, fresh, Next::Queue(Duration::from_millis(250))),
            (default, Remedy::Turn, tried, Next::Queue(Duration::from_secs(2))),
            (default.retry_rate_limited(false), Remedy::Turn, fresh, Next::Stop),
            (default, Remedy::Token, fresh, Next::FreshToken),
            (default, Remedy::Token, tried, Next::Stop),
            (default, Remedy::Wait(wait), fresh, Next::Stop),
            (patient, Remedy::Wait(wait), fresh, Next::Unavailable(wait)),
            (patient, Remedy::Wait(wait), tried, Next::Stop),
            (none, Remedy::Retry, fresh, Next::Stop),
            (none, Remedy::Turn, fresh, Next::Stop),
            (none, Remedy::Token, fresh, Next::Stop),
            (none, Remedy::Wait(wait), fresh, Next::Stop),
        ] {
            assert_eq!(policy.next(remedy, progress, 1.0), expected, "{policy:?} {remedy:?} {progress:?}");
        }
    }
}
