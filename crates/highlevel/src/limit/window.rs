//! The limits of one location as a value: which requests were let through, and when the next one may be.
//!
//! A sliding log: at any moment, fewer than the limit were let through within the last interval plus a margin. It holds
//! for a server that counts in a sliding window and for one that counts in fixed ones. All times are handed in, in
//! milliseconds since some moment that is the same for the life of the value.

use std::collections::VecDeque;

use super::RateLimitHeaders;

/// Milliseconds since the moment that the owner of a window has chosen.
pub(super) type Millis = u64;

/// What a window allows before the server has said anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// Requests in one interval.
    pub(super) burst: u32,
    /// Length of the interval.
    pub(super) interval: u32,
    /// What is added to the interval, for the way to the server and its clock.
    pub(super) margin: u32,
    /// Requests in a day.
    pub(super) daily: u32,
}

impl Default for Limits {
    /// As documented: 100 in 10 seconds and 200,000 in a day.
    fn default() -> Self {
        Self { burst: 100, interval: 10_000, margin: 250, daily: 200_000 }
    }
}

const DAY: Millis = 24 * 60 * 60 * 1000;

/// When a request may be let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// At this time, which may be now.
    At(Millis),
    /// Not before the daily count starts anew.
    NextDay(Millis),
}

/// The limits of one location. Small: a location that is busy costs half a kilobyte.
#[derive(Debug)]
pub(super) struct Window {
    configured: Limits,
    /// What the server says, where it says less than what was configured.
    burst: u32,
    interval: u32,
    /// When requests were let through, in order. Offsets from `base` keep it small.
    log: VecDeque<u32>,
    base: Millis,
    /// Nothing is let through before; the server said so.
    blocked_until: Millis,
    /// Requests left until `day_ends`.
    left_today: u32,
    day_ends: Millis,
}

impl Window {
    pub(super) fn new(limits: Limits, now: Millis) -> Self {
        Self {
            configured: limits,
            burst: limits.burst.max(1),
            interval: limits.interval,
            log: VecDeque::new(),
            base: now,
            blocked_until: 0,
            left_today: limits.daily,
            day_ends: now + DAY,
        }
    }

    /// When a request with this many others ahead of it may be let through, if all of them go as soon as they may.
    pub(super) fn turn(&mut self, ahead: u32, now: Millis) -> Turn {
        self.forget(now);
        if self.left_today <= ahead {
            return Turn::NextDay(self.day_ends);
        }
        let earliest = now.max(self.blocked_until);
        // Those ahead go in rounds of `burst`, a period apart; what is left is the place within the first round.
        let (rounds, place) = (ahead / self.burst, (ahead % self.burst) as usize);
        let first = match (self.log.len() + place).checked_sub(self.burst as usize) {
            None => earliest,
            Some(index) => earliest
                .max(self.log.get(index).map_or(0, |time| self.base + u64::from(*time) + self.period())),
        };
        Turn::At(first + u64::from(rounds) * self.period())
    }

    /// Notes that a request was let through now.
    pub(super) fn record(&mut self, now: Millis) {
        self.forget(now);
        self.push(now);
        self.left_today = self.left_today.saturating_sub(1);
    }

    /// Learns from the answer to a request that was let through at `sent`.
    pub(super) fn observe(&mut self, headers: &RateLimitHeaders, sent: Millis, now: Millis) {
        self.forget(now);
        if let Some(burst) = headers.burst_limit {
            self.burst = u32::try_from(burst).unwrap_or(u32::MAX).clamp(1, self.configured.burst.max(1));
        }
        if let Some(interval) = headers.interval_ms {
            self.interval = u32::try_from(interval).unwrap_or(u32::MAX).min(60 * 60 * 1000);
        }
        if let (Some(limit), Some(remaining)) = (headers.burst_limit, headers.burst_remaining) {
            // What the server counted beyond what we let through is somebody else's. Ours are counted from when the
            // request was let through: the server may still have counted what has left our window since.
            let period = self.period();
            let ours =
                self.log.iter().filter(|time| self.base + u64::from(**time) + period > sent).count() as u64;
            let foreign = limit.saturating_sub(remaining).saturating_sub(ours).min(u64::from(self.burst));
            for _ in 0..foreign {
                self.push(now);
            }
        }
        if let Some(reset) = headers.daily_reset_ms {
            self.day_ends = now + reset.min(DAY);
        }
        if let Some(remaining) = headers.daily_remaining {
            self.left_today = self.left_today.min(u32::try_from(remaining).unwrap_or(u32::MAX));
        }
    }

    /// Lets nothing through for a while: the server refused one for its rate.
    pub(super) fn block(&mut self, wait: Option<Millis>, now: Millis) {
        // The server may name any number; no limit lasts longer than a day.
        let wait = wait.unwrap_or(self.period()).min(DAY);
        self.blocked_until = self.blocked_until.max(now + wait);
    }

    /// How many bytes the log has on the heap.
    #[cfg(test)]
    pub(super) fn heap_bytes(&self) -> usize {
        self.log.capacity() * std::mem::size_of::<u32>()
    }

    /// Whether forgetting this window changes nothing.
    pub(super) fn is_idle(&mut self, now: Millis) -> bool {
        self.forget(now);
        let fresh_day = self.left_today == self.configured.daily || now >= self.day_ends;
        self.log.is_empty() && self.blocked_until <= now && fresh_day
    }

    /// How far apart a request and the one `burst` places later have to be.
    fn period(&self) -> Millis {
        u64::from(self.interval) + u64::from(self.configured.margin)
    }

    fn push(&mut self, now: Millis) {
        // Never before the last one: answers can be learned from in another order than they came.
        let last = self.log.back().map_or(0, |time| self.base + u64::from(*time));
        let now = now.max(last);
        if self.log.is_empty() {
            self.base = now;
        } else if now - self.base > u64::from(u32::MAX / 2) {
            // A location that is busy for weeks: count from its oldest entry.
            let shift = self.log[0];
            self.log.iter_mut().for_each(|time| *time -= shift);
            self.base += u64::from(shift);
        }
        self.log.push_back(u32::try_from(now - self.base).unwrap_or(u32::MAX));
    }

    /// Drops what no longer counts.
    fn forget(&mut self, now: Millis) {
        let period = self.period();
        while self.log.front().is_some_and(|time| self.base + u64::from(*time) + period <= now) {
            self.log.pop_front();
        }
        if now >= self.day_ends {
            self.left_today = self.configured.daily;
            self.day_ends += ((now - self.day_ends) / DAY + 1) * DAY;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that counts, in one of the two ways.
    struct Server {
        fixed: bool,
        accepted: Vec<Millis>,
    }

    impl Server {
        /// Whether a request at this time is within 100 in 10 seconds.
        fn accepts(&mut self, at: Millis) -> bool {
            let counted = self.accepted.iter().rev().take(100);
            let count = if self.fixed {
                counted.filter(|time| **time / 10_000 == at / 10_000).count()
            } else {
                counted.filter(|time| **time + 10_000 > at).count()
            };
            self.accepted.push(at);
            count < 100
        }
    }

    /// A small generator of numbers, so that a failing seed can be run again.
    fn random(seed: &mut u64) -> u64 {
        *seed ^= *seed << 13;
        *seed ^= *seed >> 7;
        *seed ^= *seed << 17;
        *seed
    }

    /// Requests in bursts and trickles, each reaching the server up to 200 ms after it was let through.
    #[test]
    fn no_arrivals_put_more_than_the_limit_into_any_window() {
        for seed in 1..=200_u64 {
            for fixed in [true, false] {
                let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
                let mut window = Window::new(Limits::default(), 0);
                let mut server = Server { fixed, accepted: Vec::new() };
                let mut now = random(&mut state) % 10_000;
                let mut last_arrival = 0;
                for _ in 0..1_000 {
                    if random(&mut state).is_multiple_of(20) {
                        now += random(&mut state) % 6_000;
                    }
                    let Turn::At(at) = window.turn(0, now) else { panic!("the day is not spent") };
                    now = at;
                    window.record(now);
                    let arrival = (now + random(&mut state) % 200).max(last_arrival);
                    last_arrival = arrival;
                    assert!(server.accepts(arrival), "seed {seed}, fixed {fixed}, at {arrival}");
                }
            }
        }
    }

    #[test]
    fn five_hundred_at_once_take_four_periods() {
        let mut window = Window::new(Limits::default(), 7);
        let mut now = 7;
        for _ in 0..500 {
            let Turn::At(at) = window.turn(0, now) else { panic!("the day is not spent") };
            now = at;
            window.record(now);
        }
        assert_eq!(now, 7 + 4 * 10_250);
    }

    /// What is foretold for a place in the queue is what happens when those ahead go as soon as they may.
    #[test]
    fn the_turn_of_a_place_in_the_queue_is_when_it_comes() {
        for before in [0, 1, 99, 100, 150] {
            let mut window = Window::new(Limits::default(), 0);
            let mut now = 1_000;
            for _ in 0..before {
                let Turn::At(at) = window.turn(0, now) else { panic!("the day is not spent") };
                now = at + 3;
                window.record(now);
            }
            let foretold: Vec<Turn> = (0..350).map(|ahead| window.turn(ahead, now)).collect();
            for (ahead, foretold) in foretold.into_iter().enumerate() {
                let turn = window.turn(0, now);
                assert_eq!(turn, foretold, "{before} before, {ahead} ahead");
                let Turn::At(at) = turn else { panic!("the day is not spent") };
                now = at;
                window.record(now);
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

    #[test]
    fn the_server_corrects_the_limits() {
        let fill = |window: &mut Window| {
            let mut count = 0;
            while window.turn(0, 1_000) == Turn::At(1_000) {
                window.record(1_000);
                count += 1;
            }
            let Turn::At(next) = window.turn(0, 1_000) else { panic!("the day is not spent") };
            (count, next - 1_000)
        };
        for (name, headers, expected) in [
            ("as documented", headers(100, 99, 10_000), (99, 10_250)),
            ("a lower limit", headers(40, 39, 10_000), (39, 10_250)),
            ("a higher limit is not taken", headers(500, 499, 10_000), (99, 10_250)),
            ("another interval", headers(100, 99, 2_000), (99, 2_250)),
            ("another program used sixty", headers(100, 39, 10_000), (39, 10_250)),
            ("another program used all", headers(100, 0, 10_000), (0, 10_250)),
            ("nothing said", RateLimitHeaders::default(), (99, 10_250)),
        ] {
            let mut window = Window::new(Limits::default(), 0);
            window.record(1_000);
            window.observe(&headers, 1_000, 1_000);
            assert_eq!(fill(&mut window), expected, "{name}");
        }
    }

    #[test]
    fn a_refusal_blocks() {
        for (wait, expected) in [(None, 10_250), (Some(3_000), 3_000)] {
            let mut window = Window::new(Limits::default(), 0);
            window.block(wait, 0);
            assert_eq!(window.turn(0, 0), Turn::At(expected));
            assert!(!window.is_idle(0));
            assert!(window.is_idle(expected));
        }
    }

    #[test]
    fn a_spent_day_says_when_the_next_begins() {
        let mut window = Window::new(Limits { daily: 3, ..Limits::default() }, 0);
        assert_eq!(window.turn(2, 0), Turn::At(0));
        assert_eq!(window.turn(3, 0), Turn::NextDay(DAY));
        for _ in 0..3 {
            window.record(0);
        }
        assert_eq!(window.turn(0, 0), Turn::NextDay(DAY));
        assert_eq!(window.turn(0, DAY), Turn::At(DAY));

        let mut window = Window::new(Limits::default(), 0);
        let spent = RateLimitHeaders {
            daily_remaining: Some(0),
            daily_reset_ms: Some(5_000),
            ..RateLimitHeaders::default()
        };
        window.observe(&spent, 0, 100);
        assert_eq!(window.turn(0, 100), Turn::NextDay(5_100));
        assert_eq!(window.turn(0, 5_100), Turn::At(5_100));
    }

    #[test]
    fn weeks_without_a_pause_do_not_overflow() {
        let mut window = Window::new(Limits { daily: u32::MAX, ..Limits::default() }, 0);
        let mut now = 0;
        for _ in 0..2_000_000 {
            now += 5_000;
            assert_eq!(window.turn(0, now), Turn::At(now));
            window.record(now);
            assert!(window.log.len() <= 3);
        }
        assert!(now > u64::from(u32::MAX));
    }
}
