//! One counter for each app and location.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::RateLimit;
use super::counter::{RequestCounter, Spent, Tally};

/// Counts requests, and refuses those over the limits if it is to enforce them.
#[derive(Debug)]
pub(crate) struct RateLimiter {
    limits: RateLimit,
    enforced: bool,
    counters: HashMap<Arc<Account>, RequestCounter>,
}

/// What limits are counted for: one app on one location. A token belongs to one of these.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Account {
    pub(crate) app_id: String,
    pub(crate) location_id: String,
}

/// What the limits say to one request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verdict {
    /// What is left after it.
    pub(crate) tally: Tally,
    /// Why it is refused, if it is.
    pub(crate) spent: Option<Spent>,
}

impl RateLimiter {
    /// Enforces these limits, or counts against the documented ones.
    pub(crate) fn new(limits: Option<RateLimit>) -> Self {
        Self {
            limits: limits.unwrap_or_else(RateLimit::documented),
            enforced: limits.is_some(),
            counters: HashMap::new(),
        }
    }

    /// The limits that are enforced, if any.
    pub(crate) fn limits(&self) -> Option<RateLimit> {
        self.enforced.then_some(self.limits)
    }

    /// Forgets what was counted. Counters do not go back in time, so they need this when their clock does.
    pub(crate) fn begin_anew(&mut self) {
        self.counters.clear();
    }

    /// What is left of each limit that is counted.
    pub(crate) fn tallies(&mut self, now: DateTime<Utc>) -> impl Iterator<Item = (&Account, Tally)> {
        self.counters.iter_mut().map(move |(account, counter)| (&**account, counter.tally(now)))
    }

    /// Counts a request or refuses it.
    pub(crate) fn admit(&mut self, account: &Arc<Account>, now: DateTime<Utc>) -> Verdict {
        let counter = self.counter(account);
        let spent = counter.admit(now).err();
        Verdict { tally: counter.tally(now), spent }
    }

    /// What is left, without a request.
    pub(crate) fn look(&mut self, account: &Arc<Account>, now: DateTime<Utc>) -> Verdict {
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
    /// The headers that tell it.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (&'static str, String)> {
        let retry_after = self.spent.as_ref().and_then(Spent::retry_after);
        self.tally.headers().into_iter().chain(retry_after.map(|seconds| ("retry-after", seconds)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apps_and_locations_do_not_share_a_limit() {
        let mut limiter = RateLimiter::new(Some(RateLimit::documented().burst(1)));
        let account = |app: &str, location: &str| {
            Arc::new(Account { app_id: app.to_owned(), location_id: location.to_owned() })
        };
        let now = DateTime::UNIX_EPOCH;
        for (app, location) in [("a", "1"), ("a", "2"), ("b", "1")] {
            assert_eq!(limiter.look(&account(app, location), now).tally.burst_remaining, 1);
            assert!(limiter.admit(&account(app, location), now).spent.is_none(), "{app} {location}");
            assert!(limiter.admit(&account(app, location), now).spent.is_some(), "{app} {location}");
        }
    }
}
