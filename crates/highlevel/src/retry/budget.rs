//! A limit on the retries of all calls of a client, so that retries do not make an outage worse.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::time::now;

/// The time in which requests and retries are counted, in milliseconds.
const WINDOW: u64 = 10_000;
/// Retries that are always allowed within the window.
const MIN_RETRIES: usize = 10;
/// One retry for this many requests is allowed beyond the minimum: 20 %.
const REQUESTS_PER_RETRY: usize = 5;

/// The retry budget of a client, which all its calls share.
#[derive(Debug)]
pub(crate) struct SharedBudget {
    started: Instant,
    budget: Mutex<RetryBudget>,
}

impl Default for SharedBudget {
    fn default() -> Self {
        Self { started: now(), budget: Mutex::default() }
    }
}

impl SharedBudget {
    /// Counts the first attempt of a call.
    pub(crate) fn request(&self) {
        self.budget.lock().unwrap_or_else(PoisonError::into_inner).request(self.milliseconds());
    }

    /// Tries to withdraw one retry. Returns `true` on success.
    pub(crate) fn try_retry(&self) -> bool {
        self.budget.lock().unwrap_or_else(PoisonError::into_inner).try_retry(self.milliseconds())
    }

    fn milliseconds(&self) -> u64 {
        u64::try_from(now().saturating_duration_since(self.started).as_millis()).unwrap_or(u64::MAX)
    }
}

/// Counts requests and retries of the last ten seconds.
///
/// Retries may add 20 % to the requests of that time, or ten, whichever is more. Times are milliseconds since a fixed
/// moment.
#[derive(Debug, Default)]
struct RetryBudget {
    /// Counts per tenth of the window, as (tenth, count), so that the memory does not grow with the rate.
    requests: VecDeque<(u64, usize)>,
    retries: VecDeque<(u64, usize)>,
}

impl RetryBudget {
    fn request(&mut self, now: u64) {
        evict(&mut self.requests, now);
        add(&mut self.requests, now);
    }

    fn try_retry(&mut self, now: u64) -> bool {
        evict(&mut self.requests, now);
        evict(&mut self.retries, now);
        let allowed = MIN_RETRIES.max(total(&self.requests) / REQUESTS_PER_RETRY);
        let is_allowed = total(&self.retries) < allowed;
        if is_allowed {
            add(&mut self.retries, now);
        }
        is_allowed
    }
}

const TENTH: u64 = WINDOW / 10;

fn add(counts: &mut VecDeque<(u64, usize)>, now: u64) {
    match counts.back_mut() {
        Some((tenth, count)) if *tenth >= now / TENTH => *count += 1,
        _ => counts.push_back((now / TENTH, 1)),
    }
}

fn evict(counts: &mut VecDeque<(u64, usize)>, now: u64) {
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
    fn retries_are_a_fifth_of_the_requests_but_at_least_ten() {
        for (requests, retries) in [(0, 10), (1, 10), (50, 10), (54, 10), (55, 11), (100, 20), (1_000, 200)] {
            assert_eq!(retries_granted(requests), retries, "{requests} requests");
        }
    }

    #[test]
    fn the_budget_is_available_again_after_the_window() {
        let mut budget = RetryBudget::default();
        assert_eq!((0..50).filter(|_| budget.try_retry(0)).count(), 10);
        assert!(!budget.try_retry(WINDOW));
        assert_eq!((0..50).filter(|_| budget.try_retry(WINDOW + TENTH)).count(), 10);
    }

    #[test]
    fn memory_does_not_grow_with_requests() {
        let mut budget = RetryBudget::default();
        for now in 0..100_000 {
            budget.request(now);
            budget.try_retry(now);
        }
        assert!(budget.requests.len() <= 12 && budget.retries.len() <= 12);
    }
}
