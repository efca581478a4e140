//! A bound on retries over all calls of a client, so that an outage is not made worse.

use std::collections::VecDeque;

/// How far back requests are counted, in milliseconds.
const WINDOW: u64 = 10_000;
/// Retries that are always allowed within the window.
const FLOOR: usize = 10;
/// One retry for this many requests beyond the floor: 20 %.
const REQUESTS_PER_RETRY: usize = 5;

/// Counts requests and retries of the last ten seconds.
///
/// Retries may add 20 % to the requests of that time, or ten, whichever is more. Times are milliseconds since any
/// moment that stays the same.
#[derive(Debug, Default)]
pub(crate) struct RetryBudget {
    /// Requests a tenth of the window, as (tenth, count): the memory does not grow with the rate.
    requests: VecDeque<(u64, usize)>,
    retries: VecDeque<(u64, usize)>,
}

impl RetryBudget {
    /// Notes the first attempt of a call.
    pub(crate) fn request(&mut self, now: u64) {
        forget(&mut self.requests, now);
        add(&mut self.requests, now);
    }

    /// Whether one more retry is within the budget; if so, it is noted.
    pub(crate) fn try_retry(&mut self, now: u64) -> bool {
        forget(&mut self.requests, now);
        forget(&mut self.retries, now);
        let allowed = FLOOR.max(total(&self.requests) / REQUESTS_PER_RETRY);
        let within = total(&self.retries) < allowed;
        if within {
            add(&mut self.retries, now);
        }
        within
    }
}

const TENTH: u64 = WINDOW / 10;

fn add(counts: &mut VecDeque<(u64, usize)>, now: u64) {
    match counts.back_mut() {
        Some((tenth, count)) if *tenth >= now / TENTH => *count += 1,
        _ => counts.push_back((now / TENTH, 1)),
    }
}

fn forget(counts: &mut VecDeque<(u64, usize)>, now: u64) {
    while counts.front().is_some_and(|(tenth, _)| (tenth + 1) * TENTH + WINDOW <= now) {
        counts.pop_front();
    }
}

fn total(counts: &VecDeque<(u64, usize)>) -> usize {
    counts.iter().map(|(_, count)| count).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retries_granted(requests: usize) -> usize {
        let mut budget = RetryBudget::default();
        for _ in 0..requests {
            budget.request(5_000);
        }
        (0..requests + 100).filter(|_| budget.try_retry(5_000)).count()
    }

    #[test]
    fn a_fifth_of_the_requests_but_at_least_ten() {
        for (requests, retries) in [(0, 10), (1, 10), (50, 10), (54, 10), (55, 11), (100, 20), (1_000, 200)] {
            assert_eq!(retries_granted(requests), retries, "{requests} requests");
        }
    }

    #[test]
    fn what_is_spent_comes_back_after_the_window() {
        let mut budget = RetryBudget::default();
        assert_eq!((0..50).filter(|_| budget.try_retry(0)).count(), 10);
        assert!(!budget.try_retry(WINDOW));
        assert_eq!((0..50).filter(|_| budget.try_retry(WINDOW + TENTH)).count(), 10);
    }

    #[test]
    fn memory_does_not_grow() {
        let mut budget = RetryBudget::default();
        for now in 0..100_000 {
            budget.request(now);
            budget.try_retry(now);
        }
        assert!(budget.requests.len() <= 12 && budget.retries.len() <= 12);
    }
}
