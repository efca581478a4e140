//! The limits of one location as a value: the requests that were started, and when the next permit can be issued.
//!
//! Two limits hold at the same time. The configured one is never exceeded, whatever a response reports. The limit that
//! the server reports is shared with other programs: their use is estimated from the remaining requests that the server
//! reports and the number of own requests that it has counted.
//!
//! Both are sliding logs. A request counts from its start until one interval after its response, because it arrives at the
//! server at some time in between, and at least for one interval and the margin. So no window of the server has more requests
//! than the limit, whether it counts in a sliding window or in fixed ones, and however long requests are on their way. All
//! times are passed in, in milliseconds since a moment that is the same for the life of the value.

mod day;
mod limits;
mod log;
mod server;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use self::day::DailyLimit;
use self::limits::DAY;
pub(super) use self::limits::{Limits, Millis};
use self::log::RequestLog;
pub(super) use self::log::StartedRequest;
use self::server::ServerLimit;
use crate::headers::RateLimitHeaders;

/// The time for which a permit can be used. Until then its capacity is reserved.
pub(super) const VALIDITY: Millis = 10_000;
/// Requests that are sent to a server whose limits are not known, and the time that further ones wait for a response.
const FIRST_REQUESTS: u32 = 10;
const FIRST_RESPONSE: Millis = 1_000;

/// The time at which a permit can be issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Availability {
    /// At this time, which may be now.
    At(Millis),
    /// The daily limit is used up until this time.
    DaySpent(Millis),
}

/// The certainty of an [`Availability`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Estimate {
    /// The time at which a permit can be issued, as far as is known now.
    Expected,
    /// The earliest possible time, if permits are given back and awaited responses report more capacity.
    Earliest,
}

/// The limits of one location. Small: a busy location costs half a kilobyte.
#[derive(Debug)]
pub(super) struct Window {
    configured: Limits,
    log: RequestLog,
    /// Requests that were ever started. Wraps around.
    started: u32,
    /// When permits were issued that are neither used nor given back, in order.
    reserved: VecDeque<Millis>,
    /// No permit is issued before; the server has rejected a request.
    blocked_until: Millis,
    server: ServerLimit,
    /// Until then, only a few requests are sent before a response has arrived. `None` before the first request.
    first_response: Option<Millis>,
    day: DailyLimit,
}

impl Window {
    pub(super) fn new(limits: Limits, now: Millis) -> Self {
        let configured = limits.clamped();
        Self {
            configured,
            log: RequestLog::new(configured.burst as usize, configured.margin, now),
            started: 0,
            reserved: VecDeque::new(),
            blocked_until: 0,
            server: ServerLimit::new(configured.interval, configured.margin),
            first_response: None,
            day: DailyLimit::new(configured.daily),
        }
    }

    /// Returns when a permit can be issued to a request with `ahead` others ahead of it, if all of those use their permits
    /// at once.
    pub(super) fn availability(&mut self, ahead: u32, estimate: Estimate, now: Millis) -> Availability {
        self.expire(now);
        let reserved = match estimate {
            Estimate::Expected => self.reserved(),
            Estimate::Earliest => 0,
        };
        if let Some(at) = self.day.spent_until(ahead.saturating_add(reserved), now) {
            return Availability::DaySpent(at);
        }
        // While responses are awaited, own requests may look like those of other programs.
        let counts_foreign = estimate == Estimate::Expected || self.log.awaited() == 0;
        let mut at = now.max(self.blocked_until).max(self.configured_at(ahead, reserved, now));
        at = at.max(self.server.available_at(&self.log, ahead, reserved, counts_foreign, now));
        if estimate == Estimate::Expected {
            let uncounted = self.log.awaited().saturating_add(reserved);
            at = at.max(self.first_response_at(ahead, now));
            at = at.max(self.day.available_at(uncounted, ahead, now));
        }
        Availability::At(at)
    }

    /// Reserves the capacity for one permit.
    pub(super) fn issue(&mut self, now: Millis) {
        self.expire(now);
        self.first_response.get_or_insert(now + FIRST_RESPONSE);
        self.day.issue(now);
        let last = self.reserved.back().copied().unwrap_or(0);
        self.reserved.push_back(now.max(last));
    }

    /// Gives back a permit that was issued at this time and not used.
    pub(super) fn give_back(&mut self, issued: Millis, now: Millis) {
        if self.take_reserved(issued) {
            self.day.give_back(now);
        }
    }

    /// Starts the request whose permit was issued at this time. `started` is `now`, rounded up, so that two requests are
    /// never closer than they seem. Returns `None` if the permit has lapsed.
    pub(super) fn start(&mut self, issued: Millis, now: Millis, started: Millis) -> Option<StartedRequest> {
        self.expire(now);
        if !self.take_reserved(issued) {
            return None;
        }
        let at = self.log.push(started);
        self.started = self.started.wrapping_add(1);
        self.day.start(now);
        let own = self.log.counted(self.server.period(), now);
        Some(StartedRequest { at, own, number: self.started })
    }

    /// Notes that the response to a request does not arrive. The request counts as sent.
    pub(super) fn no_response(&mut self, request: StartedRequest, now: Millis) {
        self.expire(now);
        if self.log.no_response(request.at, rounded_up(now)) {
            self.day.no_response();
        }
    }

    /// Reads the response to a request. `is_rejected` is `true` if the request was rejected for its rate.
    pub(super) fn observe(
        &mut self,
        request: StartedRequest,
        headers: &RateLimitHeaders,
        is_rejected: bool,
        now: Millis,
    ) {
        self.expire(now);
        self.log.respond(request.at, rounded_up(now));
        self.first_response = Some(0);
        self.server.read_limit(request, headers);
        // A proxy may replace the remaining requests with its own: they are used only with a limit that they fit.
        if let (Some(limit), Some(remaining)) = (headers.burst_limit, headers.burst_remaining)
            && remaining <= limit
        {
            let used = u32::try_from(limit - remaining).unwrap_or(u32::MAX);
            let later = self.started.wrapping_sub(request.number);
            let own = request.own.saturating_add(later).saturating_sub(self.log.awaited());
            self.server.estimate_foreign(request, used, own, is_rejected, now);
        }
        if let Some(left) = headers.daily_remaining {
            let left = u32::try_from(left).unwrap_or(u32::MAX);
            self.day.observe(request, left, headers.daily_reset_ms, now);
        }
    }

    /// Issues no permits for a while, because the server has rejected a request for its rate.
    pub(super) fn block(&mut self, wait: Option<Millis>, now: Millis) {
        // The server may report any number; no limit lasts longer than a day.
        let wait = wait.unwrap_or(self.configured.period().max(self.server.period())).min(DAY);
        self.blocked_until = self.blocked_until.max(now + wait);
    }

    /// Returns `true` if dropping this window changes nothing.
    pub(super) fn is_idle(&mut self, now: Millis) -> bool {
        self.expire(now);
        self.log.is_empty()
            && self.reserved.is_empty()
            && !self.server.has_foreign()
            && self.blocked_until <= now
            && self.day.is_idle()
    }

    /// Returns the bytes that the window uses on the heap.
    #[cfg(test)]
    pub(super) fn heap_bytes(&self) -> usize {
        let reserved = self.reserved.capacity() * size_of::<Millis>();
        self.log.heap_bytes() + reserved + self.server.heap_bytes()
    }

    /// Returns when the configured burst limit allows a request with `ahead` others ahead of it.
    fn configured_at(&self, ahead: u32, reserved: u32, now: Millis) -> Millis {
        let (burst, period) = (self.configured.burst, self.configured.period());
        let counted = self.log.counted(period, now);
        // The requests ahead start in rounds of `burst`, a period apart; the rest is the place within the first round.
        let (rounds, place) = (u64::from(ahead / burst), ahead % burst);
        let used = counted.saturating_add(reserved).saturating_add(place);
        let first = match used.checked_sub(burst) {
            None => now,
            Some(index) if index < counted => self.log.leaves_at(index, period, now),
            Some(_) => now + period,
        };
        first + rounds * period
    }

    /// Returns when a request can start before any response has arrived. The limit of the server may be far lower than the
    /// configured one: a few requests are sent, and the others wait a moment for the first response.
    fn first_response_at(&self, ahead: u32, now: Millis) -> Millis {
        let sent = self.log.counted(self.configured.period(), now).saturating_add(self.reserved());
        match self.first_response {
            Some(until) if sent.saturating_add(ahead) >= FIRST_REQUESTS => until,
            None if ahead >= FIRST_REQUESTS => now + FIRST_RESPONSE,
            _ => now,
        }
    }

    fn reserved(&self) -> u32 {
        u32::try_from(self.reserved.len()).unwrap_or(u32::MAX)
    }

    fn take_reserved(&mut self, issued: Millis) -> bool {
        let index = self.reserved.partition_point(|time| *time < issued);
        let is_found = self.reserved.get(index) == Some(&issued);
        if is_found {
            self.reserved.remove(index);
        }
        is_found
    }

    /// Removes everything that no longer counts.
    fn expire(&mut self, now: Millis) {
        self.log.expire(self.configured.period().max(self.server.period()), now);
        while self.reserved.front().is_some_and(|issued| issued + VALIDITY <= now) {
            self.reserved.pop_front();
        }
        self.server.expire(now);
        self.day.expire(now);
    }
}

/// Returns a time that is not before the one that was rounded down to `now`.
fn rounded_up(now: Millis) -> Millis {
    now + 1
}
