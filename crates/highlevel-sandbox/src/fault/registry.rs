//! The active rules, and their counters.

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::watch;

use super::{Fault, FaultRule, FaultStage, MAX_WAIT, RequestProperties};
use crate::sync::lock;

/// The maximum number of rules.
const MAX_RULES: usize = 1_000;
/// The maximum size of all rules together, in bytes of JSON.
/// The maximum size of all rules together, in bytes of JSON.
const MAX_RULE_BYTES: usize = 4 * 1024 * 1024;

/// The active rules, in the order in which they were added.
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
    /// The number of triggering requests, including those that a sequence skips.
    times_triggered: u64,
    /// Dropped with the rule, which ends the delays it causes.
    removed: watch::Sender<()>,
}

/// An active rule with its counters.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ActiveFault {
    /// The id for [`Sandbox::remove_fault`](crate::Sandbox::remove_fault).
    pub id: u64,
    /// The rule.
    pub rule: FaultRule,
    /// The number of requests, or connections, that the rule covered.
    pub seen: u64,
    /// The number of them in which it injected a fault.
    pub hits: u64,
    /// `true` if no further request triggers the rule.
    pub spent: bool,
}

/// A fault that a request or connection has triggered.
#[derive(Clone, Debug)]
pub(crate) struct TriggeredFault {
    pub(crate) stage: FaultStage,
    pub(crate) fault: Fault,
    removed: watch::Receiver<()>,
}

impl FaultRegistry {
    /// Adds a rule after all others. `operations` has all operation ids.
    ///
    /// # Errors
    ///
    /// Returns the reason if the rule is invalid, or there are too many rules.
    pub(crate) fn add(&self, rule: FaultRule, operations: &[&str]) -> Result<ActiveFault, String> {
        if let Some(problem) = rule.problem(operations) {
            return Err(problem);
        }
        let mut rules = self.lock();
        let text = |rule: &FaultRule| serde_json::to_string(rule).map_or(0, |text| text.len());
        let bytes = rules.rules.iter().map(|armed| text(&armed.status.rule)).sum::<usize>() + text(&rule);
        if rules.rules.len() >= MAX_RULES || bytes > MAX_RULE_BYTES {
            return Err(format!(
                "the limit of {MAX_RULES} rules or {MAX_RULE_BYTES} bytes of JSON is reached; remove some rules first"
            ));
        }
        rules.added += 1;
        let spent = rule.is_spent(0, 0);
        let status = ActiveFault { id: rules.added, rule, seen: 0, hits: 0, spent };
        rules.rules.push(Armed {
            status: status.clone(),
            times_triggered: 0,
            removed: watch::Sender::new(()),
        });
        Ok(status)
    }

    /// Returns all rules in order.
    pub(crate) fn list(&self) -> Vec<ActiveFault> {
        self.lock().rules.iter().map(|armed| armed.status.clone()).collect()
    }

    /// Removes a rule and ends the delays it causes. Returns `true` if it existed.
    pub(crate) fn remove(&self, id: u64) -> bool {
        let mut rules = self.lock();
        let before = rules.rules.len();
        rules.rules.retain(|armed| armed.status.id != id);
        rules.rules.len() < before
    }

    /// Removes all rules.
    pub(crate) fn clear(&self) {
        self.lock().rules.clear();
    }

    /// Returns the fault that a new connection triggers.
    pub(crate) fn on_connection(&self) -> Option<TriggeredFault> {
        self.trigger(FaultRule::is_for_connections)
    }

    /// Returns the fault that a request triggers. `describe` is called only if there are rules.
    pub(crate) fn on_request(
        &self,
        describe: impl FnOnce(&mut dyn FnMut(&RequestProperties<'_>)),
    ) -> Option<TriggeredFault> {
        if self.lock().rules.is_empty() {
            return None;
        }
        let mut triggered = None;
        describe(&mut |request| triggered = self.trigger(|rule| rule.covers(request)));
        triggered
    }

    /// Counts the request for each rule that covers it. The first triggered rule supplies the fault.
    fn trigger(&self, covers: impl Fn(&FaultRule) -> bool) -> Option<TriggeredFault> {
        let mut triggered = None;
        for Armed { status, times_triggered, removed } in &mut self.lock().rules {
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
                triggered = Some(TriggeredFault { stage, fault, removed: removed.subscribe() });
            }
        }
        triggered
    }

    fn lock(&self) -> MutexGuard<'_, Rules> {
        lock(&self.rules)
    }
}

impl TriggeredFault {
    /// Sleeps, by the machine's clock, until the duration has passed or the rule is removed. Returns `true` if the rule is
    /// still active.
    pub(crate) async fn wait(&mut self, duration: Duration) -> bool {
        if duration.is_zero() {
            return true;
        }
        let over = async {
            // The sender never sends; it is dropped with the rule.
            while self.removed.changed().await.is_ok() {}
        };
        tokio::time::timeout(duration.min(MAX_WAIT), over).await.is_err()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::FaultSchedule;

    fn names(registry: &FaultRegistry, requests: usize) -> Vec<String> {
        let request = RequestProperties { operation: None, method: "GET", path: "/", location: None };
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
    async fn removing_a_rule_ends_its_delays() {
        let registry = FaultRegistry::default();
        registry.add(FaultRule::new(Fault::SILENCE), &[]).expect("a rule");
        let request = RequestProperties { operation: None, method: "GET", path: "/", location: None };
        let mut triggered = registry.on_request(|check| check(&request)).expect("a fault");
        assert!(triggered.wait(Duration::from_secs(5)).await);
        let began = tokio::time::Instant::now();
        assert!(triggered.wait(Duration::MAX).await);
        assert_eq!(began.elapsed().as_secs(), MAX_WAIT.as_secs());
        registry.clear();
        assert!(!triggered.wait(Duration::from_secs(5)).await);
    }
}
