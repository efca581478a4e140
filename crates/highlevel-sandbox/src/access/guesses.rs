//! Delays for clients that guess the admin token.

use std::time::Duration;

/// The number of invalid tokens that are rejected without a delay, because they may be typing errors.
const FREE: u32 = 3;
/// The maximum delay of a response.
const MAX_DELAY: Duration = Duration::from_secs(5);
/// The time after which one invalid token is forgiven.
const FORGIVEN_AFTER: Duration = Duration::from_secs(10);

/// A count of invalid admin tokens. It is shared by all clients, because an attacker may use many addresses. Requests with
/// the valid token are never delayed.
#[derive(Debug, Default)]
pub(crate) struct Guesses {
    wrong: u32,
    /// The time of the last change of the count, since the start of the sandbox.
    at: Duration,
    /// The number of invalid tokens since the last log line.
    unreported: u32,
}

/// The consequence of an invalid token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The delay of the response.
    pub(crate) delay: Duration,
    /// The number of invalid tokens to log, if a log line is due.
    pub(crate) report: Option<u32>,
}

impl Guesses {
    /// Counts an invalid token. `now` is the time since the start of the sandbox.
    pub(crate) fn wrong(&mut self, now: Duration) -> Refusal {
        let forgiven = now.saturating_sub(self.at).as_secs() / FORGIVEN_AFTER.as_secs();
        self.wrong = self.wrong.saturating_sub(u32::try_from(forgiven).unwrap_or(u32::MAX));
        self.wrong = self.wrong.saturating_add(1);
        self.at = now;
        self.unreported += 1;
        let excess = self.wrong.saturating_sub(FREE);
        let delay = Duration::from_millis(125).saturating_mul(1 << excess.min(16)).min(MAX_DELAY);
        let delay = if excess == 0 { Duration::ZERO } else { delay };
        // Logs the first eight, then at powers of two, so that many guesses do not flood the log.
        let report = (self.wrong <= 8 || self.unreported.is_power_of_two() && self.unreported >= 64)
            .then(|| std::mem::take(&mut self.unreported));
        Refusal { delay, report }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_start_with_the_fourth_guess_and_grow() {
        let mut guesses = Guesses::default();
        let delays: Vec<u128> = (0..12).map(|_| guesses.wrong(Duration::ZERO).delay.as_millis()).collect();
        assert_eq!(delays, [0, 0, 0, 250, 500, 1_000, 2_000, 4_000, 5_000, 5_000, 5_000, 5_000]);
        // Nine are forgiven after 90 s.
        assert_eq!(guesses.wrong(Duration::from_secs(90)).delay, Duration::from_millis(250));
        assert_eq!(guesses.wrong(Duration::from_secs(3_600)).delay, Duration::ZERO);
    }

    #[test]
    fn all_guesses_are_logged_in_few_lines() {
        let mut guesses = Guesses::default();
        let reports: Vec<u32> = (0..100_000).filter_map(|_| guesses.wrong(Duration::ZERO).report).collect();
        assert!(reports.len() < 2_000, "{}", reports.len());
        assert!(100_000 - reports.iter().sum::<u32>() < 128);
    }
}
