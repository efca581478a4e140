//! Processes that share a file store, and are killed, stopped, or denied the disk.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use fastrand::Rng;
use highlevel::auth::store::{FileStore, Key, Precondition, PutResult, Resource, StoredTokens, TokenStore};
use highlevel_test_support::Directory;

use crate::process::{Process, TEST_TIMEOUT, scratch};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_token-process");

const KILLS: usize = 200;
const CLIENT_ID: &str = "6650-app";
const LOCATION: &str = "ve9EPM428h8vShlRW1KT";

fn key(location: &str) -> Key {
    Key::new(CLIENT_ID, Resource::Location(location.into()))
}

/// A process writes one set of tokens after the other and is killed, 200 times. The stored tokens are whole, and either
/// the latest that were written or those that were being written.
#[tokio::test]
async fn a_killed_process_leaves_the_latest_tokens_or_those_before() {
    let scratch = scratch();
    let arguments = ["write", scratch.text(), CLIENT_ID, LOCATION];
    let key = Key::new(CLIENT_ID, Resource::Location(LOCATION.into()));
    let mut random = Rng::with_seed(0x5eed_0001);

    let first = Process::start(PROGRAM, &arguments);
    assert_eq!(first.after("has"), "0");
    let one_write = time_of(20, || first.after("written"));
    drop(first);

    let store = FileStore::open(scratch.path()).expect("a store");
    let leftover = format!("{}.tmp", store.path_of(&key).display());
    let (mut leftovers, mut latest) = (0, 0);
    for kill in 0..KILLS {
        let before = number_throughout(&store.get(&key).await.expect("a whole file").expect("tokens"));
        let victim = Process::start(PROGRAM, &arguments);
        assert_eq!(victim.after("has"), before.to_string(), "kill {kill}");

        for _ in 0..=random.usize(..3) {
            victim.after("writing");
        }
        // Any point of a write. Machines differ in how long it takes, and nothing depends on it.
        thread::sleep(one_write.mul_f64(random.f64() * 1.3));
        let printed = victim.kill();

        let last = |word| printed.iter().filter_map(|line| line.strip_prefix(word)?.parse().ok()).next_back();
        let (written, started) = (last("written ").unwrap_or(before), last("writing ").expect("a number"));
        leftovers += usize::from(fs::exists(&leftover).expect("a directory"));
        let stored = store.get(&key).await.expect("a whole file").expect("tokens");
        let stored = number_throughout(&stored);
        assert!(
            stored == written || stored == started,
            "kill {kill}: {written} was written and {started} started, but {stored} is stored"
        );
        latest += usize::from(stored == started);
    }
    println!(
        "of {KILLS}, {leftovers} were killed while the file was written, and {latest} after the last was whole"
    );
    assert!(leftovers > 0, "no process was killed while it wrote: this has shown nothing");
}

/// Four processes add one to a number, a hundred times each, with compare and swap. They lock the entry and remove its
/// lock file all the time.
#[tokio::test]
async fn processes_lose_no_update() {
    const TIMES: u64 = 100;
    let scratch = scratch();
    let store = FileStore::open(scratch.path()).expect("a store");
    let mut processes: Vec<_> = (0..4)
        .map(|_| {
            let times = TIMES.to_string();
            Process::start(PROGRAM, &["count", scratch.text(), CLIENT_ID, LOCATION, &times])
        })
        .collect();
    for process in &mut processes {
        process.after("counted");
        assert!(process.wait().success());
    }
    let stored = store.get(&key(LOCATION)).await.expect("a whole file").expect("tokens");
    assert_eq!(number_throughout(&stored), 4 * TIMES);
    assert_eq!(names(scratch.path()).len(), 2, "{:?}", names(scratch.path()));
}

/// A process is stopped while it has the lock of an entry. Others read the entry and write other entries; writing this
/// one fails with an error that names the lock, and succeeds once the process continues.
#[tokio::test]
async fn a_stopped_process_delays_nothing_but_its_entry() {
    let scratch = scratch();
    let store = FileStore::open(scratch.path()).expect("a store");
    let holder = Process::start(PROGRAM, &["write", scratch.text(), CLIENT_ID, LOCATION]);
    let lock = PathBuf::from(format!("{}.lock", store.path_of(&key(LOCATION)).display()));
    holder.after("written");
    let end = Instant::now() + TEST_TIMEOUT;
    loop {
        holder.stop();
        if is_locked(&lock) {
            break;
        }
        holder.resume();
        holder.after("written");
        assert!(Instant::now() < end, "the process was never stopped while it had the lock");
    }

    let stored = store.get(&key(LOCATION)).await.expect("get").expect("tokens");
    let before = number_throughout(&stored);
    for number in 0..20 {
        let other = key(&number.to_string());
        let put = store.put(&other, &stored.tokens, Precondition::Nothing).await.expect("put");
        assert!(matches!(put, PutResult::Stored(_)), "{put:?}");
    }
    // The operations wait at the same time.
    let entry = key(LOCATION);
    let (lease, put) = tokio::join!(
        store.lease(&entry, "ann", Duration::from_secs(15)),
        store.put(&entry, &stored.tokens, Precondition::Anything),
    );
    for error in
        [lease.map(drop).expect_err("the lock is held"), put.map(drop).expect_err("the lock is held")]
    {
        let text = error.to_string();
        assert!(text.contains(lock.to_str().expect("text")) && text.contains("it may be stopped"), "{text}");
    }
    let stored = store.get(&key(LOCATION)).await.expect("get").expect("tokens");
    assert_eq!(number_throughout(&stored), before, "reading waits for no lock");

    // A process that opens the store is not delayed either.
    FileStore::open(scratch.path()).expect("a store");
    holder.resume();
    holder.after("written");
    drop(holder.kill());
    let put = store.put(&key(LOCATION), &stored.tokens, Precondition::Anything).await.expect("put");
    assert!(matches!(put, PutResult::Stored(_)), "{put:?}");
}

/// The disk fills up, and the next put fails with its cause. The tokens remain, and the store works once there is space.
#[test]
fn a_full_disk_is_reported_and_changes_nothing() {
    let Some((mut process, _scratch)) = on_a_small_disk() else { return };
    process.tell("put 1");
    assert_eq!(process.line(), "stored 1");
    process.tell("run head -c 100000000 /dev/zero > $DIRECTORY/filler");
    assert_eq!(process.line(), "ran");
    for command in ["put 2", "put 3", "lease ann"] {
        process.tell(command);
        let failed = process.after("failed");
        assert!(
            failed.starts_with("StorageFull: ") && failed.contains("free some space"),
            "{command}: {failed}"
        );
        process.tell("get");
        assert_eq!(process.line(), "has 1", "{command}");
    }
    process.tell("names");
    assert_eq!(process.line(), "names filler highlevel.lock entry");
    process.tell("run rm $DIRECTORY/filler");
    assert_eq!(process.line(), "ran");
    for (command, response) in
        [("put 2", "stored 2"), ("get", "has 2"), ("lease ann", "granted"), ("release ann", "released")]
    {
        process.tell(command);
        assert_eq!(process.line(), response);
    }
}

/// The file system becomes read-only, as after an error of the disk.
#[test]
fn a_read_only_disk_is_reported_and_can_be_read() {
    let Some((mut process, _scratch)) = on_a_small_disk() else { return };
    process.tell("put 1");
    assert_eq!(process.line(), "stored 1");
    process.tell("run mount -o remount,ro $DIRECTORY");
    assert_eq!(process.line(), "ran");
    for command in ["put 2", "lease ann", "remove", "open"] {
        process.tell(command);
        let failed = process.after("failed");
        assert!(failed.starts_with("ReadOnlyFilesystem: "), "{command}: {failed}");
        assert!(failed.contains("make the file system writable"), "{command}: {failed}");
    }
    process.tell("get");
    assert_eq!(process.line(), "has 1");
    process.tell("run mount -o remount,rw $DIRECTORY");
    assert_eq!(process.line(), "ran");
    process.tell("put 2");
    assert_eq!(process.line(), "stored 2");
}

/// The limit of the process for the size of files is exceeded.
#[tokio::test]
async fn a_file_size_limit_is_reported_and_changes_nothing() {
    let scratch = scratch();
    let start = |ignored: &str| {
        let mut command = Command::new("sh");
        // In blocks of 512 bytes: even numbers are longer, see `numbered` in `token_process.rs`.
        let script = format!("{ignored} ulimit -f 16; exec \"$0\" \"$@\"");
        command.args(["-c", &script, PROGRAM, "store", scratch.text(), CLIENT_ID, LOCATION]);
        Process::spawn(command)
    };
    let mut process = start("trap '' XFSZ;");
    process.tell("put 1");
    assert_eq!(process.line(), "stored 1");
    process.tell("put 2");
    let failed = process.after("failed");
    assert!(failed.starts_with("FileTooLarge: "), "{failed}");
    process.tell("names");
    assert_eq!(process.line(), "names highlevel.lock entry");
    process.tell("put 3");
    assert_eq!(process.line(), "stored 3");
    drop(process);

    // By default, the signal ends the process.
    let mut process = start("");
    process.tell("put 4");
    assert!(!process.wait().success());
    let store = FileStore::open(scratch.path()).expect("a store");
    let stored = store.get(&key(LOCATION)).await.expect("a whole file").expect("tokens");
    assert_eq!(number_throughout(&stored), 3);
    assert_eq!(names(scratch.path()).len(), 2, "opening removes the leftover: {:?}", names(scratch.path()));
}

/// Starts a process whose store is on a file system of 64 KiB, which ends with it. Returns `None`, and prints why, if
/// this user cannot mount one.
fn on_a_small_disk() -> Option<(Process, Directory)> {
    let unshare = ["--user", "--map-root-user", "--mount"];
    let can = Command::new("unshare").args(unshare).args(["mount", "-t", "tmpfs", "tmpfs", "/tmp"]).output();
    if !can.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: a small disk; run it where user namespaces can mount a tmpfs");
        return None;
    }
    let scratch = scratch();
    fs::create_dir_all(scratch.path()).expect("a directory");
    let mut command = Command::new("unshare");
    let script = "mount -t tmpfs -o size=64k,mode=700 tmpfs \"$2\" && exec \"$0\" \"$@\"";
    command.args(unshare).args(["sh", "-c", script, PROGRAM, "store", scratch.text(), CLIENT_ID, LOCATION]);
    Some((Process::spawn(command), scratch))
}

/// Returns `true` if another process has the lock of a file.
fn is_locked(path: &Path) -> bool {
    let Ok(file) = File::options().write(true).open(path) else { return false };
    matches!(file.try_lock(), Err(TryLockError::WouldBlock))
}

/// Returns the names of the files in a directory.
fn names(directory: &Path) -> Vec<String> {
    let files = fs::read_dir(directory).expect("a directory");
    let mut names: Vec<_> =
        files.map(|file| file.expect("a file").file_name().into_string().expect("text")).collect();
    names.sort();
    names
}

/// Returns the number in each field of the tokens, see `numbered` in `token_process.rs`.
fn number_throughout(stored: &StoredTokens) -> u64 {
    use highlevel::SecretString;
    use secrecy::ExposeSecret;

    let tokens = &stored.tokens;
    let number: u64 = tokens.scopes[0].parse().expect("a number");
    let padding = "x".repeat(if number.is_multiple_of(2) { 20_000 } else { 10 });
    let refresh_token = tokens.refresh_token.as_ref().map(SecretString::expose_secret);
    assert!(tokens.access_token.expose_secret() == format!("access-{number}-{padding}"), "{stored:?}");
    assert!(refresh_token == Some(&format!("refresh-{number}-{padding}")), "{stored:?}");
    let time = SystemTime::UNIX_EPOCH + Duration::from_millis(number);
    assert_eq!((tokens.obtained_at, tokens.expires_at), (time, time), "{stored:?}");
    number
}

/// Returns the average time of a step that is done that many times.
pub(crate) fn time_of<T>(times: u32, mut work: impl FnMut() -> T) -> Duration {
    let start = Instant::now();
    for _ in 0..times {
        work();
    }
    start.elapsed() / times
}
