//! Tests of state files.

use serde_json::{Value, json};

use super::writer::Transaction;
use super::*;

fn change(kind: &'static str, id: &str, value: Option<Value>) -> RowChange {
    RowChange::json((kind, id.to_owned()), value)
}

fn open_within(path: &Path, rows: usize, bytes: usize) -> (Store, Vec<(String, Value)>) {
    let (store, stored, _) = Store::open(path, ReadLimits { kind: "m", rows, bytes }).unwrap();
    let parsed =
        |row: StoredRow| (format!("{}/{}", row.kind, row.id), serde_json::from_slice(&row.json).unwrap());
    (store, stored.into_iter().map(parsed).collect())
}

fn open(path: &Path) -> (Store, Vec<(String, Value)>) {
    open_within(path, usize::MAX, usize::MAX)
}

#[test]
fn only_the_newest_messages_within_the_limits_are_read() {
    let directory = tempdir();
    let path = directory.0.join("state");
    let (store, _) = open(&path);
    store.write(vec![change("a", "1", Some(json!("x".repeat(1_000))))]);
    let text = json!("x".repeat(98));
    for number in 0..10 {
        store.write(vec![change("m", &number.to_string(), Some(text.clone()))]);
    }
    store.close();
    for (rows, bytes, oldest) in [(3, 1_000, "m/7"), (10, 1_000, "m/0"), (10, 499, "m/6"), (10, 0, "")] {
        let (_store, stored) = open_within(&path, rows, bytes);
        let messages: Vec<_> = stored.iter().map(|(id, _)| id.as_str()).filter(|id| *id != "a/1").collect();
        assert_eq!(messages.first().copied().unwrap_or_default(), oldest, "{rows} rows, {bytes} bytes");
        assert_eq!(stored.len(), messages.len() + 1, "all other rows are read");
    }
}

#[tokio::test]
async fn rows_are_restored_in_insertion_order() {
    let directory = tempdir();
    let path = directory.0.join("state");
    let (store, rows) = open(&path);
    assert_eq!(rows, []);
    store.write(vec![change("b", "2", Some(json!(1))), change("a", "1", Some(json!("x")))]);
    store.write(vec![change("c", "", Some(json!(null))), change("b", "2", Some(json!({"now": 2})))]);
    store.write(vec![change("a", "9", Some(json!(9))), change("a", "9", None)]);
    store.committed().await.unwrap();
    drop(store);
    let expected = [("b/2", json!({"now": 2})), ("a/1", json!("x")), ("c/", json!(null))];
    let expected = expected.map(|(id, value)| (id.to_owned(), value));
    let (store, rows) = open(&path);
    assert_eq!(rows, expected);
    // Dropping the store writes pending changes first.
    store.write(vec![change("b", "2", None)]);
    drop(store);
    let (store, rows) = open(&path);
    assert_eq!(rows, expected[1..]);
    store.replace(vec![change("d", "1", Some(json!(1)))]);
    drop(store);
    assert_eq!(open(&path).1, [("d/1".to_owned(), json!(1))]);
}

#[test]
fn only_one_of_several_concurrent_opens_succeeds() {
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
    assert_eq!(names, 500, "temporary files were left behind");
}

/// Opening a damaged file either fails and leaves the file unchanged, or reads all rows.
#[test]
fn a_damaged_file_is_rejected_unchanged_or_read_completely() {
    let directory = tempdir();
    let path = directory.0.join("state");
    // One transaction for each opening, so that the file has the same bytes in each run, and the seed the same damages.
    for first in (0..300).step_by(20) {
        let (store, _) = open(&path);
        let row = |number: usize| change("m", &number.to_string(), Some(json!("x".repeat(number * 7))));
        store.write((first..first + 20).map(row).collect());
    }
    let whole = std::fs::read(&path).unwrap();
    let expected = open(&path).1;
    let mut rng = fastrand::Rng::with_seed(14);
    let (mut opened, mut rejected) = (0, 0);
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
                    // Half of the flips are in the header, which the database depends on most.
                    let end = if rng.bool() { whole.len() } else { 512 };
                    let place = rng.usize(..end);
                    damaged[place] ^= 1 << rng.u8(..8);
                }
            }
        }
        let path = directory.0.join(format!("damaged-{round}"));
        std::fs::write(&path, &damaged).unwrap();
        match Store::open(&path, ReadLimits { kind: "m", rows: usize::MAX, bytes: usize::MAX }) {
            Ok((store, rows, _)) => {
                // A file truncated to zero bytes is a valid empty state file.
                let is_whole = damaged.is_empty() && rows.is_empty() || rows.len() == expected.len();
                assert!(is_whole, "round {round}: {} of {} rows", rows.len(), expected.len());
                for (row, (_, value)) in rows.iter().zip(&expected) {
                    assert_eq!(serde_json::from_slice::<Value>(&row.json).unwrap(), *value);
                }
                drop(store);
                opened += 1;
            }
            Err(error) => {
                assert!(std::fs::read(&path).unwrap() == damaged, "round {round}: changed, {error}");
                rejected += 1;
            }
        }
        std::fs::remove_file(&path).unwrap();
    }
    println!("of 500 damaged files {opened} were read completely, {rejected} were rejected");
    assert!(opened > 0 && rejected > 300);
}

#[test]
fn a_deleted_and_recreated_row_moves_to_the_end() {
    let directory = tempdir();
    let path = directory.0.join("state");
    let ids = |rows: Vec<(String, Value)>| rows.into_iter().map(|(id, _)| id).collect::<Vec<_>>();
    let (store, _) = open(&path);
    let put = |id: &str| change("a", id, Some(json!(1)));
    store.write(vec![put("1"), put("2"), put("3")]);
    // Row 1 is deleted and recreated in one transaction, row 2 in two.
    store.write(vec![change("a", "1", None), put("1")]);
    store.write(vec![change("a", "2", None)]);
    drop(store);
    let (store, rows) = open(&path);
    assert_eq!(ids(rows), ["a/3", "a/1"]);
    store.write(vec![put("2"), change("a", "3", None), put("4"), put("3")]);
    drop(store);
    let (store, rows) = open(&path);
    assert_eq!(ids(rows), ["a/1", "a/2", "a/4", "a/3"]);
    store.replace(vec![put("4"), put("1"), change("a", "4", None), put("4")]);
    drop(store);
    assert_eq!(ids(open(&path).1), ["a/1", "a/4"]);
}

/// The database may report an error although the transaction is in the file.
#[test]
fn a_failed_commit_that_is_in_the_file_succeeds_and_later_jobs_fail() {
    struct Reloaded(Mutex<Vec<StoredRow>>);
    impl Memory for Reloaded {
        fn roll_back(&self, read: &mut dyn FnMut() -> io::Result<Vec<StoredRow>>) -> io::Result<()> {
            *lock(&self.0) = read()?;
            Ok(())
        }
    }
    let directory = tempdir();
    let limits = ReadLimits { kind: "m", rows: 10, bytes: 10_000 };
    for (case, is_written) in [("written", true), ("not written", false)] {
        let (mut file, _, _) = StateFile::open(&directory.0.join(case), limits).unwrap();
        let transaction = || Transaction {
            number: 2,
            clear: false,
            changes: vec![change("m", "1", Some(json!("text"))), change("m", "2", None)],
        };
        if is_written {
            file.write(false, &transaction().changes).unwrap();
        }
        let (sender, jobs) = mpsc::channel();
        let (report, progress) = watch::channel(Progress::default());
        let shared = Arc::new(Shared::default());
        let memory = Arc::new(Reloaded(Mutex::default()));
        let weak: Weak<Reloaded> = Arc::downgrade(&memory);
        assert!(shared.memory.set(weak).is_ok());
        let ran = Arc::new(Mutex::new(Vec::new()));
        for number in 1..=3 {
            let ran = Arc::clone(&ran);
            lock(&shared.effects).waiting.push_back((number, Box::new(move || lock(&ran).push(number))));
        }
        sender.send(Job { number: 3, clear: false, changes: Vec::new() }).unwrap();
        let uncertain = Some(transaction());
        let mut writer = Writer { file, jobs, report, shared: Arc::clone(&shared), received: 2, uncertain };
        writer.fail(&io::Error::other("no space"));
        let results = [1, 2, 3].map(|number| progress.borrow().result(number).unwrap().is_ok());
        assert_eq!(results, [is_written, is_written, false], "{case}");
        assert_eq!(*lock(&ran), if is_written { vec![1, 2] } else { vec![] }, "{case}");
        assert_eq!(lock(&memory.0).len(), usize::from(is_written), "{case}");
        assert!(lock(&shared.effects).waiting.is_empty(), "{case}");
        assert!(progress.borrow().failure.is_some(), "{case}");
    }
}

#[test]
fn a_transaction_is_in_a_file_that_has_all_its_changes() {
    let row = |id: &str, json: &str| StoredRow { kind: "m".into(), id: id.into(), json: json.into() };
    let changes = || vec![change("m", "1", Some(json!(1))), change("m", "2", None)];
    let cases = [
        ("all changes", false, vec![row("1", "1"), row("3", "3")], true),
        ("another content", false, vec![row("1", "2")], false),
        ("a missing row", false, vec![row("3", "3")], false),
        ("a row that was to be deleted", false, vec![row("1", "1"), row("2", "2")], false),
        ("a replacement", true, vec![row("1", "1")], true),
        ("a replacement with an earlier row", true, vec![row("1", "1"), row("3", "3")], false),
    ];
    for (case, clear, rows, expected) in cases {
        let transaction = Transaction { number: 1, clear, changes: changes() };
        assert_eq!(transaction.is_in(&rows), expected, "{case}");
    }
}

#[tokio::test]
async fn effects_run_in_order_after_their_changes_are_written() {
    let directory = tempdir();
    let (store, _) = open(&directory.0.join("state"));
    let seen = Arc::new(Mutex::new(Vec::new()));
    for number in 0..200 {
        store.write(vec![change("a", &number.to_string(), Some(json!(number)))]);
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
