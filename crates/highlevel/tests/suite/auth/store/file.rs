//! The file store on the file system of this machine.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use highlevel::auth::store::{
    FileStore, FileStoreError, Key, LeaseResult, Precondition, PutResult, Resource, StoredTokens, TokenStore,
};
use secrecy::ExposeSecret;

use super::{Scratch, key, put, tokens};

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_may_read_what_it_creates() {
    use std::os::unix::fs::PermissionsExt;

    let scratch = Scratch::new();
    let directory = scratch.0.join("var").join("tokens");
    let store = FileStore::open(&directory).expect("a store");
    put(&store, &key("a"), &tokens("a")).await;
    put(&store, &key("a"), &tokens("b")).await;
    store.lease(&key("b"), "ann", std::time::Duration::from_secs(15)).await.expect("lease");
    let mode = |path: &std::path::Path| fs::metadata(path).expect("a file").permissions().mode() & 0o777;
    for path in [&directory, &scratch.0.join("var"), &scratch.0] {
        assert_eq!(mode(path), 0o700, "{}", path.display());
    }
    let files: Vec<_> =
        fs::read_dir(&directory).expect("a directory").map(|file| file.expect("a file").path()).collect();
    assert_eq!(files.len(), 3, "an entry, a lease and the marker: {files:?}");
    for path in files {
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[cfg(unix)]
#[test]
fn a_directory_that_others_may_enter_is_refused() {
    use std::os::unix::fs::PermissionsExt;

    let scratch = Scratch::new();
    for mode in [0o755, 0o750, 0o705, 0o777, 0o1777, 0o710] {
        fs::create_dir_all(&scratch.0).expect("a directory");
        fs::set_permissions(&scratch.0, fs::Permissions::from_mode(mode)).expect("permissions");
        let error = FileStore::open(&scratch.0).expect_err("a store").to_string();
        let help = format!("run `chmod 700 '{}'`", scratch.0.canonicalize().expect("a directory").display());
        assert!(
            error.contains("other users can access the token directory") && error.contains(&help),
            "{error}"
        );
        assert!(error.contains(&format!("(mode {:04o})", mode & 0o777)), "{error}");
        assert_eq!(scratch.names(), [""; 0], "nothing is written there");
        fs::set_permissions(&scratch.0, fs::Permissions::from_mode(0o700)).expect("permissions");
        FileStore::open(&scratch.0).expect("the help fixes it");
        fs::remove_dir_all(&scratch.0).expect("a directory");
    }
}

#[cfg(unix)]
#[test]
fn a_directory_of_another_user_is_refused() {
    use std::os::unix::fs::{DirBuilderExt, chown};

    let scratch = Scratch::new();
    fs::DirBuilder::new().mode(0o700).create(&scratch.0).expect("a directory");
    if chown(&scratch.0, Some(1), None).is_err() {
        eprintln!("SKIPPED: a directory of another user; run it as root");
        return;
    }
    let error = FileStore::open(&scratch.0).expect_err("a store").to_string();
    assert!(error.contains("belongs to another user (uid 1; the program runs as 0)"), "{error}");
    assert!(error.contains("chown -R 0"), "{error}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_directory_that_cannot_be_written() {
    use std::os::unix::fs::PermissionsExt;

    let scratch = Scratch::new();
    let store = FileStore::open(&scratch.0).expect("a store");
    put(&store, &key("a"), &tokens("a")).await;
    fs::set_permissions(&scratch.0, fs::Permissions::from_mode(0o500)).expect("permissions");
    let error = store.put(&key("a"), &tokens("b"), Precondition::Anything).await.err();
    let (opened, stored) = (FileStore::open(&scratch.0).err(), store.get(&key("a")).await);
    fs::set_permissions(&scratch.0, fs::Permissions::from_mode(0o700)).expect("permissions");
    let Some(error) = error else {
        eprintln!("SKIPPED: a directory that cannot be written; run it as another user than root");
        return;
    };
    assert!(error.to_string().contains("run the program as the user who owns the directory"), "{error}");
    assert!(opened.expect("an error").to_string().contains("choose a directory of this user"));
    let stored = stored.expect("get").expect("tokens");
    assert_eq!(stored.tokens.access_token.expose_secret(), "secret-access-a", "what was there stays");
}

#[test]
fn a_directory_that_cannot_be_created() {
    let scratch = Scratch::new();
    fs::create_dir(&scratch.0).expect("a directory");
    let file = scratch.0.join("file");
    fs::write(&file, "").expect("a file");
    for path in [file.clone(), file.join("tokens")] {
        let error = FileStore::open(&path).expect_err("a store");
        let text = error.to_string();
        assert!(text.contains(&format!("cannot create {}", path.display())), "{text}");
        assert!(text.contains("a file is where a directory should be"), "{text}");
        assert_eq!(error.path(), path);
    }
}

/// Each point at which a process can be killed while it replaces a file leaves one of these.
#[tokio::test]
async fn leftovers_of_killed_processes_are_removed() {
    let scratch = Scratch::new();
    let store = FileStore::open(&scratch.0).expect("a store");
    let path = store.path_of(&key("a"));
    put(&store, &key("a"), &tokens("latest")).await;
    let latest = fs::read(&path).expect("a file");
    put(&store, &key("a"), &tokens("previous")).await;
    let leftover = format!("{}.tmp", path.display());

    for end in (0..=latest.len()).step_by(13).chain([latest.len()]) {
        // Killed after some of the new file was written.
        fs::write(&leftover, &latest[..end]).expect("a file");
        for store in [store.clone(), FileStore::open(&scratch.0).expect("a store")] {
            let stored = store.get(&key("a")).await.expect("get").expect("tokens");
            assert_eq!(stored.tokens.access_token.expose_secret(), "secret-access-previous");
        }
        assert!(!fs::exists(&leftover).expect("a directory"), "opening removes the leftover");
        // The next put replaces it, too.
        fs::write(&leftover, &latest[..end]).expect("a file");
        put(&store, &key("a"), &tokens("previous")).await;
        assert!(!fs::exists(&leftover).expect("a directory"));
    }
    // Killed after renaming.
    fs::write(&path, &latest).expect("a file");
    let stored = store.get(&key("a")).await.expect("get").expect("tokens");
    assert_eq!(stored.tokens.access_token.expose_secret(), "secret-access-latest");
}

#[tokio::test]
async fn other_files_in_the_directory_remain() {
    let scratch = Scratch::new();
    drop(FileStore::open(&scratch.0).expect("a store"));
    let others = [
        "README",
        "my.lock",
        "my.tmp",
        "location.json",
        "location.a.b.json.tmp",
        "user.a.b.c.json.tmp",
        ".hidden",
    ];
    for name in others {
        fs::write(scratch.0.join(name), "mine").expect("a file");
    }
    let store = FileStore::open(&scratch.0).expect("a store");
    put(&store, &key("a"), &tokens("a")).await;
    assert_eq!(store.resources("6650-app").await.expect("resources"), [key("a").resource]);
    for name in others {
        assert_eq!(fs::read_to_string(scratch.0.join(name)).expect("a file"), "mine", "{name}");
    }
}

/// Damaged files of one app are skipped, and do not affect others.
#[tokio::test]
async fn apps_are_listed_independently() {
    let scratch = Scratch::new();
    let store = FileStore::open(&scratch.0).expect("a store");
    let mut foreign = key("a");
    foreign.client_id = "other".to_owned();
    put(&store, &key("a"), &tokens("a")).await;
    put(&store, &foreign, &tokens("a")).await;
    fs::write(store.path_of(&foreign), "").expect("a file");
    assert_eq!(store.resources("6650-app").await.expect("resources"), [key("a").resource]);
    assert_eq!(store.resources("other").await.expect("resources"), []);
}

#[tokio::test]
async fn reopening_finds_all_tokens() {
    let scratch = Scratch::new();
    let keys: Vec<_> = (0..20).map(|number| key(&number.to_string())).collect();
    for key in &keys {
        let store = FileStore::open(&scratch.0).expect("a store");
        put(&store, key, &tokens(key.resource.id())).await;
    }
    let store = FileStore::open(&scratch.0).expect("a store");
    for key in &keys {
        let stored = store.get(key).await.expect("get").expect("tokens");
        assert_eq!(
            stored.tokens.access_token.expose_secret(),
            format!("secret-access-{}", key.resource.id())
        );
    }
    let mut resources = store.resources("6650-app").await.expect("resources");
    resources.sort();
    let mut wanted: Vec<Resource> = keys.into_iter().map(|key| key.resource).collect();
    wanted.sort();
    assert_eq!(resources, wanted);
}

/// The name of a stored access token.
fn name(stored: &StoredTokens) -> &str {
    stored.tokens.access_token.expose_secret().strip_prefix("secret-access-").expect("a token of these tests")
}

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
    let scratch = Scratch::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(async {
        let store = FileStore::open(&scratch.0).expect("a store");
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
    let scratch = Scratch::new();
    let store = FileStore::open(&scratch.0).expect("a store");
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
    let scratch = Scratch::new();
    let store = FileStore::open(&scratch.0).expect("a store");
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
    let scratch = Scratch::new();
    let store = FileStore::open(&scratch.0).expect("a store");
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
    let scratch = Scratch::new();
    let store = FileStore::open(&scratch.0).expect("a store");
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
    let scratch = Scratch::new();
    let writer = FileStore::open(&scratch.0).expect("a store");
    let reader = FileStore::open(&scratch.0).expect("a store");
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

/// Versions that were read before must not match other tokens, whatever happens to the file in between.
#[tokio::test]
async fn a_version_matches_only_the_tokens_that_were_read_with_it() {
    struct Case<'a> {
        name: &'a str,
        /// Happens after the version was read.
        then: &'a dyn Fn(),
        /// The tokens that are stored afterwards.
        found: &'a str,
    }

    let scratch = Scratch::new();
    let key = key("a");
    let path = FileStore::open(&scratch.0).expect("a store").path_of(&key);
    let edit = |from: &str, to: &str| {
        let text = fs::read_to_string(&path).expect("a file");
        assert!(text.contains(from));
        fs::write(&path, text.replace(from, to)).expect("a file");
    };
    let reopened = async |name: &str| {
        let store = FileStore::open(&scratch.0).expect("a store");
        put(&store, &key, &tokens(name)).await
    };
    let backup = scratch.0.with_extension("backup");
    for case in [
        Case { name: "the file was edited", then: &|| edit("access-read", "access-edited"), found: "edited" },
        Case {
            name: "the refresh token was edited",
            then: &|| edit("refresh-read", "refresh-edited"),
            found: "read",
        },
        Case {
            name: "the file was replaced by an earlier one",
            then: &|| assert!(fs::copy(&backup, &path).is_ok()),
            found: "earlier",
        },
    ] {
        // Opened for each step, as by processes that restart.
        reopened("earlier").await;
        fs::copy(&path, &backup).expect("a copy");
        let read = reopened("read").await;
        (case.then)();
        let store = FileStore::open(&scratch.0).expect("a store");
        let result = store.put(&key, &tokens("refreshed"), Precondition::Version(read)).await.expect("put");
        let PutResult::Conflict(Some(found)) = result else { panic!("{}: {result:?}", case.name) };
        assert_eq!(name(&found), case.found, "{}", case.name);
        assert!(!store.remove(&key, Precondition::Version(read)).await.expect("remove"), "{}", case.name);
    }
    fs::remove_file(&backup).expect("a file");
}

/// The entry is deleted, by hand or by the store, and stored again: an old version stays invalid.
#[tokio::test]
async fn versions_are_not_repeated_after_the_file_was_deleted() {
    let scratch = Scratch::new();
    let key = key("a");
    let mut seen = Vec::new();
    for round in 0..20 {
        let store = FileStore::open(&scratch.0).expect("a store");
        // The same tokens each time.
        let version = put(&store, &key, &tokens("same")).await;
        for old in &seen {
            let result = store.put(&key, &tokens("other"), Precondition::Version(*old)).await.expect("put");
            assert!(matches!(result, PutResult::Conflict(Some(_))), "round {round}: {result:?}");
        }
        assert!(!seen.contains(&version), "round {round}: {version:?} after {seen:?}");
        seen.push(version);
        match round % 3 {
            0 => fs::remove_file(store.path_of(&key)).expect("a file"),
            1 => assert!(store.remove(&key, Precondition::Version(version)).await.expect("remove")),
            _ => {}
        }
    }
}

/// The same tokens are restored: the version that was read with them is valid, because nothing has changed.
#[tokio::test]
async fn a_version_matches_the_same_tokens_after_they_were_restored() {
    let scratch = Scratch::new();
    let (store, key) = (FileStore::open(&scratch.0).expect("a store"), key("a"));
    let read = put(&store, &key, &tokens("a")).await;
    let backup = fs::read(store.path_of(&key)).expect("a file");
    put(&store, &key, &tokens("b")).await;
    fs::write(store.path_of(&key), backup).expect("a file");
    let result = store.put(&key, &tokens("c"), Precondition::Version(read)).await.expect("put");
    assert!(matches!(result, PutResult::Stored(_)), "{result:?}");
}

#[tokio::test]
async fn locations_without_tokens_leave_no_files() {
    let scratch = Scratch::new();
    let store = FileStore::open(&scratch.0).expect("a store");
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
    let scratch = Scratch::new();
    let store = FileStore::open(&scratch.0).expect("a store");
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

    let other = FileStore::open(&scratch.0).expect("a store");
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
    let scratch = Scratch::new();
    let holders = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let tasks: Vec<_> = (0..8)
        .map(|number| {
            let store = FileStore::open(&scratch.0).expect("a store");
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

#[tokio::test]
async fn debug_output_and_paths_have_no_tokens() {
    let scratch = Scratch::new();
    let store = FileStore::open(&scratch.0).expect("a store");
    put(&store, &key("a"), &tokens("a")).await;
    let stored = store.get(&key("a")).await.expect("get");
    assert!(!format!("{store:?} {stored:?} {:?}", store.path_of(&key("a"))).contains("secret"));
}
