//! Effects of changes, which happen when the changes are on the disk.

use std::collections::VecDeque;
use std::io;
use std::sync::{Mutex, OnceLock, Weak};

use super::row::StoredRow;

/// The memory whose changes are written. When they could not be, it becomes what the file has.
pub(crate) trait Memory: Send + Sync {
    /// Calls `read` while nothing can be changed, and becomes what it returns.
    ///
    /// # Errors
    ///
    /// Returns the error of `read`. Then nothing was changed.
    fn roll_back(&self, read: &mut dyn FnMut() -> io::Result<Vec<StoredRow>>) -> io::Result<()>;
}

/// What happens when a change is on the disk, for example that a webhook is sent.
pub(super) type Effect = Box<dyn FnOnce() + Send>;

/// What the writer shares with those who submit.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) memory: OnceLock<Weak<dyn Memory>>,
    pub(super) effects: Mutex<Effects>,
}

/// The effects of changes that are not on the disk, by the numbers of the changes.
#[derive(Default)]
pub(super) struct Effects {
    pub(super) waiting: VecDeque<(u64, Effect)>,
    /// Up to this number, all was written or has failed.
    pub(super) done: u64,
}

impl Effects {
    /// Runs the effects of what was written. The lock is held, so they happen in their order.
    pub(super) fn run(&mut self, written: u64) {
        self.done = self.done.max(written);
        while self.waiting.front().is_some_and(|(number, _)| *number <= written) {
            if let Some((_, effect)) = self.waiting.pop_front() {
                effect();
            }
        }
    }

    /// Forgets the effects of what could not be written.
    pub(super) fn drop_failed(&mut self, failed: u64) {
        self.done = self.done.max(failed);
        self.waiting.retain(|(number, _)| *number > failed);
    }
}
