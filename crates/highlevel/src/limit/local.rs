//! The limiter of one process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::queue::{WaitQueue, grace};
use super::window::{Availability, Estimate, Limits, Millis, StartedRequest, VALIDITY, Window};
use super::{
    Acquire, AcquireError, Expiry, Permit, PermitHandler, RateLimitHeaders, RateLimited, RateLimiter,
};
use crate::time::{add, now};

/// Idle locations are removed when there are more locations than this, and then each time their number has doubled.
const SWEEP_AT_LEAST: usize = 64;
/// A waiting request checks for a permit at least this often.
const RECHECK: Millis = 1_000;

/// The limiter of one process.
///
/// Defaults to the documented 100 requests in 10 seconds and 200,000 in a day per location, with a margin of 250 ms.
/// A request counts until one interval after its response, because the server counts it at some time before, and for at least
/// one interval and the margin. So no window of the server has more requests than the limit, however long they are on their way.
/// A request without a response counts from when its permit is dropped, at the latest ten minutes after its start.
///
/// Permits are issued in FIFO order. What the server reports lowers the limits: a smaller limit, requests of other
/// programs, a spent day. Nothing that it reports raises them.
///
/// Clones share their limits. A busy location takes less than 1 KiB, an idle one nothing.
#[derive(Debug, Clone)]
pub struct LocalRateLimiter {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    limits: Limits,
    clock: Clock,
    locations: Mutex<Locations>,
}

#[derive(Debug, Default)]
struct Locations {
    known: HashMap<Box<str>, Arc<Mutex<LocationQueue>>>,
    sweep_at: usize,
}

#[derive(Debug)]
struct LocationQueue {
    window: Window,
    queue: WaitQueue,
}

/// The milliseconds since a limiter was created.
#[derive(Debug, Clone, Copy)]
struct Clock {
    started: Instant,
}

impl LocalRateLimiter {
    /// A limiter with the documented limits.
    pub fn new() -> Self {
        Self::build(Limits::default())
    }

    /// A limiter with these limits: requests in an interval, and in a day that starts with its first request.
    ///
    /// Intervals are rounded down to milliseconds and may have up to 7 days.
    pub fn with_limits(burst: u32, interval: Duration, daily: u32) -> Self {
        Self::build(Limits { burst, interval: millis(interval), daily, ..Limits::default() })
    }

    /// Sets the time for which a request counts at least, in addition to the interval. Defaults to 250 ms.
    ///
    /// It allows for the clock of the server. With a longer margin, fewer requests are sent; responses that take less time than
    /// the margin cost nothing.
    ///
    /// The returned limiter shares nothing with this one: set the margin before you clone it.
    #[must_use]
    pub fn margin(self, margin: Duration) -> Self {
        Self::build(Limits { margin: millis(margin), ..self.shared.limits })
    }

    /// Returns the number of locations in memory. Idle ones are removed from time to time.
    pub fn locations(&self) -> usize {
        lock(&self.shared.locations).known.len()
    }

    fn build(limits: Limits) -> Self {
        let clock = Clock { started: now() };
        Self { shared: Arc::new(Shared { limits, clock, locations: Mutex::default() }) }
    }

    fn location(&self, name: &str) -> Arc<Mutex<LocationQueue>> {
        let now = self.shared.clock.now();
        let mut locations = lock(&self.shared.locations);
        if let Some(location) = locations.known.get(name) {
            return Arc::clone(location);
        }
        if locations.known.len() >= locations.sweep_at.max(SWEEP_AT_LEAST) {
            // A location that a request or a permit refers to is in use, even if its window is idle.
            locations
                .known
                .retain(|_, location| Arc::strong_count(location) > 1 || !lock(location).window.is_idle(now));
            locations.sweep_at = locations.known.len() * 2;
        }
        let location =
            LocationQueue { window: Window::new(self.shared.limits, now), queue: WaitQueue::default() };
        let location = Arc::new(Mutex::new(location));
        locations.known.insert(name.into(), Arc::clone(&location));
        location
    }

    async fn wait(&self, name: &str, timeout: Duration) -> Result<Permit, AcquireError> {
        let clock = self.shared.clock;
        let deadline = clock.millis(add(now(), timeout));
        let mut slot = QueueSlot::join(self.location(name), clock);
        loop {
            let next = {
                let mut location = lock(&slot.location);
                // Read after locking, so that the log is ordered.
                let now = clock.now();
                location.check(slot.ticket, deadline, now)?
            };
            match next {
                WaitStep::Issue(issued) => return Ok(slot.permit(issued)),
                WaitStep::Wait(at) => {
                    let woken = slot.wake.notified();
                    // Woken or not, the request checks again.
                    let _ = tokio::time::timeout_at(clock.instant(at).into(), woken).await;
                }
            }
        }
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

/// The next step of a waiting request.
enum WaitStep {
    /// A permit is issued at this time.
    Issue(Millis),
    /// The request checks again at this time.
    Wait(Millis),
}

impl LocationQueue {
    /// Issues a permit to a waiting request, or returns when it checks again.
    fn check(&mut self, ticket: u64, deadline: Millis, now: Millis) -> Result<WaitStep, AcquireError> {
        let ahead = self.queue.count_ahead(ticket);
        let expected = match self.window.availability(ahead, Estimate::Expected, now) {
            Availability::At(at) if at <= now => return Ok(self.issue(ticket, now)),
            Availability::At(at) => at,
            Availability::DaySpent(at) => return Err(AcquireError::daily(wait(at, now))),
        };
        let (first, passes) = match self.window.availability(0, Estimate::Expected, now) {
            Availability::At(at) => (at, self.queue.available(at <= now, ahead, now)),
            Availability::DaySpent(_) => (expected, None),
        };
        if passes.is_some_and(|at| at <= now) {
            return Ok(self.issue(ticket, now));
        }
        let is_too_late = match self.window.availability(ahead, Estimate::Earliest, now) {
            Availability::At(at) | Availability::DaySpent(at) => now >= deadline || at > deadline,
        };
        if is_too_late {
            return Err(AcquireError::burst(wait(expected, now)));
        }
        let passes = passes.unwrap_or(first + grace(ahead));
        Ok(WaitStep::Wait(expected.min(passes).min(deadline).min(now + RECHECK).max(now + 1)))
    }

    fn issue(&mut self, ticket: u64, now: Millis) -> WaitStep {
        self.window.issue(now);
        self.queue.take(ticket);
        if self.is_available(now) {
            self.queue.wake_next();
        }
        WaitStep::Issue(now)
    }

    fn is_available(&mut self, now: Millis) -> bool {
        matches!(self.window.availability(0, Estimate::Expected, now), Availability::At(at) if at <= now)
    }
}

/// A slot in the queue. Dropping it leaves the queue.
struct QueueSlot {
    location: Arc<Mutex<LocationQueue>>,
    clock: Clock,
    ticket: u64,
    wake: Arc<Notify>,
    is_waiting: bool,
}

impl QueueSlot {
    fn join(location: Arc<Mutex<LocationQueue>>, clock: Clock) -> Self {
        let wake = Arc::new(Notify::new());
        let ticket = lock(&location).queue.join(Arc::clone(&wake));
        Self { location, clock, ticket, wake, is_waiting: true }
    }

    /// Returns the permit that was issued at this time.
    fn permit(&mut self, issued: Millis) -> Permit {
        self.is_waiting = false;
        let used =
            Use { location: Arc::clone(&self.location), clock: self.clock, issued, request: OnceLock::new() };
        Permit::new(Expiry::after(Duration::from_millis(VALIDITY)), used)
    }
}

impl Drop for QueueSlot {
    fn drop(&mut self) {
        if self.is_waiting {
            let mut location = lock(&self.location);
            location.queue.leave(self.ticket);
            location.queue.wake();
        }
    }
}

/// The use of one permit.
struct Use {
    location: Arc<Mutex<LocationQueue>>,
    clock: Clock,
    issued: Millis,
    request: OnceLock<StartedRequest>,
}

impl Use {
    /// Changes the window, and wakes waiting requests if a permit is available.
    fn update<T>(&self, change: impl FnOnce(&mut Window, Millis) -> T) -> T {
        let mut location = lock(&self.location);
        let now = self.clock.now();
        let result = change(&mut location.window, now);
        if location.is_available(now) {
            location.queue.wake();
        }
        result
    }
}

impl PermitHandler for Use {
    fn begin(&self) -> bool {
        match self.update(|window, now| window.start(self.issued, now, self.clock.now_rounded_up())) {
            Some(request) => self.request.set(request).is_ok(),
            None => false,
        }
    }

    fn observe(&self, headers: &RateLimitHeaders, rate_limited: Option<RateLimited>) {
        let request = self.request.get().copied();
        self.update(|window, now| {
            if let Some(request) = request {
                window.observe(request, headers, rate_limited.is_some(), now);
            }
            if let Some(limited) = rate_limited {
                window.block(limited.retry_after.map(whole_millis), now);
            }
        });
    }

    fn no_response(&self) {
        if let Some(request) = self.request.get().copied() {
            self.update(|window, now| window.no_response(request, now));
        }
    }

    fn give_back(&self) {
        self.update(|window, now| window.give_back(self.issued, now));
    }
}

impl Clock {
    fn now(self) -> Millis {
        self.millis(now())
    }

    fn now_rounded_up(self) -> Millis {
        let time = now().saturating_duration_since(self.started);
        whole_millis(time) + u64::from(!time.subsec_nanos().is_multiple_of(1_000_000))
    }

    fn millis(self, time: Instant) -> Millis {
        whole_millis(time.saturating_duration_since(self.started))
    }

    fn instant(self, time: Millis) -> Instant {
        add(self.started, Duration::from_millis(time))
    }
}

fn wait(at: Millis, now: Millis) -> Duration {
    Duration::from_millis(at.saturating_sub(now))
}

fn whole_millis(time: Duration) -> Millis {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn millis(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts the map entry of a location, its name, and the location behind its pointer.
    #[test]
    fn a_busy_location_takes_less_than_a_kilobyte() {
        let limiter = LocalRateLimiter::new();
        let name = "l1C08ntBrFjLS0elLIYU";
        let location = limiter.location(name);
        // Other programs use the same limits all the time.
        for number in 0..100 {
            let headers = RateLimitHeaders {
                burst_limit: Some(300),
                burst_remaining: Some(299 - 2 * number),
                interval_ms: Some(10_000),
                daily_limit: Some(200_000),
                daily_remaining: Some(100_000),
                ..RateLimitHeaders::default()
            };
            let (window, now) = (&mut lock(&location).window, number * 100);
            window.issue(now);
            let request = window.start(now, now, now).expect("a valid permit");
            window.observe(request, &headers, false, now);
        }
        // A hash map uses at most every second slot, with one more byte for each.
        let slot = 2 * (size_of::<(Box<str>, Arc<Mutex<LocationQueue>>)>() + 1);
        let counts_of_the_pointer = 2 * size_of::<usize>();
        let heap = lock(&location).window.heap_bytes();
        let behind = size_of::<Mutex<LocationQueue>>() + counts_of_the_pointer + heap;
        let bytes = slot + name.len() + behind;
        assert!(bytes <= 1024, "{bytes} bytes, {heap} of them on the heap");
    }
}
