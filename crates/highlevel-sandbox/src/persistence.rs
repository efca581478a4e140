//! Persistence of the model and the credentials in a state file.
//!
//! The file is a [redb](https://docs.rs/redb) database. Its main table maps kind and ID of a row to a sequence number,
//! which preserves the insertion order, and JSON. A dedicated thread writes it. Changes that arrive while the disk is busy
//! are written in one transaction, which is synced (`fdatasync`, on macOS `F_FULLFSYNC`) before it is reported as
//! committed.

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

/// An open state file. Writes changes in the order of submission. Dropping it writes pending changes first.
pub(crate) struct Store {
    /// The sender, `None` once closed, and the number of changes submitted.
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
    /// Opens or creates a file. Returns its rows, oldest first, and the number of rows that exceed the limits.
    ///
    /// # Errors
    ///
    /// Returns an error if another sandbox has the file open, if it is not a state file or damaged, or if the operating
    /// system rejects an operation.
    pub(crate) fn open(path: &Path, limits: ReadLimits) -> io::Result<(Self, Vec<StoredRow>, usize)> {
        let (file, rows, unread) = StateFile::open(path, limits)?;
        let (sender, jobs) = mpsc::channel();
        let (report, progress) = watch::channel(Progress::default());
        let shared = Arc::new(Shared::default());
        let writer = Writer { file, jobs, report, shared: Arc::clone(&shared), received: 0, uncertain: None };
        let thread =
            thread::Builder::new().name("highlevel-sandbox-store".to_owned()).spawn(move || writer.run())?;
        let store = Self {
            changes: Mutex::new((Some(sender), 0)),
            shared,
            progress,
            thread: Mutex::new(Some(thread)),
        };
        Ok((store, rows, unread))
    }

    /// Sets the memory to roll back when a change cannot be written.
    pub(crate) fn attach(&self, memory: Weak<dyn Memory>) {
        // Attached once, when the sandbox starts.
        let _ = self.shared.memory.set(memory);
    }

    /// Runs an effect once all changes submitted so far are on disk. If one of them cannot be written, the effect never
    /// runs. Effects run in the order of these calls.
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

    /// Returns the current failure, if the file cannot be written.
    pub(crate) fn failure(&self) -> Option<Arc<str>> {
        self.progress.borrow().failure.clone()
    }

    /// Submits changes, which are written atomically. They are on disk when [`committed`](Self::committed) resolves.
    pub(crate) fn write(&self, changes: Vec<RowChange>) {
        self.submit(false, changes);
    }

    /// Submits the replacement of all rows.
    pub(crate) fn replace(&self, changes: Vec<RowChange>) {
        self.submit(true, changes);
    }

    fn submit(&self, clear: bool, changes: Vec<RowChange>) {
        let mut sender = lock(&self.changes);
        sender.1 += 1;
        let job = Job { number: sender.1, clear, changes };
        if let Some(sender) = &sender.0 {
            // A writer that has ended has reported its failure in the progress.
            let _ = sender.send(job);
        }
    }

    /// Returns the totals written since the start.
    pub(crate) fn written(&self) -> Written {
        self.progress.borrow().total
    }

    /// Writes pending changes and closes the file. Later changes are discarded.
    pub(crate) fn close(&self) {
        lock(&self.changes).0.take();
        let thread = lock(&self.thread).take();
        // The last reference may be dropped by the writer thread, which must not join itself.
        if let Some(thread) = thread.filter(|writer| writer.thread().id() != thread::current().id())
            && thread.join().is_err()
        {
            tracing::error!("the writer of the state file panicked");
        }
    }

    /// Returns the number of changes submitted so far.
    pub(crate) fn submitted(&self) -> u64 {
        lock(&self.changes).1
    }

    /// Resolves when all changes submitted so far are on disk.
    ///
    /// # Errors
    ///
    /// Returns an error if they could not be written and the memory was rolled back.
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
