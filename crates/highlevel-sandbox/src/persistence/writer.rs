//! The thread that writes the state file.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::watch;

use super::effects::Shared;
use super::file::StateFile;
use super::row::{self, RowChange, StoredRow};
use crate::sync::lock;

/// The delay before a failed file is retried.
const RETRY: Duration = Duration::from_secs(1);

/// Changes to write atomically.
#[derive(Debug)]
pub(super) struct Job {
    /// The sequence number of the job, starting with 1.
    pub(super) number: u64,
    /// `true` to delete all existing rows first.
    pub(super) clear: bool,
    pub(super) changes: Vec<RowChange>,
}

/// Totals written since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) transactions: u64,
    /// Rows that were written or deleted.
    pub(crate) rows: u64,
    /// The size of the JSON in these rows, in bytes.
    pub(crate) bytes: u64,
}

/// The progress of the writer.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress {
    /// All jobs up to this number are on disk or have failed.
    pub(super) done: u64,
    /// Ranges of failed jobs, first and last number, oldest first.
    pub(super) failed: VecDeque<(u64, u64)>,
    pub(super) total: Written,
    /// The current failure, if the file cannot be written.
    pub(super) failure: Option<Arc<str>>,
    /// The last failure, even if writes have succeeded since.
    pub(super) last_failure: Option<Arc<str>>,
}

impl Progress {
    /// The maximum number of ranges retained for tasks that wait for a result.
    const MAX_FAILED: usize = 1_000;

    pub(super) fn fail(&mut self, to: u64, failure: Arc<str>) {
        if to > self.done {
            match self.failed.back_mut() {
                Some((_, last)) if *last == self.done => *last = to,
                _ => self.failed.push_back((self.done + 1, to)),
            }
            if self.failed.len() > Self::MAX_FAILED {
                self.failed.pop_front();
            }
            self.done = to;
        }
        self.last_failure = Some(Arc::clone(&failure));
        self.failure = Some(failure);
    }

    /// Returns the result of a job, or `None` if it is pending.
    pub(super) fn result(&self, number: u64) -> Option<Result<(), Arc<str>>> {
        if number > self.done {
            return None;
        }
        let has_failed = self.failed.iter().any(|(first, last)| (*first..=*last).contains(&number));
        Some(if has_failed { Err(self.last_failure.clone().unwrap_or_default()) } else { Ok(()) })
    }
}

/// The state of the writer thread.
pub(super) struct Writer {
    pub(super) file: StateFile,
    pub(super) jobs: Receiver<Job>,
    pub(super) report: watch::Sender<Progress>,
    pub(super) shared: Arc<Shared>,
    /// The number of the last received job.
    pub(super) received: u64,
    /// The transaction that failed last, until its result is known.
    pub(super) uncertain: Option<Transaction>,
}

/// The changes of a transaction, and the number of its last job.
pub(super) struct Transaction {
    pub(super) number: u64,
    pub(super) clear: bool,
    pub(super) changes: Vec<RowChange>,
}

impl Writer {
    pub(super) fn run(mut self) {
        loop {
            let is_failing = self.report.borrow().failure.is_some();
            let first = if is_failing {
                match self.jobs.recv_timeout(RETRY) {
                    Ok(job) => Some(job),
                    Err(RecvTimeoutError::Timeout) => None,
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            } else {
                let Ok(job) = self.jobs.recv() else { return };
                Some(job)
            };
            self.received = first.as_ref().map_or(self.received, |job| job.number);
            // Jobs submitted after a failure are based on changes that are not in the file, so they fail, too.
            let result = match first {
                Some(first) if !is_failing => self.write(first),
                _ => self.recover(),
            };
            if let Err(error) = result {
                self.fail(&error);
            }
        }
    }

    /// Writes a job, and all that are queued, in one transaction.
    pub(super) fn write(&mut self, first: Job) -> io::Result<()> {
        let mut batch = Batch::default();
        batch.add(first);
        while let Ok(job) = self.jobs.try_recv() {
            batch.add(job);
        }
        self.received = batch.number;
        let transaction = batch.into_transaction();
        let written = self.file.write(transaction.clear, &transaction.changes);
        let number = transaction.number;
        if written.is_err() {
            self.uncertain = Some(transaction);
        }
        let (rows, bytes) = written?;
        self.report.send_modify(|progress| {
            progress.done = number;
            progress.total.transactions += 1;
            progress.total.rows += rows;
            progress.total.bytes += bytes;
        });
        lock(&self.shared.effects).run(number);
        Ok(())
    }

    /// Reports an error, and tries to reload the memory from the file.
    pub(super) fn fail(&mut self, error: &io::Error) {
        let failure = format!("the state file cannot be written: {error}");
        if self.report.borrow().failure.is_none() {
            tracing::error!("{failure}; changes are rejected until it can be written");
        }
        self.report.send_modify(|progress| progress.failure = Some(failure.clone().into()));
        if let Err(error) = self.roll_back(&failure) {
            tracing::error!("the state file cannot be read: {error}");
            // Waiting tasks get their error now. The memory is rolled back once the file can be read.
            self.fail_received(&failure);
        }
    }

    /// Fails all jobs that are received or queued.
    pub(super) fn fail_received(&mut self, failure: &str) {
        while let Ok(job) = self.jobs.try_recv() {
            self.received = job.number;
        }
        lock(&self.shared.effects).drop_failed(self.received);
        if self.received > self.report.borrow().done {
            self.report.send_modify(|progress| progress.fail(self.received, failure.into()));
        }
    }

    /// Reopens the file, and verifies with an empty transaction that it can be written.
    pub(super) fn recover(&mut self) -> io::Result<()> {
        self.roll_back("the state file could not be written at the time of the change")?;
        self.file.write(false, &[])?;
        self.report.send_modify(|progress| progress.failure = None);
        tracing::warn!("the state file is writable again");
        Ok(())
    }

    /// Reloads the memory from the file, and fails all jobs submitted until then, except those of a transaction that is
    /// in the file although its commit returned an error.
    pub(super) fn roll_back(&mut self, failure: &str) -> io::Result<()> {
        let Some(memory) = self.shared.memory.get().and_then(Weak::upgrade) else { return Ok(()) };
        let mut effects = Vec::new();
        let result = memory.roll_back(&mut || {
            // The memory is locked, so no job is submitted meanwhile.
            let rows = self.file.reopen()?;
            if let Some(transaction) = self.uncertain.take().filter(|transaction| transaction.is_in(&rows)) {
                effects = lock(&self.shared.effects).take(transaction.number);
                self.report.send_modify(|progress| progress.done = progress.done.max(transaction.number));
            }
            self.fail_received(failure);
            Ok(rows)
        });
        self.uncertain = None;
        // Only now, because effects may lock the memory.
        for effect in effects {
            effect();
        }
        result
    }
}

/// Several jobs merged into one.
#[derive(Default)]
pub(super) struct Batch {
    /// The number of the last job.
    pub(super) number: u64,
    pub(super) clear: bool,
    /// The position, the final content and the `is_new` flag of each changed row.
    pub(super) changes: BTreeMap<(&'static str, String), (usize, Option<row::RowContent>, bool)>,
    /// The position of the next change.
    pub(super) next_position: usize,
}

impl Batch {
    pub(super) fn add(&mut self, job: Job) {
        self.number = job.number;
        if job.clear {
            self.clear = true;
            self.changes.clear();
        }
        for RowChange { kind, id, content, .. } in job.changes {
            let position = self.next_position;
            self.next_position += 1;
            let slot = self.changes.entry((kind, id)).or_insert((position, None, false));
            let was_deleted = slot.0 != position && slot.1.is_none();
            if was_deleted && content.is_some() {
                // A deleted and recreated row gets a new sequence number.
                (slot.0, slot.2) = (position, true);
            }
            slot.1 = content;
        }
    }

    pub(super) fn into_transaction(self) -> Transaction {
        let mut changes: Vec<_> = self.changes.into_iter().collect();
        changes.sort_by_key(|(_, (position, ..))| *position);
        let row = |((kind, id), (_, content, is_new))| RowChange { kind, id, content, is_new };
        let changes = changes.into_iter().map(row).collect();
        Transaction { number: self.number, clear: self.clear, changes }
    }
}

impl Transaction {
    /// Returns `true` if rows read from the file contain all changes.
    pub(super) fn is_in(&self, rows: &[StoredRow]) -> bool {
        let stored: HashMap<(&str, &str), &[u8]> =
            rows.iter().map(|row| ((row.kind.as_str(), row.id.as_str()), row.json.as_slice())).collect();
        let is_written = |change: &RowChange| {
            let stored = stored.get(&(change.kind, change.id.as_str()));
            match &change.content {
                Some(content) => {
                    stored.is_some_and(|stored| content.to_json().is_ok_and(|json| json == **stored))
                }
                None => stored.is_none(),
            }
        };
        let contents = self.changes.iter().filter(|change| change.content.is_some()).count();
        self.changes.iter().all(is_written) && (!self.clear || rows.len() == contents)
    }
}
