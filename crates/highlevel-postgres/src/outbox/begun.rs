//! The attempts of this process, as far as the database may not know them.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::sync::lock;

/// Completed attempts are stored for this long, in case a failover loses them.
const RECENT: Duration = Duration::from_secs(120);

/// The attempts that this process has started.
#[derive(Debug, Clone, Default)]
pub(crate) struct Begun {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// Attempts whose results are not written yet.
    open: HashMap<i64, i32>,
    /// The completed attempts of the last minutes, oldest first.
    recent: VecDeque<(Instant, Recorded)>,
    /// The number of the next claim.
    next_claim: i64,
    longest_claim: Duration,
    /// Claims whose responses were not received, oldest first.
    lost_claims: VecDeque<(Instant, i64)>,
}

/// An attempt, and its result if it has one.
#[derive(Debug, Clone)]
pub(crate) struct Recorded {
    pub(crate) id: i64,
    pub(crate) attempt: i32,
    /// As `settle_v1` expects it.
    pub(crate) result: Option<Value>,
}

impl Begun {
    pub(crate) fn started(&self, id: i64, attempt: i32) {
        lock(&self.state).open.insert(id, attempt);
    }

    /// Records that the database has the result of an attempt.
    pub(crate) fn settled(&self, id: i64, attempt: i32, result: Value) {
        let now = Instant::now();
        let mut state = lock(&self.state);
        if state.open.get(&id) == Some(&attempt) {
            state.open.remove(&id);
        }
        while state.recent.front().is_some_and(|(at, _)| now.saturating_duration_since(*at) > RECENT) {
            state.recent.pop_front();
        }
        state.recent.push_back((now, Recorded { id, attempt, result: Some(result) }));
    }

    /// Returns the attempts that are in progress, and those that were completed within the last minutes: for each message
    /// the last one.
    pub(crate) fn recent(&self) -> Vec<Recorded> {
        let state = lock(&self.state);
        let open =
            state.open.iter().map(|(id, attempt)| Recorded { id: *id, attempt: *attempt, result: None });
        let mut last: HashMap<i64, Recorded> = HashMap::new();
        for recorded in state.recent.iter().map(|(_, attempt)| attempt.clone()).chain(open) {
            let known = last.entry(recorded.id).or_insert_with(|| recorded.clone());
            if known.attempt < recorded.attempt {
                *known = recorded;
            }
        }
        last.into_values().collect()
    }

    /// Returns a number for the next claim.
    pub(crate) fn next_claim(&self) -> i64 {
        let mut state = lock(&self.state);
        state.next_claim += 1;
        state.next_claim
    }

    /// Records the time of a claim.
    pub(crate) fn claimed(&self, time: Duration) {
        let mut state = lock(&self.state);
        state.longest_claim = state.longest_claim.max(time);
    }

    /// Returns the milliseconds of the longest claim since the last call.
    pub(crate) fn take_longest_claim(&self) -> i64 {
        i64::try_from(std::mem::take(&mut lock(&self.state).longest_claim).as_millis()).unwrap_or(i64::MAX)
    }

    /// Records that the response to a claim was not received. No message of it is ever started.
    pub(crate) fn lost_claim(&self, claim: i64) {
        lock(&self.state).lost_claims.push_back((Instant::now(), claim));
    }

    /// Returns the claims whose responses were lost within this time.
    pub(crate) fn claims_lost_within(&self, time: Duration, now: Instant) -> Vec<i64> {
        let mut state = lock(&self.state);
        let is_old = |at: &Instant| now.saturating_duration_since(*at) >= time;
        while state.lost_claims.front().is_some_and(|(at, _)| is_old(at)) {
            state.lost_claims.pop_front();
        }
        state.lost_claims.iter().map(|(_, claim)| *claim).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_claims_that_were_lost_are_given_back() {
        let begun = Begun::default();
        let (first, second) = (begun.next_claim(), begun.next_claim());
        assert_ne!(first, second);
        begun.lost_claim(first);
        let now = Instant::now();
        assert_eq!(begun.claims_lost_within(Duration::from_secs(60), now), [first]);
        assert!(begun.claims_lost_within(Duration::from_secs(60), now + Duration::from_secs(61)).is_empty());
    }

    #[test]
    fn the_last_attempt_of_a_message_is_reasserted() {
        let begun = Begun::default();
        begun.started(7, 1);
        begun.settled(7, 1, Value::Null);
        begun.started(7, 2);
        begun.started(8, 1);
        let mut attempts: Vec<_> = begun.recent().iter().map(|it| (it.id, it.attempt)).collect();
        attempts.sort_unstable();
        assert_eq!(attempts, [(7, 2), (8, 1)]);
    }
}
