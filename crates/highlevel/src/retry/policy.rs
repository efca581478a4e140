//! The decision after a failed attempt: a pure function of the safe retry, the retries so far, and a random number.

use std::time::Duration;

use crate::classify::RetryAction;

/// The longest pause before a retry.
const MAX_PAUSE: Duration = Duration::from_secs(5);
/// The longest pause before the first retry.
const MAX_FIRST_PAUSE: Duration = Duration::from_millis(250);

/// Controls which failed requests are retried.
///
/// Requests whose outcome is unknown are never retried, whatever the policy. The one exception has to be enabled:
/// [`retry_unavailable`](Self::retry_unavailable).
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
    retry_unavailable: bool,
}

impl RetryPolicy {
    /// A policy that retries nothing.
    pub fn none() -> Self {
        Self { max_retries: 0, retry_rate_limited: false, refresh_on_401: false, retry_unavailable: false }
    }

    /// Sets how often a request is retried if nothing of it was sent. Defaults to 2. A random pause of at most 0.25 s,
    /// 0.5 s, 1 s … 5 s precedes each retry, and all calls of a client together add at most 20 % to its requests.
    #[must_use]
    pub fn max_retries(mut self, retries: u32) -> Self {
        self.max_retries = retries;
        self
    }

    /// Sets whether a request that was rejected for the burst limit (429) waits for another permit, until the deadline of its
    /// call. Defaults to `true`.
    #[must_use]
    pub fn retry_rate_limited(mut self, enabled: bool) -> Self {
        self.retry_rate_limited = enabled;
        self
    }

    /// Sets whether a request that was rejected for its token (401) is retried once, if the token source has another token.
    /// Defaults to `true`.
    #[must_use]
    pub fn refresh_on_401(mut self, enabled: bool) -> Self {
        self.refresh_on_401 = enabled;
        self
    }

    /// Sets whether a 503 with `Retry-After` is treated as a rejection and retried once. Defaults to `false`: HighLevel does not
    /// document that it responds with 503 only before it has done anything; if it does so later, a message is sent twice.
    #[must_use]
    pub fn retry_unavailable(mut self, enabled: bool) -> Self {
        self.retry_unavailable = enabled;
        self
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { max_retries: 2, retry_rate_limited: true, refresh_on_401: true, retry_unavailable: false }
    }
}

/// The retries of an operation so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct RetryCounts {
    /// Retries of a request that was not sent, or is idempotent.
    pub(crate) retries: u32,
    /// Another token was fetched after a 401.
    pub(crate) refreshed: bool,
    /// The request was retried after a 503.
    pub(crate) unavailable: bool,
    /// Responses 429.
    pub(crate) rate_limited: u32,
    /// Permits that lapsed before the request started.
    pub(crate) lapses: u32,
}

impl RetryCounts {
    /// Counts a retry.
    pub(crate) fn record(&mut self, next: RetryDecision) {
        match next {
            RetryDecision::Stop => {}
            RetryDecision::Retry(_) => self.retries += 1,
            RetryDecision::Requeue(_) => self.rate_limited += 1,
            RetryDecision::RefreshToken => self.refreshed = true,
            RetryDecision::RetryUnavailable(_) => self.unavailable = true,
        }
    }
}

/// The step after an attempt that did not end with a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RetryDecision {
    /// Return the error.
    Stop,
    /// Retry after a pause, if the budget allows it.
    Retry(Duration),
    /// Acquire another permit after a pause, or after the wait that the server asks for if that is longer.
    Requeue(Duration),
    /// Fetch another token, and retry if there is one.
    RefreshToken,
    /// Retry after the wait that the server asks for.
    RetryUnavailable(Duration),
}

impl RetryPolicy {
    /// Returns the next step. `random` is between 0 and 1.
    pub(crate) fn next(self, action: RetryAction, progress: RetryCounts, random: f64) -> RetryDecision {
        match action {
            RetryAction::Retry if progress.retries < self.max_retries => {
                RetryDecision::Retry(pause(progress.retries, random))
            }
            RetryAction::Requeue if self.retry_rate_limited => {
                RetryDecision::Requeue(backoff(progress.rate_limited, random))
            }
            RetryAction::RefreshToken if self.refresh_on_401 && !progress.refreshed => {
                RetryDecision::RefreshToken
            }
            RetryAction::Wait(wait) if self.retry_unavailable && !progress.unavailable => {
                RetryDecision::RetryUnavailable(wait)
            }
            // No retry is safe, it was made before, or the policy excludes it.
            _ => RetryDecision::Stop,
        }
    }
}

/// Returns a random pause with full jitter: between zero and the longest pause of this retry.
pub(crate) fn pause(retries: u32, random: f64) -> Duration {
    let longest = MAX_FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(retries)).min(MAX_PAUSE);
    longest.mul_f64(random.clamp(0.0, 1.0))
}

/// Returns a random pause between half of the longest pause and all of it. It is never zero, so that no loop spins.
pub(crate) fn backoff(retries: u32, random: f64) -> Duration {
    let half = pause(retries, 1.0) / 2;
    half + half.mul_f64(random.clamp(0.0, 1.0))
}

/// Returns a random number between 0 and 1.
pub(crate) fn random() -> f64 {
    fastrand::f64()
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
        assert_eq!(pause(u32::MAX, 1.0), MAX_PAUSE);
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
        assert_eq!(backoff(u32::MAX, 1.0), MAX_PAUSE);
    }

    #[test]
    fn the_policy_and_the_progress_decide_the_next_step() {
        struct Row {
            policy: RetryPolicy,
            action: RetryAction,
            progress: RetryCounts,
            next: RetryDecision,
        }
        let row = |policy, action, progress, next| Row { policy, action, progress, next };
        let wait = Duration::from_secs(7);
        let milliseconds = Duration::from_millis;
        let start = RetryCounts::default();
        let one_retry = RetryCounts { retries: 1, ..start };
        let tried =
            RetryCounts { retries: 2, refreshed: true, unavailable: true, rate_limited: 3, lapses: 0 };
        let (default, none) = (RetryPolicy::default(), RetryPolicy::none());
        let unavailable = default.retry_unavailable(true);
        for Row { policy, action, progress, next } in [
            row(default, RetryAction::None, start, RetryDecision::Stop),
            row(default, RetryAction::Retry, start, RetryDecision::Retry(milliseconds(250))),
            row(default, RetryAction::Retry, one_retry, RetryDecision::Retry(milliseconds(500))),
            row(default, RetryAction::Retry, tried, RetryDecision::Stop),
            row(default.max_retries(0), RetryAction::Retry, start, RetryDecision::Stop),
            row(default, RetryAction::Requeue, start, RetryDecision::Requeue(milliseconds(250))),
            row(default, RetryAction::Requeue, tried, RetryDecision::Requeue(milliseconds(2_000))),
            row(default.retry_rate_limited(false), RetryAction::Requeue, start, RetryDecision::Stop),
            row(default, RetryAction::RefreshToken, start, RetryDecision::RefreshToken),
            row(default, RetryAction::RefreshToken, tried, RetryDecision::Stop),
            row(default.refresh_on_401(false), RetryAction::RefreshToken, start, RetryDecision::Stop),
            row(default, RetryAction::Wait(wait), start, RetryDecision::Stop),
            row(unavailable, RetryAction::Wait(wait), start, RetryDecision::RetryUnavailable(wait)),
            row(unavailable, RetryAction::Wait(wait), tried, RetryDecision::Stop),
            row(none, RetryAction::Retry, start, RetryDecision::Stop),
            row(none, RetryAction::Requeue, start, RetryDecision::Stop),
            row(none, RetryAction::RefreshToken, start, RetryDecision::Stop),
            row(none, RetryAction::Wait(wait), start, RetryDecision::Stop),
        ] {
            assert_eq!(policy.next(action, progress, 1.0), next, "{policy:?} {action:?} {progress:?}");
        }
    }
}
