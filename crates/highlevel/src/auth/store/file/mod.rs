//! Tokens in the files of one machine.

mod directory;
mod entry;
mod error;
mod files;
mod lock;
mod pool;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use self::directory::Directory;
use self::lock::{EntryLock, LOCK_TIMEOUT};
use self::pool::Pool;
use super::{
    Clock, Key, LeaseResult, Precondition, PutResult, Resource, StoreError, StoreFuture, StoredTokens,
    TokenStore, rules,
};
use crate::auth::TokenSet;

pub use self::error::FileStoreError;

/// The first and the longest pause between two attempts to acquire a lock.
const LOCK_PAUSE: Duration = Duration::from_millis(1);
const MAX_LOCK_PAUSE: Duration = Duration::from_millis(50);

/// The number of threads that read. More of them would wait for the processor.
const READERS: usize = 4;

/// The number of threads that write. File systems sync the files of concurrent writers together.
const WRITERS: usize = 32;

/// Stores tokens in a directory, for the programs of one machine.
///
/// ```no_run
/// use highlevel::auth::store::FileStore;
///
/// let store = FileStore::open("/var/lib/my-app/tokens")?;
/// # Ok::<(), highlevel::auth::store::FileStoreError>(())
/// ```
///
/// - **Several processes** can share the directory. Each entry has a lock of the operating system, which ends with the
///   process that has it; reads do not wait for it. If another process has held the lock of an entry for 10 seconds, because
///   it is stopped, the operation fails with an error that names the lock file.
/// - **A process can be killed at any point**, and the power can fail: a file is written under another name, synced to
///   the disk, and then renamed, so that it is the old or the new one as a whole. The next [`open`](Self::open) removes
///   the leftovers of killed processes.
/// - **A put with a version compares the tokens**: the version is a digest of a random number and the tokens. If the file
///   was edited, deleted, or restored from a backup meanwhile, the put conflicts unless the tokens are the same.
/// - **Only the owner can read it.** On Unix the directory is created with mode 0700 and the files with 0600, and
///   directories and files that others can access are rejected. The files contain the tokens in plain text: put them on
///   an encrypted disk if the disk may be stolen. On Windows they are as private as the directory; choose one inside the
///   user's profile.
/// - **A damaged file is an error** for its location, which names the file. It is never treated as "no tokens". Listing
///   skips it and logs a warning.
///
/// Each location and company with tokens has a small JSON file, named by the ids and a digest of them. Entries without
/// tokens have no file. While an entry is leased it has a lock file as well. The directory has to be on a local disk: the locks
/// of network file systems are not reliable. A put is synced to the disk before it completes, up to 32 of them at the same
/// time; leases are not synced.
///
/// The store does blocking work on separate threads, which end when there is none. It can therefore be used from several
/// runtimes, and an operation completes if its runtime is dropped or not driven. While another process has a lock, it needs the timers of tokio.
/// Clones share the threads; stores that are opened separately, in this process or others, work together as well.
#[derive(Clone)]
pub struct FileStore {
    directory: Arc<Directory>,
    readers: Arc<Pool>,
    writers: Arc<Pool>,
    clock: Clock,
}

impl FileStore {
    /// Opens the store in a directory, which is created if it does not exist. Blocks while a few small files are
    /// written.
    ///
    /// # Errors
    ///
    /// Returns [`FileStoreError`] if the directory cannot be created, read or written, belongs to another user, or can be
    /// accessed by others. The error states how to fix it.
    pub fn open(directory: impl AsRef<Path>) -> Result<Self, FileStoreError> {
        Ok(Self {
            directory: Arc::new(Directory::open(directory.as_ref())?),
            readers: Pool::new(READERS),
            writers: Pool::new(WRITERS),
            clock: Arc::new(SystemTime::now),
        })
    }

    /// Sets the clock for leases, for tests. Defaults to the clock of the system.
    pub fn with_clock(self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self { clock: Arc::new(clock), ..self }
    }

    /// Returns the path of the file that contains the tokens of a key, for a backup or to find out why it is damaged. The
    /// file need not exist.
    pub fn path_of(&self, key: &Key) -> PathBuf {
        self.directory.path_of(key)
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Directory) -> Result<T, FileStoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let directory = Arc::clone(&self.directory);
        let result = self.readers.run(None, move || work(&directory)).await;
        Ok(result.map_err(|error| FileStoreError::not_completed(self.directory.path(), error))??)
    }

    /// Runs `work` while this process has the lock of the entry.
    async fn locked<T, W>(&self, key: &Key, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: FnOnce(&Directory, &mut EntryLock) -> Result<T, FileStoreError> + Send + 'static,
    {
        let mut work = work;
        let mut locked_since = None;
        let mut pause = LOCK_PAUSE;
        loop {
            // Nothing is held between two attempts: the runtime of this future may no longer be driven.
            let (directory, of) = (Arc::clone(&self.directory), key.clone());
            let attempt = move || attempt(&directory, &of, work);
            let attempted = self.writers.run(Some(key.clone()), attempt).await;
            work = match attempted
                .map_err(|error| FileStoreError::not_completed(self.directory.path(), error))??
            {
                LockAttempt::Done(result) => return Ok(result),
                LockAttempt::Locked(work) => work,
            };
            if locked_since.get_or_insert_with(Instant::now).elapsed() >= LOCK_TIMEOUT {
                return Err(FileStoreError::locked(&self.directory.lock_path_of(key), LOCK_TIMEOUT).into());
            }
            tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64())).await;
            pause = (pause * 2).min(MAX_LOCK_PAUSE);
        }
    }
}

/// The result of an attempt to lock an entry.
enum LockAttempt<T, W> {
    Done(T),
    /// Another process has the lock.
    Locked(W),
}

fn attempt<T, W>(directory: &Directory, key: &Key, work: W) -> Result<LockAttempt<T, W>, FileStoreError>
where
    W: FnOnce(&Directory, &mut EntryLock) -> Result<T, FileStoreError>,
{
    match directory.try_lock(key)? {
        Some(mut lock) => work(directory, &mut lock).map(LockAttempt::Done),
        None => Ok(LockAttempt::Locked(work)),
    }
}

impl fmt::Debug for FileStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileStore").field("directory", &self.directory.path()).finish_non_exhaustive()
    }
}

impl TokenStore for FileStore {
    fn get<'a>(&'a self, key: &'a Key) -> StoreFuture<'a, Option<StoredTokens>> {
        let key = key.clone();
        Box::pin(self.read(move |directory| directory.read(&key)))
    }

    fn put<'a>(
        &'a self,
        key: &'a Key,
        tokens: &'a TokenSet,
        precondition: Precondition,
    ) -> StoreFuture<'a, PutResult> {
        let (of, tokens) = (key.clone(), tokens.clone());
        Box::pin(self.locked(key, move |directory, lock| directory.put(lock, &of, &tokens, precondition)))
    }

    fn remove<'a>(&'a self, key: &'a Key, precondition: Precondition) -> StoreFuture<'a, bool> {
        let of = key.clone();
        Box::pin(self.locked(key, move |directory, lock| directory.remove(lock, &of, precondition)))
    }

    fn resources<'a>(&'a self, client_id: &'a str) -> StoreFuture<'a, Vec<Resource>> {
        let client_id = client_id.to_owned();
        Box::pin(self.read(move |directory| directory.resources(&client_id)))
    }

    fn lease<'a>(&'a self, key: &'a Key, holder: &'a str, length: Duration) -> StoreFuture<'a, LeaseResult> {
        let (holder, clock) = (holder.to_owned(), Arc::clone(&self.clock));
        Box::pin(self.locked(key, move |_, lock| {
            match rules::lease(lock.lease(), &holder, clock(), length) {
                Ok(lease) => lock.set_lease(lease).map(|()| LeaseResult::Granted),
                Err(held) => Ok(held),
            }
        }))
    }

    fn release<'a>(&'a self, key: &'a Key, holder: &'a str) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let (of, holder) = (key.clone(), holder.to_owned());
            if !self.read(move |directory| directory.has_lock_file(&of)).await? {
                return Ok(());
            }
            let release = move |_: &Directory, lock: &mut EntryLock| {
                let is_holder = lock.lease().is_some_and(|lease| lease.holder == holder);
                if is_holder { lock.clear() } else { Ok(()) }
            };
            self.locked(key, release).await
        })
    }
}
