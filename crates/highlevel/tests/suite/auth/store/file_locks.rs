//! Lock files, leases and operations at the same time.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use highlevel::auth::store::{
    FileStore, FileStoreError, Key, LeaseResult, Precondition, PutResult, TokenStore,
};

use super::{key, name, put, scratch, tokens};

/// The path of the lock file of a key.
fn lock_path(store: &FileStore, key: &Key) -> PathBuf {
    format!("{}.lock", store.path_of(key).display()).into()
}

/// Locks an entry as another process does.
fn lock(store: &FileStore, key: &Key) -> File {
    let path = lock_path(store, key);
    let lock = File::options().write(true).create(true).truncate(false).open(path).expect("a lock file");
    lock.lock().expect("a lock");
    lock
}

/// Another process has the lock of one entry. Operations on this entry wait, without blocking a thread. Nothing else waits.
#[test]
fn a_locked_entry_delays_no_other() {
    let scratch = scratch();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(async {
        let store = FileStore::open(scratch.path()).expect("a store");
        let locked = key("locked");
        put(&store, &locked, &tokens("before")).await;
        let lock = lock(&store, &locked);

        let waiting: Vec<_> = (0..20)
            .map(|number| {
                let (store, key) = (store.clone(), locked.clone());
                tokio::spawn(async move {
                    if number % 2 == 0 {
                        put(&store, &key, &tokens("after")).await;
                    } else {
                        let holder = number.to_string();
                        store.lease(&key, &holder, Duration::from_secs(15)).await.expect("lease");
                        store.release(&key, &holder).await.expect("release");
                    }
                })
            })
            .collect();
        for number in 0..50 {
            put(&store, &key(&number.to_string()), &tokens("other")).await;
        }
        let stored = store.get(&locked).await.expect("get").expect("tokens");
        assert_eq!(name(&stored), "before", "reading waits for no lock");
        assert_eq!(store.resources("6650-app").await.expect("resources").len(), 51);
        assert!(waiting.iter().all(|operation| !operation.is_finished()), "the lock is held");

        lock.unlock().expect("the lock");
        for operation in waiting {
            operation.await.expect("an operation");
        }
        assert_eq!(name(&store.get(&locked).await.expect("get").expect("tokens")), "after");
        drop(lock);
        put(&store, &locked, &tokens("last")).await;
        assert!(!fs::exists(lock_path(&store, &locked)).expect("a directory"), "no lock file remains");
    });
}

/// A process that has the lock of an entry is stopped. All operations fail after the same ten seconds, not one after the
/// other.
#[tokio::test]
async fn waiting_for_a_lock_ends() {
    let scratch = scratch();
    let store = FileStore::open(scratch.path()).expect("a store");
    let key = key("a");
    put(&store, &key, &tokens("before")).await;
    let lock = lock(&store, &key);
    let start = Instant::now();
    let puts: Vec<_> = (0..10)
        .map(|_| {
            let (store, key) = (store.clone(), key.clone());
            tokio::spawn(async move { store.put(&key, &tokens("after"), Precondition::Anything).await })
        })
        .collect();
    for put in puts {
        let error = put.await.expect("no panic").expect_err("the lock is held");
        let error = error.downcast::<FileStoreError>().expect("the error of the file store");
        assert_eq!(error.path(), lock_path(&store, &key).canonicalize().expect("a lock file"));
        let text = error.to_string();
        assert!(
            text.contains("another process has held the lock") && text.contains("continue or end it"),
            "{text}"
        );
        let source = std::error::Error::source(&error).expect("a source");
        let source = source.downcast_ref::<io::Error>().expect("an I/O error");
        assert_eq!(source.kind(), io::ErrorKind::TimedOut);
    }
    // Ten of them one after the other would take 100 seconds.
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
    drop(lock);
    put(&store, &key, &tokens("after")).await;
}

/// A call is dropped while its change is being made: the change is made as a whole, and the next one waits for it.
#[tokio::test]
async fn a_dropped_put_completes_before_the_next() {
    let scratch = scratch();
    let store = FileStore::open(scratch.path()).expect("a store");
    let first = put(&store, &key("a"), &tokens("first")).await;
    {
        let (key, tokens) = (key("a"), tokens("second"));
        let mut change = store.put(&key, &tokens, Precondition::Version(first));
        let waker = std::task::Waker::noop();
        assert!(change.as_mut().poll(&mut std::task::Context::from_waker(waker)).is_pending());
        drop(change);
    }
    let result = store.put(&key("a"), &tokens("third"), Precondition::Version(first)).await.expect("put");
    let PutResult::Conflict(Some(found)) = result else { panic!("{result:?}") };
    assert_eq!(name(&found), "second");
}

/// A runtime is no longer driven while its operations wait for a lock, for a thread and for each other. It holds nothing
/// that another runtime needs.
#[test]
fn operations_of_a_runtime_that_is_not_driven_block_no_other() {
    let scratch = scratch();
    let store = FileStore::open(scratch.path()).expect("a store");
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let (undriven, other) = (runtime(), runtime());
    let entry = lock(&store, &key("0"));
    undriven.block_on(async {
        for number in 0..200 {
            let (store, key) = (store.clone(), key(&(number % 50).to_string()));
            tokio::spawn(async move {
                drop(store.put(&key, &tokens("undriven"), Precondition::Anything).await);
                drop(store.get(&key).await);
            });
        }
        // Long enough for some to wait for the lock, and too short for all to complete.
        tokio::time::sleep(Duration::from_millis(5)).await;
    });
    drop(entry);
    other.block_on(async {
        let operations = async {
            for number in 0..50 {
                put(&store, &key(&number.to_string()), &tokens("other")).await;
                store.get(&key(&number.to_string())).await.expect("get").expect("tokens");
            }
        };
        tokio::time::timeout(Duration::from_secs(60), operations).await.expect("no operation hangs");
    });
    drop(undriven);
}

/// A runtime is dropped while it stores new tokens: they are stored nevertheless.
#[test]
fn a_put_completes_although_its_runtime_is_dropped() {
    let scratch = scratch();
    let store = FileStore::open(scratch.path()).expect("a store");
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    for number in 0..20 {
        let dropped = runtime();
        let (put_store, number) = (store.clone(), number.to_string());
        let of = number.clone();
        dropped.block_on(async {
            tokio::spawn(async move { put(&put_store, &key(&of), &tokens(&of)).await });
            tokio::task::yield_now().await;
        });
        dropped.shutdown_background();
        runtime().block_on(async {
            let stored = async {
                loop {
                    if let Some(stored) = store.get(&key(&number)).await.expect("get") {
                        break stored;
                    }
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            };
            let stored = tokio::time::timeout(Duration::from_secs(60), stored).await.expect("the tokens");
            assert_eq!(name(&stored), number);
        });
    }
}

/// A reader sees the old or the new tokens as a whole while others write.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_during_writes_see_whole_tokens() {
    let scratch = scratch();
    let writer = FileStore::open(scratch.path()).expect("a store");
    let reader = FileStore::open(scratch.path()).expect("a store");
    put(&writer, &key("a"), &tokens("0")).await;
    let (done, is_done) = mpsc::channel();
    let writing = tokio::spawn(async move {
        for number in 1..=100 {
            put(&writer, &key("a"), &tokens(&number.to_string())).await;
        }
        done.send(()).expect("the reader");
    });
    let (mut last, mut last_version) = (0, None);
    while is_done.try_recv().is_err() {
        let stored = reader.get(&key("a")).await.expect("get").expect("tokens");
        let number: u32 = name(&stored).parse().expect("a number");
        assert!(number >= last, "{number} after {last}");
        assert_eq!(number == last && last_version.is_some(), last_version == Some(stored.version));
        (last, last_version) = (number, Some(stored.version));
    }
    writing.await.expect("the writer");
}

#[tokio::test]
async fn locations_without_tokens_leave_no_files() {
    let scratch = scratch();
    let store = FileStore::open(scratch.path()).expect("a store");
    let length = Duration::from_secs(15);
    for number in 0..100 {
        let key = key(&number.to_string());
        assert!(store.get(&key).await.expect("get").is_none());
        store.release(&key, "ann").await.expect("release");
        assert!(!store.remove(&key, Precondition::Anything).await.expect("remove"));
        assert_eq!(store.lease(&key, "ann", length).await.expect("lease"), LeaseResult::Granted);
        let refused = store.lease(&key, "bob", length).await.expect("lease");
        assert!(matches!(refused, LeaseResult::Held { .. }), "{refused:?}");
        store.release(&key, "bob").await.expect("release");
        store.release(&key, "ann").await.expect("release");
        let conflict =
            store.put(&key, &tokens("a"), Precondition::Version(highlevel::auth::store::Version(1))).await;
        assert!(matches!(conflict.expect("put"), PutResult::Conflict(None)));
    }
    put(&store, &key("removed"), &tokens("a")).await;
    assert!(store.remove(&key("removed"), Precondition::Anything).await.expect("remove"));
    assert_eq!(scratch.names(), ["highlevel.lock"]);
}

/// The lock files of processes that were killed are removed, unless another process needs them.
#[tokio::test]
async fn opening_removes_abandoned_locks_only() {
    let scratch = scratch();
    let store = FileStore::open(scratch.path()).expect("a store");
    let length = Duration::from_secs(15);
    let keys = ["empty", "cut", "old", "leased", "locked"].map(key);
    for key in &keys[..2] {
        drop(lock(&store, key));
    }
    fs::write(lock_path(&store, &keys[1]), r#"{"holder":"a"#).expect("a file");
    for key in &keys[2..4] {
        store.lease(key, "ann", length).await.expect("lease");
    }
    let two_hours_ago = std::time::SystemTime::now() - Duration::from_secs(7_200);
    let old = File::options().write(true).open(lock_path(&store, &keys[2])).expect("a lock file");
    old.set_modified(two_hours_ago).expect("a time");
    let _locked = lock(&store, &keys[4]);

    let other = FileStore::open(scratch.path()).expect("a store");
    let remaining = keys.each_ref().map(|key| fs::exists(lock_path(&other, key)).expect("a directory"));
    assert_eq!(remaining, [false, false, false, true, true]);
    let refused = other.lease(&keys[3], "bob", length).await.expect("lease");
    assert!(matches!(refused, LeaseResult::Held { .. }), "{refused:?}");
    // A lease that was cut off was never granted.
    fs::write(lock_path(&store, &keys[1]), r#"{"holder":"a"#).expect("a file");
    assert_eq!(other.lease(&keys[1], "bob", length).await.expect("lease"), LeaseResult::Granted);
}

/// Many threads lock and release the same entry, and with it create and remove its lock file.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn at_most_one_lease_is_granted_while_lock_files_come_and_go() {
    let scratch = scratch();
    let holders = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let tasks: Vec<_> = (0..8)
        .map(|number| {
            let store = FileStore::open(scratch.path()).expect("a store");
            let holders = holders.clone();
            tokio::spawn(async move {
                let (mut granted, holder) = (0, number.to_string());
                while granted < 20 {
                    let lease =
                        store.lease(&key("a"), &holder, Duration::from_secs(45)).await.expect("lease");
                    if lease == LeaseResult::Granted {
                        let others = holders.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                        assert_eq!(others, 0, "two holders at the same time");
                        tokio::task::yield_now().await;
                        holders.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                        store.release(&key("a"), &holder).await.expect("release");
                        granted += 1;
                    }
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic");
    }
    assert_eq!(scratch.names(), ["highlevel.lock"]);
}
