//! The rules that are in force, and what they did.

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::watch;

use super::{Fault, FaultRule, FaultStage, LONGEST_WAIT, Request};
use crate::sync::lock;

/// The most rules, and the bytes of JSON in all of them.
const MAX_RULES: usize = 1_000;
const MAX_RULE_BYTES: usize = 4 * 1024 * 1024;

/// The rules that are in force, in the order in which they were added.
#[derive(Debug, Default)]
pub(crate) struct FaultRegistry {
    rules: Mutex<Rules>,
}

#[derive(Debug, Default)]
struct Rules {
    added: u64,
    rules: Vec<Armed>,
}

#[derive(Debug)]
struct Armed {
    status: ActiveFault,
    /// Times that the rule was triggered, including pauses of a sequence.
    times_triggered: u64,
    /// Its end is the sign for everybody who waits because of this rule.
    in_force: watch::Sender<()>,
}

/// A rule that is in force, and what it did.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ActiveFault {
    /// What [`Sandbox::remove_fault`](crate::Sandbox::remove_fault) takes.
    pub id: u64,
    /// The rule.
    pub rule: FaultRule,
    /// How many requests, or connections, it was about.
    pub seen: u64,
    /// On how many of them something went wrong because of it.
    pub hits: u64,
    /// Whether no further request triggers it.
    pub spent: bool,
}

/// A fault that happens now.
#[derive(Clone, Debug)]
pub(crate) struct TriggeredFault {
    pub(crate) stage: FaultStage,
    pub(crate) fault: Fault,
    in_force: watch::Receiver<()>,
}

impl FaultRegistry {
    /// Adds a rule after all others, or says why it makes no sense. `operations` are those that there are.
    pub(crate) fn add(&self, rule: FaultRule, operations: &[&str]) -> Result<ActiveFault, String> {
        if let Some(problem) = rule.problem(operations) {
            return Err(problem);
        }
        let mut rules = self.lock();
        let text = |rule: &FaultRule| serde_json::to_string(rule).map_or(0, |text| text.len());
        let bytes = rules.rules.iter().map(|armed| text(&armed.status.rule)).sum::<usize>() + text(&rule);
        if rules.rules.len() >= MAX_RULES || bytes > MAX_RULE_BYTES {
            return Err(format!(
                "there are at most {MAX_RULES} rules, of {MAX_RULE_BYTES} bytes of JSON together; remove some first"
            ));
        }
        rules.added += 1;
        let spent = rule.is_spent(0, 0);
        let status = ActiveFault { id: rules.added, rule, seen: 0, hits: 0, spent };
        rules.rules.push(Armed {
            status: status.clone(),
            times_triggered: 0,
            in_force: watch::Sender::new(()),
        });
        Ok(status)
    }

    /// All rules, in order.
    pub(crate) fn list(&self) -> Vec<ActiveFault> {
        self.lock().rules.iter().map(|armed| armed.status.clone()).collect()
    }

    /// Ends a rule and everything that waits because of it. Whether there was one.
    pub(crate) fn remove(&self, id: u64) -> bool {
        let mut rules = self.lock();
        let before = rules.rules.len();
        rules.rules.retain(|armed| armed.status.id != id);
        rules.rules.len() < before
    }

    /// Ends all rules.
    pub(crate) fn clear(&self) {
        self.lock().rules.clear();
    }

    /// What happens on a connection that was opened just now.
    pub(crate) fn on_connection(&self) -> Option<TriggeredFault> {
        self.trigger(FaultRule::is_of_connections)
    }

    /// What happens to a request. `describe` is called only if there are rules.
    pub(crate) fn on_request(
        &self,
        describe: impl FnOnce(&mut dyn FnMut(&Request<'_>)),
    ) -> Option<TriggeredFault> {
        if self.lock().rules.is_empty() {
            return None;
        }
        let mut triggered = None;
        describe(&mut |request| triggered = self.trigger(|rule| rule.covers(request)));
        triggered
    }

    /// Counts the request for each rule that covers it. The first rule that is triggered decides.
    fn trigger(&self, covers: impl Fn(&FaultRule) -> bool) -> Option<TriggeredFault> {
        let mut triggered = None;
        for Armed { status, times_triggered, in_force } in &mut self.lock().rules {
            if !covers(&status.rule) {
                continue;
            }
            status.seen += 1;
            if triggered.is_some() || !status.rule.triggers_on(status.seen) {
                status.spent = status.rule.is_spent(status.seen, *times_triggered);
                continue;
            }
            let fault =
                status.rule.nth_fault(*times_triggered).filter(|fault| **fault != Fault::NONE).cloned();
            *times_triggered += 1;
            status.spent = status.rule.is_spent(status.seen, *times_triggered);
            if let Some(fault) = fault {
                status.hits += 1;
                let stage = status.rule.stage_of(&fault);
                triggered = Some(TriggeredFault { stage, fault, in_force: in_force.subscribe() });
            }
        }
        triggered
    }

    fn lock(&self) -> MutexGuard<'_, Rules> {
        lock(&self.rules)
    }
}

impl TriggeredFault {
    /// Waits, by the machine's clock, no longer than the rule is in force. Whether it still is.
    pub(crate) async fn wait(&mut self, duration: Duration) -> bool {
        if duration.is_zero() {
            return true;
        }
        let over = async {
            // The sender sends nothing: it only ends.
            while self.in_force.changed().await.is_ok() {}
        };
        tokio::time::timeout(duration.min(LONGEST_WAIT), over).await.is_err()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::FaultSchedule;

    fn names(registry: &FaultRegistry, requests: usize) -> Vec<String> {
        let request = Request { operation: None, method: "GET", path: "/", location: None };
        let next = || registry.on_request(|check| check(&request));
        let name = |triggered: TriggeredFault| triggered.fault.name().to_owned();
        (0..requests).map(|_| next().map_or_else(|| "-".to_owned(), name)).collect()
    }

    fn counts(registry: &FaultRegistry) -> Vec<(u64, u64, u64)> {
        registry.list().iter().map(|active| (active.id, active.seen, active.hits)).collect()
    }

    #[test]
    fn the_first_rule_that_is_triggered_decides_and_all_count() {
        let registry = FaultRegistry::default();
        let add = |rule: FaultRule| registry.add(rule, &[]).expect("a rule").id;
        add(FaultRule::new(Fault::CLOSE).schedule(FaultSchedule::EveryNth(2)));
        let second = add(FaultRule::new(Fault::RESET).schedule(FaultSchedule::First(3)));
        assert_eq!(names(&registry, 4), ["reset", "close", "reset", "close"]);
        assert_eq!(counts(&registry), [(1, 4, 2), (2, 4, 2)]);
        assert!(registry.remove(second));
        assert!(!registry.remove(second));
        assert_eq!(names(&registry, 2), ["-", "close"]);
        registry.clear();
        assert_eq!(names(&registry, 2), ["-", "-"]);
        assert_eq!(registry.add(FaultRule::new(Fault::RESET), &[]).expect("a rule").id, 3);
    }

    #[test]
    fn a_sequence_advances_each_time_it_is_triggered_and_ends() {
        let registry = FaultRegistry::default();
        let sequence = FaultRule::sequence([Fault::RESET, Fault::NONE, Fault::CLOSE]);
        registry.add(sequence.schedule(FaultSchedule::EveryNth(2)), &[]).expect("a rule");
        assert_eq!(names(&registry, 9), ["-", "reset", "-", "-", "-", "close", "-", "-", "-"]);
        assert_eq!(counts(&registry), [(1, 9, 2)]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_because_of_a_rule_is_woken_when_it_ends() {
        let registry = FaultRegistry::default();
        registry.add(FaultRule::new(Fault::SILENCE), &[]).expect("a rule");
        let request = Request { operation: None, method: "GET", path: "/", location: None };
        let mut triggered = registry.on_request(|check| check(&request)).expect("a fault");
        assert!(triggered.wait(Duration::from_secs(5)).await);
        let began = tokio::time::Instant::now();
        assert!(triggered.wait(Duration::MAX).await);
        assert_eq!(began.elapsed().as_secs(), LONGEST_WAIT.as_secs());
        registry.clear();
        assert!(!triggered.wait(Duration::from_secs(5)).await);
    }
}
