//! The burst limit of the server, which other programs use as well.

use std::collections::VecDeque;

use super::limits::{HOUR, Millis};
use super::log::{RequestLog, StartedRequest};
use crate::headers::RateLimitHeaders;

/// The longest interval that is accepted from a response.
const MAX_INTERVAL: u64 = HOUR;

/// The burst limit of the server, and the requests of other programs.
#[derive(Debug)]
pub(super) struct ServerLimit {
    /// Requests in one interval, or `None` while it is unknown.
    pub(super) burst: Option<u32>,
    interval: u32,
    margin: u32,
    /// When the newest request was started whose response reported the limit.
    newest: Millis,
    /// When the response arrived from which the use by others was last estimated.
    estimated: Option<Millis>,
    /// Requests of other programs, and when each of them has left the server's window at the latest, in order.
    foreign: VecDeque<(Millis, u32)>,
}

impl ServerLimit {
    pub(super) fn new(interval: u32, margin: u32) -> Self {
        Self { burst: None, interval, margin, newest: 0, estimated: None, foreign: VecDeque::new() }
    }

    /// Returns the time for which the server counts a request.
    pub(super) fn period(&self) -> Millis {
        u64::from(self.interval) + u64::from(self.margin)
    }

    pub(super) fn has_foreign(&self) -> bool {
        !self.foreign.is_empty()
    }

    /// Returns when the server's window has room for a request with `ahead` others ahead of it. The requests of other
    /// programs are counted if `counts_foreign` is set.
    pub(super) fn available_at(
        &self,
        log: &RequestLog,
        ahead: u32,
        reserved: u32,
        counts_foreign: bool,
        now: Millis,
    ) -> Millis {
        let Some(burst) = self.burst else { return now };
        let period = self.period();
        let counted = log.counted(period, now);
        let foreign = || self.foreign.iter().filter(move |_| counts_foreign);
        let others = foreign().fold(0_u32, |sum, (_, count)| sum.saturating_add(*count));
        let (rounds, place) = (u64::from(ahead / burst), ahead % burst);
        let used = counted.saturating_add(others).saturating_add(reserved).saturating_add(place);
        let Some(need) = used.checked_sub(burst) else { return now + rounds * period };
        // The time at which `need + 1` requests have left the window: own requests and those of others in order of time.
        let mut left = 0_u32;
        let mut first = None;
        for (until, count) in foreign() {
            let own = log.left_by(*until, period, now);
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
            index if index < counted => log.leaves_at(index, period, now),
            _ => now + period,
        });
        first.max(now) + rounds * period
    }

    /// Reads the limit that a response reports.
    pub(super) fn read_limit(&mut self, request: StartedRequest, headers: &RateLimitHeaders) {
        let Some(burst) = headers.burst_limit.filter(|_| request.at >= self.newest) else { return };
        self.newest = request.at;
        self.burst = Some(u32::try_from(burst).unwrap_or(u32::MAX).max(1));
        if let Some(interval) = headers.interval_ms.filter(|interval| *interval > 0) {
            self.interval = u32::try_from(interval.min(MAX_INTERVAL)).unwrap_or(u32::MAX);
        }
    }

    /// Estimates the requests of other programs from the requests that the server has counted: `used` in all, of which
    /// `own` are known to be own requests.
    ///
    /// Requests whose response is awaited may not be counted yet. Until their responses arrive, those that are counted
    /// look like requests of others: too few permits are issued for a moment, and never too many.
    pub(super) fn estimate_foreign(
        &mut self,
        request: StartedRequest,
        used: u32,
        own: u32,
        is_rejected: bool,
        now: Millis,
    ) {
        let estimate = used.saturating_sub(own);
        let until = now + self.period();
        let known = self.foreign.iter().fold(0_u32, |sum, (_, count)| sum.saturating_add(*count));
        if self.estimated.is_none_or(|estimated| request.at >= estimated) {
            self.estimated = Some(now);
            self.remove_oldest(known.saturating_sub(estimate));
            self.add(estimate.saturating_sub(known), until);
            return;
        }
        // The responses overlap, so either may be the newer one. The response to this request was awaited when the use of
        // others was last estimated, so it may be one of those that looked like theirs.
        let known = if is_rejected { known } else { known - self.remove_newest() };
        if estimate > known {
            self.estimated = Some(now);
            self.add(estimate - known, until);
        }
    }

    /// Removes the requests of others that have left the server's window.
    pub(super) fn expire(&mut self, now: Millis) {
        while self.foreign.front().is_some_and(|(until, _)| *until <= now) {
            self.foreign.pop_front();
        }
    }

    fn add(&mut self, count: u32, until: Millis) {
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

    /// Removes the oldest requests of others, which have left the server's window.
    fn remove_oldest(&mut self, mut count: u32) {
        while let Some((_, sum)) = self.foreign.front_mut()
            && count > 0
        {
            let removed = count.min(*sum);
            *sum -= removed;
            count -= removed;
            if *sum == 0 {
                self.foreign.pop_front();
            }
        }
    }

    /// Removes the newest request of others, which was an own one. Returns the number of removed requests: 0 or 1.
    fn remove_newest(&mut self) -> u32 {
        let Some((_, sum)) = self.foreign.back_mut() else { return 0 };
        *sum -= 1;
        if *sum == 0 {
            self.foreign.pop_back();
        }
        1
    }

    #[cfg(test)]
    pub(super) fn foreign(&self) -> u32 {
        self.foreign.iter().map(|(_, count)| count).sum()
    }

    #[cfg(test)]
    pub(super) fn heap_bytes(&self) -> usize {
        self.foreign.capacity() * size_of::<(Millis, u32)>()
    }
}
