//! The window with requests and responses at given times.

use super::limits::{MAX_INTERVAL, MINUTE};
use super::log::MAX_AWAITED;
use super::*;

/// The time after which a permit that waits for awaited responses is looked for again.
const RECHECK: Millis = 50;

/// Starts a request now.
fn start(window: &mut Window, now: Millis) -> StartedRequest {
    window.issue(now);
    window.start(now, now, now).expect("it has not lapsed")
}

/// Starts a request now, whose response reports this.
fn respond(window: &mut Window, headers: &RateLimitHeaders, now: Millis) {
    let request = start(window, now);
    window.observe(request, headers, false, now);
}

fn nothing() -> RateLimitHeaders {
    RateLimitHeaders::default()
}

fn expected(window: &mut Window, ahead: u32, now: Millis) -> Availability {
    window.availability(ahead, Estimate::Expected, now)
}

/// A window whose server reports nothing.
fn window(limits: Limits) -> Window {
    let mut window = Window::new(limits, 0);
    window.first_response = Some(0);
    window
}

#[test]
fn five_hundred_requests_take_four_periods() {
    let mut window = window(Limits::default());
    let mut now = 7;
    for _ in 0..500 {
        let Availability::At(at) = expected(&mut window, 0, now) else { panic!("the day is not spent") };
        now = at;
        respond(&mut window, &nothing(), now);
    }
    assert_eq!(now, 7 + 4 * 10_250);
}

/// The expected time of a place in the queue is the actual one if the requests ahead use their permits at once.
#[test]
fn the_expected_availability_of_a_place_is_the_actual_one() {
    for limit in [40, 100, 1_000] {
        for before in [0, 1, 99, 100, 150] {
            let mut window = Window::new(Limits::default(), 0);
            let mut now = 1_000;
            let report = headers(limit, limit - 1, 10_000);
            respond(&mut window, &report, 0);
            for _ in 0..before {
                let Availability::At(at) = expected(&mut window, 0, now) else {
                    panic!("the day is not spent")
                };
                now = at + 3;
                respond(&mut window, &nothing(), now);
            }
            let expectations: Vec<Availability> =
                (0..350).map(|ahead| expected(&mut window, ahead, now)).collect();
            for (ahead, expectation) in expectations.into_iter().enumerate() {
                let actual = expected(&mut window, 0, now);
                assert_eq!(actual, expectation, "limit {limit}, {before} before, {ahead} ahead");
                let Availability::At(at) = actual else { panic!("the day is not spent") };
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
    while expected(window, 0, now) == Availability::At(now) {
        respond(window, &nothing(), now);
        count += 1;
    }
    let Availability::At(next) = expected(window, 0, now) else { panic!("the day is not spent") };
    (count, next - now)
}

#[test]
fn the_lower_of_both_limits_holds() {
    struct Row {
        name: &'static str,
        limits: Limits,
        headers: RateLimitHeaders,
        expected: (u32, Millis),
    }

    let row = |name, limits, headers, expected| Row { name, limits, headers, expected };
    let own = Limits { burst: 5, interval: 60_000, ..Limits::default() };
    for Row { name, limits, headers, expected } in [
        row("as documented", Limits::default(), headers(100, 99, 10_000), (99, 10_250)),
        row("a lower limit", Limits::default(), headers(40, 39, 10_000), (39, 10_250)),
        row("a higher limit", Limits::default(), headers(500, 499, 10_000), (99, 10_250)),
        row("a shorter interval", Limits::default(), headers(100, 99, 2_000), (99, 10_250)),
        row("a longer interval", Limits::default(), headers(100, 99, 60_000), (99, 60_250)),
        row("others used sixty", Limits::default(), headers(100, 39, 10_000), (39, 10_250)),
        row("others used all", Limits::default(), headers(100, 0, 10_000), (0, 10_250)),
        row(
            "others used a part of a higher limit",
            Limits::default(),
            headers(1_000, 850, 10_000),
            (99, 10_250),
        ),
        row(
            "others used most of a higher limit",
            Limits::default(),
            headers(1_000, 30, 10_000),
            (30, 10_250),
        ),
        row("nothing", Limits::default(), nothing(), (99, 10_250)),
        row(
            "remaining requests without a limit",
            Limits::default(),
            RateLimitHeaders { burst_remaining: Some(3), ..nothing() },
            (99, 10_250),
        ),
        row(
            "more remaining requests than the limit",
            Limits::default(),
            headers(100, 4_890, 10_000),
            (99, 10_250),
        ),
        row("no interval", Limits::default(), headers(100, 99, 0), (99, 10_250)),
        row("more than the caller's limit", own, headers(100, 99, 10_000), (4, 60_250)),
        row("less than the caller's limit", own, headers(3, 2, 10_000), (2, 10_250)),
        row("huge values", Limits::default(), headers(u64::MAX, u64::MAX, u64::MAX), (99, 10_250)),
        row("no requests at all", Limits::default(), headers(0, 0, 10_000), (0, 10_250)),
    ] {
        let mut window = Window::new(limits, 0);
        respond(&mut window, &headers, 1_000);
        assert_eq!(fill(&mut window, 1_000), expected, "{name}");
    }
}

/// The responses to sixty requests arrive in any order. In the end, none of the requests counts as one of other programs.
#[test]
fn own_requests_do_not_count_as_those_of_other_programs() {
    for seed in 1..=200 {
        let mut window = Window::new(Limits::default(), 0);
        respond(&mut window, &headers(100, 99, 10_000), 0);
        let mut responses: Vec<_> =
            (0..60).map(|number| (start(&mut window, number / 7), 98 - number)).collect();
        fastrand::Rng::with_seed(seed).shuffle(&mut responses);
        for (request, remaining) in responses {
            window.observe(request, &headers(100, remaining, 10_000), false, 50);
            let used = window.server.foreign();
            assert!(
                used <= window.log.awaited(),
                "seed {seed}: {used} of others, {} awaited",
                window.log.awaited()
            );
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
fn a_rejection_blocks_further_permits() {
    for (name, wait, expected) in [
        ("without a time", None, 10_250),
        ("with a time", Some(3_000), 3_000),
        ("with a huge time", Some(u64::MAX), DAY),
    ] {
        let mut window = Window::new(Limits::default(), 0);
        window.block(wait, 0);
        assert_eq!(window.availability(0, Estimate::Earliest, 0), Availability::At(expected), "{name}");
        assert!(!window.is_idle(0), "{name}");
        assert!(window.is_idle(expected), "{name}");
    }
}

#[test]
fn a_permit_that_is_given_back_is_issued_again() {
    let mut window = window(Limits { burst: 1, ..Limits::default() });
    window.issue(0);
    assert_eq!(expected(&mut window, 0, 0), Availability::At(10_250));
    assert_eq!(window.availability(0, Estimate::Earliest, 0), Availability::At(0));
    window.give_back(0, 0);
    assert_eq!(expected(&mut window, 0, 0), Availability::At(0));
    // A permit that is never used lapses.
    window.issue(0);
    assert_eq!(expected(&mut window, 0, VALIDITY), Availability::At(VALIDITY));
    assert_eq!(window.start(0, VALIDITY, VALIDITY), None);
    // A permit that is used late counts from that moment.
    window.issue(20_000);
    window.start(20_000, 25_000, 25_000).expect("it has not lapsed");
    assert_eq!(expected(&mut window, 0, 25_000), Availability::At(35_250));
    assert_eq!(window.availability(0, Estimate::Earliest, 25_000), Availability::At(35_250));
}

#[test]
fn a_server_with_an_unknown_limit_gets_a_few_requests_first() {
    let mut window = Window::new(Limits::default(), 0);
    let all: Vec<_> = (0..10).map(|_| start(&mut window, 5)).collect();
    assert_eq!(expected(&mut window, 0, 5), Availability::At(1_005));
    assert_eq!(window.availability(0, Estimate::Earliest, 5), Availability::At(5));
    window.observe(all[0], &headers(25, 24, 10_000), false, 100);
    let Availability::At(next) = expected(&mut window, 14, 100) else { panic!("the day is not spent") };
    assert_eq!(next, 100);
    assert!(matches!(expected(&mut window, 15, 100), Availability::At(at) if at > 10_000));
}

#[test]
fn the_configured_daily_limit_is_never_exceeded() {
    let mut window = window(Limits { daily: 3, ..Limits::default() });
    assert_eq!(expected(&mut window, 2, 0), Availability::At(0));
    assert_eq!(expected(&mut window, 3, 0), Availability::DaySpent(DAY));
    let another_day = RateLimitHeaders {
        daily_limit: Some(200_000),
        daily_remaining: Some(199_999),
        daily_reset_ms: Some(1_000),
        ..nothing()
    };
    for time in [500, 501, 502] {
        respond(&mut window, &another_day, time);
    }
    assert_eq!(expected(&mut window, 0, 2_000), Availability::DaySpent(DAY + 500));
    assert_eq!(expected(&mut window, 0, DAY + 500), Availability::At(DAY + 500));
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
fn a_spent_day_ends_at_the_reported_time() {
    for (reset, ends) in [(5_000, 5_100), (u64::MAX, DAY + 100)] {
        let mut window = Window::new(Limits::default(), 0);
        respond(&mut window, &day(0, Some(reset)), 100);
        for estimate in [Estimate::Expected, Estimate::Earliest] {
            assert_eq!(window.availability(0, estimate, 100), Availability::DaySpent(ends));
        }
        assert_eq!(expected(&mut window, 0, ends), Availability::At(ends));
    }
}

#[test]
fn a_spent_day_without_an_end_is_probed() {
    let mut window = Window::new(Limits::default(), 0);
    let mut now = 0;
    respond(&mut window, &day(0, None), now);
    let mut pauses = Vec::new();
    for _ in 0..9 {
        let Availability::DaySpent(next) = expected(&mut window, 0, now) else { panic!("it is spent") };
        pauses.push((next - now) / MINUTE);
        now = next;
        assert_eq!(expected(&mut window, 0, now), Availability::At(now));
        assert!(
            matches!(expected(&mut window, 1, now), Availability::DaySpent(at) if at > now),
            "one request"
        );
        let probe = start(&mut window, now);
        assert!(
            matches!(expected(&mut window, 0, now + 1), Availability::DaySpent(_)),
            "while the probe is awaited"
        );
        now += 5;
        window.observe(probe, &day(0, None), false, now);
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    // If the probe is not sent, the next request is the probe. Here it finds that the day has ended.
    let Availability::DaySpent(next) = expected(&mut window, 0, now) else { panic!("it is spent") };
    window.issue(next);
    window.give_back(next, next + 1);
    assert_eq!(expected(&mut window, 0, next + 1), Availability::At(next + 1));
    respond(&mut window, &day(9_999, None), next + 1);
    assert_eq!(expected(&mut window, 50, next + 1), Availability::At(next + 1));
}

#[test]
fn the_last_requests_of_a_day_wait_for_awaited_responses() {
    let mut window = Window::new(Limits::default(), 0);
    respond(&mut window, &day(3, Some(50_000)), 0);
    let all: Vec<_> = (0..3).map(|_| start(&mut window, 1)).collect();
    assert_eq!(expected(&mut window, 0, 1), Availability::At(1 + RECHECK));
    for (request, left) in all.into_iter().zip([2, 1, 0]) {
        window.observe(request, &day(left, Some(50_000)), false, 1);
    }
    assert_eq!(expected(&mut window, 0, 1), Availability::DaySpent(50_001));
}

/// The server counts a request between its start and its response.
#[test]
fn a_request_counts_until_one_interval_after_its_response() {
    struct Row {
        name: &'static str,
        ended: Millis,
        is_response: bool,
        next: Millis,
    }
    let row = |name, ended, is_response, next| Row { name, ended, is_response, next };
    for Row { name, ended, is_response, next } in [
        row("a fast response", 10, true, 10_250),
        row("a response within the margin", 249, true, 10_250),
        row("a slow response", 2_999, true, 13_000),
        row("no response, after a moment", 9, false, 10_260),
        row("no response", 2_999, false, 13_250),
        row("never", u64::MAX, false, MAX_AWAITED + 10_250),
    ] {
        let mut window = window(Limits { burst: 1, ..Limits::default() });
        let request = start(&mut window, 0);
        let mut now = 0;
        while let Availability::At(at) = expected(&mut window, 0, now)
            && at > now
        {
            let earliest = window.availability(0, Estimate::Earliest, now);
            assert!(matches!(earliest, Availability::At(at) if at <= next), "{name}: {earliest:?} at {now}");
            if now < ended && ended <= at {
                now = ended;
                if is_response {
                    window.observe(request, &nothing(), false, now);
                } else {
                    window.no_response(request, now);
                }
            } else {
                now = at;
            }
        }
        assert_eq!(now, next, "{name}");
        assert!(window.log.is_empty(), "{name}");
    }
}

/// Requests of the log and times at which they leave it, compared with a list of them.
#[test]
fn requests_leave_the_log_in_the_order_of_their_times() {
    for seed in 0..300 {
        let mut random = fastrand::Rng::with_seed(seed);
        let (margin, period) = (random.u32(0..40), 100);
        let mut log = RequestLog::new(8, margin, 1_000);
        // The start of each request, and the time from which it counts for one period.
        let mut awaited: Vec<Millis> = Vec::new();
        let mut ended: Vec<Millis> = Vec::new();
        let mut now = 1_000;
        for _ in 0..200 {
            now += random.u64(0..10);
            match random.u8(0..3) {
                0 => awaited.push(log.push(now)),
                1 if !awaited.is_empty() => {
                    let started = awaited.remove(random.usize(..awaited.len()));
                    let is_response = random.bool();
                    let wait = if is_response { u64::from(margin) } else { 0 };
                    ended.push(started.max(now - wait));
                    let is_found =
                        if is_response { log.respond(started, now) } else { log.no_response(started, now) };
                    assert!(is_found, "seed {seed}");
                }
                _ => log.expire(period, now),
            }
            let earliest = awaited.iter().map(|started| (*started).max(now - u64::from(margin)));
            let counting = ended.iter().copied().filter(|time| time + period > now);
            let mut leave: Vec<Millis> = counting.chain(earliest).map(|time| time + period).collect();
            leave.sort_unstable();
            assert_eq!(log.counted(period, now) as usize, leave.len(), "seed {seed}");
            assert_eq!(log.awaited() as usize, awaited.len(), "seed {seed}");
            for (index, at) in (0..).zip(&leave) {
                assert_eq!(log.leaves_at(index, period, now), *at, "seed {seed}, {index} at {now}");
            }
            let until = now + random.u64(0..150);
            let left = leave.iter().filter(|at| **at <= until).count();
            assert_eq!(log.left_by(until, period, now) as usize, left, "seed {seed}");
        }
    }
}

#[test]
fn weeks_of_requests_do_not_overflow() {
    for interval in [10_000, MAX_INTERVAL] {
        let mut window = window(Limits { daily: u32::MAX, burst: 500_000, interval, ..Limits::default() });
        let mut now = 0;
        for _ in 0..1_000_000 {
            now += 5_000;
            assert_eq!(expected(&mut window, 0, now), Availability::At(now));
            respond(&mut window, &nothing(), now);
        }
        assert!(now > u64::from(u32::MAX));
        let period = window.configured.period();
        let next = window.log.leaves_at(0, period, now);
        assert!(next > now && next <= now + 5_000);
        let last = window.log.counted(period, now) - 1;
        assert_eq!(window.log.leaves_at(last, period, now), now + period);
    }
}

#[test]
fn extreme_limits_do_not_overflow() {
    for value in [0, 1, u32::MAX] {
        let limits = Limits { burst: value, interval: value, margin: value, daily: value };
        let mut window = Window::new(limits, u64::from(value));
        for ahead in [0, 1, u32::MAX] {
            for estimate in [Estimate::Expected, Estimate::Earliest] {
                let _ = window.availability(ahead, estimate, u64::from(value));
            }
        }
        let request = start(&mut window, u64::from(value));
        window.observe(request, &headers(u64::MAX, 0, u64::MAX), true, u64::from(value));
        window.block(Some(u64::MAX), u64::from(value));
        let _ = expected(&mut window, u32::MAX, u64::from(value));
    }
}
