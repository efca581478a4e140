//! Queues of attempts, one per target, so that a slow target does not delay others.
//!
//! Within a queue, an attempt starts when the one before it has completed, so that a healthy target receives events in
//! order. A slow attempt is [overtaken](Queues::overtake) after a moment. Targets that are known to be slow share one half
//! of the capacity; the other half is reserved for all others.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

/// The maximum number of concurrent attempts to one target.
pub(super) const IN_A_LANE: usize = 8;
/// The maximum bytes of concurrent bodies in each half of the capacity.
const MAX_BYTES: usize = 32 * 1024 * 1024;
/// The maximum number of slow targets that are cached while they have no queue.
const SLOW_REMEMBERED: usize = 1_000;

/// A started attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    target: Arc<str>,
    number: u64,
}

#[derive(Debug)]
pub(super) struct Queues<J> {
    by_target: HashMap<Arc<str>, Queue<J>>,
    /// The targets that may have a job to start, the longest waiting first.
    ready: VecDeque<Arc<str>>,
    ready_slow: VecDeque<Arc<str>>,
    /// Slow targets without a queue.
    slow_targets: HashSet<Arc<str>>,
    quick: Load,
    slow: Load,
    /// The maximum number of concurrent attempts.
    max: usize,
    next: u64,
}

/// The attempts in progress in one half of the capacity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Load {
    attempts: usize,
    bytes: usize,
}

#[derive(Debug)]
struct Queue<J> {
    waiting: VecDeque<J>,
    /// A job that is held back until the next attempt completes.
    held: Vec<J>,
    under_way: BTreeMap<u64, Attempt>,
    /// The attempt whose completion the next one waits for.
    ahead: Option<u64>,
    /// `true` if its last attempt was slow.
    is_slow: bool,
    /// `true` if it is in one of the lists of ready targets.
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
    /// Creates queues with at most `max` concurrent attempts.
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

    /// Appends a job to the queue of a target.
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

    /// Starts a job, if one is ready.
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

    /// Records the length of the body of an attempt.
    pub(super) fn weigh(&mut self, ticket: &Ticket, bytes: usize) {
        let Some(queue) = self.by_target.get_mut(&ticket.target) else { return };
        if let Some(attempt) = queue.under_way.get_mut(&ticket.number) {
            attempt.bytes = bytes;
            let slow = attempt.counts_as_slow;
            self.load(slow).bytes += bytes;
        }
    }

    /// Completes an attempt. A held job becomes the next one of its queue.
    pub(super) fn end(&mut self, ticket: &Ticket) {
        let Some(attempt) = self.leave(ticket) else { return };
        let Some(queue) = self.by_target.get_mut(&ticket.target) else { return };
        queue.is_slow = attempt.was_overtaken;
        for job in std::mem::take(&mut queue.held).into_iter().rev() {
            queue.waiting.push_front(job);
        }
        self.tidy(ticket);
    }

    /// Discards a started job that turned out to be obsolete.
    pub(super) fn skip(&mut self, ticket: &Ticket) {
        self.leave(ticket);
        self.tidy(ticket);
    }

    /// Holds a started job until another attempt of its queue has completed.
    pub(super) fn hold(&mut self, ticket: &Ticket, job: J) {
        self.leave(ticket);
        if let Some(queue) = self.by_target.get_mut(&ticket.target) {
            queue.held.push(job);
        }
        self.list(&ticket.target);
    }

    /// Returns the number of queued jobs.
    pub(super) fn waiting(&self) -> usize {
        self.by_target.values().map(|queue| queue.waiting.len()).sum()
    }

    /// Removes all queued jobs for which `stays` returns `false`.
    pub(super) fn retain(&mut self, stays: impl Fn(&J) -> bool) {
        self.by_target.retain(|_, queue| {
            queue.waiting.retain(&stays);
            !queue.under_way.is_empty() || !queue.waiting.is_empty() || !queue.held.is_empty()
        });
    }

    /// Returns `true` if the queue of the ticket holds a job back.
    pub(super) fn holds(&self, ticket: &Ticket) -> bool {
        self.by_target.get(&ticket.target).is_some_and(|queue| !queue.held.is_empty())
    }

    /// Makes each held job the next one of its queue.
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

    /// Lets the next job of the queue start although this attempt has not completed.
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

    /// Adds a target to the ready list, if it is ready.
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

    /// Updates the queue of a completed attempt: lists it as ready, or removes it if it is empty.
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
    fn a_queue_is_in_order_and_does_not_wait_for_others() {
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

    /// Starts and overtakes jobs until none can be started.
    fn hang(queues: &mut Queues<u32>) -> Vec<(Ticket, u32)> {
        let mut under_way = Vec::new();
        while let Some((ticket, job)) = queues.start() {
            queues.overtake(&ticket);
            under_way.push((ticket, job));
        }
        under_way
    }

    #[test]
    fn slow_targets_leave_half_of_the_capacity_to_others() {
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
            // A job of a healthy target starts at once, repeatedly.
            for job in 100..200 {
                queues.push("healthy", job);
                let (ticket, begun) = queues.start().unwrap();
                assert_eq!((&*ticket.target, begun), ("healthy", job), "{targets}");
                queues.end(&ticket);
            }
            // The completion of an overtaken attempt lets one more start.
            queues.end(&under_way[0].0);
            assert!(queues.start().is_some());
        }
    }

    #[test]
    fn many_new_hanging_targets_delay_others_until_they_are_known_as_slow() {
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
        // Targets known as slow wait for the capacity of their half.
        for queue in 0..900 {
            queues.push(&format!("{queue}"), 2);
        }
        queues.push("another", 3);
        assert_eq!(queues.start().map(|(_, job)| job), Some(3));
    }

    #[test]
    fn a_target_is_slow_until_it_responds_quickly() {
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
    fn large_bodies_to_slow_targets_do_not_delay_others() {
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
    fn a_held_job_starts_after_the_next_one() {
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
        assert!(queues.by_target.is_empty(), "an empty queue was not removed");

        for job in [1, 2, 3] {
            queues.push("a", job);
        }
        queues.retain(|job| *job == 2);
        assert_eq!((queues.waiting(), queues.start().map(|(_, job)| job)), (1, Some(2)));
    }
}
