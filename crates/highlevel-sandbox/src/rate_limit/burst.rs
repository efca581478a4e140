//! Counts the requests of one burst window. Times are microseconds and never decrease.

use std::collections::VecDeque;
use std::iter::repeat_n;

use super::{BurstWindow, RateLimit};

#[derive(Debug)]
pub(super) struct BurstCounter {
    limit: usize,
    interval: i64,
    used: Used,
}

#[derive(Debug)]
enum Used {
    Fixed {
        /// The number of the window, counted from 1970.
        window: i64,
        requests: usize,
    },
    /// The times of the requests in the last interval, oldest first, at most as many as the limit.
    Sliding(VecDeque<i64>),
}

impl BurstCounter {
    pub(super) fn new(limits: RateLimit) -> Self {
        let used = match limits.window {
            BurstWindow::Fixed => Used::Fixed { window: i64::MIN, requests: 0 },
            BurstWindow::Sliding => Used::Sliding(VecDeque::new()),
        };
        Self { limit: limits.burst, interval: limits.interval_us(), used }
    }

    /// Returns the number of requests that are allowed at `now`.
    pub(super) fn left(&mut self, now: i64) -> usize {
        let used = match &mut self.used {
            Used::Fixed { window, requests } => {
                let current = now.div_euclid(self.interval);
                if *window != current {
                    (*window, *requests) = (current, 0);
                }
                *requests
            }
            Used::Sliding(times) => {
                while times.front().is_some_and(|oldest| now.saturating_sub(*oldest) >= self.interval) {
                    times.pop_front();
                }
                times.len()
            }
        };
        self.limit.saturating_sub(used)
    }

    /// Counts requests at `now`, also beyond the limit.
    pub(super) fn add(&mut self, now: i64, count: usize) {
        self.left(now);
        match &mut self.used {
            Used::Fixed { requests, .. } => *requests = requests.saturating_add(count),
            Used::Sliding(times) => {
                // Beyond the limit, the latest requests determine when the next one is allowed.
                let count = count.min(self.limit);
                let surplus = (times.len() + count).saturating_sub(self.limit);
                times.drain(..surplus);
                times.extend(repeat_n(now, count));
            }
        }
    }

    /// Returns the wait until a request is allowed. Zero if one is allowed now.
    pub(super) fn wait(&mut self, now: i64) -> i64 {
        if self.left(now) > 0 {
            return 0;
        }
        let free = match &self.used {
            Used::Fixed { window, .. } => window.saturating_add(1).saturating_mul(self.interval),
            Used::Sliding(times) => times.front().map_or(now, |oldest| oldest.saturating_add(self.interval)),
        };
        free.saturating_sub(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_times_are_bounded() {
        let mut counter = BurstCounter::new(RateLimit::documented());
        for now in 0..10_000 {
            counter.add(now, 1);
            counter.add(now, usize::MAX);
            let Used::Sliding(times) = &counter.used else { unreachable!() };
            assert!(times.len() <= 100 && times.capacity() <= 256, "{now}: {}", times.capacity());
        }
    }
}
