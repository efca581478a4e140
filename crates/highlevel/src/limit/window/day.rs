//! The daily limits: the configured one and that of the server.

use super::limits::{DAY, HOUR, MINUTE, Millis};
use super::log::StartedRequest;

/// A permit that only waits for awaited responses is looked for again after this time.
const RECHECK: Millis = 50;
/// If the server reports a spent day without its end, one request is sent after this time, and then after twice the
/// time.
const FIRST_PROBE: Millis = MINUTE;
const MAX_PROBE: Millis = HOUR;

/// The daily limits of a location.
#[derive(Debug)]
pub(super) struct DailyLimit {
    configured: u32,
    /// Requests left until `ends`.
    left: u32,
    ends: Option<Millis>,
    server: Option<ServerDay>,
}

/// The daily limit of the server.
#[derive(Debug)]
struct ServerDay {
    /// Requests left, as last reported.
    left: u32,
    /// When the response arrived that reported it.
    reported: Millis,
    /// When the day ends, if the server has reported that.
    ends: Option<Millis>,
    /// When the next request is sent to find out if a spent day has ended, and how long the one after it waits.
    probe: Millis,
    pause: Millis,
}

impl DailyLimit {
    pub(super) fn new(configured: u32) -> Self {
        Self { configured, left: configured, ends: None, server: None }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.ends.is_none() && self.server.is_none()
    }

    /// Returns when the next permit can be issued, if a limit is used up.
    pub(super) fn spent_until(&self, ahead: u32, now: Millis) -> Option<Millis> {
        let own = (self.left <= ahead).then(|| self.ends.unwrap_or(now + DAY));
        let server = self.server.as_ref().filter(|day| day.left == 0).and_then(|day| match day.ends {
            Some(ends) => Some(ends),
            None if ahead == 0 && day.probe <= now => None,
            None => Some(day.probe.max(now + 1)),
        });
        own.max(server)
    }

    /// Returns when a request can start with `ahead` others ahead of it: the last requests of the server's day wait for
    /// the responses to the `uncounted` ones.
    pub(super) fn available_at(&self, uncounted: u32, ahead: u32, now: Millis) -> Millis {
        match &self.server {
            Some(day) if day.left > 0 && uncounted > 0 && day.left <= uncounted.saturating_add(ahead) => {
                now + RECHECK
            }
            _ => now,
        }
    }

    /// Notes that a permit is issued. On a spent day it is the probe.
    pub(super) fn issue(&mut self, now: Millis) {
        if let Some(day) = self.server.as_mut().filter(|day| day.left == 0) {
            day.probe = now + day.pause;
        }
    }

    /// Notes that a permit is given back: the next request can be the probe.
    pub(super) fn give_back(&mut self, now: Millis) {
        if let Some(day) = &mut self.server {
            day.probe = day.probe.min(now);
        }
    }

    /// Counts a request that is started.
    pub(super) fn start(&mut self, now: Millis) {
        self.ends.get_or_insert(now + DAY);
        self.left = self.left.saturating_sub(1);
    }

    /// Counts a request whose response does not arrive.
    pub(super) fn no_response(&mut self) {
        if let Some(day) = &mut self.server {
            day.left = day.left.saturating_sub(1);
        }
    }

    /// Reads the remaining requests that a response reports.
    pub(super) fn observe(&mut self, request: StartedRequest, left: u32, reset: Option<Millis>, now: Millis) {
        let ends = reset.map(|reset| now + reset.min(DAY));
        let pause = match &mut self.server {
            Some(day) if request.at < day.reported => {
                // The responses overlap: the lower count is the newer one, or a day has ended in between.
                if left < day.left {
                    day.left = left;
                    day.ends = ends;
                }
                return;
            }
            // The response to a probe.
            Some(day) if day.left == 0 => (day.pause * 2).min(MAX_PROBE),
            _ => FIRST_PROBE,
        };
        self.server = Some(ServerDay { left, reported: now, ends, probe: now + pause, pause });
    }

    /// Removes the counts of days that have ended.
    pub(super) fn expire(&mut self, now: Millis) {
        if self.ends.is_some_and(|ends| ends <= now) {
            self.ends = None;
            self.left = self.configured;
        }
        let has_ended = |day: &ServerDay| day.ends.unwrap_or(day.reported + DAY) <= now;
        if self.server.as_ref().is_some_and(has_ended) {
            self.server = None;
        }
    }
}
