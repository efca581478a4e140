//! The lock of one entry, and the lease that is written in its file. All of this blocks.

use std::borrow::Cow;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::error::FileStoreError;
use super::files::{is_plain_file, private};
use crate::auth::store::rules::HeldLease;

/// The time that an operation waits for the lock of an entry while other processes have it.
pub(super) const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// A longer file is no lease.
const MAX_LENGTH: u64 = 4 << 10;

/// A lock file that was not written for this long contains no lease that is still held.
const ABANDONED: Duration = Duration::from_secs(3_600);

/// The lock of the operating system on the lock file of an entry, until it is dropped or the process ends.
///
/// The file exists only while the entry is locked or leased, so entries leave no files behind. On Windows it
/// cannot be determined whether an open file was replaced, so there the file remains.
pub(super) struct EntryLock {
    file: File,
    path: PathBuf,
    lease: Option<HeldLease>,
}

impl EntryLock {
    /// Acquires the lock without waiting. Returns `None` if another process or thread has it.
    pub(super) fn try_acquire(path: &Path) -> Result<Option<Self>, FileStoreError> {
        let failed = |error| FileStoreError::io("lock", path, error);
        loop {
            // Follows no symbolic link, unless one is created at this moment by the owner of the directory.
            is_plain_file(path)?;
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false);
            let mut file = private(&mut options).open(path).map_err(failed)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
            if is_current(&file, path).map_err(failed)? {
                let lease = read(&mut file).map_err(failed)?;
                return Ok(Some(Self { file, path: path.to_owned(), lease }));
            }
            // The process that had the lock before has removed the file.
        }
    }

    /// Returns the lease in the file. It may have ended.
    pub(super) fn lease(&self) -> Option<&HeldLease> {
        self.lease.as_ref()
    }

    /// Writes a lease to the file. It is not synced: a lease need not survive a crash of the machine.
    pub(super) fn set_lease(&mut self, lease: HeldLease) -> Result<(), FileStoreError> {
        self.clear()?;
        let written = to_json(&lease).and_then(|json| self.file.write_all(&json));
        written.map_err(|error| FileStoreError::io("write", &self.path, error))?;
        self.lease = Some(lease);
        Ok(())
    }

    /// Removes the lease.
    pub(super) fn clear(&mut self) -> Result<(), FileStoreError> {
        self.lease = None;
        let cleared = self.file.set_len(0).and_then(|()| self.file.rewind());
        cleared.map_err(|error| FileStoreError::io("write", &self.path, error))
    }

    /// Removes a lease whose holder, by the clock of the file system, must have given it up long ago.
    pub(super) fn clear_if_abandoned(&mut self) -> Result<(), FileStoreError> {
        let written = self.file.metadata().and_then(|file| file.modified());
        let age = written.ok().and_then(|written| SystemTime::now().duration_since(written).ok());
        if age.is_some_and(|age| age > ABANDONED) { self.clear() } else { Ok(()) }
    }
}

impl Drop for EntryLock {
    fn drop(&mut self) {
        if cfg!(unix) && self.lease.is_none() {
            // Before the lock is released, so that no other process has acquired it. A file that stays is an empty one.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Returns `true` if the path still names the open file.
#[cfg(unix)]
fn is_current(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;

    let open = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(found) => Ok((found.dev(), found.ino()) == (open.dev(), open.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "on Unix it can fail")]
fn is_current(_: &File, _: &Path) -> io::Result<bool> {
    Ok(true)
}

#[derive(Serialize, Deserialize)]
struct LeaseForm<'a> {
    #[serde(borrow)]
    holder: Cow<'a, str>,
    /// Exact: rounded, the longest lease would seem to be longer.
    until: SystemTime,
}

fn to_json(lease: &HeldLease) -> io::Result<Vec<u8>> {
    let form = LeaseForm { holder: lease.holder.as_str().into(), until: lease.until };
    // Fails if the clock is before 1970.
    Ok(serde_json::to_vec(&form)?)
}

/// Reads the lease in a lock file. A process that was killed while it wrote a lease was never granted it, so text that
/// cannot be understood is no lease.
fn read(file: &mut File) -> io::Result<Option<HeldLease>> {
    let mut text = Vec::new();
    file.take(MAX_LENGTH).read_to_end(&mut text)?;
    let lease: Option<LeaseForm<'_>> = serde_json::from_slice(&text).ok();
    Ok(lease.map(|LeaseForm { holder, until }| HeldLease { holder: holder.into_owned(), until }))
}
