//! Which attempt may begin: a lane for each target, so that none waits for another's.
//!
//! In a lane, an attempt begins when the one before it has ended, so that a healthy target gets events in order. One
//! that takes long is [overtaken](Lanes::overtake), so that it holds up the others for a moment only.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// How many attempts to one target may be under way.
pub(super) const IN_A_LANE: usize = 8;
/// How many attempts may be under way in all.
pub(super) const IN_ALL_LANES: usize = 256;

/// One attempt that has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    target: Arc<str>,
    number: u64,
}

#[derive(Debug)]
pub(super) struct Lanes<J> {
    by_target: BTreeMap<Arc<str>, Lane<J>>,
    under_way: usize,
    next: u64,
}

#[derive(Debug)]
struct Lane<J> {
    waiting: VecDeque<J>,
    /// What goes after the next one that ends.
    held: Vec<J>,
    under_way: usize,
    /// Whose end the next one waits for.
    ahead: Option<u64>,
}

impl<J> Lanes<J> {
    pub(super) fn new() -> Self {
        Self { by_target: BTreeMap::new(), under_way: 0, next: 0 }
    }

    /// Puts a job at the end of a lane.
    pub(super) fn push(&mut self, target: &str, job: J) {
        if let Some(lane) = self.by_target.get_mut(target) {
            lane.waiting.push_back(job);
            return;
        }
        let lane = Lane { waiting: VecDeque::from([job]), held: Vec::new(), under_way: 0, ahead: None };
        self.by_target.insert(target.into(), lane);
    }

    /// A job that may begin now, and has.
    pub(super) fn start(&mut self) -> Option<(Ticket, J)> {
        if self.under_way >= IN_ALL_LANES {
            return None;
        }
        for (target, lane) in &mut self.by_target {
            if lane.ahead.is_none()
                && lane.under_way < IN_A_LANE
                && let Some(job) = lane.waiting.pop_front()
            {
                self.next += 1;
                lane.under_way += 1;
                lane.ahead = Some(self.next);
                self.under_way += 1;
                return Some((Ticket { target: Arc::clone(target), number: self.next }, job));
            }
        }
        None
    }

    /// A job has ended: the next one may go, and what was held goes before it.
    pub(super) fn end(&mut self, ticket: &Ticket) {
        let Some(lane) = self.leave(ticket) else { return };
        for job in std::mem::take(&mut lane.held).into_iter().rev() {
            lane.waiting.push_front(job);
        }
        self.tidy(ticket);
    }

    /// A job did not begin: there is nothing to do.
    pub(super) fn skip(&mut self, ticket: &Ticket) {
        self.leave(ticket);
        self.tidy(ticket);
    }

    /// A job that began is held until another one of its lane has ended.
    pub(super) fn hold(&mut self, ticket: &Ticket, job: J) {
        if let Some(lane) = self.leave(ticket) {
            lane.held.push(job);
        }
    }

    /// How many jobs wait for their turn.
    pub(super) fn waiting(&self) -> usize {
        self.by_target.values().map(|lane| lane.waiting.len()).sum()
    }

    /// Only these jobs go on waiting.
    pub(super) fn retain(&mut self, stays: impl Fn(&J) -> bool) {
        self.by_target.retain(|_, lane| {
            lane.waiting.retain(&stays);
            lane.under_way > 0 || !lane.waiting.is_empty() || !lane.held.is_empty()
        });
    }

    /// Whether the lane of a job holds another one.
    pub(super) fn holds(&self, ticket: &Ticket) -> bool {
        self.by_target.get(&ticket.target).is_some_and(|lane| !lane.held.is_empty())
    }

    /// What is held in any lane goes next.
    pub(super) fn release(&mut self) {
        for lane in self.by_target.values_mut() {
            for job in std::mem::take(&mut lane.held).into_iter().rev() {
                lane.waiting.push_front(job);
            }
        }
    }

    /// The next one waits for a job no longer.
    pub(super) fn overtake(&mut self, ticket: &Ticket) {
        if let Some(lane) = self.by_target.get_mut(&ticket.target)
            && lane.ahead == Some(ticket.number)
        {
            lane.ahead = None;
        }
    }

    fn leave(&mut self, ticket: &Ticket) -> Option<&mut Lane<J>> {
        let lane = self.by_target.get_mut(&ticket.target)?;
        self.under_way -= 1;
        lane.under_way -= 1;
        if lane.ahead == Some(ticket.number) {
            lane.ahead = None;
        }
        Some(lane)
    }

    fn tidy(&mut self, ticket: &Ticket) {
        if let Some(lane) = self.by_target.get(&ticket.target)
            && lane.under_way == 0
            && lane.waiting.is_empty()
            && lane.held.is_empty()
        {
            self.by_target.remove(&ticket.target);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started(lanes: &mut Lanes<u32>) -> Vec<(Ticket, u32)> {
        std::iter::from_fn(|| lanes.start()).collect()
    }

    #[test]
    fn a_lane_is_in_order_and_lanes_do_not_wait_for_each_other() {
        let mut lanes = Lanes::new();
        for job in [1, 2, 3] {
            lanes.push("a", job);
            lanes.push("b", job * 10);
        }
        let first = started(&mut lanes);
        assert_eq!(first.iter().map(|(_, job)| *job).collect::<Vec<_>>(), [1, 10]);
        lanes.end(&first[1].0);
        let second = started(&mut lanes);
        assert_eq!(second.iter().map(|(_, job)| *job).collect::<Vec<_>>(), [20]);
    }

    #[test]
    fn one_that_takes_long_is_overtaken_within_the_limits() {
        let mut lanes = Lanes::new();
        for lane in 0..40 {
            for job in 0..20 {
                lanes.push(&format!("{lane:02}"), job);
            }
        }
        let mut under_way = Vec::new();
        while let Some((ticket, job)) = lanes.start() {
            lanes.overtake(&ticket);
            under_way.push((ticket, job));
        }
        assert_eq!(under_way.len(), IN_ALL_LANES);
        let in_first = under_way.iter().filter(|(ticket, _)| &*ticket.target == "00").count();
        assert_eq!(in_first, IN_A_LANE);
        // The end of one that was overtaken lets one more go.
        lanes.end(&under_way[0].0);
        assert_eq!(lanes.start().unwrap().1, 8);
        assert_eq!(lanes.start(), None);
    }

    #[test]
    fn what_is_held_goes_after_the_next_one() {
        let mut lanes = Lanes::new();
        for job in [1, 2, 3] {
            lanes.push("a", job);
        }
        let (ticket, job) = lanes.start().unwrap();
        lanes.hold(&ticket, job);
        let (ticket, job) = lanes.start().unwrap();
        assert_eq!(job, 2);
        assert_eq!(lanes.start(), None);
        lanes.end(&ticket);
        let (ticket, job) = lanes.start().unwrap();
        assert_eq!(job, 1);
        lanes.end(&ticket);
        assert_eq!(lanes.start().unwrap().1, 3);

        let mut lanes = Lanes::new();
        lanes.push("a", 1);
        let (ticket, job) = lanes.start().unwrap();
        lanes.hold(&ticket, job);
        assert_eq!(lanes.start(), None);
        lanes.release();
        let (ticket, job) = lanes.start().unwrap();
        assert_eq!(job, 1);
        lanes.end(&ticket);
        assert!(lanes.by_target.is_empty(), "a lane without jobs is left behind");

        for job in [1, 2, 3] {
            lanes.push("a", job);
        }
        lanes.retain(|job| *job == 2);
        assert_eq!((lanes.waiting(), lanes.start().map(|(_, job)| job)), (1, Some(2)));
    }
}
