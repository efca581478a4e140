//! The thread that writes to a state file.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::watch;

use super::effects::Shared;
use super::file::StateFile;
use super::row::{self, RowChange};
use crate::sync::lock;

/// How long after an error the file is tried again.
const RETRY: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Job {
    /// Counts up.
    pub(super) number: u64,
    /// Whether all that was kept before is forgotten first.
    pub(super) clear: bool,
    pub(super) changes: Vec<RowChange>,
}

/// How much was written since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) transactions: u64,
    /// Rows that were written or deleted, and the bytes of JSON in them.
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
}

/// How far the writer has come.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress {
    /// Up to this number, all is on the disk or has failed.
    pub(super) done: u64,
    /// The numbers of what has failed, first and last, oldest first.
    pub(super) failed: VecDeque<(u64, u64)>,
    pub(super) total: Written,
    /// Why nothing can be written at the moment.
    pub(super) failure: Option<Arc<str>>,
    /// The last failure, also if something was written since.
    pub(super) last_failure: Option<Arc<str>>,
}

impl Progress {
    /// How many ranges of failed changes are kept, for those who wait for one of them.
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

    /// The result of a change, if it is known.
    pub(super) fn result(&self, number: u64) -> Option<Result<(), Arc<str>>> {
        if number > self.done {
            return None;
        }
        let has_failed = self.failed.iter().any(|(first, last)| (*first..=*last).contains(&number));
        Some(if has_failed { Err(self.last_failure.clone().unwrap_or_default()) } else { Ok(()) })
    }
}

/// The thread that writes.
pub(super) struct Writer {
    pub(super) file: StateFile,
    pub(super) jobs: Receiver<Job>,
    pub(super) report: watch::Sender<Progress>,
    pub(super) shared: Arc<Shared>,
    /// The number of the last job that was received.
    pub(super) received: u64,
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
            // What was changed while the file failed is based on what is not in it.
            let result = match first {
                Some(first) if !is_failing => self.write(first),
                _ => self.recover(),
            };
            if let Err(error) = result {
                self.fail(&error);
            }
        }
    }

    /// Writes a job and all that have come by now in one transaction.
    pub(super) fn write(&mut self, first: Job) -> io::Result<()> {
        let mut batch = Batch::default();
        batch.add(first);
        while let Ok(job) = self.jobs.try_recv() {
            batch.add(job);
        }
        self.received = batch.number;
        let Batch { number, clear, .. } = batch;
        let (rows, bytes) = self.file.write(clear, batch.into_changes())?;
        self.report.send_modify(|progress| {
            progress.done = number;
            progress.total.transactions += 1;
            progress.total.rows += rows;
            progress.total.bytes += bytes;
        });
        lock(&self.shared.effects).run(number);
        Ok(())
    }

    /// Reports an error, and tries to have the memory as the file is.
    pub(super) fn fail(&mut self, error: &io::Error) {
        let failure = format!("the state file cannot be written: {error}");
        if self.report.borrow().failure.is_none() {
            tracing::error!("{failure}; nothing is changed until it can be");
        }
        self.report.send_modify(|progress| progress.failure = Some(failure.clone().into()));
        if let Err(error) = self.roll_back(&failure) {
            tracing::error!("the state file cannot be read: {error}");
            // Those who wait get their error all the same. The memory is rolled back when the file can be read.
            self.fail_received(&failure);
        }
    }

    /// Has all changes fail that were received.
    pub(super) fn fail_received(&mut self, failure: &str) {
        while let Ok(job) = self.jobs.try_recv() {
            self.received = job.number;
        }
        lock(&self.shared.effects).drop_failed(self.received);
        if self.received > self.report.borrow().done {
            self.report.send_modify(|progress| progress.fail(self.received, failure.into()));
        }
    }

    /// Opens the file again and writes something, to see whether that is possible now.
    pub(super) fn recover(&mut self) -> io::Result<()> {
        self.roll_back("the state file could not be written when this was changed")?;
        self.file.write(false, std::iter::empty())?;
        self.report.send_modify(|progress| progress.failure = None);
        tracing::warn!("the state file can be written again");
        Ok(())
    }

    /// Has the memory become what the file has. All changes until then have failed.
    pub(super) fn roll_back(&mut self, failure: &str) -> io::Result<()> {
        let Some(memory) = self.shared.memory.get().and_then(Weak::upgrade) else { return Ok(()) };
        memory.roll_back(&mut || {
            // Nothing is submitted meanwhile.
            let kept = self.file.reopen()?;
            self.fail_received(failure);
            Ok(kept)
        })
    }
}

/// Several jobs as one.
#[derive(Default)]
pub(super) struct Batch {
    /// Of the last job.
    pub(super) number: u64,
    pub(super) clear: bool,
    /// The last change of each row, and its place among all.
    pub(super) changes: BTreeMap<(&'static str, String), (usize, Option<row::Content>, bool)>,
    pub(super) places: usize,
}

impl Batch {
    pub(super) fn add(&mut self, job: Job) {
        self.number = job.number;
        if job.clear {
            self.clear = true;
            self.changes.clear();
        }
        for RowChange { kind, id, content, .. } in job.changes {
            let place = self.places;
            self.places += 1;
            let slot = self.changes.entry((kind, id)).or_insert((place, None, false));
            let was_deleted = slot.0 != place && slot.1.is_none();
            if was_deleted && content.is_some() {
                // A row that is deleted and added again is a new one.
                (slot.0, slot.2) = (place, true);
            }
            slot.1 = content;
        }
    }

    pub(super) fn into_changes(self) -> impl Iterator<Item = RowChange> {
        let mut changes: Vec<_> = self.changes.into_iter().collect();
        changes.sort_by_key(|(_, (place, ..))| *place);
        changes.into_iter().map(|((kind, id), (_, content, is_new))| RowChange { kind, id, content, is_new })
    }
}
