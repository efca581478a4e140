//! Keeping what exists in a file, so that it is there when the sandbox starts again.
//!
//! The file is a [redb](https://docs.rs/redb) database with one table: what it is and its id, to a number that says
//! what was first, and JSON. A thread of its own writes it: all that came while the disk was busy goes in one
//! transaction, which is on the disk (`fdatasync`, on macOS `F_FULLFSYNC`) before anyone is told that it is.

mod effects;
mod file;
mod opening;
mod row;
mod writer;

use std::io;
use std::path::Path;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, Weak};
use std::thread::{self, JoinHandle};

use tokio::sync::watch;

use crate::sync::lock;
pub(crate) use effects::Memory;
use effects::Shared;
pub use file::CHECK_THREAD;
use file::StateFile;
pub(crate) use row::{ReadLimits, RowChange, StoredRow};
pub(crate) use writer::Written;
use writer::{Job, Progress, Writer};

/// Writes changes to a file, in the order in which they come, until it is dropped; then it writes the last ones.
pub(crate) struct Store {
    /// `None` when it is being dropped.
    changes: Mutex<(Option<Sender<Job>>, u64)>,
    shared: Arc<Shared>,
    progress: watch::Receiver<Progress>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Store").field("progress", &self.progress).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens a file, or makes it, and returns what is in it, the oldest first, and how many rows are beyond the limits.
    ///
    /// # Errors
    ///
    /// Another sandbox has it open, it is not a state file, it is damaged, or the operating system says no.
    pub(crate) fn open(path: &Path, limits: ReadLimits) -> io::Result<(Self, Vec<StoredRow>, usize)> {
        let (file, kept, unread) = StateFile::open(path, limits)?;
        let (sender, jobs) = mpsc::channel();
        let (report, progress) = watch::channel(Progress::default());
        let shared = Arc::new(Shared::default());
        let writer = Writer { file, jobs, report, shared: Arc::clone(&shared), received: 0 };
        let thread =
            thread::Builder::new().name("highlevel-sandbox-store".to_owned()).spawn(move || writer.run())?;
        let store = Self {
            changes: Mutex::new((Some(sender), 0)),
            shared,
            progress,
            thread: Mutex::new(Some(thread)),
        };
        Ok((store, kept, unread))
    }

    /// Names the memory to roll back when something cannot be written.
    pub(crate) fn attach(&self, memory: Weak<dyn Memory>) {
        // Attached once, when the sandbox starts.
        let _ = self.shared.memory.set(memory);
    }

    /// Runs an effect when all that was changed until now is on the disk, and never if that fails. Effects happen in the
    /// order of these calls.
    pub(crate) fn when_written(&self, effect: impl FnOnce() + Send + 'static) {
        let number = self.submitted();
        let mut effects = lock(&self.shared.effects);
        let is_written = effects.waiting.is_empty()
            && number <= effects.done
            && matches!(self.progress.borrow().result(number), Some(Ok(())));
        if is_written {
            effect();
        } else if number > effects.done {
            effects.waiting.push_back((number, Box::new(effect)));
        }
    }

    /// The reason why nothing can be written at the moment.
    pub(crate) fn failure(&self) -> Option<Arc<str>> {
        self.progress.borrow().failure.clone()
    }

    /// Has changes written, all together or not at all. They are on the disk when [`committed`](Self::committed) resolves.
    pub(crate) fn write(&self, changes: Vec<RowChange>) {
        self.submit(false, changes);
    }

    /// Has everything forgotten, and this kept instead.
    pub(crate) fn replace(&self, changes: Vec<RowChange>) {
        self.submit(true, changes);
    }

    fn submit(&self, clear: bool, changes: Vec<RowChange>) {
        let mut sender = lock(&self.changes);
        sender.1 += 1;
        let job = Job { number: sender.1, clear, changes };
        if let Some(sender) = &sender.0 {
            // A writer that is gone has said why in its progress.
            let _ = sender.send(job);
        }
    }

    /// How much was written since the start.
    pub(crate) fn written(&self) -> Written {
        self.progress.borrow().total
    }

    /// Writes what is left, and closes the file. What is submitted after that is lost.
    pub(crate) fn close(&self) {
        lock(&self.changes).0.take();
        let thread = lock(&self.thread).take();
        // The writer itself may drop the last one who has the store, and must not wait for itself.
        if let Some(thread) = thread.filter(|writer| writer.thread().id() != thread::current().id())
            && thread.join().is_err()
        {
            tracing::error!("the writer of the state file panicked");
        }
    }

    /// How many changes were made until now.
    pub(crate) fn submitted(&self) -> u64 {
        lock(&self.changes).1
    }

    /// Resolves when all that was changed until now is on the disk.
    ///
    /// # Errors
    ///
    /// It could not be written, and the memory was rolled back.
    pub(crate) async fn committed(&self) -> io::Result<()> {
        let number = self.submitted();
        let mut progress = self.progress.clone();
        let reached = progress.wait_for(|progress| progress.result(number).is_some()).await;
        match reached.map(|progress| progress.result(number)) {
            Ok(Some(Err(failure))) => Err(io::Error::other(failure.to_string())),
            Ok(_) => Ok(()),
            Err(_) => Err(io::Error::other("the writer of the state file has ended")),
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests;
