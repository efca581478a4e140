//! Keeping what exists in a file, so that it is there when the sandbox starts again.
//!
//! The file is a [redb](https://docs.rs/redb) database with one table: what it is and its id, to a number that says
//! what was first, and JSON. A thread of its own writes it: all that came while the disk was busy goes in one
//! transaction, which is on the disk (`fdatasync`, on macOS `F_FULLFSYNC`) before anyone is told that it is.

mod file;
#[allow(dead_code, reason = "integrated next")]
mod opening;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use serde_json::Value;
use tokio::sync::watch;

use crate::server::lock;
use crate::world::Record;
use file::StateFile;

/// A row that was in the file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Kept {
    pub(crate) kind: String,
    pub(crate) id: String,
    pub(crate) json: Vec<u8>,
}

/// How much is read of a file that has more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadLimits {
    /// The kind of which the oldest rows are left out.
    pub(crate) kind: &'static str,
    /// How many rows of it are read, and how many bytes of JSON.
    pub(crate) rows: usize,
    pub(crate) bytes: usize,
}

/// A row that is to be written, or, without content, deleted.
#[derive(Debug)]
pub(crate) struct Change {
    kind: &'static str,
    id: String,
    content: Option<Content>,
}

/// What is written. It becomes text in the thread that writes.
#[derive(Debug)]
enum Content {
    Record(Record),
    Json(Value),
}

impl Change {
    pub(crate) fn record(record: Record) -> Self {
        let (kind, id) = (record.kind().as_str(), record.id().to_owned());
        Self { kind, id, content: Some(Content::Record(record)) }
    }

    pub(crate) fn json((kind, id): (&'static str, String), value: Option<Value>) -> Self {
        Self { kind, id, content: value.map(Content::Json) }
    }

    pub(crate) fn gone(kind: &'static str, id: String) -> Self {
        Self { kind, id, content: None }
    }
}

impl Content {
    fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        match self {
            Self::Record(record) => record.to_json(),
            Self::Json(value) => serde_json::to_vec(value),
        }
    }
}

/// Writes changes to a file, in the order in which they come, until it is dropped; then it writes the last ones.
#[derive(Debug)]
pub(crate) struct Store {
    /// `None` when it is being dropped.
    changes: Mutex<(Option<Sender<Job>>, u64)>,
    progress: watch::Receiver<Progress>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Job {
    /// Counts up.
    number: u64,
    /// Whether all that was kept before is forgotten first.
    clear: bool,
    changes: Vec<Change>,
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
struct Progress {
    /// Up to this number, all is on the disk.
    written: u64,
    total: Written,
    /// Why nothing is written any more.
    failure: Option<Arc<str>>,
}

impl Store {
    /// Opens a file, or makes it, and returns what is in it, the oldest first, and how many rows are beyond the limits.
    ///
    /// # Errors
    ///
    /// Another sandbox has it open, it is not a state file, it is damaged, or the operating system says no.
    pub(crate) fn open(path: &Path, limits: ReadLimits) -> io::Result<(Self, Vec<Kept>, usize)> {
        let (file, kept, unread) = StateFile::open(path, limits)?;
        let (sender, jobs) = mpsc::channel();
        let (report, progress) = watch::channel(Progress::default());
        let thread = thread::Builder::new()
            .name("highlevel-sandbox-store".to_owned())
            .spawn(move || write_all(file, &jobs, &report))?;
        Ok((
            Self { changes: Mutex::new((Some(sender), 0)), progress, thread: Mutex::new(Some(thread)) },
            kept,
            unread,
        ))
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

    /// How much was written since the start.
    pub(crate) fn written(&self) -> Written {
        self.progress.borrow().total
    }

    /// Writes what is left, and closes the file. What is submitted after that is lost.
    pub(crate) fn close(&self) {
        lock(&self.changes).0.take();
        if let Some(thread) = lock(&self.thread).take()
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
        self.close();
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
                slot.1 = change.content;
                place += 1;
            }
        }
        let mut changes: Vec<_> = changes.into_iter().collect();
        changes.sort_by_key(|(_, (place, _))| *place);
        let changes = changes.into_iter().map(|((kind, id), (_, content))| Change { kind, id, content });
        match file.write(clear, changes) {
            Ok((rows, bytes)) => report.send_modify(|progress| {
                progress.written = number;
                progress.total.transactions += 1;
                progress.total.rows += rows;
                progress.total.bytes += bytes;
            }),
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
        Change::json((kind, id.to_owned()), value)
    }

    fn open_within(path: &Path, rows: usize, bytes: usize) -> (Store, Vec<(String, Value)>) {
        let (store, kept, _) = Store::open(path, ReadLimits { kind: "m", rows, bytes }).unwrap();
        let shown =
            |kept: Kept| (format!("{}/{}", kept.kind, kept.id), serde_json::from_slice(&kept.json).unwrap());
        (store, kept.into_iter().map(shown).collect())
    }

    fn open(path: &Path) -> (Store, Vec<(String, Value)>) {
        open_within(path, usize::MAX, usize::MAX)
    }

    #[test]
    fn of_more_messages_than_are_kept_the_newest_are_read() {
        let directory = tempdir();
        let path = directory.0.join("state");
        let (store, _) = open(&path);
        store.keep(vec![change("a", "1", Some(json!("x".repeat(1_000))))]);
        let text = json!("x".repeat(98));
        for number in 0..10 {
            store.keep(vec![change("m", &number.to_string(), Some(text.clone()))]);
        }
        store.close();
        for (rows, bytes, oldest) in [(3, 1_000, "m/7"), (10, 1_000, "m/0"), (10, 499, "m/6"), (10, 0, "")] {
            let (_store, kept) = open_within(&path, rows, bytes);
            let messages: Vec<_> = kept.iter().map(|(id, _)| id.as_str()).filter(|id| *id != "a/1").collect();
            assert_eq!(messages.first().copied().unwrap_or_default(), oldest, "{rows} rows, {bytes} bytes");
            assert_eq!(kept.len(), messages.len() + 1, "other rows are all read");
        }
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
