//! The requests of the last interval.

use std::collections::VecDeque;

use super::limits::Millis;

/// A request that was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::limit) struct StartedRequest {
    pub(super) at: Millis,
    /// Own requests in the server's window, this one included.
    pub(super) own: u32,
    /// Its number among all requests of the window.
    pub(super) number: u32,
}

/// The times at which requests were started, in order. Small: a request takes four bytes.
#[derive(Debug)]
pub(super) struct RequestLog {
    /// Milliseconds after `base`, doubled, plus one while the response is awaited.
    entries: VecDeque<u32>,
    base: Millis,
    /// Requests whose response is awaited.
    awaited: u32,
    /// The number of entries that a busy location has.
    expected_len: usize,
}

impl RequestLog {
    pub(super) fn new(expected_len: usize, now: Millis) -> Self {
        Self { entries: VecDeque::new(), base: now, awaited: 0, expected_len }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the number of requests whose response is awaited.
    pub(super) fn awaited(&self) -> u32 {
        self.awaited
    }

    /// Returns the start of the request at an index.
    pub(super) fn time(&self, index: usize) -> Millis {
        self.entries.get(index).map_or(0, |entry| self.entry_time(*entry))
    }

    /// Returns the number of requests that were started at least `period` before `now`.
    pub(super) fn older_than(&self, period: Millis, now: Millis) -> usize {
        self.entries.partition_point(|entry| self.entry_time(*entry) + period <= now)
    }

    /// Returns the number of requests that were started less than `period` before `now`.
    pub(super) fn started_within(&self, period: Millis, now: Millis) -> u32 {
        u32::try_from(self.entries.len() - self.older_than(period, now)).unwrap_or(u32::MAX)
    }

    /// Adds a request whose response is awaited. Returns its time.
    pub(super) fn push(&mut self, now: Millis) -> Millis {
        // Never before the last one: the log is ordered.
        let now = now.max(self.entries.back().map_or(0, |entry| self.entry_time(*entry)));
        if self.entries.is_empty() {
            self.base = now;
        } else if now - self.base > u64::from(u32::MAX >> 2) {
            // A location that is busy for weeks: count from its oldest entry.
            let shift = self.entries[0] >> 1;
            self.entries.iter_mut().for_each(|entry| *entry -= shift << 1);
            self.base += u64::from(shift);
        }
        self.reserve();
        let offset = u32::try_from(now - self.base).unwrap_or(u32::MAX).min(u32::MAX >> 1);
        self.entries.push_back(offset << 1 | 1);
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

    /// Notes that the response to a request of this time is no longer awaited. Returns `false` if it has left the log.
    pub(super) fn close(&mut self, at: Millis) -> bool {
        let mut index = self.entries.partition_point(|entry| self.entry_time(*entry) < at);
        while let Some(entry) = self.entries.get(index).copied()
            && self.entry_time(entry) == at
        {
            if entry & 1 == 1 {
                self.entries[index] = entry & !1;
                self.awaited -= 1;
                return true;
            }
            index += 1;
        }
        false
    }

    /// Removes the requests that were started at least `period` before `now`.
    pub(super) fn expire(&mut self, period: Millis, now: Millis) {
        while let Some(entry) = self.entries.front().copied()
            && self.entry_time(entry) + period <= now
        {
            self.awaited -= entry & 1;
            self.entries.pop_front();
        }
    }

    #[cfg(test)]
    pub(super) fn heap_bytes(&self) -> usize {
        self.entries.capacity() * size_of::<u32>()
    }

    fn entry_time(&self, entry: u32) -> Millis {
        self.base + u64::from(entry >> 1)
    }
}
