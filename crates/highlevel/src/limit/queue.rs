//! The requests that wait for a permit of one location, in FIFO order.
//!
//! Each request takes its permit itself: a permit is never assigned to a request whose runtime may not be driven. If
//! permits are available and the requests at the front do not take them, later requests pass them after a moment.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::Notify;

use super::window::Millis;

/// The time after which a request that does not take its permit is passed over by the next one.
const GRACE: Millis = 25;
/// The number of requests that are woken if permits become available earlier than expected. Each wakes the next one.
const WOKEN: usize = 8;

#[derive(Debug, Default)]
pub(super) struct WaitQueue {
    /// Ordered by ticket.
    waiting: VecDeque<Waiter>,
    next_ticket: u64,
    passed: usize,
    /// Since when a permit is available that no request has taken.
    available_since: Option<Millis>,
}

#[derive(Debug)]
struct Waiter {
    ticket: u64,
    /// A later request has passed it, because it did not take its permit in time. It stays in its place, and counts again
    /// as soon as it checks.
    passed: bool,
    wake: Arc<Notify>,
}

impl WaitQueue {
    /// Joins the queue at its end.
    pub(super) fn join(&mut self, wake: Arc<Notify>) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.waiting.push_back(Waiter { ticket, passed: false, wake });
        ticket
    }

    /// Leaves the queue.
    pub(super) fn leave(&mut self, ticket: u64) {
        if let Some(index) = self.index(ticket)
            && let Some(waiter) = self.waiting.remove(index)
        {
            self.passed -= usize::from(waiter.passed);
        }
        if self.waiting.is_empty() {
            *self = Self { next_ticket: self.next_ticket, ..Self::default() };
        }
    }

    /// Returns the number of requests ahead of this one, whose runtime is driven.
    pub(super) fn count_ahead(&mut self, ticket: u64) -> u32 {
        let Some(index) = self.index(ticket) else { return 0 };
        if std::mem::take(&mut self.waiting[index].passed) {
            self.passed -= 1;
        }
        let passed = match self.passed {
            0 => 0,
            _ => self.waiting.range(..index).filter(|waiter| waiter.passed).count(),
        };
        u32::try_from(index - passed).unwrap_or(u32::MAX)
    }

    /// Notes whether a permit is available. Returns the time at which a request with `ahead` others ahead of it may take it.
    pub(super) fn available(&mut self, is_available: bool, ahead: u32, now: Millis) -> Option<Millis> {
        if !is_available {
            self.available_since = None;
            return None;
        }
        Some(*self.available_since.get_or_insert(now) + grace(ahead))
    }

    /// Removes a request that takes its permit, and passes the requests ahead that did not take it.
    pub(super) fn take(&mut self, ticket: u64) {
        if let Some(index) = self.index(ticket) {
            for waiter in self.waiting.range_mut(..index).filter(|waiter| !waiter.passed) {
                waiter.passed = true;
                self.passed += 1;
            }
        }
        self.available_since = None;
        self.leave(ticket);
    }

    /// Wakes the requests at the front, which check for a permit.
    pub(super) fn wake(&self) {
        let running = self.waiting.iter().filter(|waiter| !waiter.passed);
        running.take(WOKEN).for_each(|waiter| waiter.wake.notify_one());
    }

    /// Wakes the request at the front.
    pub(super) fn wake_next(&self) {
        if let Some(next) = self.waiting.iter().find(|waiter| !waiter.passed) {
            next.wake.notify_one();
        }
    }

    fn index(&self, ticket: u64) -> Option<usize> {
        let index = self.waiting.partition_point(|waiter| waiter.ticket < ticket);
        (self.waiting.get(index)?.ticket == ticket).then_some(index)
    }
}

/// Returns the time that a request leaves to those ahead of it. It grows slowly, so that the wait is short however many of
/// them do not run.
pub(super) fn grace(ahead: u32) -> Millis {
    match ahead.checked_ilog2() {
        None => 0,
        Some(log) => GRACE * (1 + u64::from(log)),
    }
}
