//! The attempts of this process, as far as the database may not know them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::sync::lock;

/// The attempts that this process has started and whose results are not written yet.
#[derive(Debug, Clone, Default)]
pub(crate) struct Begun {
    attempts: Arc<Mutex<HashMap<i64, i32>>>,
    lost_claim: Arc<Mutex<Option<Instant>>>,
}

impl Begun {
    pub(crate) fn started(&self, id: i64, attempt: i32) {
        lock(&self.attempts).insert(id, attempt);
    }

    pub(crate) fn settled(&self, id: i64, attempt: i32) {
        let mut attempts = lock(&self.attempts);
        if attempts.get(&id) == Some(&attempt) {
            attempts.remove(&id);
        }
    }

    /// Returns `true` if this attempt was started and is not settled.
    pub(crate) fn contains(&self, id: i64, attempt: i32) -> bool {
        lock(&self.attempts).get(&id) == Some(&attempt)
    }

    /// Records that the response to a claim was not received.
    pub(crate) fn lost_claim(&self) {
        *lock(&self.lost_claim) = Some(Instant::now());
    }

    /// Returns `true` if the response to a claim was not received within this time.
    pub(crate) fn claim_lost_within(&self, time: Duration, now: Instant) -> bool {
        lock(&self.lost_claim).is_some_and(|at| now.saturating_duration_since(at) < time)
    }
}
