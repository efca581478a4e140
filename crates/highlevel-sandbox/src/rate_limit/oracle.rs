//! Compares the counter with an oracle that stores every request and recounts each time.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::counter::RequestCounter;
use super::{BurstWindow, RateLimit};

const DAY: u64 = 86_400_000_000;

/// The times of all counted requests, in microseconds since 1970.
struct Oracle {
    window: BurstWindow,
    burst: usize,
    interval: u64,
    daily: usize,
    counted: Vec<u64>,
}

impl Oracle {
    fn burst_left(&self, now: u64) -> usize {
        let counts = |then: u64| match self.window {
            BurstWindow::Fixed => then / self.interval == now / self.interval,
            BurstWindow::Sliding => then + self.interval > now,
        };
        let used = self.counted.iter().filter(|then| counts(**then)).count();
        self.burst.saturating_sub(used)
    }

    fn daily_left(&self, now: u64) -> usize {
        let used = self.counted.iter().filter(|then| **then / DAY == now / DAY).count();
        self.daily.saturating_sub(used)
    }

    fn allows(&self, now: u64) -> bool {
        self.burst_left(now) > 0 && self.daily_left(now) > 0
    }
}

/// `SplitMix64`, a seeded pseudorandom generator.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % end
    }

    fn small(&mut self, end: u16) -> usize {
        usize::try_from(self.below(end.into())).unwrap()
    }
}

#[test]
fn the_counter_agrees_with_a_recount() {
    let (mut admitted, mut refused) = (0, 0);
    for seed in 0..400 {
        let window = if seed % 2 == 0 { BurstWindow::Fixed } else { BurstWindow::Sliding };
        let (yes, no) = run(seed, window, seed % 8 < 6);
        admitted += yes;
        refused += no;
    }
    // Both cases occurred often enough.
    assert!(admitted > 10_000 && refused > 10_000, "{admitted} admitted, {refused} refused");
}

/// Sends the same random requests to both. Returns the numbers of admitted and rejected requests.
fn run(seed: u64, window: BurstWindow, enforced: bool) -> (usize, usize) {
    let mut random = Random(seed);
    let interval_ms = 1 + random.below(60_000);
    let limits = RateLimit::documented()
        .window(window)
        .burst(1 + random.small(12))
        .interval(Duration::from_millis(interval_ms))
        .daily(1 + random.small(120));
    let mut counter = RequestCounter::new(limits, enforced);
    let mut oracle = Oracle {
        window,
        burst: limits.burst,
        interval: interval_ms * 1000,
        daily: limits.daily,
        counted: Vec::new(),
    };
    // Shortly before midnight.
    let mut now = 20_001 * DAY - random.below(40 * oracle.interval);
    let (mut admitted, mut refused) = (0, 0);
    for step in 0..250 {
        now += match random.below(20) {
            0 => oracle.interval * random.below(3),
            // Exactly at the end of a window or day.
            1 => oracle.interval - now % oracle.interval,
            2 => oracle.counted.last().map_or(0, |last| (last + oracle.interval).saturating_sub(now)),
            3 if random.below(8) == 0 => DAY - now % DAY,
            4..9 => 0,
            _ => random.below(oracle.interval / 4),
        };
        // The clock is sometimes set back; the counter uses the latest time it has seen.
        counter.tally(at(now));
        let told = at(if random.below(10) == 0 { now - random.below(2 * oracle.interval) } else { now });
        let context = format!("seed {seed}, step {step}: {limits:?} at {now}");

        if random.below(12) == 0 {
            let count = random.small(15);
            let allowed = count.min(oracle.burst_left(now)).min(oracle.daily_left(now));
            counter.take(told, count);
            let taken = if enforced { allowed } else { count };
            oracle.counted.extend(std::iter::repeat_n(now, taken));
        } else {
            match counter.admit(told) {
                Ok(()) => {
                    assert!(!enforced || oracle.allows(now), "{context}: admitted");
                    oracle.counted.push(now);
                    admitted += 1;
                }
                Err(spent) => {
                    assert!(enforced && !oracle.allows(now), "{context}: refused");
                    let free = now + u64::try_from(spent.wait.as_micros()).unwrap();
                    assert!(oracle.allows(free), "{context}: not yet allowed after {:?}", spent.wait);
                    assert!(!oracle.allows(free - 1), "{context}: allowed before {:?}", spent.wait);
                    refused += 1;
                }
            }
        }
        let tally = counter.tally(told);
        assert_eq!(tally.burst_remaining, oracle.burst_left(now), "{context}");
        assert_eq!(tally.daily_remaining, oracle.daily_left(now), "{context}");
        assert_eq!(tally.daily_reset_ms, (DAY - now % DAY).div_ceil(1000), "{context}");
    }
    (admitted, refused)
}

fn at(us: u64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(i64::try_from(us).unwrap()).unwrap()
}
