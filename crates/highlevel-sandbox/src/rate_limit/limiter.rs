//! A rate limiter with one counter for each app and location.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::RateLimit;
use super::counter::{RequestCounter, Spent, Tally};

/// Counts requests, and rejects those over the limits if they are enforced.
#[derive(Debug)]
pub(crate) struct RateLimitEnforcer {
    limits: RateLimit,
    enforced: bool,
    counters: HashMap<Arc<Account>, RequestCounter>,
}

/// The unit to which limits apply: one app on one location. Each token belongs to one account.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Account {
    pub(crate) app_id: String,
    pub(crate) location_id: String,
}

/// The decision on one request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verdict {
    /// The remaining requests after it.
    pub(crate) tally: Tally,
    /// The exceeded limit, if the request is rejected.
    pub(crate) spent: Option<Spent>,
}

impl RateLimitEnforcer {
    /// Creates a limiter that enforces `limits`, or only counts against the documented ones if `None`.
    pub(crate) fn new(limits: Option<RateLimit>) -> Self {
        Self {
            limits: limits.unwrap_or_else(RateLimit::documented),
            enforced: limits.is_some(),
            counters: HashMap::new(),
        }
    }

    /// Returns the enforced limits, if any.
    pub(crate) fn limits(&self) -> Option<RateLimit> {
        self.enforced.then_some(self.limits)
    }

    /// Resets all counters. Required when the clock is set back, because counters only move forward.
    pub(crate) fn reset(&mut self) {
        self.counters.clear();
    }

    /// Returns the remaining requests of each account.
    pub(crate) fn tallies(&mut self, now: DateTime<Utc>) -> impl Iterator<Item = (&Account, Tally)> {
        self.counters.iter_mut().map(move |(account, counter)| (&**account, counter.tally(now)))
    }

    /// Counts a request or rejects it.
    pub(crate) fn admit(&mut self, account: &Arc<Account>, now: DateTime<Utc>) -> Verdict {
        let counter = self.counter(account);
        let spent = counter.admit(now).err();
        Verdict { tally: counter.tally(now), spent }
    }

    /// Returns the remaining requests without counting one.
    pub(crate) fn peek(&mut self, account: &Arc<Account>, now: DateTime<Utc>) -> Verdict {
        Verdict { tally: self.counter(account).tally(now), spent: None }
    }

    /// Counts requests of another program.
    pub(crate) fn take(&mut self, account: &Arc<Account>, now: DateTime<Utc>, count: usize) {
        self.counter(account).take(now, count);
    }

    fn counter(&mut self, account: &Arc<Account>) -> &mut RequestCounter {
        let (limits, enforced) = (self.limits, self.enforced);
        self.counters.entry(Arc::clone(account)).or_insert_with(|| RequestCounter::new(limits, enforced))
    }
}

impl Verdict {
    /// Returns the rate limit headers of the response.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (&'static str, String)> {
        let retry_after = self.spent.as_ref().and_then(Spent::retry_after);
        self.tally.headers().into_iter().chain(retry_after.map(|seconds| ("retry-after", seconds)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_app_and_location_has_a_separate_limit() {
        let mut limiter = RateLimitEnforcer::new(Some(RateLimit::documented().burst(1)));
        let account = |app: &str, location: &str| {
            Arc::new(Account { app_id: app.to_owned(), location_id: location.to_owned() })
        };
        let now = DateTime::UNIX_EPOCH;
        for (app, location) in [("a", "1"), ("a", "2"), ("b", "1")] {
            assert_eq!(limiter.peek(&account(app, location), now).tally.burst_remaining, 1);
            assert!(limiter.admit(&account(app, location), now).spent.is_none(), "{app} {location}");
            assert!(limiter.admit(&account(app, location), now).spent.is_some(), "{app} {location}");
        }
    }
}
