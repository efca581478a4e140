//! Effects of changes, which run once the changes are on disk.

use std::collections::VecDeque;
use std::io;
use std::sync::{Mutex, OnceLock, Weak};

use super::row::StoredRow;

/// In-memory state whose changes are written to the file. If a write fails, the state is reloaded from the file.
pub(crate) trait Memory: Send + Sync {
    /// Locks the state, calls `read`, and replaces the state with the rows that it returns.
    ///
    /// # Errors
    ///
    /// Returns the error of `read`. Then the state is unchanged.
    fn roll_back(&self, read: &mut dyn FnMut() -> io::Result<Vec<StoredRow>>) -> io::Result<()>;
}

/// An action to run once a change is on disk, for example sending a webhook.
pub(super) type Effect = Box<dyn FnOnce() + Send>;

/// State shared between the writer and the submitters.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) memory: OnceLock<Weak<dyn Memory>>,
    pub(super) effects: Mutex<Effects>,
}

/// Effects of changes that are not on disk yet, with the numbers of the changes.
#[derive(Default)]
pub(super) struct Effects {
    pub(super) waiting: VecDeque<(u64, Effect)>,
    /// All changes up to this number were written or have failed.
    pub(super) done: u64,
}

impl Effects {
    /// Runs the effects of changes up to a number. The lock is held, so they run in order.
    pub(super) fn run(&mut self, written: u64) {
        self.done = self.done.max(written);
        while self.waiting.front().is_some_and(|(number, _)| *number <= written) {
            if let Some((_, effect)) = self.waiting.pop_front() {
                effect();
            }
        }
    }

    /// Removes and returns the effects of changes up to a number.
    pub(super) fn take(&mut self, written: u64) -> Vec<Effect> {
        let count = self.waiting.iter().take_while(|(number, _)| *number <= written).count();
        self.waiting.drain(..count).map(|(_, effect)| effect).collect()
    }

    /// Drops the effects of failed changes.
    pub(super) fn drop_failed(&mut self, failed: u64) {
        self.done = self.done.max(failed);
        self.waiting.retain(|(number, _)| *number > failed);
    }
}
