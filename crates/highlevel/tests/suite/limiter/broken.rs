//! A limiter with one defect. It shares no code with the limiter of the crate.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use highlevel::RateLimitHeaders;
use highlevel::limit::conformance::Limits;
use highlevel::limit::{Acquire, AcquireError, Expiry, Permit, PermitHandler, RateLimited, RateLimiter};

use super::now;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Defect {
    None,
    HalfTheLimit,
    BucketOfTokens,
    FixedWindow,
    Racy,
    NeverReturns,
    LastInFirstOut,
    OneLimitForAll,
    IgnoresCase,
    CutsNames,
    IgnoresTimeout,
    WaitsForTheTimeout,
    NoRetryAfter,
    WrongKind,
    PanicsOnLongTimeouts,
    CancelledStayInTheQueue,
    KeepsUnused,
    GivesBackStarted,
    NeverExpires,
    ExpiresAtOnce,
    CountsFromIssue,
    CountsFromStart,
    ForgetsResponded,
    IgnoresRejections,
    BlocksAll,
    IgnoresRetryAfter,
    BlocksForAsLongAsItIsTold,
    PanicsOnHugeRetryAfter,
    IgnoresLowerLimits,
    TakesHigherLimits,
    TakesShorterIntervals,
    IgnoresRemaining,
    TakesRemainingAlone,
    IgnoresSpentDays,
    SpentDayIsABurst,
    BelievesHugeHeaders,
    NoDailyLimit,
    HandlesApart,
}

#[derive(Clone)]
pub(super) struct Broken {
    defect: Defect,
    limits: Limits,
    state: Arc<Mutex<HashMap<String, Location>>>,
}

#[derive(Default)]
struct Location {
    /// Each permit, and the time from which it counts for one interval: its response.
    used: Vec<(u64, Option<Instant>)>,
    next: u64,
    queue: VecDeque<u64>,
    blocked: Option<Instant>,
    limit: Option<u64>,
    interval: Option<Duration>,
    no_more_until: Option<Instant>,
    day: u32,
    day_ends: Option<Instant>,
}

const HOLD: Duration = Duration::from_secs(600);

impl Broken {
    pub(super) fn new(defect: Defect, limits: Limits) -> Self {
        Self { defect, limits, state: Arc::default() }
    }

    pub(super) fn open(&self) -> Self {
        if self.defect == Defect::HandlesApart { Self::new(self.defect, self.limits) } else { self.clone() }
    }

    fn is(&self, defect: Defect) -> bool {
        self.defect == defect
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Location>> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn name(&self, location: &str) -> String {
        match self.defect {
            Defect::OneLimitForAll => String::new(),
            Defect::IgnoresCase => location.to_lowercase(),
            Defect::CutsNames => location.chars().take(64).collect(),
            _ => location.to_owned(),
        }
    }

    /// Returns the time at which the next permit is available.
    fn next_permit(&self, location: &mut Location) -> Result<Instant, AcquireError> {
        let now = now();
        if location.day >= self.limits.daily && !self.is(Defect::NoDailyLimit) {
            return Err(AcquireError::daily(Duration::from_secs(3600)));
        }
        if let Some(ends) = location.day_ends.filter(|ends| *ends > now) {
            return Err(if self.is(Defect::SpentDayIsABurst) {
                AcquireError::burst(ends - now)
            } else {
                AcquireError::daily(ends - now)
            });
        }
        let mut limit = usize::try_from(self.limits.burst).unwrap();
        if self.is(Defect::HalfTheLimit) {
            limit /= 2;
        }
        if let Some(reported) = location.limit {
            let reported = usize::try_from(reported).unwrap_or(usize::MAX).max(1);
            if reported < limit && !self.is(Defect::IgnoresLowerLimits) || self.is(Defect::TakesHigherLimits)
            {
                limit = reported;
            }
        }
        let mut interval = self.limits.interval;
        if let Some(reported) = location.interval.filter(|_| self.is(Defect::TakesShorterIntervals)) {
            interval = reported;
        }
        let mut times: Vec<Instant> = location.used.iter().map(|(_, time)| time.unwrap_or(now)).collect();
        times.sort();
        let mut at = match times.len().checked_sub(limit) {
            None => now,
            Some(_) if self.is(Defect::NeverReturns) => now + 10_000 * interval,
            Some(index) if self.is(Defect::BucketOfTokens) => {
                let _ = index;
                times[times.len() - 1] + interval / u32::try_from(limit).unwrap()
            }
            Some(index) if self.is(Defect::FixedWindow) => {
                let number = |time: Instant| (time - times[0]).as_nanos() / interval.as_nanos();
                if number(times[index]) < number(now) { now } else { now + Duration::from_millis(1) }
            }
            Some(index) => times[index] + interval,
        };
        for until in [location.blocked, location.no_more_until].into_iter().flatten() {
            at = at.max(until);
        }
        Ok(at)
    }

    async fn wait(&self, location: &str, timeout: Duration) -> Result<Permit, AcquireError> {
        if self.is(Defect::PanicsOnLongTimeouts) {
            let _ = now() + timeout;
        }
        let deadline = now() + timeout.min(Duration::from_secs(1_000_000));
        let name = self.name(location);
        let ticket = {
            let mut state = self.lock();
            let location = state.entry(name.clone()).or_default();
            location.next += 1;
            let ticket = location.next;
            if self.is(Defect::LastInFirstOut) {
                location.queue.push_front(ticket);
            } else {
                location.queue.push_back(ticket);
            }
            ticket
        };
        let _place = Place { limiter: self, name: &name, ticket };
        loop {
            let at = {
                let mut state = self.lock();
                let location = state.get_mut(&name).unwrap();
                let at = self.next_permit(location)?;
                let is_first = location.queue.front() == Some(&ticket);
                if at <= now() && (is_first || self.is(Defect::Racy)) {
                    location.day += 1;
                    if !self.is(Defect::Racy) {
                        return Ok(self.issue(&name, location, ticket));
                    }
                }
                at
            };
            if self.is(Defect::Racy) && at <= now() {
                tokio::task::yield_now().await;
                let mut state = self.lock();
                let location = state.get_mut(&name).unwrap();
                return Ok(self.issue(&name, location, ticket));
            }
            let denied = at.max(now() + Duration::from_millis(1)) > deadline;
            if denied && !self.is(Defect::IgnoresTimeout) {
                if self.is(Defect::WaitsForTheTimeout) {
                    // It believes that another process will give something back.
                    tokio::time::sleep(Duration::from_secs(3600)).await;
                }
                let wait = at.saturating_duration_since(now());
                return Err(match self.defect {
                    Defect::NoRetryAfter => AcquireError::burst(Duration::ZERO),
                    Defect::WrongKind => AcquireError::unavailable("used up"),
                    _ => AcquireError::burst(wait.max(Duration::from_millis(1))),
                });
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    fn issue(&self, name: &str, location: &mut Location, ticket: u64) -> Permit {
        location.queue.retain(|waiting| *waiting != ticket);
        let time = self.is(Defect::CountsFromIssue).then(now);
        location.used.push((ticket, time));
        let used = Use { limiter: self.clone(), name: name.to_owned(), ticket };
        match self.defect {
            Defect::NeverExpires => Permit::new(Expiry::after(Duration::from_secs(300 * 24 * 60 * 60)), used),
            Defect::ExpiresAtOnce if name.starts_with("permit: expires") => {
                Permit::new(Expiry::after(Duration::ZERO), used)
            }
            _ => Permit::new(Expiry::after(HOLD), used),
        }
    }
}

struct Place<'a> {
    limiter: &'a Broken,
    name: &'a str,
    ticket: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if !self.limiter.is(Defect::CancelledStayInTheQueue) {
            let mut state = self.limiter.lock();
            state.get_mut(self.name).unwrap().queue.retain(|ticket| *ticket != self.ticket);
        }
    }
}

impl RateLimiter for Broken {
    fn acquire<'a>(&'a self, location: &'a str, timeout: Duration) -> Acquire<'a> {
        Box::pin(self.wait(location, timeout))
    }
}

struct Use {
    limiter: Broken,
    name: String,
    ticket: u64,
}

impl Use {
    fn count_from_now(&self) {
        let mut state = self.limiter.lock();
        let used = &mut state.get_mut(&self.name).unwrap().used;
        for (_, time) in used.iter_mut().filter(|(ticket, _)| *ticket == self.ticket) {
            time.get_or_insert(now());
        }
    }

    fn give_back(&self) {
        let mut state = self.limiter.lock();
        state.get_mut(&self.name).unwrap().used.retain(|(ticket, _)| *ticket != self.ticket);
    }
}

impl PermitHandler for Use {
    fn begin(&self) -> bool {
        if self.limiter.is(Defect::CountsFromStart) {
            self.count_from_now();
        }
        true
    }

    fn observe(&self, headers: &RateLimitHeaders, rate_limited: Option<RateLimited>) {
        let limiter = &self.limiter;
        if limiter.is(Defect::ForgetsResponded) && self.name.starts_with("permit: counts") {
            self.give_back();
        }
        self.count_from_now();
        let mut state = limiter.lock();
        let location = state.get_mut(&self.name).unwrap();
        let interval = limiter.limits.interval;
        let day = Duration::from_secs(24 * 60 * 60);
        if let Some(limit) = headers.burst_limit {
            location.limit = Some(limit);
            location.interval = headers.interval_ms.map(Duration::from_millis);
        }
        let means_something = headers.burst_limit.is_some() || limiter.is(Defect::TakesRemainingAlone);
        if headers.burst_remaining == Some(0) && means_something && !limiter.is(Defect::IgnoresRemaining) {
            location.no_more_until = Some(now() + interval);
        }
        if let (Some(0), Some(reset)) = (headers.daily_remaining, headers.daily_reset_ms)
            && !limiter.is(Defect::IgnoresSpentDays)
        {
            let longest = if limiter.is(Defect::BelievesHugeHeaders) { 100 * day } else { day };
            location.day_ends = Some(now() + Duration::from_millis(reset).min(longest));
        }
        if let Some(limited) = rate_limited
            && !limiter.is(Defect::IgnoresRejections)
        {
            let wait = match limited.retry_after {
                Some(wait) if limiter.is(Defect::PanicsOnHugeRetryAfter) => wait,
                Some(wait) if limiter.is(Defect::BlocksForAsLongAsItIsTold) => wait.min(100 * day),
                Some(wait) if !limiter.is(Defect::IgnoresRetryAfter) => wait.min(day),
                _ => interval,
            };
            let until = now() + wait;
            if limiter.is(Defect::BlocksAll) {
                state.values_mut().for_each(|location| location.blocked = Some(until));
            } else {
                location.blocked = Some(until);
            }
        }
    }

    fn no_response(&self) {
        if self.limiter.is(Defect::GivesBackStarted) {
            self.give_back();
        }
        self.count_from_now();
    }

    fn give_back(&self) {
        if !self.limiter.is(Defect::KeepsUnused) {
            Self::give_back(self);
        }
    }
}
