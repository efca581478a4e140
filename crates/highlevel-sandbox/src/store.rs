//! Keeping what exists in a file, so that it is there when the sandbox starts again.
//!
//! The file is a [redb](https://docs.rs/redb) database with one table: what it is and its id, to a number that says
//! what was first, and JSON. A thread of its own writes it: all that came while the disk was busy goes in one
//! transaction, which is on the disk (`fdatasync`, on macOS `F_FULLFSYNC`) before anyone is told that it is.

mod file;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use serde_json::Value;
use tokio::sync::watch;

use crate::server::lock;
use file::StateFile;

/// What is kept of one thing.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Kept {
    pub(crate) kind: String,
    pub(crate) id: String,
    pub(crate) value: Value,
}

/// Something that is to be kept, or, without a value, forgotten.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) kind: &'static str,
    pub(crate) id: String,
    pub(crate) value: Option<Value>,
}

/// Writes changes to a file, in the order in which they come, until it is dropped; then it writes the last ones.
#[derive(Debug)]
pub(crate) struct Store {
    /// `None` when it is being dropped.
    changes: Mutex<(Option<Sender<Job>>, u64)>,
    progress: watch::Receiver<Progress>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Job {
    /// Counts up.
    number: u64,
    /// Whether all that was kept before is forgotten first.
    clear: bool,
    changes: Vec<Change>,
}

/// How far the writer has come.
#[derive(Clone, Debug, Default)]
struct Progress {
    /// Up to this number, all is on the disk.
    written: u64,
    /// Why nothing is written any more.
    failure: Option<Arc<str>>,
}

impl Store {
    /// Opens a file, or makes it, and answers what is in it, the oldest first.
    ///
    /// # Errors
    ///
    /// Another sandbox has it open, it is not a state file, it is damaged, or the operating system says no.
    pub(crate) fn open(path: &Path) -> io::Result<(Self, Vec<Kept>)> {
        let (file, kept) = StateFile::open(path)?;
        let (sender, jobs) = mpsc::channel();
        let (report, progress) = watch::channel(Progress::default());
        let thread = thread::Builder::new()
            .name("highlevel-sandbox-store".to_owned())
            .spawn(move || write_all(file, &jobs, &report))?;
        Ok((Self { changes: Mutex::new((Some(sender), 0)), progress, thread: Some(thread) }, kept))
    }

    /// Has changes written, all together or not at all. They are on the disk when [`settled`](Self::settled) resolves.
    pub(crate) fn keep(&self, changes: Vec<Change>) {
        self.submit(false, changes);
    }

    /// Has everything forgotten, and this kept instead.
    pub(crate) fn replace(&self, changes: Vec<Change>) {
        self.submit(true, changes);
    }

    fn submit(&self, clear: bool, changes: Vec<Change>) {
        let mut sender = lock(&self.changes);
        sender.1 += 1;
        let job = Job { number: sender.1, clear, changes };
        if let Some(sender) = &sender.0 {
            // A writer that is gone has said why in its progress.
            let _ = sender.send(job);
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
    /// It could not be written, and nothing is written any more.
    pub(crate) async fn settled(&self) -> io::Result<()> {
        let number = self.submitted();
        let mut progress = self.progress.clone();
        let reached =
            progress.wait_for(|progress| progress.failure.is_some() || progress.written >= number).await;
        match reached.map(|progress| progress.failure.clone()) {
            Ok(None) => Ok(()),
            Ok(Some(failure)) => Err(io::Error::other(failure.to_string())),
            Err(_) => Err(io::Error::other("the writer of the state file has ended")),
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        lock(&self.changes).0.take();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the writer of the state file panicked");
        }
    }
}

fn write_all(mut file: StateFile, jobs: &Receiver<Job>, report: &watch::Sender<Progress>) {
    while let Ok(first) = jobs.recv() {
        let (mut clear, mut number) = (false, 0);
        let mut changes = BTreeMap::new();
        let mut place = 0_usize;
        for job in std::iter::once(first).chain(jobs.try_iter()) {
            number = job.number;
            if job.clear {
                clear = true;
                changes.clear();
            }
            for change in job.changes {
                // The last word on each thing counts, in the place of the first.
                let slot = changes.entry((change.kind, change.id)).or_insert((place, None));
                slot.1 = change.value;
                place += 1;
            }
        }
        let mut changes: Vec<_> = changes.into_iter().collect();
        changes.sort_by_key(|(_, (place, _))| *place);
        let changes = changes.into_iter().map(|((kind, id), (_, value))| Change { kind, id, value });
        match file.write(clear, changes) {
            Ok(()) => {
                report.send_modify(|progress| progress.written = number);
            }
            Err(error) => {
                tracing::error!(%error, "the state file cannot be written");
                let failure = format!("the state file cannot be written: {error}");
                report.send_modify(|progress| progress.failure = Some(failure.into()));
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn change(kind: &'static str, id: &str, value: Option<Value>) -> Change {
        Change { kind, id: id.to_owned(), value }
    }

    fn open(path: &Path) -> (Store, Vec<(String, Value)>) {
        let (store, kept) = Store::open(path).unwrap();
        (store, kept.into_iter().map(|kept| (format!("{}/{}", kept.kind, kept.id), kept.value)).collect())
    }

    #[tokio::test]
    async fn what_is_kept_is_there_again_in_its_order() {
        let directory = tempdir();
        let path = directory.0.join("state");
        let (store, kept) = open(&path);
        assert_eq!(kept, []);
        store.keep(vec![change("b", "2", Some(json!(1))), change("a", "1", Some(json!("x")))]);
        store.keep(vec![change("c", "", Some(json!(null))), change("b", "2", Some(json!({"now": 2})))]);
        store.keep(vec![change("a", "9", Some(json!(9))), change("a", "9", None)]);
        store.settled().await.unwrap();
        drop(store);
        let expected = [("b/2", json!({"now": 2})), ("a/1", json!("x")), ("c/", json!(null))];
        let expected = expected.map(|(id, value)| (id.to_owned(), value));
        let (store, kept) = open(&path);
        assert_eq!(kept, expected);
        // Without waiting: what is dropped writes first.
        store.keep(vec![change("b", "2", None)]);
        drop(store);
        let (store, kept) = open(&path);
        assert_eq!(kept, expected[1..]);
        store.replace(vec![change("d", "1", Some(json!(1)))]);
        drop(store);
        assert_eq!(open(&path).1, [("d/1".to_owned(), json!(1))]);
    }

    struct Directory(std::path::PathBuf);

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn tempdir() -> Directory {
        let path = std::env::temp_dir().join(crate::identifiers::Identifiers::new(None).uuid());
        std::fs::create_dir(&path).unwrap();
        Directory(path)
    }
}
