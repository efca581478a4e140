//! The directory of a file store: entries are read, replaced, removed and listed. All of this blocks.

use std::borrow::Cow;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use secrecy::ExposeSecret;

use super::entry::{self, TokenFile};
use super::error::FileStoreError;
use super::files::{check_private, create_directory, is_plain_file, owner, private, sync, write_new};
use super::lock::{EntryLock, LOCK_TIMEOUT};
use crate::auth::TokenSet;
use crate::auth::store::{Key, Precondition, PutResult, Resource, StoredTokens};

/// An empty file, which is locked while the store is opened. A directory without it is not the one that was opened.
const MARKER: &str = "highlevel.lock";

/// A file that is created and removed to test the permissions.
const PROBE: &str = "highlevel.probe";

/// The suffix of an entry's file while it is being written. A process that has the lock of the entry may remove it.
const TEMPORARY: &str = ".tmp";

/// The suffix of an entry's lock file.
const LOCK: &str = ".lock";

/// No entry is nearly as long. A longer file is not read into memory.
const MAX_LENGTH: u64 = 1 << 20;

#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
}

impl Directory {
    pub(super) fn open(path: &Path) -> Result<Self, FileStoreError> {
        let directory = Self { path: create_directory(path)? };
        let found = fs::metadata(&directory.path);
        let found = found.map_err(|error| FileStoreError::io("read", &directory.path, error))?;
        check_private(&directory.path, &found)?;
        let marker = directory.path.join(MARKER);
        if !is_plain_file(&marker)? {
            let created = private(OpenOptions::new().write(true).create(true).truncate(false)).open(&marker);
            created.map_err(|error| FileStoreError::io("create", &marker, error))?;
        }
        let _lock = lock(&marker)?;
        directory.check_owner()?;
        directory.remove_leftovers()?;
        Ok(directory)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn path_of(&self, key: &Key) -> PathBuf {
        self.path.join(entry::file_name(key))
    }

    pub(super) fn lock_path_of(&self, key: &Key) -> PathBuf {
        with_suffix(&self.path_of(key), LOCK)
    }

    /// Reads the entry of a key. It needs no lock, because files are only ever replaced as a whole.
    pub(super) fn read(&self, key: &Key) -> Result<Option<StoredTokens>, FileStoreError> {
        let path = self.path_of(key);
        let Some(entry) = read_entry(&path)? else {
            self.check_there()?;
            return Ok(None);
        };
        if entry.key != *key {
            return Err(FileStoreError::renamed(&path, &entry.key));
        }
        Ok(entry.stored)
    }

    /// Acquires the lock of an entry, if it is free.
    pub(super) fn try_lock(&self, key: &Key) -> Result<Option<EntryLock>, FileStoreError> {
        self.check_there()?;
        EntryLock::try_acquire(&self.lock_path_of(key))
    }

    /// Returns `true` if the entry is leased or locked, or was by a process that was killed.
    pub(super) fn has_lock_file(&self, key: &Key) -> Result<bool, FileStoreError> {
        self.check_there()?;
        is_plain_file(&self.lock_path_of(key))
    }

    pub(super) fn put(
        &self,
        _lock: &EntryLock,
        key: &Key,
        tokens: &TokenSet,
        precondition: Precondition,
    ) -> Result<PutResult, FileStoreError> {
        let found = self.read(key)?;
        if !precondition.is_met_by(found.as_ref().map(|found| found.version)) {
            return Ok(PutResult::Conflict(found));
        }
        let path = self.path_of(key);
        let nonce = random().map_err(|error| FileStoreError::io("write", &path, error))?;
        self.replace(&path, entry::to_json(key, nonce, tokens).expose_secret().as_bytes())?;
        Ok(PutResult::Stored(entry::version(nonce, tokens)))
    }

    pub(super) fn remove(
        &self,
        _lock: &EntryLock,
        key: &Key,
        precondition: Precondition,
    ) -> Result<bool, FileStoreError> {
        let found = self.read(key)?;
        if found.is_none() || !precondition.is_met_by(found.map(|found| found.version)) {
            return Ok(false);
        }
        let path = self.path_of(key);
        let removed = fs::remove_file(&path).and_then(|()| sync(&self.path));
        removed.map_err(|error| FileStoreError::io("remove", &path, error))?;
        Ok(true)
    }

    /// Returns the resources whose files can be read. Logs the others.
    pub(super) fn resources(&self, client_id: &str) -> Result<Vec<Resource>, FileStoreError> {
        self.check_there()?;
        let mut resources = Vec::new();
        for path in self.files()? {
            if !entry::may_be_of_app(&name(&path), client_id) {
                continue;
            }
            match self.listed(&path) {
                Ok(Some(key)) if key.client_id == client_id => resources.push(key.resource),
                Ok(_) => {}
                Err(error) => {
                    // A file that cannot be opened because the process has too many open files is not damaged.
                    let marker = self.path.join(MARKER);
                    File::open(&marker).map_err(|error| FileStoreError::io("read", &marker, error))?;
                    tracing::warn!("an entry of the token store is not listed: {error}");
                }
            }
        }
        Ok(resources)
    }

    /// Returns the key of the entry in a file, if there are tokens in it.
    fn listed(&self, path: &Path) -> Result<Option<Key>, FileStoreError> {
        let Some(TokenFile { key, stored }) = read_entry(path)? else { return Ok(None) };
        if self.path_of(&key) != path {
            return Err(FileStoreError::renamed(path, &key));
        }
        Ok(stored.map(|_| key))
    }

    /// Checks that this is still the directory that was opened: a disk that is no longer mounted has no tokens either.
    fn check_there(&self) -> Result<(), FileStoreError> {
        let marker = self.path.join(MARKER);
        if is_plain_file(&marker)? { Ok(()) } else { Err(FileStoreError::gone(&marker)) }
    }

    /// Replaces the contents of a file. At any moment it has, as a whole, the old ones or the new ones. Needs the lock.
    fn replace(&self, path: &Path, contents: &[u8]) -> Result<(), FileStoreError> {
        let temporary = with_suffix(path, TEMPORARY);
        let replaced = write_new(&temporary, contents).and_then(|()| fs::rename(&temporary, path));
        if let Err(error) = replaced {
            // Of the two errors, this is the one to report.
            let _ = fs::remove_file(&temporary);
            return Err(FileStoreError::io("write", path, error));
        }
        sync(&self.path).map_err(|error| FileStoreError::io("write", &self.path, error))
    }

    /// Removes the files of processes that were killed: those that they were writing, and those of their locks.
    fn remove_leftovers(&self) -> Result<(), FileStoreError> {
        for path in self.files()? {
            let name = name(&path);
            let entry = name.strip_suffix(TEMPORARY).or_else(|| name.strip_suffix(LOCK));
            let Some(entry) = entry.filter(|entry| entry::is_file_name(entry)) else { continue };
            let lock_path = self.path.join(entry.to_owned() + LOCK);
            // A lock that is not free belongs to a process that is alive.
            let Some(mut lock) = EntryLock::try_acquire(&lock_path)? else { continue };
            lock.clear_if_abandoned()?;
            if name.ends_with(TEMPORARY) {
                match fs::remove_file(&path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        return Err(FileStoreError::io("remove", &path, error));
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn files(&self) -> Result<Vec<PathBuf>, FileStoreError> {
        let failed = |error| FileStoreError::io("read", &self.path, error);
        fs::read_dir(&self.path).map_err(failed)?.map(|file| Ok(file.map_err(failed)?.path())).collect()
    }

    /// Checks that the directory can be written, and belongs to the user that would own the files in it: the owner of the
    /// directory could read and replace them. Needs the lock of the marker.
    fn check_owner(&self) -> Result<(), FileStoreError> {
        let probe = self.path.join(PROBE);
        let failed = |error| FileStoreError::io("write", &self.path, error);
        write_new(&probe, b"").map_err(failed)?;
        let owners =
            fs::metadata(&probe).and_then(|probe| Ok((owner(&fs::metadata(&self.path)?), owner(&probe))));
        fs::remove_file(&probe).map_err(failed)?;
        let (found, wanted) = owners.map_err(failed)?;
        if found == wanted { Ok(()) } else { Err(FileStoreError::other_owner(&self.path, found, wanted)) }
    }
}

/// Acquires the lock of a file that is never removed, until the returned file is dropped or the process ends.
fn lock(path: &Path) -> Result<File, FileStoreError> {
    let failed = |error| FileStoreError::io("lock", path, error);
    let file = OpenOptions::new().write(true).open(path).map_err(failed)?;
    let start = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) if error.kind() != io::ErrorKind::Interrupted => {
                return Err(failed(error));
            }
            Err(_) if start.elapsed() >= LOCK_TIMEOUT => {
                return Err(FileStoreError::locked(path, LOCK_TIMEOUT));
            }
            Err(_) => thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// Returns a random number that fits into the integers of all JSON parsers.
fn random() -> io::Result<u64> {
    let random = getrandom::u64().map_err(|error| io::Error::other(error.to_string()))?;
    Ok(random >> 11)
}

fn name(path: &Path) -> Cow<'_, str> {
    path.file_name().unwrap_or_default().to_string_lossy()
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

/// Reads the entry in a file, if there is such a file.
fn read_entry(path: &Path) -> Result<Option<TokenFile>, FileStoreError> {
    let failed = |error| FileStoreError::io("read", path, error);
    if !is_plain_file(path)? {
        return Ok(None);
    }
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(failed)?,
    };
    let found = file.metadata().map_err(failed)?;
    check_private(path, &found)?;
    if found.len() > MAX_LENGTH {
        return Err(FileStoreError::unreadable(path, "it is longer than 1 MiB"));
    }
    let mut bytes = Vec::new();
    file.take(MAX_LENGTH).read_to_end(&mut bytes).map_err(failed)?;
    entry::from_json(&bytes).map(Some).map_err(|error| {
        if error.is_newer_format() {
            FileStoreError::newer(path, &error.to_string())
        } else {
            FileStoreError::unreadable(path, &error.to_string())
        }
    })
}
