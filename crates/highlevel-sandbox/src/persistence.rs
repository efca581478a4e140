//! Keeping what exists in a file, so that it is there when the sandbox starts again.
//!
//! The file is a [redb](https://docs.rs/redb) database with one table: what it is and its id, to a number that says
//! what was first, and JSON. A thread of its own writes it: all that came while the disk was busy goes in one
//! transaction, which is on the disk (`fdatasync`, on macOS `F_FULLFSYNC`) before anyone is told that it is.

mod file;
mod opening;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;

use crate::model::Record;
use crate::sync::lock;
pub use file::CHECK_THREAD;
use file::StateFile;

/// How long after an error the file is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// A row that was in the file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StoredRow {
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
pub(crate) struct RowChange {
    kind: &'static str,
    id: String,
    content: Option<Content>,
    /// The row is a new one, though there was one with this id: it comes after all others.
    is_new: bool,
}

/// What is written. It becomes text in the thread that writes.
#[derive(Debug)]
enum Content {
    Record(Record),
    Json(Value),
}

impl RowChange {
    pub(crate) fn record(record: Record) -> Self {
        let (kind, id) = (record.kind().as_str(), record.id().to_owned());
        Self { kind, id, content: Some(Content::Record(record)), is_new: false }
    }

    pub(crate) fn json((kind, id): (&'static str, String), value: Option<Value>) -> Self {
        Self { kind, id, content: value.map(Content::Json), is_new: false }
    }

    pub(crate) fn gone(kind: &'static str, id: String) -> Self {
        Self { kind, id, content: None, is_new: false }
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
type Effect = Box<dyn FnOnce() + Send>;

/// Writes changes to a file, in the order in which they come, until it is dropped; then it writes the last ones.
pub(crate) struct Store {
    /// `None` when it is being dropped.
    changes: Mutex<(Option<Sender<Job>>, u64)>,
    shared: Arc<Shared>,
    progress: watch::Receiver<Progress>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the writer shares with those who submit.
#[derive(Default)]
struct Shared {
    memory: OnceLock<Weak<dyn Memory>>,
    effects: Mutex<Effects>,
}

/// The effects of changes that are not on the disk, by the numbers of the changes.
#[derive(Default)]
struct Effects {
    waiting: VecDeque<(u64, Effect)>,
    /// Up to this number, all was written or has failed.
    done: u64,
}

impl Effects {
    /// Runs the effects of what was written. The lock is held, so they happen in their order.
    fn run(&mut self, written: u64) {
        self.done = self.done.max(written);
        while self.waiting.front().is_some_and(|(number, _)| *number <= written) {
            if let Some((_, effect)) = self.waiting.pop_front() {
                effect();
            }
        }
    }

    /// Forgets the effects of what could not be written.
    fn drop_failed(&mut self, failed: u64) {
        self.done = self.done.max(failed);
        self.waiting.retain(|(number, _)| *number > failed);
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Store").field("progress", &self.progress).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Job {
    /// Counts up.
    number: u64,
    /// Whether all that was kept before is forgotten first.
    clear: bool,
    changes: Vec<RowChange>,
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
    /// Up to this number, all is on the disk or has failed.
    done: u64,
    /// The numbers of what has failed, first and last, oldest first.
    failed: VecDeque<(u64, u64)>,
    total: Written,
    /// Why nothing can be written at the moment.
    failure: Option<Arc<str>>,
    /// The last failure, also if something was written since.
    last_failure: Option<Arc<str>>,
}

impl Progress {
    /// How many ranges of failed changes are kept, for those who wait for one of them.
    const MAX_FAILED: usize = 1_000;

    fn fail(&mut self, to: u64, failure: Arc<str>) {
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
    fn result(&self, number: u64) -> Option<Result<(), Arc<str>>> {
        if number > self.done {
            return None;
        }
        let has_failed = self.failed.iter().any(|(first, last)| (*first..=*last).contains(&number));
        Some(if has_failed { Err(self.last_failure.clone().unwrap_or_default()) } else { Ok(()) })
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
    pub(crate) fn keep(&self, changes: Vec<RowChange>) {
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

/// The thread that writes.
struct Writer {
    file: StateFile,
    jobs: Receiver<Job>,
    report: watch::Sender<Progress>,
    shared: Arc<Shared>,
    /// The number of the last job that was received.
    received: u64,
}

impl Writer {
    fn run(mut self) {
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
    fn write(&mut self, first: Job) -> io::Result<()> {
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
    fn fail(&mut self, error: &io::Error) {
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
    fn fail_received(&mut self, failure: &str) {
        while let Ok(job) = self.jobs.try_recv() {
            self.received = job.number;
        }
        lock(&self.shared.effects).drop_failed(self.received);
        if self.received > self.report.borrow().done {
            self.report.send_modify(|progress| progress.fail(self.received, failure.into()));
        }
    }

    /// Opens the file again and writes something, to see whether that is possible now.
    fn recover(&mut self) -> io::Result<()> {
        self.roll_back("the state file could not be written when this was changed")?;
        self.file.write(false, std::iter::empty())?;
        self.report.send_modify(|progress| progress.failure = None);
        tracing::warn!("the state file can be written again");
        Ok(())
    }

    /// Has the memory become what the file has. All changes until then have failed.
    fn roll_back(&mut self, failure: &str) -> io::Result<()> {
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
struct Batch {
    /// Of the last job.
    number: u64,
    clear: bool,
    /// The last change of each row, and its place among all.
    changes: BTreeMap<(&'static str, String), (usize, Option<Content>, bool)>,
    places: usize,
}

impl Batch {
    fn add(&mut self, job: Job) {
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

    fn into_changes(self) -> impl Iterator<Item = RowChange> {
        let mut changes: Vec<_> = self.changes.into_iter().collect();
        changes.sort_by_key(|(_, (place, ..))| *place);
        changes.into_iter().map(|((kind, id), (_, content, is_new))| RowChange { kind, id, content, is_new })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn change(kind: &'static str, id: &str, value: Option<Value>) -> RowChange {
        RowChange::json((kind, id.to_owned()), value)
    }

    fn open_within(path: &Path, rows: usize, bytes: usize) -> (Store, Vec<(String, Value)>) {
        let (store, kept, _) = Store::open(path, ReadLimits { kind: "m", rows, bytes }).unwrap();
        let shown = |kept: StoredRow| {
            (format!("{}/{}", kept.kind, kept.id), serde_json::from_slice(&kept.json).unwrap())
        };
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
        store.committed().await.unwrap();
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

    #[test]
    fn of_many_that_open_a_file_at_once_exactly_one_gets_it() {
        let directory = tempdir();
        for round in 0..500 {
            let path = directory.0.join(round.to_string());
            match round % 3 {
                0 => std::fs::write(&path, "").unwrap(),
                1 => drop(open(&path)),
                _ => {}
            }
            let start = std::sync::Barrier::new(3);
            let opened: Vec<_> = thread::scope(|scope| {
                let opening = || {
                    start.wait();
                    Store::open(&path, ReadLimits { kind: "m", rows: 1, bytes: 1 })
                };
                let threads: Vec<_> = (0..3).map(|_| scope.spawn(opening)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            let (ready, refused): (Vec<_>, Vec<_>) = opened.into_iter().partition(Result::is_ok);
            assert_eq!(ready.len(), 1, "round {round}");
            for error in refused.into_iter().filter_map(Result::err).map(|error| error.to_string()) {
                assert!(error.contains("is in use by another sandbox"), "round {round}: {error}");
            }
            drop(ready);
            drop(open(&path));
        }
        let names = std::fs::read_dir(&directory.0).unwrap().count();
        assert_eq!(names, 500, "files under construction were left");
    }

    /// A damaged file is refused and stays as it is, or it starts with all that was in it.
    #[test]
    fn a_damaged_file_is_refused_unchanged_or_read_whole() {
        let directory = tempdir();
        let path = directory.0.join("state");
        let (store, _) = open(&path);
        for number in 0..300 {
            store.keep(vec![change("m", &number.to_string(), Some(json!("x".repeat(number * 7))))]);
        }
        drop(store);
        let whole = std::fs::read(&path).unwrap();
        let expected = open(&path).1;
        let mut rng = fastrand::Rng::with_seed(14);
        let (mut started, mut refused) = (0, 0);
        for round in 0..500 {
            let mut damaged = whole.clone();
            match rng.u8(..5) {
                0 => damaged.truncate(rng.usize(..whole.len())),
                1 => damaged.extend(std::iter::repeat_n(rng.u8(..), rng.usize(1..100_000))),
                2 => {
                    let (start, count) = (rng.usize(..whole.len()), rng.usize(1..10_000));
                    let end = (start + count).min(whole.len());
                    damaged[start..end].fill(rng.u8(..));
                }
                _ => {
                    for _ in 0..rng.usize(1..20) {
                        // Often in the header, where it matters most.
                        let end = if rng.bool() { whole.len() } else { 512 };
                        let place = rng.usize(..end);
                        damaged[place] ^= 1 << rng.u8(..8);
                    }
                }
            }
            let path = directory.0.join(format!("damaged-{round}"));
            std::fs::write(&path, &damaged).unwrap();
            match Store::open(&path, ReadLimits { kind: "m", rows: usize::MAX, bytes: usize::MAX }) {
                Ok((store, kept, _)) => {
                    // An empty file is one that nothing was written to.
                    let is_whole = damaged.is_empty() && kept.is_empty() || kept.len() == expected.len();
                    assert!(is_whole, "round {round}: {} of {} rows", kept.len(), expected.len());
                    for (kept, (_, value)) in kept.iter().zip(&expected) {
                        assert_eq!(serde_json::from_slice::<Value>(&kept.json).unwrap(), *value);
                    }
                    drop(store);
                    started += 1;
                }
                Err(error) => {
                    assert!(std::fs::read(&path).unwrap() == damaged, "round {round}: changed, {error}");
                    refused += 1;
                }
            }
            std::fs::remove_file(&path).unwrap();
        }
        println!("of 500 damaged files {started} were read whole, {refused} were refused");
        assert!(started > 0 && refused > 300);
    }

    #[test]
    fn a_row_that_is_deleted_and_added_again_comes_last() {
        let directory = tempdir();
        let path = directory.0.join("state");
        let ids = |kept: Vec<(String, Value)>| kept.into_iter().map(|(id, _)| id).collect::<Vec<_>>();
        let (store, _) = open(&path);
        let put = |id: &str| change("a", id, Some(json!(1)));
        store.keep(vec![put("1"), put("2"), put("3")]);
        // In one transaction, and in two.
        store.keep(vec![change("a", "1", None), put("1")]);
        store.keep(vec![change("a", "2", None)]);
        drop(store);
        let (store, kept) = open(&path);
        assert_eq!(ids(kept), ["a/3", "a/1"]);
        store.keep(vec![put("2"), change("a", "3", None), put("4"), put("3")]);
        drop(store);
        let (store, kept) = open(&path);
        assert_eq!(ids(kept), ["a/1", "a/2", "a/4", "a/3"]);
        store.replace(vec![put("4"), put("1"), change("a", "4", None), put("4")]);
        drop(store);
        assert_eq!(ids(open(&path).1), ["a/1", "a/4"]);
    }

    #[tokio::test]
    async fn effects_happen_in_order_when_their_changes_are_written() {
        let directory = tempdir();
        let (store, _) = open(&directory.0.join("state"));
        let seen = Arc::new(Mutex::new(Vec::new()));
        for number in 0..200 {
            store.keep(vec![change("a", &number.to_string(), Some(json!(number)))]);
            let seen = Arc::clone(&seen);
            store.when_written(move || lock(&seen).push(number));
        }
        store.committed().await.unwrap();
        store.close();
        assert_eq!(*lock(&seen), (0..200).collect::<Vec<_>>());
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
