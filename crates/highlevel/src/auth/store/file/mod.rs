//! Tokens in the files of one machine.

mod directory;
mod entry;
mod error;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

use self::directory::Directory;
use super::row::Row;
use super::{
    Clock, Key, LeaseResult, Precondition, PutResult, Resource, StoreError, StoreFuture, StoredTokens,
    TokenStore,
};
use crate::auth::TokenSet;

pub use self::error::FileStoreError;

/// Keeps tokens in a directory, for the programs of one machine.
///
/// ```no_run
/// use highlevel::auth::store::FileStore;
///
/// let store = FileStore::open("/var/lib/my-app/tokens")?;
/// # Ok::<(), highlevel::auth::store::FileStoreError>(())
/// ```
///
/// - **Several processes** may share the directory. Changes are made one at a time, under a lock of the operating
///   system that ends with the process that has it; reading waits for nobody.
/// - **A process may be killed at any point**, and the power may fail: a file is written under another name, brought to
///   the disk, and only then given its name, so that it is the old one or the new one, whole. What is left of a
///   process that was killed is removed when the store is next opened.
/// - **Only the owner reads it.** On Unix the directory is created with mode 0700 and the files with 0600, and what
///   others may read is refused. The files contain the tokens as they are: put them on an encrypted disk if somebody
///   may take the disk. On Windows they are as private as the directory is; choose one inside the user's profile.
/// - **A file that cannot be understood is an error**, which names the file; it is never taken for "no tokens".
///
/// There is a small JSON file for each location and company, named by the ids and a digest of them; it stays, without
/// tokens, when they are removed. The directory has to be on a disk of the machine: locks of network file systems are
/// not to be relied upon. A change costs two waits for the disk, and one is made at a time, so a disk that takes 3 ms
/// gives about 150 changes a second; a refresh makes three.
///
/// It works in the threads that tokio keeps for what blocks, so it has to be used inside a tokio runtime. Clones share
/// one queue; stores that are opened apart, in this process or others, work together as well.
#[derive(Clone)]
pub struct FileStore {
    directory: Arc<Directory>,
    /// Who may wait for the lock of the operating system: one thread of this process, however many changes wait.
    turn: Arc<Mutex<()>>,
    clock: Clock,
}

impl FileStore {
    /// Opens the store in a directory, which is created if there is none. Blocks for as long as a few small files take.
    ///
    /// # Errors
    ///
    /// If the directory cannot be created, read or written, belongs to another user, or may be read by others. The
    /// error says what to do.
    pub fn open(directory: impl AsRef<Path>) -> Result<Self, FileStoreError> {
        let directory = Directory::open(directory.as_ref())?;
        Ok(Self { directory: Arc::new(directory), turn: Arc::default(), clock: Arc::new(SystemTime::now) })
    }

    /// Sets the clock for leases, for tests. Defaults to the clock of the system.
    pub fn with_clock(self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self { clock: Arc::new(clock), ..self }
    }

    /// Where the tokens of a key are, or would be, for a backup of them or to see why they cannot be read.
    pub fn path_of(&self, key: &Key) -> PathBuf {
        self.directory.path_of(key)
    }

    async fn change<T: Send + 'static>(
        &self,
        key: &Key,
        work: impl FnOnce(&mut Row) -> (T, Changed) + Send + 'static,
    ) -> Result<T, StoreError> {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let key = key.clone();
        self.blocking(move |directory| {
            // Until the work is done, also if nobody waits for it any more.
            let _turn = turn;
            directory.change(&key, work)
        })
        .await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Directory) -> Result<T, FileStoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let directory = Arc::clone(&self.directory);
        let path = directory.path().to_owned();
        let done = spawn_blocking(move || work(&directory)).await;
        Ok(done.map_err(|error| FileStoreError::not_done(&path, &error.to_string()))??)
    }
}

/// Whether a row has to be written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Changed {
    Yes,
    No,
}

impl From<bool> for Changed {
    fn from(changed: bool) -> Self {
        if changed { Self::Yes } else { Self::No }
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
        Box::pin(self.blocking(move |directory| Ok(directory.read(&key)?.stored())))
    }

    fn put<'a>(
        &'a self,
        key: &'a Key,
        tokens: &'a TokenSet,
        precondition: Precondition,
    ) -> StoreFuture<'a, PutResult> {
        let tokens = tokens.clone();
        Box::pin(self.change(key, move |row| {
            let put = row.put(&tokens, precondition);
            let changed = matches!(put, PutResult::Stored(_)).into();
            (put, changed)
        }))
    }

    fn remove<'a>(&'a self, key: &'a Key, precondition: Precondition) -> StoreFuture<'a, bool> {
        Box::pin(self.change(key, move |row| {
            let removed = row.remove(precondition);
            (removed, removed.into())
        }))
    }

    fn resources<'a>(&'a self, client_id: &'a str) -> StoreFuture<'a, Vec<Resource>> {
        let client_id = client_id.to_owned();
        Box::pin(self.blocking(move |directory| directory.resources(&client_id)))
    }

    fn lease<'a>(&'a self, key: &'a Key, holder: &'a str, length: Duration) -> StoreFuture<'a, LeaseResult> {
        let (holder, clock) = (holder.to_owned(), Arc::clone(&self.clock));
        Box::pin(self.change(key, move |row| {
            let lease = row.lease(&holder, clock(), length);
            (lease, (lease == LeaseResult::Granted).into())
        }))
    }

    fn release<'a>(&'a self, key: &'a Key, holder: &'a str) -> StoreFuture<'a, ()> {
        let holder = holder.to_owned();
        Box::pin(self.change(key, move |row| ((), row.release(&holder).into())))
    }
}
