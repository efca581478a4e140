//! The limits of one location as a value: the requests that were started, and when the next permit can be issued.
//!
//! Two limits hold at the same time. The configured one is never exceeded, whatever a response reports. The limit that
//! the server reports is shared with other programs: their use is estimated from the remaining requests that the server
//! reports and the number of own requests that it has counted.
//!
//! Both are sliding logs: at any moment, fewer requests than the limit were started within the last interval plus a
//! margin. That holds for a server that counts in a sliding window and for one that counts in fixed ones. All times are
//! passed in, in milliseconds since a moment that is the same for the life of the value.

use std::collections::VecDeque;

use super::RateLimitHeaders;

/// Milliseconds since the moment that the owner of a window has chosen.
pub(super) type Millis = u64;

/// The limits that are never exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// Requests in one interval.
    pub(super) burst: u32,
    /// Length of the interval.
    pub(super) interval: u32,
    /// Added to each interval, for the way to the server and its clock.
    pub(super) margin: u32,
    /// Requests in a day, which begins with its first request.
    pub(super) daily: u32,
}

impl Default for Limits {
    /// As documented: 100 in 10 seconds and 200,000 in a day.
    fn default() -> Self {
        Self { burst: 100, interval: 10_000, margin: 250, daily: 200_000 }
    }
}

const MINUTE: Millis = 60 * 1000;
const HOUR: Millis = 60 * MINUTE;
const DAY: Millis = 24 * HOUR;
/// The longest interval that can be configured: times in the log are stored in 31 bits.
pub(super) const MAX_INTERVAL: u32 = 7 * 24 * 60 * 60 * 1000;
/// The longest interval that is accepted from a response.
const MAX_SERVER_INTERVAL: u64 = HOUR;
/// The time for which a permit can be used. Until then its capacity is reserved.
pub(super) const VALIDITY: Millis = 10_000;
/// Requests that are sent to a server whose limits are not known, and the time after which it is not waited for.
const FIRST_REQUESTS: u32 = 10;
const FIRST_RESPONSE: Millis = 1_000;
/// A permit that only waits for responses on their way is looked for again after this time.
const RECHECK: Millis = 50;
/// If the server reports a spent day without its end, one request is sent after this time, and then after twice the
/// time.
const FIRST_PROBE: Millis = MINUTE;
const MAX_PROBE: Millis = HOUR;

/// When a permit can be issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// At this time, which may be now.
    At(Millis),
    /// The daily limit is spent until this time.
    Spent(Millis),
}

/// How certain a [`Turn`] has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Estimate {
    /// The time at which a permit can be issued, as far as is known now.
    Expected,
    /// The earliest time that is possible, if permits are given back and responses on their way bring good news.
    Earliest,
}

/// A request that was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Begun {
    at: Millis,
    /// Own requests in the server's window, this one included.
    ours: u32,
    /// Its number among all requests of the window.
    number: u32,
}

/// The limits of one location. Small: a location that is busy costs half a kilobyte.
#[derive(Debug)]
pub(super) struct Window {
    configured: Limits,
    /// When requests were started, in order: milliseconds after `base`, doubled, plus one while its response is awaited.
    log: VecDeque<u32>,
    base: Millis,
    /// Requests in the log whose response is awaited.
    open: u32,
    /// Requests that were ever started. Wraps around.
    begun: u32,
    /// When permits were issued that are neither used nor given back, in order.
    reserved: VecDeque<Millis>,
    /// No permit is issued before; the server has rejected a request.
    blocked_until: Millis,
    server: Server,
    /// Requests left until `day_ends`.
    left_today: u32,
    day_ends: Option<Millis>,
    server_day: Option<ServerDay>,
}

/// The burst limit of the server.
#[derive(Debug)]
struct Server {
    /// Requests in one interval, or `None` as long as it is unknown.
    burst: Option<u32>,
    interval: u32,
    /// When the newest request was started whose response reported the limit.
    newest: Millis,
    /// When the response arrived from which the use by others was last estimated.
    estimated: Option<Millis>,
    /// Requests of other programs, and when each of them has left the server's window at the latest, in order.
    foreign: VecDeque<(Millis, u32)>,
    /// Until then, only a few requests are sent without having seen a response. `None` before the first request.
    first_response: Option<Millis>,
}

/// The daily limit of the server.
#[derive(Debug)]
struct ServerDay {
    /// Requests left, as last reported.
    left: u32,
    /// When the response arrived that reported it.
    reported: Millis,
    /// When the day ends, if the server has reported that.
    ends: Option<Millis>,
    /// When the next request is sent to find out whether a spent day has ended, and how long the one after it waits.
    probe: Millis,
    pause: Millis,
}

impl Window {
    pub(super) fn new(limits: Limits, now: Millis) -> Self {
        let configured = Limits {
            burst: limits.burst.max(1),
            interval: limits.interval.min(MAX_INTERVAL),
            margin: limits.margin.min(MAX_INTERVAL),
            ..limits
        };
        Self {
            configured,
            log: VecDeque::new(),
            base: now,
            open: 0,
            begun: 0,
            reserved: VecDeque::new(),
            blocked_until: 0,
            server: Server {
                burst: None,
                interval: configured.interval,
                newest: 0,
                estimated: None,
                foreign: VecDeque::new(),
                first_response: None,
            },
            left_today: configured.daily,
            day_ends: None,
            server_day: None,
        }
    }

    /// Returns when a permit can be issued to a request with this many others ahead of it, if all of those use their
    /// permits at once.
    pub(super) fn turn(&mut self, ahead: u32, estimate: Estimate, now: Millis) -> Turn {
        self.expire(now);
        let reserved = match estimate {
            Estimate::Expected => self.reserved(),
            Estimate::Earliest => 0,
        };
        if let Some(at) = self.day_is_spent(ahead.saturating_add(reserved), now) {
            return Turn::Spent(at);
        }
        let earliest = now.max(self.blocked_until);
        let mut at = earliest.max(self.own_turn(ahead, reserved, now));
        if let Some(burst) = self.server.burst {
            // As long as responses are on their way, what looks like the use of others may be our own.
            let certain = estimate == Estimate::Expected || self.open == 0;
            at = at.max(self.server_turn(burst, ahead, reserved, certain, now));
        }
        if estimate == Estimate::Expected {
            at = at.max(self.first_turn(ahead, now)).max(self.last_of_day(ahead, now));
        }
        Turn::At(at)
    }

    /// Reserves the capacity for one permit.
    pub(super) fn issue(&mut self, now: Millis) {
        self.expire(now);
        self.server.first_response.get_or_insert(now + FIRST_RESPONSE);
        if let Some(day) = &mut self.server_day
            && day.left == 0
        {
            day.probe = now + day.pause;
        }
        let last = self.reserved.back().copied().unwrap_or(0);
        self.reserved.push_back(now.max(last));
    }

    /// Gives back a permit that was issued at this time and not used.
    pub(super) fn give_back(&mut self, issued: Millis, now: Millis) {
        if self.take_reserved(issued)
            && let Some(day) = &mut self.server_day
        {
            day.probe = day.probe.min(now);
        }
    }

    /// Notes that the request is started whose permit was issued at this time. `started` is `now`, rounded up: two
    /// requests are never closer than they seem. Returns `None` if the permit has lapsed.
    pub(super) fn begin(&mut self, issued: Millis, now: Millis, started: Millis) -> Option<Begun> {
        self.expire(now);
        if !self.take_reserved(issued) {
            return None;
        }
        let at = self.push(started);
        self.begun = self.begun.wrapping_add(1);
        if self.day_ends.is_none() {
            self.day_ends = Some(now + DAY);
        }
        self.left_today = self.left_today.saturating_sub(1);
        Some(Begun { at, ours: self.started_within(self.server_period(), now), number: self.begun })
    }

    /// Notes that the response to a request does not arrive. The request counts as sent.
    pub(super) fn no_response(&mut self, begun: Begun) {
        if self.close(begun.at)
            && let Some(day) = &mut self.server_day
        {
            day.left = day.left.saturating_sub(1);
        }
    }

    /// Learns from the response to a request. `rejected` is `true` if it was rejected for its rate.
    pub(super) fn observe(&mut self, begun: Begun, headers: &RateLimitHeaders, rejected: bool, now: Millis) {
        self.expire(now);
        self.close(begun.at);
        self.server.first_response = Some(0);
        if let Some(burst) = headers.burst_limit
            && begun.at >= self.server.newest
        {
            self.server.newest = begun.at;
            self.server.burst = Some(u32::try_from(burst).unwrap_or(u32::MAX).max(1));
            if let Some(interval) = headers.interval_ms.filter(|interval| *interval > 0) {
                let interval = interval.min(MAX_SERVER_INTERVAL);
                self.server.interval = u32::try_from(interval).unwrap_or(u32::MAX);
            }
        }
        // A proxy can replace the remaining requests by its own: they mean nothing without a limit that they fit.
        if let (Some(limit), Some(remaining)) = (headers.burst_limit, headers.burst_remaining)
            && remaining <= limit
        {
            let used = u32::try_from(limit - remaining).unwrap_or(u32::MAX);
            self.estimate_foreign(begun, used, rejected, now);
        }
        if let Some(left) = headers.daily_remaining {
            let left = u32::try_from(left).unwrap_or(u32::MAX);
            self.observe_day(begun, left, headers.daily_reset_ms, now);
        }
    }

    /// Issues no permits for a while: the server has rejected a request for its rate.
    pub(super) fn block(&mut self, wait: Option<Millis>, now: Millis) {
        // The server may report any number; no limit lasts longer than a day.
        let wait = wait.unwrap_or(self.period().max(self.server_period())).min(DAY);
        self.blocked_until = self.blocked_until.max(now + wait);
    }

    /// Returns `true` if forgetting this window changes nothing.
    pub(super) fn is_idle(&mut self, now: Millis) -> bool {
        self.expire(now);
        self.log.is_empty()
            && self.reserved.is_empty()
            && self.server.foreign.is_empty()
            && self.blocked_until <= now
            && self.day_ends.is_none()
            && self.server_day.is_none()
    }

    /// The bytes that the window has on the heap.
    #[cfg(test)]
    pub(super) fn heap_bytes(&self) -> usize {
        self.log.capacity() * size_of::<u32>()
            + self.reserved.capacity() * size_of::<Millis>()
            + self.server.foreign.capacity() * size_of::<(Millis, u32)>()
    }

    // The configured limit.

    /// The time between a request and the one `burst` places later.
    fn period(&self) -> Millis {
        u64::from(self.configured.interval) + u64::from(self.configured.margin)
    }

    fn own_turn(&self, ahead: u32, reserved: u32, now: Millis) -> Millis {
        let (burst, period) = (self.configured.burst, self.period());
        let started = self.started_within(period, now);
        // Those ahead go in rounds of `burst`, a period apart; the rest is the place within the first round.
        let (rounds, place) = (u64::from(ahead / burst), ahead % burst);
        let used = started.saturating_add(reserved).saturating_add(place);
        let first = match used.checked_sub(burst) {
            None => now,
            Some(index) if index < started => self.time(self.log.len() - (started - index) as usize) + period,
            Some(_) => now + period,
        };
        first + rounds * period
    }

    // The limit of the server.

    fn server_period(&self) -> Millis {
        u64::from(self.server.interval) + u64::from(self.configured.margin)
    }

    fn server_turn(&self, burst: u32, ahead: u32, reserved: u32, foreign: bool, now: Millis) -> Millis {
        let period = self.server_period();
        let started = self.started_within(period, now);
        let oldest = self.log.len() - started as usize;
        let foreign = || self.server.foreign.iter().filter(move |_| foreign);
        let others = foreign().fold(0_u32, |sum, (_, count)| sum.saturating_add(*count));
        let (rounds, place) = (u64::from(ahead / burst), ahead % burst);
        let used = started.saturating_add(others).saturating_add(reserved).saturating_add(place);
        let Some(need) = used.checked_sub(burst) else { return now + rounds * period };
        // The time at which `need + 1` of them have left the window: own requests and those of others leave in turn.
        let mut left = 0_u32;
        let mut first = None;
        for (until, count) in foreign() {
            let own = self.log.partition_point(|entry| self.entry_time(*entry) + period <= *until) - oldest;
            let own = u32::try_from(own).unwrap_or(u32::MAX);
            if own.saturating_add(left) > need {
                break;
            }
            left = left.saturating_add(*count);
            if own.saturating_add(left) > need {
                first = Some(*until);
                break;
            }
        }
        let first = first.unwrap_or_else(|| match need.saturating_sub(left) {
            index if index < started => self.time(oldest + index as usize) + period,
            _ => now + period,
        });
        first.max(now) + rounds * period
    }

    /// As long as no response has arrived, the limit of the server may be far lower than ours: a few requests are sent,
    /// and the others wait a moment for the first response.
    fn first_turn(&self, ahead: u32, now: Millis) -> Millis {
        let sent = self.started_within(self.period(), now).saturating_add(self.reserved());
        match self.server.first_response {
            Some(until) if sent.saturating_add(ahead) >= FIRST_REQUESTS => until,
            None if ahead >= FIRST_REQUESTS => now + FIRST_RESPONSE,
            _ => now,
        }
    }

    /// Estimates the requests of other programs from those that the server has counted.
    ///
    /// Requests whose response is awaited may not be counted yet. Until their responses arrive, those that are counted
    /// look like requests of others: too few permits are issued for a moment, and never too many.
    fn estimate_foreign(&mut self, begun: Begun, used: u32, rejected: bool, now: Millis) {
        let since = self.begun.wrapping_sub(begun.number);
        let counted = begun.ours.saturating_add(since).saturating_sub(self.open);
        let estimate = used.saturating_sub(counted);
        let until = now + self.server_period();
        let server = &mut self.server;
        let known = server.foreign.iter().fold(0_u32, |sum, (_, count)| sum.saturating_add(*count));
        let newer = server.estimated.is_none_or(|estimated| begun.at >= estimated);
        if newer {
            server.estimated = Some(now);
            server.forget_oldest(known.saturating_sub(estimate));
            server.add_foreign(estimate.saturating_sub(known), until);
            return;
        }
        // The responses overlap: either may be the newer one. This request was awaited when the use of others was last
        // estimated, so it may be one of those that looked like theirs.
        let known = if rejected { known } else { known - server.forget_newest() };
        if estimate > known {
            server.estimated = Some(now);
            server.add_foreign(estimate - known, until);
        }
    }

    // The day.

    /// Returns when the next permit can be issued, if the daily limit is spent.
    fn day_is_spent(&self, ahead: u32, now: Millis) -> Option<Millis> {
        let own = (self.left_today <= ahead).then(|| self.day_ends.unwrap_or(now + DAY));
        let server = self.server_day.as_ref().filter(|day| day.left == 0).and_then(|day| match day.ends {
            Some(ends) => Some(ends),
            None if ahead == 0 && day.probe <= now => None,
            None => Some(day.probe.max(now + 1)),
        });
        own.max(server)
    }

    /// The last requests of the server's day wait for the responses that are on their way.
    fn last_of_day(&self, ahead: u32, now: Millis) -> Millis {
        let uncounted = self.open.saturating_add(self.reserved());
        match &self.server_day {
            Some(day) if day.left > 0 && uncounted > 0 && day.left <= uncounted.saturating_add(ahead) => {
                now + RECHECK
            }
            _ => now,
        }
    }

    fn observe_day(&mut self, begun: Begun, left: u32, reset: Option<Millis>, now: Millis) {
        // A spent day that has just ended is not worth an exception.
        let ends = reset.map(|reset| now + reset.min(DAY));
        let pause = match &mut self.server_day {
            Some(day) if begun.at < day.reported => {
                // The responses overlap: the lower count is the newer one, or a day has ended in between.
                if left < day.left {
                    day.left = left;
                    day.ends = ends;
                }
                return;
            }
            // The response to a probe.
            Some(day) if day.left == 0 => (day.pause * 2).min(MAX_PROBE),
            _ => FIRST_PROBE,
        };
        self.server_day = Some(ServerDay { left, reported: now, ends, probe: now + pause, pause });
    }

    // The log.

    fn reserved(&self) -> u32 {
        u32::try_from(self.reserved.len()).unwrap_or(u32::MAX)
    }

    fn take_reserved(&mut self, issued: Millis) -> bool {
        let index = self.reserved.partition_point(|time| *time < issued);
        let found = self.reserved.get(index) == Some(&issued);
        if found {
            self.reserved.remove(index);
        }
        found
    }

    /// Requests that were started within this time.
    fn started_within(&self, period: Millis, now: Millis) -> u32 {
        let older = self.log.partition_point(|entry| self.entry_time(*entry) + period <= now);
        u32::try_from(self.log.len() - older).unwrap_or(u32::MAX)
    }

    fn time(&self, index: usize) -> Millis {
        self.log.get(index).map_or(0, |entry| self.entry_time(*entry))
    }

    fn entry_time(&self, entry: u32) -> Millis {
        self.base + u64::from(entry >> 1)
    }

    /// Adds a request whose response is awaited. Returns its time.
    fn push(&mut self, now: Millis) -> Millis {
        // Never before the last one: the log is ordered.
        let now = now.max(self.log.back().map_or(0, |entry| self.entry_time(*entry)));
        if self.log.is_empty() {
            self.base = now;
        } else if now - self.base > u64::from(u32::MAX >> 2) {
            // A location that is busy for weeks: count from its oldest entry.
            let shift = self.log[0] >> 1;
            self.log.iter_mut().for_each(|entry| *entry -= shift << 1);
            self.base += u64::from(shift);
        }
        if self.log.len() == self.log.capacity() {
            // The log of a busy location has as many entries as its limit: doubling would take more.
            let len = self.log.len();
            let limit = self.configured.burst as usize;
            self.log.reserve_exact(
                len.max(4).min(limit.checked_sub(len).filter(|free| *free > 0).unwrap_or(len)),
            );
        }
        let offset = u32::try_from(now - self.base).unwrap_or(u32::MAX).min(u32::MAX >> 1);
        self.log.push_back(offset << 1 | 1);
        self.open += 1;
        now
    }

    /// Notes that the response to a request of this time is no longer awaited. Returns `false` if it has left the log.
    fn close(&mut self, at: Millis) -> bool {
        let mut index = self.log.partition_point(|entry| self.entry_time(*entry) < at);
        while let Some(entry) = self.log.get(index).copied()
            && self.entry_time(entry) == at
        {
            if entry & 1 == 1 {
                self.log[index] = entry & !1;
                self.open -= 1;
                return true;
            }
            index += 1;
        }
        false
    }

    /// Drops everything that no longer counts.
    fn expire(&mut self, now: Millis) {
        let period = self.period().max(self.server_period());
        while let Some(entry) = self.log.front().copied()
            && self.entry_time(entry) + period <= now
        {
            self.open -= entry & 1;
            self.log.pop_front();
        }
        while self.reserved.front().is_some_and(|issued| issued + VALIDITY <= now) {
            self.reserved.pop_front();
        }
        while self.server.foreign.front().is_some_and(|(until, _)| *until <= now) {
            self.server.foreign.pop_front();
        }
        if self.day_ends.is_some_and(|ends| ends <= now) {
            self.day_ends = None;
            self.left_today = self.configured.daily;
        }
        // A count of yesterday means nothing.
        let ended = |day: &ServerDay| day.ends.unwrap_or(day.reported + DAY) <= now;
        if self.server_day.as_ref().is_some_and(ended) {
            self.server_day = None;
        }
    }
}

impl Server {
    fn add_foreign(&mut self, count: u32, until: Millis) {
        if count == 0 {
            return;
        }
        // A few portions are enough: requests that were seen at about the same time leave together.
        let grain = u64::from(self.interval) / 4;
        match self.foreign.back_mut() {
            Some((last, sum)) if *last + grain > until => {
                *last = until.max(*last);
                *sum = sum.saturating_add(count);
            }
            Some((last, _)) => {
                let until = until.max(*last);
                self.foreign.push_back((until, count));
            }
            None => self.foreign.push_back((until, count)),
        }
    }

    /// Forgets the oldest: they have left the server's window.
    fn forget_oldest(&mut self, mut count: u32) {
        while let Some((_, sum)) = self.foreign.front_mut()
            && count > 0
        {
            let taken = count.min(*sum);
            *sum -= taken;
            count -= taken;
            if *sum == 0 {
                self.foreign.pop_front();
            }
        }
    }

    /// Forgets the newest, which was an own request. Returns their number: 0 or 1.
    fn forget_newest(&mut self) -> u32 {
        let Some((_, sum)) = self.foreign.back_mut() else { return 0 };
        *sum -= 1;
        if *sum == 0 {
            self.foreign.pop_back();
        }
        1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Starts a request now.
    fn start(window: &mut Window, now: Millis) -> Begun {
        window.issue(now);
        window.begin(now, now, now).expect("it has not lapsed")
    }

    /// Starts a request now, whose response reports this.
    fn respond(window: &mut Window, headers: &RateLimitHeaders, now: Millis) {
        let begun = start(window, now);
        window.observe(begun, headers, false, now);
    }

    fn nothing() -> RateLimitHeaders {
        RateLimitHeaders::default()
    }

    fn expected(window: &mut Window, ahead: u32, now: Millis) -> Turn {
        window.turn(ahead, Estimate::Expected, now)
    }

    /// A window whose server reports nothing.
    fn window(limits: Limits) -> Window {
        let mut window = Window::new(limits, 0);
        window.server.first_response = Some(0);
        window
    }

    #[test]
    fn five_hundred_at_once_take_four_periods() {
        let mut window = window(Limits::default());
        let mut now = 7;
        for _ in 0..500 {
            let Turn::At(at) = expected(&mut window, 0, now) else { panic!("the day is not spent") };
            now = at;
            respond(&mut window, &nothing(), now);
        }
        assert_eq!(now, 7 + 4 * 10_250);
    }

    /// What is expected for a place in the queue is what happens if those ahead use their permits at once.
    #[test]
    fn the_expected_turn_of_a_place_is_when_it_comes() {
        for limit in [40, 100, 1_000] {
            for before in [0, 1, 99, 100, 150] {
                let mut window = Window::new(Limits::default(), 0);
                let mut now = 1_000;
                let report = headers(limit, limit - 1, 10_000);
                respond(&mut window, &report, 0);
                for _ in 0..before {
                    let Turn::At(at) = expected(&mut window, 0, now) else { panic!("the day is not spent") };
                    now = at + 3;
                    respond(&mut window, &nothing(), now);
                }
                let foretold: Vec<Turn> = (0..350).map(|ahead| expected(&mut window, ahead, now)).collect();
                for (ahead, foretold) in foretold.into_iter().enumerate() {
                    let turn = expected(&mut window, 0, now);
                    assert_eq!(turn, foretold, "limit {limit}, {before} before, {ahead} ahead");
                    let Turn::At(at) = turn else { panic!("the day is not spent") };
                    now = at;
                    respond(&mut window, &nothing(), now);
                }
            }
        }
    }

    fn headers(limit: u64, remaining: u64, interval: u64) -> RateLimitHeaders {
        RateLimitHeaders {
            burst_limit: Some(limit),
            burst_remaining: Some(remaining),
            interval_ms: Some(interval),
            ..RateLimitHeaders::default()
        }
    }

    /// Starts requests as long as permits are issued now. Returns their number, and the time until the next one.
    fn fill(window: &mut Window, now: Millis) -> (u32, Millis) {
        let mut count = 0;
        while expected(window, 0, now) == Turn::At(now) {
            respond(window, &nothing(), now);
            count += 1;
        }
        let Turn::At(next) = expected(window, 0, now) else { panic!("the day is not spent") };
        (count, next - now)
    }

    #[test]
    fn the_smaller_of_both_limits_holds() {
        let own = Limits { burst: 5, interval: 60_000, ..Limits::default() };
        for (name, limits, headers, expected) in [
            ("as documented", Limits::default(), headers(100, 99, 10_000), (99, 10_250)),
            ("a lower limit", Limits::default(), headers(40, 39, 10_000), (39, 10_250)),
            ("a higher limit", Limits::default(), headers(500, 499, 10_000), (99, 10_250)),
            ("a shorter interval", Limits::default(), headers(100, 99, 2_000), (99, 10_250)),
            ("a longer interval", Limits::default(), headers(100, 99, 60_000), (99, 60_250)),
            ("others used sixty", Limits::default(), headers(100, 39, 10_000), (39, 10_250)),
            ("others used all", Limits::default(), headers(100, 0, 10_000), (0, 10_250)),
            (
                "others used a part of a higher limit",
                Limits::default(),
                headers(1_000, 850, 10_000),
                (99, 10_250),
            ),
            (
                "others used most of a higher limit",
                Limits::default(),
                headers(1_000, 30, 10_000),
                (30, 10_250),
            ),
            ("nothing", Limits::default(), nothing(), (99, 10_250)),
            (
                "remaining requests without a limit",
                Limits::default(),
                RateLimitHeaders { burst_remaining: Some(3), ..nothing() },
                (99, 10_250),
            ),
            (
                "more remaining requests than the limit",
                Limits::default(),
                headers(100, 4_890, 10_000),
                (99, 10_250),
            ),
            ("no interval", Limits::default(), headers(100, 99, 0), (99, 10_250)),
            ("more than the caller's limit", own, headers(100, 99, 10_000), (4, 60_250)),
            ("less than the caller's limit", own, headers(3, 2, 10_000), (2, 10_250)),
            ("huge values", Limits::default(), headers(u64::MAX, u64::MAX, u64::MAX), (99, 10_250)),
            ("no requests at all", Limits::default(), headers(0, 0, 10_000), (0, 10_250)),
        ] {
            let mut window = Window::new(limits, 0);
            respond(&mut window, &headers, 1_000);
            assert_eq!(fill(&mut window, 1_000), expected, "{name}");
        }
    }

    /// Sixty requests are on their way. Their responses arrive in any order: none of them looks like that of another
    /// program in the end.
    #[test]
    fn own_requests_are_not_taken_for_those_of_others() {
        for seed in 1..=200 {
            let mut window = Window::new(Limits::default(), 0);
            respond(&mut window, &headers(100, 99, 10_000), 0);
            let mut responses: Vec<_> =
                (0..60).map(|number| (start(&mut window, number / 7), 98 - number)).collect();
            fastrand::Rng::with_seed(seed).shuffle(&mut responses);
            for (begun, remaining) in responses {
                window.observe(begun, &headers(100, remaining, 10_000), false, 50);
                let used = window.server.foreign.iter().map(|(_, count)| count).sum::<u32>();
                assert!(used <= window.open, "seed {seed}: {used} of others, {} awaited", window.open);
            }
            assert_eq!(fill(&mut window, 100).0, 39, "seed {seed}");
        }
    }

    #[test]
    fn a_late_response_to_an_earlier_request_does_not_change_the_limit() {
        let mut window = window(Limits::default());
        let earlier = start(&mut window, 0);
        respond(&mut window, &headers(40, 39, 10_000), 1);
        window.observe(earlier, &headers(100, 99, 10_000), false, 2);
        assert_eq!(window.server.burst, Some(40));
        respond(&mut window, &headers(100, 97, 10_000), 3);
        assert_eq!(window.server.burst, Some(100));
    }

    #[test]
    fn a_rejection_blocks() {
        for (name, wait, expected) in [
            ("without a time", None, 10_250),
            ("with a time", Some(3_000), 3_000),
            ("with a huge time", Some(u64::MAX), DAY),
        ] {
            let mut window = Window::new(Limits::default(), 0);
            window.block(wait, 0);
            assert_eq!(window.turn(0, Estimate::Earliest, 0), Turn::At(expected), "{name}");
            assert!(!window.is_idle(0), "{name}");
            assert!(window.is_idle(expected), "{name}");
        }
    }

    #[test]
    fn a_permit_that_is_given_back_is_issued_again() {
        let mut window = window(Limits { burst: 1, ..Limits::default() });
        window.issue(0);
        assert_eq!(expected(&mut window, 0, 0), Turn::At(10_250));
        assert_eq!(window.turn(0, Estimate::Earliest, 0), Turn::At(0));
        window.give_back(0, 0);
        assert_eq!(expected(&mut window, 0, 0), Turn::At(0));
        // One that is never used lapses.
        window.issue(0);
        assert_eq!(expected(&mut window, 0, VALIDITY), Turn::At(VALIDITY));
        assert_eq!(window.begin(0, VALIDITY, VALIDITY), None);
        // One that is used late counts from then on.
        window.issue(20_000);
        window.begin(20_000, 25_000, 25_000).expect("it has not lapsed");
        assert_eq!(expected(&mut window, 0, 25_000), Turn::At(35_250));
        assert_eq!(window.turn(0, Estimate::Earliest, 25_000), Turn::At(35_250));
    }

    #[test]
    fn a_server_whose_limit_is_unknown_gets_a_few_requests_first() {
        let mut window = Window::new(Limits::default(), 0);
        let all: Vec<_> = (0..10).map(|_| start(&mut window, 5)).collect();
        assert_eq!(expected(&mut window, 0, 5), Turn::At(1_005));
        assert_eq!(window.turn(0, Estimate::Earliest, 5), Turn::At(5));
        window.observe(all[0], &headers(25, 24, 10_000), false, 100);
        let Turn::At(next) = expected(&mut window, 14, 100) else { panic!("the day is not spent") };
        assert_eq!(next, 100);
        assert!(matches!(expected(&mut window, 15, 100), Turn::At(at) if at > 10_000));
    }

    #[test]
    fn a_configured_day_is_never_exceeded() {
        let mut window = window(Limits { daily: 3, ..Limits::default() });
        assert_eq!(expected(&mut window, 2, 0), Turn::At(0));
        assert_eq!(expected(&mut window, 3, 0), Turn::Spent(DAY));
        let another_day = RateLimitHeaders {
            daily_limit: Some(200_000),
            daily_remaining: Some(199_999),
            daily_reset_ms: Some(1_000),
            ..nothing()
        };
        for time in [500, 501, 502] {
            respond(&mut window, &another_day, time);
        }
        assert_eq!(expected(&mut window, 0, 2_000), Turn::Spent(DAY + 500));
        assert_eq!(expected(&mut window, 0, DAY + 500), Turn::At(DAY + 500));
    }

    fn day(left: u64, reset: Option<u64>) -> RateLimitHeaders {
        RateLimitHeaders {
            daily_limit: Some(10_000),
            daily_remaining: Some(left),
            daily_reset_ms: reset,
            ..nothing()
        }
    }

    #[test]
    fn a_spent_day_ends_when_the_server_says() {
        for (reset, ends) in [(5_000, 5_100), (u64::MAX, DAY + 100)] {
            let mut window = Window::new(Limits::default(), 0);
            respond(&mut window, &day(0, Some(reset)), 100);
            for estimate in [Estimate::Expected, Estimate::Earliest] {
                assert_eq!(window.turn(0, estimate, 100), Turn::Spent(ends));
            }
            assert_eq!(expected(&mut window, 0, ends), Turn::At(ends));
        }
    }

    #[test]
    fn a_spent_day_without_an_end_is_probed() {
        let mut window = Window::new(Limits::default(), 0);
        let mut now = 0;
        respond(&mut window, &day(0, None), now);
        let mut pauses = Vec::new();
        for _ in 0..9 {
            let Turn::Spent(next) = expected(&mut window, 0, now) else { panic!("it is spent") };
            pauses.push((next - now) / MINUTE);
            now = next;
            assert_eq!(expected(&mut window, 0, now), Turn::At(now));
            assert!(matches!(expected(&mut window, 1, now), Turn::Spent(at) if at > now), "one request");
            let probe = start(&mut window, now);
            assert!(matches!(expected(&mut window, 0, now + 1), Turn::Spent(_)), "while it is on its way");
            now += 5;
            window.observe(probe, &day(0, None), false, now);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        // A probe that is not sent is made by the next request, and the day has ended.
        let Turn::Spent(next) = expected(&mut window, 0, now) else { panic!("it is spent") };
        window.issue(next);
        window.give_back(next, next + 1);
        assert_eq!(expected(&mut window, 0, next + 1), Turn::At(next + 1));
        respond(&mut window, &day(9_999, None), next + 1);
        assert_eq!(expected(&mut window, 50, next + 1), Turn::At(next + 1));
    }

    #[test]
    fn the_last_requests_of_a_day_wait_for_each_other() {
        let mut window = Window::new(Limits::default(), 0);
        respond(&mut window, &day(3, Some(50_000)), 0);
        let all: Vec<_> = (0..3).map(|_| start(&mut window, 1)).collect();
        assert_eq!(expected(&mut window, 0, 1), Turn::At(1 + RECHECK));
        for (begun, left) in all.into_iter().zip([2, 1, 0]) {
            window.observe(begun, &day(left, Some(50_000)), false, 1);
        }
        assert_eq!(expected(&mut window, 0, 1), Turn::Spent(50_001));
    }

    #[test]
    fn weeks_without_a_pause_do_not_overflow() {
        for interval in [10_000, MAX_INTERVAL] {
            let mut window =
                window(Limits { daily: u32::MAX, burst: 500_000, interval, ..Limits::default() });
            let mut now = 0;
            for _ in 0..1_000_000 {
                now += 5_000;
                assert_eq!(expected(&mut window, 0, now), Turn::At(now));
                respond(&mut window, &nothing(), now);
            }
            assert!(now > u64::from(u32::MAX));
            let oldest = now - window.period();
            assert!(window.time(0) > oldest && window.time(0) <= oldest + 5_000);
            assert_eq!(window.time(window.log.len() - 1), now);
        }
    }

    /// Intervals and margins that nobody would choose.
    #[test]
    fn extreme_limits_do_not_overflow() {
        for value in [0, 1, u32::MAX] {
            let limits = Limits { burst: value, interval: value, margin: value, daily: value };
            let mut window = Window::new(limits, u64::from(value));
            for ahead in [0, 1, u32::MAX] {
                for estimate in [Estimate::Expected, Estimate::Earliest] {
                    let _ = window.turn(ahead, estimate, u64::from(value));
                }
            }
            let begun = start(&mut window, u64::from(value));
            window.observe(begun, &headers(u64::MAX, 0, u64::MAX), true, u64::from(value));
            window.block(Some(u64::MAX), u64::from(value));
            let _ = expected(&mut window, u32::MAX, u64::from(value));
        }
    }
}
