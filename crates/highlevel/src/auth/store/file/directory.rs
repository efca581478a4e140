//! The directory of a file store: who may see it, its lock, and how a file in it is replaced. All of this blocks.

use std::borrow::Cow;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use secrecy::ExposeSecret;

use super::entry::{self, Entry};
use super::error::FileStoreError;
use super::{Changed, Key, Resource, Row};

/// The file whose lock is held while another file is changed. It is empty.
const LOCK: &str = "highlevel.lock";

/// A file that is created and removed to see whether files can be.
const PROBE: &str = "highlevel.probe";

/// How the name of an entry's file ends while it is being written. Whoever has the lock may remove it.
const TEMPORARY: &str = ".tmp";

/// No entry is nearly as long; what is longer is not read into memory.
const LONGEST: u64 = 1 << 20;

#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
}

impl Directory {
    pub(super) fn open(path: &Path) -> Result<Self, FileStoreError> {
        let directory = Self { path: create(path)? };
        let found = fs::metadata(&directory.path);
        let found = found.map_err(|error| FileStoreError::io("read", &directory.path, &error))?;
        check_private(&directory.path, &found)?;
        let lock = directory.path.join(LOCK);
        if !is_plain_file(&lock)? {
            let created = private(OpenOptions::new().write(true).create(true).truncate(false)).open(&lock);
            created.map_err(|error| FileStoreError::io("create", &lock, &error))?;
        }
        let _lock = directory.lock()?;
        directory.remove_leftovers()?;
        directory.check_owner()?;
        Ok(directory)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn path_of(&self, key: &Key) -> PathBuf {
        self.path.join(entry::file_name(key))
    }

    /// What is kept under a key. It needs no lock, because files are only ever replaced as a whole.
    pub(super) fn read(&self, key: &Key) -> Result<Row, FileStoreError> {
        let path = self.path_of(key);
        let Some(entry) = read_entry(&path)? else {
            self.check_there()?;
            return Ok(Row::default());
        };
        if entry.key != *key {
            return Err(FileStoreError::renamed(&path, &entry.key));
        }
        Ok(entry.row)
    }

    /// Reads what is kept under a key, changes it, and writes it if it was changed, while nobody else does.
    pub(super) fn change<T>(
        &self,
        key: &Key,
        work: impl FnOnce(&mut Row) -> (T, Changed),
    ) -> Result<T, FileStoreError> {
        let _lock = self.lock()?;
        let mut row = self.read(key)?;
        let (answer, changed) = work(&mut row);
        if changed == Changed::Yes {
            self.replace(&self.path_of(key), entry::to_json(key, &row).expose_secret().as_bytes())?;
        }
        Ok(answer)
    }

    pub(super) fn resources(&self, client_id: &str) -> Result<Vec<Resource>, FileStoreError> {
        self.check_there()?;
        let mut resources = Vec::new();
        for path in self.files()? {
            if !entry::may_be_of_app(&name(&path), client_id) {
                continue;
            }
            let Some(Entry { key, row }) = read_entry(&path)? else { continue };
            if entry::file_name(&key) != name(&path) {
                return Err(FileStoreError::renamed(&path, &key));
            }
            if key.client_id == client_id && row.tokens.is_some() {
                resources.push(key.resource);
            }
        }
        Ok(resources)
    }

    /// That this is still the directory that was opened: a disk that is no longer there has no tokens either.
    fn check_there(&self) -> Result<(), FileStoreError> {
        let lock = self.path.join(LOCK);
        if is_plain_file(&lock)? { Ok(()) } else { Err(FileStoreError::gone(&lock)) }
    }

    /// The lock of the operating system, until the file is dropped or the process ends.
    fn lock(&self) -> Result<File, FileStoreError> {
        self.check_there()?;
        let path = self.path.join(LOCK);
        let failed = |error| FileStoreError::io("lock", &path, &error);
        let file = OpenOptions::new().write(true).open(&path).map_err(failed)?;
        loop {
            match file.lock() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                locked => return locked.map(|()| file).map_err(failed),
            }
        }
    }

    /// Gives a file other contents: at any moment it has, whole, the old ones or the new ones. Needs the lock.
    fn replace(&self, path: &Path, contents: &[u8]) -> Result<(), FileStoreError> {
        let temporary = with_suffix(path, TEMPORARY);
        let replaced = write_new(&temporary, contents).and_then(|()| fs::rename(&temporary, path));
        if let Err(error) = replaced {
            // Of the two errors, this is the one to report.
            let _ = fs::remove_file(&temporary);
            return Err(FileStoreError::io("write", path, &error));
        }
        sync(&self.path).map_err(|error| FileStoreError::io("write", &self.path, &error))
    }

    /// Removes what processes left that were killed while they wrote. Needs the lock.
    fn remove_leftovers(&self) -> Result<(), FileStoreError> {
        for path in self.files()? {
            if name(&path).strip_suffix(TEMPORARY).is_some_and(entry::is_file_name) {
                fs::remove_file(&path).map_err(|error| FileStoreError::io("remove", &path, &error))?;
            }
        }
        Ok(())
    }

    fn files(&self) -> Result<Vec<PathBuf>, FileStoreError> {
        let failed = |error| FileStoreError::io("read", &self.path, &error);
        fs::read_dir(&self.path).map_err(failed)?.map(|file| Ok(file.map_err(failed)?.path())).collect()
    }

    /// That the directory can be written, and belongs to the user who would own the files in it. Whoever owns the
    /// directory could read and replace them. Needs the lock.
    fn check_owner(&self) -> Result<(), FileStoreError> {
        let probe = self.path.join(PROBE);
        let failed = |error| FileStoreError::io("write", &self.path, &error);
        write_new(&probe, b"").map_err(failed)?;
        let owners =
            fs::metadata(&probe).and_then(|probe| Ok((owner(&fs::metadata(&self.path)?), owner(&probe))));
        fs::remove_file(&probe).map_err(failed)?;
        let (found, wanted) = owners.map_err(failed)?;
        if found == wanted { Ok(()) } else { Err(FileStoreError::other_owner(&self.path, found, wanted)) }
    }
}

/// Creates the directory and those above it, if they are missing, and answers its full name.
fn create(path: &Path) -> Result<PathBuf, FileStoreError> {
    let failed = |error| FileStoreError::io("create", path, &error);
    let missing = path.ancestors().take_while(|path| !path.as_os_str().is_empty() && !path.exists()).count();
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(path).map_err(failed)?;
    let path = path.canonicalize().map_err(failed)?;
    for above in path.ancestors().skip(1).take(missing) {
        // A directory can be one to pass through and not to read; then it is the system that brings it to the disk.
        let _ = sync(above);
    }
    Ok(path)
}

fn name(path: &Path) -> Cow<'_, str> {
    path.file_name().unwrap_or_default().to_string_lossy()
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

/// The entry in a file, if there is such a file.
fn read_entry(path: &Path) -> Result<Option<Entry>, FileStoreError> {
    let failed = |error| FileStoreError::io("read", path, &error);
    if !is_plain_file(path)? {
        return Ok(None);
    }
    let file = File::open(path).map_err(failed)?;
    let found = file.metadata().map_err(failed)?;
    check_private(path, &found)?;
    if found.len() > LONGEST {
        return Err(FileStoreError::unreadable(path, "it is longer than 1 MiB"));
    }
    let mut bytes = Vec::new();
    file.take(LONGEST).read_to_end(&mut bytes).map_err(failed)?;
    entry::from_json(&bytes).map(Some).map_err(|error| {
        if error.is_newer_format() {
            FileStoreError::newer(path, &error.to_string())
        } else {
            FileStoreError::unreadable(path, &error.to_string())
        }
    })
}

/// Whether there is a file. Anything else of that name was not put there by a store, least of all a symbolic link.
fn is_plain_file(path: &Path) -> Result<bool, FileStoreError> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_file() => Ok(true),
        Ok(found) => Err(FileStoreError::not_a_file(path, found.is_symlink())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(FileStoreError::io("read", path, &error)),
    }
}

/// Writes a file that only the owner may read, to the disk. What is there under the name is removed first: the file is
/// not written through a link.
fn write_new(path: &Path, contents: &[u8]) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = private(OpenOptions::new().write(true).create_new(true)).open(path)?;
    file.write_all(contents)?;
    file.sync_all()
}

/// Has files created with mode 0600.
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// Brings the names in a directory to the disk. On Windows, renaming does that.
fn sync(directory: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(directory)?.sync_all() } else { Ok(()) }
}

#[cfg(unix)]
fn check_private(path: &Path, found: &fs::Metadata) -> Result<(), FileStoreError> {
    let mode = std::os::unix::fs::MetadataExt::mode(found) & 0o777;
    let of_others = mode & 0o077;
    if of_others == 0 { Ok(()) } else { Err(FileStoreError::open_to_others(path, mode, found.is_dir())) }
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "on Unix it can fail")]
fn check_private(_: &Path, _: &fs::Metadata) -> Result<(), FileStoreError> {
    Ok(())
}

#[cfg(unix)]
fn owner(found: &fs::Metadata) -> u32 {
    std::os::unix::fs::MetadataExt::uid(found)
}

#[cfg(not(unix))]
fn owner(_: &fs::Metadata) -> u32 {
    0
}
