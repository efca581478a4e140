//! The window with simulated servers: other programs, responses out of order, changing limits, wrong headers. For each
//! request, the servers count all requests that they have accepted.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::{Availability, Estimate, Limits, Millis, StartedRequest, Window};
use crate::headers::RateLimitHeaders;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counting {
    Fixed,
    Sliding,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Headers {
    Correct,
    /// The limits change.
    Changing,
    /// Some values are missing or random.
    Random,
}

/// The settings of one run.
#[derive(Debug, Clone)]
struct Setting {
    own: Limits,
    counting: Counting,
    limit: u64,
    interval: Millis,
    daily: u64,
    /// The longest time to the server.
    request_time: Millis,
    /// The longest time back.
    response_time: Millis,
    /// Other programs send up to this many requests at a time.
    foreign: u64,
    headers: Headers,
    /// Some permits are used late or not at all, and some requests get no response.
    is_careless: bool,
    requests: u32,
    at_once: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    HandOver(u32),
    Look,
    Begin(Millis),
    GiveBack(Millis),
    Reach(usize),
    Respond(usize),
    Foreign,
    Change,
}

struct Simulation {
    setting: Setting,
    random: fastrand::Rng,
    window: Window,
    events: BinaryHeap<Reverse<(Millis, u64, Event)>>,
    scheduled: u64,
    waiting: u32,
    unsent: u32,
    /// The earliest time at which the next permit can be issued, as calculated while waiting for it.
    not_before: Millis,
    next_look: Option<Millis>,
    sent: Vec<Sent>,
    /// The times at which own requests were started.
    started: Vec<Millis>,
    /// The times at which own requests arrived at the server.
    arrived: Vec<Millis>,
    /// The times at which the server accepted requests, those of others included.
    accepted: Vec<Millis>,
    rejected: u32,
    responses: u32,
}

/// A request that was sent, and its response.
struct Sent {
    request: StartedRequest,
    response: Option<(RateLimitHeaders, bool)>,
}

impl Simulation {
    fn new(setting: Setting, seed: u64) -> Self {
        Self {
            random: fastrand::Rng::with_seed(seed),
            window: Window::new(setting.own, 0),
            events: BinaryHeap::new(),
            scheduled: 0,
            waiting: 0,
            unsent: setting.requests,
            not_before: 0,
            next_look: None,
            sent: Vec::new(),
            started: Vec::new(),
            arrived: Vec::new(),
            accepted: Vec::new(),
            rejected: 0,
            responses: 0,
            setting,
        }
    }

    fn at(&mut self, time: Millis, event: Event) {
        self.scheduled += 1;
        self.events.push(Reverse((time, self.scheduled, event)));
    }

    /// Runs until all requests were sent and all responses have arrived.
    fn run(mut self) -> Self {
        let start = self.random.u64(0..20_000);
        if self.setting.at_once {
            self.at(start, Event::HandOver(self.unsent));
        } else {
            self.at(start, Event::HandOver(1));
        }
        if self.setting.foreign > 0 {
            let time = self.random.u64(0..=start);
            self.at(time, Event::Foreign);
        }
        if self.setting.headers == Headers::Changing {
            let time = start + self.random.u64(0..10_000);
            self.at(time, Event::Change);
        }
        let mut steps = 0;
        while let Some(Reverse((now, _, event))) = self.events.pop() {
            steps += 1;
            assert!(steps < 100_000, "the run does not end: {:?}", self.setting);
            self.handle(event, now);
            self.look(now);
            let is_done = self.unsent == 0 && self.waiting == 0;
            let is_quiet = !self.events.iter().any(|Reverse((_, _, event))| {
                matches!(event, Event::Begin(_) | Event::GiveBack(_) | Event::Reach(_) | Event::Respond(_))
            });
            if is_done && is_quiet {
                break;
            }
        }
        self
    }

    fn handle(&mut self, event: Event, now: Millis) {
        match event {
            Event::HandOver(count) => {
                let count = count.min(self.unsent);
                self.unsent -= count;
                self.waiting += count;
                if self.unsent > 0 {
                    let pause = if self.random.u8(..) < 20 { self.random.u64(0..30_000) } else { 0 };
                    let next = Event::HandOver(self.random.u32(1..40));
                    let time = now + pause + self.random.u64(0..300);
                    self.at(time, next);
                }
            }
            Event::Look => self.next_look = None,
            Event::Begin(issued) => match self.window.start(issued, now, now) {
                Some(request) => {
                    self.started.push(now);
                    self.sent.push(Sent { request, response: None });
                    let delay = self.random.u64(0..=self.setting.request_time);
                    self.at(now + delay, Event::Reach(self.sent.len() - 1));
                }
                // The permit has lapsed: the request waits for another one.
                None => self.waiting += 1,
            },
            Event::GiveBack(issued) => {
                self.window.give_back(issued, now);
                self.waiting += 1;
            }
            Event::Reach(number) => self.reach(number, now),
            Event::Respond(number) => {
                let sent = &self.sent[number];
                match &sent.response {
                    Some((headers, rejected)) => {
                        self.window.observe(sent.request, headers, *rejected, now);
                        if *rejected {
                            self.window.block(None, now);
                        }
                    }
                    None => self.window.no_response(sent.request, now),
                }
                self.responses += 1;
            }
            Event::Foreign => {
                for _ in 0..self.random.u64(0..=self.setting.foreign) {
                    if self.used(now) < self.setting.limit {
                        self.accepted.push(now);
                    }
                }
                let pause = self.random.u64(1..2 * self.setting.interval);
                self.at(now + pause, Event::Foreign);
            }
            Event::Change => {
                self.setting.limit = self.random.u64(5..300);
                let pause = self.random.u64(1..60_000);
                self.at(now + pause, Event::Change);
            }
        }
    }

    fn used(&self, now: Millis) -> u64 {
        let interval = self.setting.interval;
        let counts = |time: &&Millis| match self.setting.counting {
            Counting::Fixed => **time / interval == now / interval,
            Counting::Sliding => **time + interval > now,
        };
        self.accepted.iter().rev().take_while(counts).count() as u64
    }

    fn reach(&mut self, number: usize, now: Millis) {
        self.arrived.push(now);
        let day = self.accepted.len() as u64;
        let used = self.used(now);
        let is_accepted = used < self.setting.limit && day < self.setting.daily;
        if is_accepted {
            self.accepted.push(now);
        } else {
            self.rejected += 1;
        }
        let count = u64::from(is_accepted);
        let mut headers = RateLimitHeaders {
            burst_limit: Some(self.setting.limit),
            burst_remaining: Some(self.setting.limit.saturating_sub(used + count)),
            interval_ms: Some(self.setting.interval),
            daily_limit: Some(self.setting.daily),
            daily_remaining: Some(self.setting.daily - day - count),
            daily_reset_ms: None,
        };
        if self.setting.headers == Headers::Random {
            let mut falsify = |value: &mut Option<u64>| match self.random.u8(0..4) {
                0 => *value = None,
                1 => *value = Some(self.random.u64(..)),
                2 => *value = Some(self.random.u64(1..200)),
                _ => {}
            };
            falsify(&mut headers.burst_limit);
            falsify(&mut headers.burst_remaining);
            falsify(&mut headers.interval_ms);
            falsify(&mut headers.daily_reset_ms);
        }
        let is_lost = self.setting.is_careless && self.random.u8(..) < 8;
        self.sent[number].response = (!is_lost).then_some((headers, !is_accepted));
        // The first responses are fast: without them, the limit is unknown.
        let back = if self.responses < 10 {
            self.setting.response_time.min(200)
        } else {
            self.setting.response_time
        };
        let back = if is_lost { 30_000 } else { self.random.u64(0..=back) };
        self.at(now + back, Event::Respond(number));
    }

    /// Issues all permits that are available now.
    fn look(&mut self, now: Millis) {
        while self.waiting > 0 {
            if let Availability::At(at) = self.window.availability(0, Estimate::Earliest, now) {
                self.not_before = self.not_before.max(at);
            }
            let at = match self.window.availability(0, Estimate::Expected, now) {
                Availability::At(at) if at <= now => {
                    let is_steady = self.setting.headers == Headers::Correct;
                    assert!(
                        now >= self.not_before || !is_steady,
                        "earlier than possible: {:?}",
                        self.setting
                    );
                    self.not_before = 0;
                    self.window.issue(now);
                    self.waiting -= 1;
                    let (event, wait) = match self.random.u8(..) {
                        0..5 if self.setting.is_careless => {
                            (Event::GiveBack(now), self.random.u64(0..15_000))
                        }
                        5..20 if self.setting.is_careless => (Event::Begin(now), self.random.u64(0..12_000)),
                        _ => (Event::Begin(now), self.random.u64(0..3)),
                    };
                    self.at(now + wait, event);
                    continue;
                }
                Availability::At(at) | Availability::DaySpent(at) => at,
            };
            assert!(at > now, "the next look is in the future");
            if self.next_look.is_none_or(|next| at < next) {
                self.next_look = Some(at);
                self.at(at, Event::Look);
            }
            return;
        }
    }

    /// Checks that no interval, wherever it starts, has more requests than the configured limit.
    fn assert_configured_limit(&self, context: &str) {
        self.assert_apart(&self.started, &format!("{context}, started"));
    }

    /// Checks that no interval, wherever it starts, has more arrivals at the server than the configured limit.
    fn assert_arrivals(&self, context: &str) {
        self.assert_apart(&self.arrived, &format!("{context}, arrived"));
    }

    fn assert_apart(&self, times: &[Millis], context: &str) {
        let burst = self.setting.own.burst as usize;
        for (first, later) in times.iter().zip(times.iter().skip(burst)) {
            assert!(
                later - first >= u64::from(self.setting.own.interval),
                "{context}: {} requests between {first} and {later}: {:?}",
                burst + 1,
                self.setting
            );
        }
    }
}

fn setting(random: &mut fastrand::Rng) -> Setting {
    let intervals = [1_000, 10_000, 60_000];
    Setting {
        own: Limits {
            burst: if random.bool() { 100 } else { random.u32(1..150) },
            interval: if random.bool() {
                10_000
            } else {
                random.choice([1_000, 10_000, 60_000]).unwrap_or(1_000)
            },
            ..Limits::default()
        },
        counting: if random.bool() { Counting::Fixed } else { Counting::Sliding },
        limit: if random.bool() { 100 } else { random.u64(10..300) },
        interval: if random.bool() { 10_000 } else { random.choice(intervals).unwrap_or(1_000) },
        daily: 1_000_000,
        request_time: 249,
        response_time: random.choice([10, 300, 3_000]).unwrap_or(10),
        foreign: 0,
        headers: Headers::Correct,
        is_careless: random.bool(),
        requests: random.u32(1..400),
        at_once: random.bool(),
    }
}

/// The number of runs of each test.
const RUNS: u64 = 300;

#[test]
fn the_configured_limit_is_never_exceeded() {
    let mut rejected = 0;
    for seed in 0..RUNS {
        let mut random = fastrand::Rng::with_seed(seed);
        let setting = Setting {
            foreign: random.choice([0, 3, 100]).unwrap_or(0),
            headers: random
                .choice([Headers::Correct, Headers::Changing, Headers::Random])
                .unwrap_or(Headers::Random),
            request_time: random.choice([10, 249, 3_000]).unwrap_or(10),
            ..setting(&mut random)
        };
        let simulation = Simulation::new(setting, seed).run();
        simulation.assert_configured_limit(&format!("seed {seed}"));
        rejected += simulation.rejected;
    }
    assert!(rejected > 100, "the servers rejected too few requests: {rejected}");
}

#[test]
fn the_limit_of_a_correct_server_is_never_exceeded_without_other_programs() {
    let mut started = 0;
    for seed in 0..RUNS {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut setting = setting(&mut random);
        if random.u8(..) < 60 {
            setting.daily = random.u64(10..u64::from(setting.requests).max(11));
            setting.requests = u32::try_from(setting.daily).unwrap_or(1);
        }
        let simulation = Simulation::new(setting, seed).run();
        simulation.assert_configured_limit(&format!("seed {seed}"));
        assert_eq!(simulation.rejected, 0, "seed {seed}: {:?}", simulation.setting);
        started += simulation.started.len();
    }
    assert!(started > 10_000, "{started}");
}

/// Requests need up to three intervals to the server, so that they arrive together with later ones and in any order.
#[test]
fn no_window_of_the_server_has_more_arrivals_than_the_limit_whatever_the_delays() {
    let mut late = 0;
    for seed in 0..RUNS {
        let mut random = fastrand::Rng::with_seed(seed);
        let setting = setting(&mut random);
        let interval = Millis::from(setting.own.interval);
        let setting = Setting {
            limit: setting.own.burst.into(),
            interval,
            request_time: random.choice([interval / 2, interval, 3 * interval]).unwrap_or(interval),
            ..setting
        };
        let simulation = Simulation::new(setting, seed).run();
        simulation.assert_configured_limit(&format!("seed {seed}"));
        simulation.assert_arrivals(&format!("seed {seed}"));
        assert_eq!(simulation.rejected, 0, "seed {seed}: {:?}", simulation.setting);
        assert_eq!(simulation.arrived.len(), simulation.started.len());
        late += usize::from(simulation.arrived.len() > simulation.setting.own.burst as usize);
    }
    assert!(late > 100, "only {late} runs sent more than one burst");
}

/// The use by other programs is only known afterwards, so a few requests are rejected.
#[test]
fn few_requests_are_rejected_beside_other_programs() {
    let (mut started, mut rejected) = (0, 0);
    for seed in 0..RUNS {
        let mut random = fastrand::Rng::with_seed(seed);
        let setting = Setting { foreign: 30, ..setting(&mut random) };
        let simulation = Simulation::new(setting, seed).run();
        simulation.assert_configured_limit(&format!("seed {seed}"));
        started += simulation.started.len();
        rejected += simulation.rejected as usize;
    }
    assert!(rejected * 20 < started, "{rejected} of {started}");
}

/// Many requests take at most 3 % longer than the minimum, and none is rejected.
#[test]
fn many_requests_take_hardly_longer_than_the_minimum() {
    for seed in 0..40 {
        for counting in [Counting::Fixed, Counting::Sliding] {
            for requests in [500, 1_000] {
                let setting = Setting {
                    own: Limits::default(),
                    counting,
                    limit: 100,
                    interval: 10_000,
                    daily: 200_000,
                    request_time: 60,
                    response_time: 60,
                    foreign: 0,
                    headers: Headers::Correct,
                    is_careless: false,
                    requests,
                    at_once: true,
                };
                let simulation = Simulation::new(setting, seed).run();
                assert_eq!((simulation.started.len(), simulation.rejected), (requests as usize, 0));
                let duration = simulation.started[simulation.started.len() - 1] - simulation.started[0];
                let minimum = u64::from(requests / 100 - 1) * 10_000;
                assert!(
                    duration * 100 <= minimum * 103,
                    "seed {seed}, {counting:?}: {duration} ms instead of {minimum} ms"
                );
            }
        }
    }
}
