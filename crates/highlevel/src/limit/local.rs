//! The limiter of one process.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::expiry::{add, now};
use super::window::{Limits, Millis, Turn, Window};
use super::{Acquire, AcquireError, Expiry, Grant, Permit, RateLimitHeaders, RateLimited, RateLimiter};

/// The time for which a permit can be used.
const VALIDITY: Duration = Duration::from_secs(10);

/// How many locations are known before idle ones are looked for.
const SWEEP_AT_LEAST: usize = 64;

/// The limiter of one process: a sliding log per location, corrected by what the server says.
///
/// 100 requests in 10 seconds and 200,000 in a day per location, as documented, with a margin of 250 ms. Requests
/// get their permits in the order of arrival. A location that is idle costs nothing. Clones share their limits.
#[derive(Debug, Clone)]
pub struct LocalRateLimiter {
    limits: Limits,
    began: Instant,
    locations: Arc<Mutex<Locations>>,
}

#[derive(Debug, Default)]
struct Locations {
    known: HashMap<Box<str>, Arc<Location>>,
    sweep_at: usize,
}

#[derive(Debug)]
struct Location {
    window: Mutex<Window>,
    /// Holds those who wait in the order in which they came; the one who has it waits for the window.
    queue: tokio::sync::Mutex<()>,
    waiting: AtomicU32,
}

impl LocalRateLimiter {
    /// A limiter with the documented limits.
    pub fn new() -> Self {
        Self { limits: Limits::default(), began: now(), locations: Arc::default() }
    }

    /// Other limits: requests in an interval, and in a day.
    ///
    /// The server's headers can lower them, not raise them.
    pub fn with_limits(burst: u32, interval: Duration, daily: u32) -> Self {
        let interval = u32::try_from(interval.as_millis()).unwrap_or(u32::MAX);
        Self { limits: Limits { burst, interval, daily, ..Limits::default() }, ..Self::new() }
    }

    /// What is added to the interval for the way to the server: 250 ms by default.
    #[must_use]
    pub fn margin(mut self, margin: Duration) -> Self {
        self.limits.margin = u32::try_from(margin.as_millis()).unwrap_or(u32::MAX);
        self
    }

    /// How many locations are not idle, as far as was looked.
    pub fn locations(&self) -> usize {
        lock(&self.locations).known.len()
    }

    fn location(&self, name: &str) -> Arc<Location> {
        let now = self.millis(now());
        let mut locations = lock(&self.locations);
        if let Some(location) = locations.known.get(name) {
            return Arc::clone(location);
        }
        if locations.known.len() >= locations.sweep_at.max(SWEEP_AT_LEAST) {
            // One that somebody holds is in use, whatever its window says.
            locations.known.retain(|_, location| {
                Arc::strong_count(location) > 1 || !lock(&location.window).is_idle(now)
            });
            locations.sweep_at = locations.known.len() * 2;
        }
        let location = Arc::new(Location {
            window: Mutex::new(Window::new(self.limits, now)),
            queue: tokio::sync::Mutex::new(()),
            waiting: AtomicU32::new(0),
        });
        locations.known.insert(name.into(), Arc::clone(&location));
        location
    }

    async fn wait(&self, name: &str, timeout: Duration) -> Result<Permit, AcquireError> {
        let deadline = add(now(), timeout);
        let location = self.location(name);
        let place = Place::take(&location.waiting);
        self.check(&location, place.ahead, deadline)?;
        let _front = location.queue.lock().await;
        loop {
            let at = {
                let now = self.millis(now());
                let mut window = lock(&location.window);
                match window.turn(0, now) {
                    Turn::At(at) if at <= now => {
                        window.record(now);
                        drop(window);
                        return Ok(self.permit(&location, now));
                    }
                    Turn::At(at) => self.instant(at),
                    Turn::NextDay(at) => return Err(AcquireError::daily(until(self.instant(at)))),
                }
            };
            // What the server said since may have moved the turn.
            if at > deadline {
                return Err(AcquireError::burst(until(at)));
            }
            tokio::time::sleep_until(at.into()).await;
        }
    }

    /// Denies a turn that is already known to come too late.
    fn check(&self, location: &Location, ahead: u32, deadline: Instant) -> Result<(), AcquireError> {
        let now = self.millis(now());
        match lock(&location.window).turn(ahead, now) {
            Turn::At(at) if at > now && self.instant(at) > deadline => {
                Err(AcquireError::burst(until(self.instant(at))))
            }
            Turn::NextDay(at) => Err(AcquireError::daily(until(self.instant(at)))),
            Turn::At(_) => Ok(()),
        }
    }

    fn permit(&self, location: &Arc<Location>, at: Millis) -> Permit {
        let location = Arc::clone(location);
        let used = Use { location, began: self.began, at: AtomicU64::new(at) };
        Permit::new(Expiry::after(VALIDITY), used)
    }

    fn millis(&self, time: Instant) -> Millis {
        u64::try_from(time.saturating_duration_since(self.began).as_millis()).unwrap_or(u64::MAX)
    }

    /// Rounded up, so that a timer never rings before its time.
    fn instant(&self, time: Millis) -> Instant {
        self.began + Duration::from_millis(time)
    }
}

impl Default for LocalRateLimiter {
    fn default() -> Self {
        Self::new()
    }
}

impl RateLimiter for LocalRateLimiter {
    fn acquire<'a>(&'a self, location: &'a str, timeout: Duration) -> Acquire<'a> {
        Box::pin(self.wait(location, timeout))
    }
}

/// The use of one permit.
struct Use {
    location: Arc<Location>,
    began: Instant,
    at: AtomicU64,
}

impl Use {
    fn now(&self) -> Millis {
        u64::try_from(now().saturating_duration_since(self.began).as_millis()).unwrap_or(u64::MAX)
    }
}

impl Grant for Use {
    fn observe(&self, headers: &RateLimitHeaders, rate_limited: Option<RateLimited>) {
        let now = self.now();
        let mut window = lock(&self.location.window);
        window.observe(headers, self.at.load(Ordering::Relaxed), now);
        if let Some(limited) = rate_limited {
            let wait = limited.retry_after.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
            window.block(wait, now);
        }
    }
}

/// A place in the queue, given up when it is dropped.
struct Place<'a> {
    waiting: &'a AtomicU32,
    ahead: u32,
}

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicU32) -> Self {
        Self { waiting, ahead: waiting.fetch_add(1, Ordering::Relaxed) }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

fn until(at: Instant) -> Duration {
    at.saturating_duration_since(now())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a busy location costs: its part of the map, its name, and itself behind its pointer.
    #[test]
    fn a_busy_location_costs_less_than_a_kilobyte() {
        let limiter = LocalRateLimiter::new();
        let name = "l1C08ntBrFjLS0elLIYU";
        let location = limiter.location(name);
        for _ in 0..100 {
            lock(&location.window).record(0);
        }
        // A hash map keeps at most every second place free, with a byte of its own for each.
        let place = 2 * (size_of::<(Box<str>, Arc<Location>)>() + 1);
        let counts_of_the_pointer = 2 * size_of::<usize>();
        let behind = size_of::<Location>() + counts_of_the_pointer + lock(&location.window).heap_bytes();
        let bytes = place + name.len() + behind;
        assert!(bytes <= 1024, "{bytes} bytes");
    }
}
