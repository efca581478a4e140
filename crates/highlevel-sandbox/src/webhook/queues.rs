//! Which attempt may begin: a queue for each target, so that none waits for another's.
//!
//! In a queue, an attempt begins when the one before it has ended, so that a healthy target gets events in order. One that
//! takes long is [overtaken](Queues::overtake), so that it holds up the others for a moment only. Targets that are known
//! to take long share one half of what may be under way; the other half is for those that are not.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

/// How many attempts to one target may be under way.
pub(super) const IN_A_LANE: usize = 8;
/// How many bytes of bodies may be under way in each half.
const MAX_BYTES: usize = 32 * 1024 * 1024;
/// How many slow targets are remembered while nothing waits for them.
const SLOW_REMEMBERED: usize = 1_000;

/// One attempt that has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    target: Arc<str>,
    number: u64,
}

#[derive(Debug)]
pub(super) struct Queues<J> {
    by_target: HashMap<Arc<str>, Queue<J>>,
    /// The targets that may have something to start, the one that has waited longest first.
    ready: VecDeque<Arc<str>>,
    ready_slow: VecDeque<Arc<str>>,
    /// Targets without a queue that were slow.
    slow_targets: HashSet<Arc<str>>,
    quick: Load,
    slow: Load,
    /// How many attempts may be under way in all.
    max: usize,
    next: u64,
}

/// What is under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Load {
    attempts: usize,
    bytes: usize,
}

#[derive(Debug)]
struct Queue<J> {
    waiting: VecDeque<J>,
    /// What goes after the next one that ends.
    held: Vec<J>,
    under_way: BTreeMap<u64, Attempt>,
    /// Whose end the next one waits for.
    ahead: Option<u64>,
    /// The last that is known of it is that it takes long.
    is_slow: bool,
    /// It is in one of the lists of those that are ready.
    is_listed: bool,
}

#[derive(Clone, Copy, Debug)]
struct Attempt {
    bytes: usize,
    counts_as_slow: bool,
    was_overtaken: bool,
}

impl<J> Queue<J> {
    fn can_start(&self) -> bool {
        self.ahead.is_none() && self.under_way.len() < IN_A_LANE && !self.waiting.is_empty()
    }
}

impl<J> Queues<J> {
    /// At most `max` attempts are under way at once.
    pub(super) fn new(max: usize) -> Self {
        Self {
            by_target: HashMap::new(),
            ready: VecDeque::new(),
            ready_slow: VecDeque::new(),
            slow_targets: HashSet::new(),
            quick: Load::default(),
            slow: Load::default(),
            max: max.max(2),
            next: 0,
        }
    }

    /// Puts a job at the end of a queue.
    pub(super) fn push(&mut self, target: &str, job: J) {
        if let Some(queue) = self.by_target.get_mut(target) {
            queue.waiting.push_back(job);
        } else {
            let queue = Queue {
                waiting: VecDeque::from([job]),
                held: Vec::new(),
                under_way: BTreeMap::new(),
                ahead: None,
                is_slow: self.slow_targets.remove(target),
                is_listed: false,
            };
            self.by_target.insert(target.into(), queue);
        }
        self.list(target);
    }

    /// A job that may begin now, and has.
    pub(super) fn start(&mut self) -> Option<(Ticket, J)> {
        if self.quick.attempts + self.slow.attempts >= self.max {
            return None;
        }
        let half = |load: Load, max: usize| load.attempts < max / 2 && load.bytes < MAX_BYTES;
        let mut started = None;
        if half(self.quick, self.max) {
            started = self.start_one(false);
        }
        if started.is_none() && half(self.slow, self.max) {
            started = self.start_one(true);
        }
        started
    }

    fn start_one(&mut self, slow: bool) -> Option<(Ticket, J)> {
        loop {
            let target = if slow { self.ready_slow.pop_front() } else { self.ready.pop_front() }?;
            let Some(queue) = self.by_target.get_mut(&target) else { continue };
            queue.is_listed = false;
            if queue.is_slow != slow || !queue.can_start() {
                self.list(&target);
                continue;
            }
            let Some(job) = queue.waiting.pop_front() else { continue };
            self.next += 1;
            let attempt = Attempt { bytes: 0, counts_as_slow: slow, was_overtaken: false };
            queue.under_way.insert(self.next, attempt);
            queue.ahead = Some(self.next);
            self.load(slow).attempts += 1;
            return Some((Ticket { target, number: self.next }, job));
        }
    }

    /// Knows how long the body of an attempt is.
    pub(super) fn weigh(&mut self, ticket: &Ticket, bytes: usize) {
        let Some(queue) = self.by_target.get_mut(&ticket.target) else { return };
        if let Some(attempt) = queue.under_way.get_mut(&ticket.number) {
            attempt.bytes = bytes;
            let slow = attempt.counts_as_slow;
            self.load(slow).bytes += bytes;
        }
    }

    /// A job has ended: the next one may go, and what was held goes before it.
    pub(super) fn end(&mut self, ticket: &Ticket) {
        let Some(attempt) = self.leave(ticket) else { return };
        let Some(queue) = self.by_target.get_mut(&ticket.target) else { return };
        queue.is_slow = attempt.was_overtaken;
        for job in std::mem::take(&mut queue.held).into_iter().rev() {
            queue.waiting.push_front(job);
        }
        self.tidy(ticket);
    }

    /// A job did not begin: there is nothing to do.
    pub(super) fn skip(&mut self, ticket: &Ticket) {
        self.leave(ticket);
        self.tidy(ticket);
    }

    /// A job that began is held until another one of its queue has ended.
    pub(super) fn hold(&mut self, ticket: &Ticket, job: J) {
        self.leave(ticket);
        if let Some(queue) = self.by_target.get_mut(&ticket.target) {
            queue.held.push(job);
        }
        self.list(&ticket.target);
    }

    /// How many jobs wait for their turn.
    pub(super) fn waiting(&self) -> usize {
        self.by_target.values().map(|queue| queue.waiting.len()).sum()
    }

    /// Only these jobs go on waiting.
    pub(super) fn retain(&mut self, stays: impl Fn(&J) -> bool) {
        self.by_target.retain(|_, queue| {
            queue.waiting.retain(&stays);
            !queue.under_way.is_empty() || !queue.waiting.is_empty() || !queue.held.is_empty()
        });
    }

    /// Whether the queue of a job holds another one.
    pub(super) fn holds(&self, ticket: &Ticket) -> bool {
        self.by_target.get(&ticket.target).is_some_and(|queue| !queue.held.is_empty())
    }

    /// What is held in any queue goes next.
    pub(super) fn release(&mut self) {
        let mut released = Vec::new();
        for (target, queue) in self.by_target.iter_mut().filter(|(_, queue)| !queue.held.is_empty()) {
            for job in std::mem::take(&mut queue.held).into_iter().rev() {
                queue.waiting.push_front(job);
            }
            released.push(Arc::clone(target));
        }
        for target in released {
            self.list(&target);
        }
    }

    /// The next one waits for a job no longer.
    pub(super) fn overtake(&mut self, ticket: &Ticket) {
        let Some(queue) = self.by_target.get_mut(&ticket.target) else { return };
        if queue.ahead == Some(ticket.number) {
            queue.ahead = None;
        }
        let Some(attempt) = queue.under_way.get_mut(&ticket.number) else { return };
        queue.is_slow = true;
        attempt.was_overtaken = true;
        if !std::mem::replace(&mut attempt.counts_as_slow, true) {
            let bytes = attempt.bytes;
            for (load, sign) in [(&mut self.quick, false), (&mut self.slow, true)] {
                load.attempts = if sign { load.attempts + 1 } else { load.attempts - 1 };
                load.bytes = if sign { load.bytes + bytes } else { load.bytes - bytes };
            }
        }
        self.list(&ticket.target);
    }

    fn load(&mut self, slow: bool) -> &mut Load {
        if slow { &mut self.slow } else { &mut self.quick }
    }

    /// Lists a target as ready, if it is.
    fn list(&mut self, target: &str) {
        let Some((target, queue)) = self.by_target.get_key_value(target) else { return };
        if queue.is_listed || !queue.can_start() {
            return;
        }
        let (target, slow) = (Arc::clone(target), queue.is_slow);
        if slow { &mut self.ready_slow } else { &mut self.ready }.push_back(Arc::clone(&target));
        if let Some(queue) = self.by_target.get_mut(&target) {
            queue.is_listed = true;
        }
    }

    fn leave(&mut self, ticket: &Ticket) -> Option<Attempt> {
        let queue = self.by_target.get_mut(&ticket.target)?;
        let attempt = queue.under_way.remove(&ticket.number)?;
        if queue.ahead == Some(ticket.number) {
            queue.ahead = None;
        }
        let load = self.load(attempt.counts_as_slow);
        load.attempts -= 1;
        load.bytes -= attempt.bytes;
        Some(attempt)
    }

    /// Lists the queue of a job that is over, or removes it if there is nothing more to do.
    fn tidy(&mut self, ticket: &Ticket) {
        let Some(queue) = self.by_target.get(&ticket.target) else { return };
        if !queue.under_way.is_empty() || !queue.waiting.is_empty() || !queue.held.is_empty() {
            return self.list(&ticket.target);
        }
        if queue.is_slow {
            if self.slow_targets.len() >= SLOW_REMEMBERED {
                self.slow_targets.clear();
            }
            self.slow_targets.insert(Arc::clone(&ticket.target));
        }
        self.by_target.remove(&ticket.target);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started(queues: &mut Queues<u32>) -> Vec<(Ticket, u32)> {
        std::iter::from_fn(|| queues.start()).collect()
    }

    #[test]
    fn a_lane_is_in_order_and_lanes_do_not_wait_for_each_other() {
        let mut queues = Queues::new(256);
        for job in [1, 2, 3] {
            queues.push("a", job);
            queues.push("b", job * 10);
        }
        let first = started(&mut queues);
        assert_eq!(first.iter().map(|(_, job)| *job).collect::<Vec<_>>(), [1, 10]);
        queues.end(&first[1].0);
        let second = started(&mut queues);
        assert_eq!(second.iter().map(|(_, job)| *job).collect::<Vec<_>>(), [20]);
    }

    /// Starts whatever can be started and overtakes it, until nothing can be started any more.
    fn hang(queues: &mut Queues<u32>) -> Vec<(Ticket, u32)> {
        let mut under_way = Vec::new();
        while let Some((ticket, job)) = queues.start() {
            queues.overtake(&ticket);
            under_way.push((ticket, job));
        }
        under_way
    }

    #[test]
    fn slow_targets_leave_half_of_the_room_to_others() {
        for targets in [1, 36, 40, 100] {
            let mut queues = Queues::new(256);
            for queue in 0..targets {
                for job in 0..20 {
                    queues.push(&format!("{queue:02}"), job);
                }
            }
            let under_way = hang(&mut queues);
            assert_eq!(under_way.len(), (targets * IN_A_LANE).min(128), "{targets}");
            let in_first = under_way.iter().filter(|(ticket, _)| &*ticket.target == "00").count();
            assert!(in_first <= IN_A_LANE);
            // A healthy one goes at once, again and again.
            for job in 100..200 {
                queues.push("healthy", job);
                let (ticket, begun) = queues.start().unwrap();
                assert_eq!((&*ticket.target, begun), ("healthy", job), "{targets}");
                queues.end(&ticket);
            }
            // The end of one that was overtaken lets one more go.
            queues.end(&under_way[0].0);
            assert!(queues.start().is_some());
        }
    }

    #[test]
    fn many_new_targets_that_hang_delay_another_one_until_they_are_known() {
        let mut queues = Queues::new(1_024);
        for queue in 0..900 {
            queues.push(&format!("{queue}"), 0);
        }
        queues.push("healthy", 1);
        let mut waves = 0;
        let mut seen = Vec::new();
        while !seen.contains(&1) {
            let wave = started(&mut queues);
            assert!(!wave.is_empty() && wave.len() <= 512);
            wave.iter().filter(|(_, job)| *job == 0).for_each(|(ticket, _)| queues.overtake(ticket));
            seen.extend(wave.into_iter().map(|(_, job)| job));
            waves += 1;
        }
        assert_eq!(waves, 2);
        // What is known to hang waits for its own half.
        for queue in 0..900 {
            queues.push(&format!("{queue}"), 2);
        }
        queues.push("another", 3);
        assert_eq!(queues.start().map(|(_, job)| job), Some(3));
    }

    #[test]
    fn a_slow_target_is_remembered_until_it_is_quick() {
        let mut queues = Queues::new(256);
        queues.push("a", 1);
        let (ticket, _) = queues.start().unwrap();
        queues.overtake(&ticket);
        queues.end(&ticket);
        assert!(queues.by_target.is_empty() && queues.slow_targets.len() == 1);
        queues.push("a", 2);
        assert!(queues.by_target["a"].is_slow && queues.slow_targets.is_empty());
        let (ticket, _) = queues.start().unwrap();
        queues.end(&ticket);
        assert!(queues.slow_targets.is_empty());
    }

    #[test]
    fn large_bodies_to_slow_targets_do_not_hold_up_others() {
        let mut queues = Queues::new(256);
        for queue in 0..100 {
            queues.push(&format!("{queue}"), queue);
        }
        let mut under_way = 0;
        while let Some((ticket, _)) = queues.start() {
            queues.weigh(&ticket, 1024 * 1024);
            under_way += 1;
        }
        assert_eq!(under_way, 32);
        queues.push("a", 7);
        assert_eq!(queues.start(), None);
        for number in 1..=32 {
            queues.overtake(&Ticket { target: format!("{}", number - 1).into(), number });
        }
        assert_eq!(queues.slow, Load { attempts: 32, bytes: MAX_BYTES });
        assert!(queues.start().is_some());
    }

    #[test]
    fn what_is_held_goes_after_the_next_one() {
        let mut queues = Queues::new(256);
        for job in [1, 2, 3] {
            queues.push("a", job);
        }
        let (ticket, job) = queues.start().unwrap();
        queues.hold(&ticket, job);
        let (ticket, job) = queues.start().unwrap();
        assert_eq!(job, 2);
        assert_eq!(queues.start(), None);
        queues.end(&ticket);
        let (ticket, job) = queues.start().unwrap();
        assert_eq!(job, 1);
        queues.end(&ticket);
        assert_eq!(queues.start().unwrap().1, 3);

        let mut queues = Queues::new(256);
        queues.push("a", 1);
        let (ticket, job) = queues.start().unwrap();
        queues.hold(&ticket, job);
        assert_eq!(queues.start(), None);
        queues.release();
        let (ticket, job) = queues.start().unwrap();
        assert_eq!(job, 1);
        queues.end(&ticket);
        assert!(queues.by_target.is_empty(), "a queue without jobs is left behind");

        for job in [1, 2, 3] {
            queues.push("a", job);
        }
        queues.retain(|job| *job == 2);
        assert_eq!((queues.waiting(), queues.start().map(|(_, job)| job)), (1, Some(2)));
    }
}
