//! The requests that count.

use std::collections::VecDeque;
use std::ops::Range;

use super::limits::{MINUTE, Millis};

/// A request whose permit is never observed nor dropped counts as ended after this time. No request is on its way for
/// longer, and a permit that a program has leaked does not count forever.
pub(super) const MAX_AWAITED: Millis = 10 * MINUTE;

/// A request that was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::limit) struct StartedRequest {
    pub(super) at: Millis,
    /// Own requests in the server's window, this one included.
    pub(super) own: u32,
    /// Its number among all requests of the window.
    pub(super) number: u32,
}

/// The requests that count, each with the time from which it counts for one period. Small: a request takes four bytes.
///
/// The server counts a request at some time between its start and its response. So it counts until one interval after its
/// response, and for a period, which is longer by the margin, after its start: its time is that of its start, or that of its
/// response minus the margin, whichever is later.
#[derive(Debug)]
pub(super) struct RequestLog {
    /// Milliseconds after `base`: first the requests that have ended, by their times, and then the awaited ones, by their
    /// starts.
    entries: VecDeque<u32>,
    base: Millis,
    /// Requests whose response is awaited.
    awaited: usize,
    margin: Millis,
    /// The number of entries that a busy location has.
    expected_len: usize,
}

impl RequestLog {
    pub(super) fn new(expected_len: usize, margin: u32, now: Millis) -> Self {
        Self { entries: VecDeque::new(), base: now, awaited: 0, margin: margin.into(), expected_len }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the number of requests whose response is awaited.
    pub(super) fn awaited(&self) -> u32 {
        count(self.awaited)
    }

    /// Returns the number of requests that count.
    pub(super) fn counted(&self, period: Millis, now: Millis) -> u32 {
        count(self.entries.len() - self.expired(period, now))
    }

    /// Returns the earliest time at which more than `index` of the requests that count do no longer.
    pub(super) fn leaves_at(&self, index: u32, period: Millis, now: Millis) -> Millis {
        let (index, first, ended) = (index as usize, self.expired(period, now), self.ended());
        // The requests that leave before are the first ones of both parts.
        let ended_before = partition(0..index.min(ended - first), |taken| {
            let awaited = index - taken - 1;
            awaited >= self.awaited || self.time(first + taken) < self.earliest(awaited, now)
        });
        let next_ended = (first + ended_before < ended).then(|| self.time(first + ended_before));
        let awaited = index - ended_before;
        let next_awaited = (awaited < self.awaited).then(|| self.earliest(awaited, now));
        next_ended.into_iter().chain(next_awaited).min().unwrap_or(now) + period
    }

    /// Returns the number of requests that count now, and at the earliest do no longer at `until`.
    pub(super) fn left_by(&self, until: Millis, period: Millis, now: Millis) -> u32 {
        let ended = self.expired(period, until).saturating_sub(self.expired(period, now));
        let awaited = partition(0..self.awaited, |index| self.earliest(index, now) + period <= until);
        count(ended + awaited)
    }

    /// Adds a request whose response is awaited. Returns its time.
    pub(super) fn push(&mut self, now: Millis) -> Millis {
        // Never before the last one: the awaited requests are ordered.
        let last = if self.awaited > 0 { self.time(self.entries.len() - 1) } else { 0 };
        let now = now.max(last);
        if self.entries.is_empty() {
            self.base = now;
        } else if now.saturating_sub(self.base) > u64::from(u32::MAX >> 1) {
            // A location that is busy for weeks: count from its oldest entry.
            let firsts = [self.entries.front(), self.entries.get(self.ended())];
            let shift = firsts.into_iter().flatten().copied().min().unwrap_or(0);
            self.entries.iter_mut().for_each(|entry| *entry -= shift);
            self.base += u64::from(shift);
        }
        self.reserve();
        self.entries.push_back(self.entry(now));
        self.awaited += 1;
        now
    }

    /// Reserves memory for one more entry. Doubling would reserve more than a busy location needs.
    fn reserve(&mut self) {
        let len = self.entries.len();
        if len == self.entries.capacity() {
            let free = self.expected_len.checked_sub(len).filter(|free| *free > 0);
            self.entries.reserve_exact(len.max(4).min(free.unwrap_or(len)));
        }
    }

    /// Ends the request that was started at this time, with a response that arrived at `ended`. Returns `false` if it does
    /// not count any more.
    pub(super) fn respond(&mut self, started: Millis, ended: Millis) -> bool {
        self.end(started, started.max(ended.saturating_sub(self.margin)))
    }

    /// Ends the request that was started at this time, without a response. It may arrive a moment after `ended`. Returns
    /// `false` if it does not count any more.
    pub(super) fn no_response(&mut self, started: Millis, ended: Millis) -> bool {
        self.end(started, started.max(ended))
    }

    fn end(&mut self, started: Millis, time: Millis) -> bool {
        let ended = self.ended();
        let index = partition(ended..self.entries.len(), |index| self.time(index) < started);
        if index == self.entries.len() || self.time(index) != started {
            return false;
        }
        let place = partition(0..ended, |index| self.time(index) <= time);
        self.entries.remove(index);
        self.entries.insert(place, self.entry(time));
        self.awaited -= 1;
        true
    }

    /// Removes the requests that no longer count.
    pub(super) fn expire(&mut self, period: Millis, now: Millis) {
        while self.awaited > 0
            && let started = self.time(self.ended())
            && started + MAX_AWAITED <= now
        {
            self.no_response(started, started + MAX_AWAITED);
        }
        self.entries.drain(..self.expired(period, now));
    }

    #[cfg(test)]
    pub(super) fn heap_bytes(&self) -> usize {
        self.entries.capacity() * size_of::<u32>()
    }

    /// Returns the number of requests that have ended.
    fn ended(&self) -> usize {
        self.entries.len() - self.awaited
    }

    /// Returns the number of requests in the log that have ended at least a period ago.
    fn expired(&self, period: Millis, now: Millis) -> usize {
        partition(0..self.ended(), |index| self.time(index) + period <= now)
    }

    /// Returns the time of an awaited request if its response arrives now.
    fn earliest(&self, index: usize, now: Millis) -> Millis {
        self.time(self.ended() + index).max(now.saturating_sub(self.margin))
    }

    fn time(&self, index: usize) -> Millis {
        self.base + self.entries.get(index).copied().map_or(0, Millis::from)
    }

    fn entry(&self, time: Millis) -> u32 {
        count(time.saturating_sub(self.base))
    }
}

/// Returns the first index that is not `before`. Those for which `before` is true are ahead of the others.
fn partition(range: Range<usize>, before: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (range.start, range.end);
    while low < high {
        let middle = low + (high - low) / 2;
        if before(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

fn count<T>(number: T) -> u32
where
    u32: TryFrom<T>,
{
    u32::try_from(number).unwrap_or(u32::MAX)
}
