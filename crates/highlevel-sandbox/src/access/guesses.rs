//! Slows down those who guess the admin token.

use std::time::Duration;

/// A wrong token is answered at once this often, for the person who has mistyped it.
const FREE: u32 = 3;
/// The longest delay of one response.
const MAX_DELAY: Duration = Duration::from_secs(5);
/// One wrong token is forgiven in this time.
const FORGIVEN_AFTER: Duration = Duration::from_secs(10);

/// Counts wrong admin tokens. The count is of all clients together: an attacker has many addresses, and a developer needs
/// one right token, which is never delayed.
#[derive(Debug, Default)]
pub(crate) struct Guesses {
    wrong: u32,
    /// When the count was last changed, as time since the start.
    at: Duration,
    /// Wrong tokens since the last line in the log.
    unreported: u32,
}

/// The consequence of one wrong token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// How long the response is held back.
    pub(crate) delay: Duration,
    /// How many wrong tokens to report in the log, if it is time for a line.
    pub(crate) report: Option<u32>,
}

impl Guesses {
    /// Counts a wrong token. `now` is the time since the start of the sandbox.
    pub(crate) fn wrong(&mut self, now: Duration) -> Refusal {
        let forgiven = now.saturating_sub(self.at).as_secs() / FORGIVEN_AFTER.as_secs();
        self.wrong = self.wrong.saturating_sub(u32::try_from(forgiven).unwrap_or(u32::MAX));
        self.wrong = self.wrong.saturating_add(1);
        self.at = now;
        self.unreported += 1;
        let excess = self.wrong.saturating_sub(FREE);
        let delay = Duration::from_millis(125).saturating_mul(1 << excess.min(16)).min(MAX_DELAY);
        let delay = if excess == 0 { Duration::ZERO } else { delay };
        // Each of the first ones, then at powers of two: a flood of guesses must not become a flood of lines.
        let report = (self.wrong <= 8 || self.unreported.is_power_of_two() && self.unreported >= 64)
            .then(|| std::mem::take(&mut self.unreported));
        Refusal { delay, report }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fourth_guess_is_slowed_and_later_ones_more() {
        let mut guesses = Guesses::default();
        let delays: Vec<u128> = (0..12).map(|_| guesses.wrong(Duration::ZERO).delay.as_millis()).collect();
        assert_eq!(delays, [0, 0, 0, 250, 500, 1_000, 2_000, 4_000, 5_000, 5_000, 5_000, 5_000]);
        // Nine are forgiven after 90 s.
        assert_eq!(guesses.wrong(Duration::from_secs(90)).delay, Duration::from_millis(250));
        assert_eq!(guesses.wrong(Duration::from_secs(3_600)).delay, Duration::ZERO);
    }

    #[test]
    fn every_guess_is_in_the_log_and_a_flood_takes_few_lines() {
        let mut guesses = Guesses::default();
        let reports: Vec<u32> = (0..100_000).filter_map(|_| guesses.wrong(Duration::ZERO).report).collect();
        assert!(reports.len() < 2_000, "{}", reports.len());
        assert!(100_000 - reports.iter().sum::<u32>() < 128);
    }
}
