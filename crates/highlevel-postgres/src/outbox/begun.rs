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
    lost_claim: Option<Instant>,
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

    /// Returns `true` if this attempt was started and is not settled.
    pub(crate) fn contains(&self, id: i64, attempt: i32) -> bool {
        lock(&self.state).open.get(&id) == Some(&attempt)
    }

    /// Returns the attempts that are in progress, and those that were completed within the last minutes.
    pub(crate) fn recent(&self) -> Vec<Recorded> {
        let state = lock(&self.state);
        let open =
            state.open.iter().map(|(id, attempt)| Recorded { id: *id, attempt: *attempt, result: None });
        state.recent.iter().map(|(_, attempt)| attempt.clone()).chain(open).collect()
    }

    /// Records that the response to a claim was not received.
    pub(crate) fn lost_claim(&self) {
        lock(&self.state).lost_claim = Some(Instant::now());
    }

    /// Returns `true` if the response to a claim was not received within this time.
    pub(crate) fn claim_lost_within(&self, time: Duration, now: Instant) -> bool {
        lock(&self.state).lost_claim.is_some_and(|at| now.saturating_duration_since(at) < time)
    }
}
