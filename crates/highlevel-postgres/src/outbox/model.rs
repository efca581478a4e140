//! An exhaustive check of the states of a message: every order of events of a small world is visited.
//!
//! The world has one message, a process that can be killed, a server that may accept a request whose response is lost, a
//! standby that is behind, and a person. The decisions after an attempt are those of the program. Variants of the rules that
//! were broken on purpose have to fail.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use highlevel::{Delivery, ErrorKind, MessageId};

use super::look::{LookDecision, LookResult, LookSchedule, Reading};
use super::outcome::{Failure, NextState, SendResult};

const MOST_ATTEMPTS: u8 = 3;
const MOST_DECISIONS: u8 = 1;

/// The rules of the outbox, as they are or broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rules {
    Real,
    /// A lease that ends leads back to pending, as in a job queue.
    LeaseToPending,
    /// An unknown outcome is retried.
    UnknownToPending,
    /// A promoted standby sends.
    NoFence,
    /// A result changes the current attempt, whichever it is.
    ResultOfAnyAttempt,
    /// A claim whose response was lost is given back, also its attempts that were started.
    GiveBackStarted,
    /// A claim whose response is late is given back as if it were lost.
    GiveBackLate,
    /// A message that was not found when it was read back is sent again.
    NotFoundToPending,
    /// An equal message of another request counts as that of the attempt.
    EqualCounts,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Pending,
    Sending,
    Unknown,
    Desk,
    Done,
}

/// The row of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    state: State,
    attempt: u8,
}

/// The progress of an attempt in its process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// The response to the claim was lost: the process never learns of the attempt.
    NotKnown,
    /// The response to the claim is on its way.
    Late { gate_is_open: bool },
    /// The gate before the first byte is closed by the end of the lease only: the process knows of nothing else.
    Claimed { gate_is_open: bool },
    /// The process was killed before the first byte.
    Dead,
    /// The request was written. The server may accept it at any time, also after the process was killed.
    Written { accepted: bool },
    /// The process knows the result.
    Ended(Known),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Known {
    Receipt,
    NotSent,
    Unknown,
}

impl Known {
    /// The decision of the program.
    fn next(self) -> NextState {
        let failed = |delivery, kind| {
            SendResult::Failed(Failure { delivery, kind, status: None, text: String::new() }).decide().next
        };
        match self {
            Self::Receipt => NextState::Sent,
            Self::NotSent => failed(Delivery::NotSent, ErrorKind::Timeout),
            Self::Unknown => failed(Delivery::Unknown, ErrorKind::Connection),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct World {
    row: Row,
    /// The row of the standby.
    standby: Row,
    is_quarantined: bool,
    failed_over: bool,
    /// The attempts, with the number of decisions before each.
    attempts: Vec<(u8, Phase)>,
    is_alive: bool,
    decisions: u8,
}

impl World {
    fn start() -> Self {
        let row = Row { state: State::Pending, attempt: 0 };
        Self {
            row,
            standby: row,
            is_quarantined: false,
            failed_over: false,
            attempts: Vec::new(),
            is_alive: true,
            decisions: 0,
        }
    }

    /// Without a decision of a person in between, at most one attempt is accepted. A completed message was accepted.
    fn is_sound(&self) -> bool {
        let accepted = |of: u8| {
            let is_accepted = |phase: &Phase| {
                matches!(phase, Phase::Written { accepted: true } | Phase::Ended(Known::Receipt))
            };
            self.attempts.iter().filter(|(decisions, phase)| *decisions == of && is_accepted(phase)).count()
        };
        let is_accepted = (0..=self.decisions).any(|of| accepted(of) > 0);
        (0..=self.decisions).all(|of| accepted(of) <= 1) && (is_accepted || self.row.state != State::Done)
    }

    fn after(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut next = self.clone();
        change(&mut next);
        next
    }

    fn next(&self, rules: Rules) -> Vec<Self> {
        let mut next = Vec::new();
        let can_claim = self.row.state == State::Pending
            && (!self.is_quarantined || rules == Rules::NoFence)
            && self.attempts.len() < usize::from(MOST_ATTEMPTS);
        if can_claim {
            let gate_is_open = true;
            for phase in [Phase::Claimed { gate_is_open }, Phase::NotKnown, Phase::Late { gate_is_open }] {
                next.push(self.after(|it| {
                    it.is_alive = true;
                    it.row = Row { state: State::Sending, attempt: it.row.attempt + 1 };
                    it.attempts.push((it.decisions, phase));
                }));
            }
        }
        for index in 0..self.attempts.len() {
            self.attempt(index, rules, &mut next);
        }
        self.database(rules, &mut next);
        next
    }

    /// The row has this attempt as its current one, which is open.
    fn is_open(&self, index: usize) -> bool {
        let is_current = usize::from(self.row.attempt) == index + 1;
        is_current && matches!(self.row.state, State::Sending | State::Unknown | State::Desk)
    }

    fn attempt(&self, index: usize, rules: Rules, next: &mut Vec<Self>) {
        let to = |phase: Phase| self.after(|it| it.attempts[index].1 = phase);
        match self.attempts[index].1 {
            Phase::Claimed { gate_is_open } => {
                if gate_is_open {
                    next.push(to(Phase::Written { accepted: false }));
                }
                next.push(to(Phase::Ended(Known::NotSent)));
            }
            Phase::Late { gate_is_open } => {
                next.push(to(Phase::Claimed { gate_is_open }));
                if rules == Rules::GiveBackLate && self.is_open(index) {
                    next.push(self.after(|it| it.row.state = State::Pending));
                }
            }
            Phase::NotKnown if self.is_open(index) => {
                next.push(self.after(|it| it.row.state = State::Pending));
            }
            Phase::Written { accepted } => {
                if !accepted {
                    next.push(to(Phase::Written { accepted: true }));
                }
                if self.is_alive {
                    // A lost response: the request may still be accepted.
                    next.push(self.settled(index, Known::Unknown, rules));
                    if accepted {
                        next.push(to(Phase::Ended(Known::Receipt)));
                    }
                    if rules == Rules::GiveBackStarted && self.is_open(index) {
                        next.push(self.after(|it| it.row.state = State::Pending));
                    }
                }
            }
            Phase::Ended(known) if self.is_alive => next.push(self.settled(index, known, rules)),
            _ => {}
        }
        if self.is_open(index) && self.row.state != State::Sending {
            self.look(index, rules, next);
        }
    }

    /// An event has arrived, or the messages of the contact are read back.
    fn look(&self, index: usize, rules: Rules, next: &mut Vec<Self>) {
        let is_accepted = matches!(
            self.attempts[index].1,
            Phase::Written { accepted: true } | Phase::Ended(Known::Receipt)
        );
        let result = if is_accepted || rules == Rules::EqualCounts {
            LookResult::Sent(MessageId::from("m1"))
        } else {
            LookResult::NotFound
        };
        let reading = Reading::Failed(String::new());
        let schedule = LookSchedule { pauses: vec![Duration::ZERO], reads_back: true };
        for look in 0..2 {
            let decision = schedule.decide(&result, Some(&reading), look);
            next.push(self.after(|it| match decision {
                LookDecision::Sent => it.row.state = State::Done,
                LookDecision::Unknown { .. } if rules == Rules::NotFoundToPending => {
                    it.row.state = State::Pending;
                }
                LookDecision::Unknown { is_for_desk: true, .. } => it.row.state = State::Desk,
                LookDecision::Unknown { is_for_desk: false, .. } | LookDecision::Repeat => {}
            }));
        }
    }

    /// The result of an attempt is written.
    fn settled(&self, index: usize, known: Known, rules: Rules) -> Self {
        self.after(|it| {
            if known != Known::Unknown {
                it.attempts[index].1 = match known {
                    Known::Receipt => Phase::Ended(Known::Receipt),
                    _ => Phase::Ended(Known::NotSent),
                };
            }
            let is_any = rules == Rules::ResultOfAnyAttempt
                && matches!(it.row.state, State::Sending | State::Unknown | State::Desk);
            if !it.is_open(index) && !is_any {
                return;
            }
            it.row.state = match known.next() {
                NextState::Sent | NextState::Accepted => State::Done,
                NextState::Pending => State::Pending,
                NextState::Rejected => State::Desk,
                NextState::Unknown if rules == Rules::UnknownToPending => State::Pending,
                NextState::Unknown if it.row.state == State::Sending => State::Unknown,
                NextState::Unknown => it.row.state,
            };
        })
    }

    fn database(&self, rules: Rules, next: &mut Vec<Self>) {
        match self.row.state {
            State::Sending => next.push(self.after(|it| {
                it.row.state = if rules == Rules::LeaseToPending { State::Pending } else { State::Unknown };
                let index = usize::from(it.row.attempt).wrapping_sub(1);
                if let Some((_, Phase::Late { gate_is_open } | Phase::Claimed { gate_is_open })) =
                    it.attempts.get_mut(index)
                {
                    *gate_is_open = false;
                }
            })),
            // A person decides to send again, once the process is gone.
            State::Desk if !self.is_alive && self.decisions < MOST_DECISIONS => {
                next.push(self.after(|it| {
                    it.decisions += 1;
                    it.row.state = State::Pending;
                }));
            }
            _ => {}
        }
        next.push(self.after(|it| {
            it.is_alive = false;
            for (_, phase) in &mut it.attempts {
                if matches!(phase, Phase::NotKnown | Phase::Late { .. } | Phase::Claimed { .. }) {
                    *phase = Phase::Dead;
                }
            }
        }));
        if !self.failed_over {
            next.push(self.after(|it| it.standby = it.row));
            next.push(self.after(|it| {
                it.failed_over = true;
                it.is_quarantined = true;
                it.row = it.standby;
                // The attempts of the primary are numbered on, so that theirs are not current.
                it.row.attempt = u8::try_from(it.attempts.len()).unwrap_or(u8::MAX).max(it.row.attempt);
            }));
        }
        if self.is_quarantined {
            // Adopted: messages that were due get to the desk.
            next.push(self.after(|it| {
                it.is_quarantined = false;
                if it.row.state == State::Pending {
                    it.row.state = State::Desk;
                }
            }));
        }
    }
}

/// Visits every world. Returns their number, or the first one that is not sound.
fn explore(rules: Rules) -> Result<usize, World> {
    let mut seen = BTreeSet::from([World::start()]);
    let mut waiting = VecDeque::from([World::start()]);
    while let Some(world) = waiting.pop_front() {
        if !world.is_sound() {
            return Err(world);
        }
        for next in world.next(rules) {
            if seen.insert(next.clone()) {
                waiting.push_back(next);
            }
        }
    }
    Ok(seen.len())
}

#[test]
fn no_order_of_events_sends_a_message_twice() {
    match explore(Rules::Real) {
        Ok(count) => assert!(count > 1_000, "only {count} worlds were visited"),
        Err(world) => panic!("accepted twice, or completed without being accepted: {world:#?}"),
    }
}

#[test]
fn each_rule_is_necessary() {
    for rules in [
        Rules::LeaseToPending,
        Rules::UnknownToPending,
        Rules::NoFence,
        Rules::ResultOfAnyAttempt,
        Rules::GiveBackStarted,
        Rules::GiveBackLate,
        Rules::NotFoundToPending,
        Rules::EqualCounts,
    ] {
        assert!(explore(rules).is_err(), "nothing is wrong without a rule: {rules:?}");
    }
}
