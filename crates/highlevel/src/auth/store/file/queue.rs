//! The operations of this process that wait for the same entry.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use super::Key;

/// A queue for each entry that is being changed.
#[derive(Default)]
pub(super) struct Queues(Mutex<Known>);

#[derive(Default)]
struct Known {
    queues: HashMap<Key, Weak<AsyncMutex<Head>>>,
    sweep_at: usize,
}

/// The state that the first operation of a queue leaves to the next one.
#[derive(Default)]
struct Head {
    /// The time since which another process has had the lock of the entry.
    locked_since: Option<Instant>,
}

/// The first place in the queue of an entry, until it is dropped.
pub(super) struct Place(OwnedMutexGuard<Head>);

impl Queues {
    /// Waits until the operations on the entry that were started before are done.
    pub(super) async fn join(&self, key: &Key) -> Place {
        Place(self.queue(key).lock_owned().await)
    }

    fn queue(&self, key: &Key) -> Arc<AsyncMutex<Head>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = known.queues.get(key).and_then(Weak::upgrade) {
            return queue;
        }
        if known.queues.len() >= known.sweep_at {
            known.queues.retain(|_, queue| queue.strong_count() > 0);
            known.sweep_at = 64 + 2 * known.queues.len();
        }
        let queue = Arc::default();
        known.queues.insert(key.clone(), Arc::downgrade(&queue));
        queue
    }
}

impl Place {
    /// Records whether another process has the lock of the entry.
    pub(super) fn set_locked(&mut self, is_locked: bool) {
        let now = Instant::now();
        self.0.locked_since = is_locked.then(|| self.0.locked_since.unwrap_or(now));
    }

    /// Returns the time that another process has had the lock.
    pub(super) fn locked_for(&self) -> Duration {
        self.0.locked_since.map(|since| since.elapsed()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::store::Resource;

    fn key(location: &str) -> Key {
        Key::new("app", Resource::Location(location.to_owned().into()))
    }

    #[tokio::test]
    async fn queues_of_idle_entries_are_dropped() {
        let queues = Queues::default();
        let held = queues.join(&key("held")).await;
        for number in 0..1_000 {
            drop(queues.join(&key(&number.to_string())).await);
        }
        let known = queues.0.lock().expect("no panic").queues.len();
        assert!(known <= 67, "{known} queues are known");
        assert!(queues.queue(&key("held")).try_lock().is_err(), "the held one is still known");
        drop(held);
        assert!(queues.queue(&key("held")).try_lock().is_ok());
    }
}
