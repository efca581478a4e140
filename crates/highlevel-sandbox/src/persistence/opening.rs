//! Opening the state file.
//!
//! Exactly one process succeeds. An existing file is not changed until it is known to be a
//! complete state file.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use redb::StorageBackend;

use crate::identifiers::Identifiers;
use crate::sync::lock;

/// A file at the path, locked against other processes.
pub(super) enum Opened {
    /// The file was absent or empty. It is locked by its database.
    New(redb::Database, File),
    /// The file has content, which has not been read.
    Existing(File),
}

/// An error of opening a path as a state file.
#[derive(Debug)]
pub(super) enum OpenError {
    /// Another process has it open.
    Locked,
    /// A device, a FIFO, a socket or a directory.
    NotAFile,
    /// A symbolic link to a path that does not exist.
    DanglingLink,
    System(io::Error),
}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

/// Opens or creates the file at a path. `initialise` creates a database in an empty temporary file, which is then renamed:
/// the file at the path is complete even if the machine stops in between.
pub(super) fn open<E: From<OpenError>>(
    path: &Path,
    initialise: impl Fn(File) -> Result<redb::Database, E>,
) -> Result<Opened, E> {
    loop {
        let Some((path, metadata)) = find(path)? else {
            match create(path, &initialise)? {
                Some((database, file)) => return Ok(Opened::New(database, file)),
                // Another process has just created it.
                None => continue,
            }
        };
        if !metadata.is_file() {
            return Err(OpenError::NotAFile.into());
        }
        let file = match OpenOptions::new().read(true).write(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(OpenError::System(error).into()),
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OpenError::Locked.into()),
            // Some file systems do not support locks. The database does without them there, too.
            Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {}
            Err(TryLockError::Error(error)) => return Err(OpenError::System(error).into()),
        }
        let opened = file.metadata().map_err(OpenError::System)?;
        // The file may have been replaced between finding and locking it.
        let is_still_there = fs::metadata(&path).is_ok_and(|there| is_same(&there, &opened));
        if !is_still_there {
            continue;
        }
        if !opened.is_file() {
            return Err(OpenError::NotAFile.into());
        }
        if opened.len() > 0 {
            return Ok(Opened::Existing(file));
        }
        // The empty file stays locked until it is replaced, so no other process initialises it.
        let (temporary, database, new) = create_temporary(&path, &initialise)?;
        let replaced = fs::rename(&temporary, &path).and_then(|()| sync_directory(&path));
        if let Err(error) = replaced {
            let _ = fs::remove_file(&temporary);
            return Err(OpenError::System(error).into());
        }
        return Ok(Opened::New(database, new));
    }
}

/// Resolves symbolic links. Returns `None` if the path does not exist.
fn find(path: &Path) -> Result<Option<(PathBuf, Metadata)>, OpenError> {
    let is_link = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata.is_symlink(),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(OpenError::System(error)),
    };
    let resolved = fs::canonicalize(path).and_then(|path| Ok((fs::metadata(&path)?, path)));
    match resolved {
        Ok((metadata, path)) => Ok(Some((path, metadata))),
        Err(error) if error.kind() == ErrorKind::NotFound && is_link => Err(OpenError::DanglingLink),
        // The file was removed in between.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(OpenError::System(error)),
    }
}

/// Creates the file. Returns `None` if another process has created it first.
fn create<E: From<OpenError>>(
    path: &Path,
    initialise: &impl Fn(File) -> Result<redb::Database, E>,
) -> Result<Option<(redb::Database, File)>, E> {
    let (temporary, database, file) = create_temporary(path, initialise)?;
    // Unlike renaming, linking never replaces an existing file.
    let linked = fs::hard_link(&temporary, path);
    let removed = fs::remove_file(&temporary);
    match linked {
        Ok(()) => {
            removed.and_then(|()| sync_directory(path)).map_err(OpenError::System)?;
            Ok(Some((database, file)))
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(None),
        Err(error) => Err(OpenError::System(error).into()),
    }
}

/// Creates a database in a temporary file beside the path. Only the owner can read it, because it contains tokens.
fn create_temporary<E: From<OpenError>>(
    path: &Path,
    initialise: &impl Fn(File) -> Result<redb::Database, E>,
) -> Result<(PathBuf, redb::Database, File), E> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}.new", Identifiers::new(None).object_id()));
    let temporary = PathBuf::from(temporary);
    let mut options = OpenOptions::new();
    // Fails if the path exists, even as a dangling link.
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(&temporary).map_err(OpenError::System)?;
    let opened = file.try_clone().map_err(OpenError::System)?;
    match initialise(opened) {
        Ok(database) => Ok((temporary, database, file)),
        Err(error) => {
            let _ = fs::remove_file(&temporary);
            Err(error)
        }
    }
}

/// Syncs the directory of a path, which holds the file name. Not supported on every system, so errors are ignored.
#[allow(clippy::unnecessary_wraps, reason = "it is one of several steps that can fail")]
fn sync_directory(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Ok(directory) = File::open(parent.unwrap_or(Path::new("."))) {
        let _ = directory.sync_all();
    }
    Ok(())
}

/// Returns `true` if the file is still the one at the path.
pub(super) fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(file), Ok(there)) => is_same(&file, &there),
        _ => false,
    }
}

#[cfg(unix)]
fn is_same(left: &Metadata, right: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;

    (left.dev(), left.ino()) == (right.dev(), right.ino())
}

/// Always `true`, because an open file cannot be replaced on these systems.
#[cfg(not(unix))]
fn is_same(_: &Metadata, _: &Metadata) -> bool {
    true
}

/// The size of a page of an overlay, in bytes.
const PAGE: u64 = 4096;

/// The header of redb's file format 3: 9 bytes of magic number, the flags, the layout, and from these offsets on two commit
/// slots, one of which is the primary. Each slot has a checksum.
const HEADER: usize = 320;
const FLAGS: usize = 9;
const SLOTS: [usize; 2] = [64, 192];
const PRIMARY_IS_SECOND: u8 = 1;
const RECOVERY_REQUIRED: u8 = 2;
const TWO_PHASE_COMMIT: u8 = 4;

/// A file with all changes held in memory. Allows a damaged database to be repaired and read without changing the file.
#[derive(Debug)]
pub(super) struct Overlay(Mutex<Layers>);

#[derive(Debug)]
struct Layers {
    file: File,
    /// The length up to which bytes are read from the file.
    file_len: u64,
    len: u64,
    /// The written pages.
    pages: BTreeMap<u64, Vec<u8>>,
}

impl Overlay {
    pub(super) fn new(file: File) -> io::Result<Self> {
        let len = file.metadata()?.len();
        Ok(Self(Mutex::new(Layers { file, file_len: len, len, pages: BTreeMap::new() })))
    }

    /// Changes the header so that the database verifies the checksums of all pages, from the roots on, before it reads from
    /// them. Returns `true` if a failed verification proves damage.
    ///
    /// A database that was closed is otherwise read without verification. In a damaged page, a reference can be to a page of
    /// terabytes, and allocating memory for it ends the process.
    pub(super) fn require_verification(&self) -> io::Result<bool> {
        let mut header = [0; HEADER];
        if self.len()? < HEADER as u64 {
            return Ok(true);
        }
        self.read(0, &mut header)?;
        let is_verified = require_verification(&mut header);
        self.write(0, &header)?;
        Ok(is_verified)
    }
}

/// Changes the header of a database as [`Overlay::require_verification`] describes.
fn require_verification(header: &mut [u8; HEADER]) -> bool {
    let flags = header[FLAGS];
    // After a crash, the database verifies both slots, and the older one may be the valid one.
    if flags & RECOVERY_REQUIRED != 0 && flags & TWO_PHASE_COMMIT == 0 {
        return false;
    }
    // The primary slot was written completely. Without a copy in its place, the other slot could be chosen.
    let [first, second] = SLOTS;
    if flags & PRIMARY_IS_SECOND == 0 {
        header.copy_within(first..second, second);
    } else {
        header.copy_within(second..HEADER, first);
    }
    header[FLAGS] = (flags | RECOVERY_REQUIRED) & !TWO_PHASE_COMMIT;
    true
}

impl Layers {
    /// Fills a buffer from the file, with zeros beyond its end.
    fn read_file(&mut self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let available = self.file_len.saturating_sub(offset);
        let count = usize::try_from(available).unwrap_or(usize::MAX).min(out.len());
        let (from_file, rest) = out.split_at_mut(count);
        rest.fill(0);
        self.file.seek(SeekFrom::Start(offset))?;
        self.file.read_exact(from_file)
    }

    fn page(&mut self, number: u64) -> io::Result<Vec<u8>> {
        if let Some(page) = self.pages.get(&number) {
            return Ok(page.clone());
        }
        let mut page = vec![0; usize::try_from(PAGE).unwrap_or_default()];
        self.read_file(number * PAGE, &mut page)?;
        Ok(page)
    }

    fn check(&self, offset: u64, count: usize) -> io::Result<()> {
        let end = offset.checked_add(count as u64).filter(|end| *end <= self.len);
        end.map(|_| ()).ok_or_else(|| io::Error::from(ErrorKind::UnexpectedEof))
    }
}

/// Splits a range at page boundaries. Returns the page number, the offset in the page and the length of each part.
fn parts(offset: u64, count: usize) -> impl Iterator<Item = (u64, usize, usize)> {
    let end = offset + count as u64;
    std::iter::successors((count > 0).then_some(offset), move |at| {
        let next = (at / PAGE + 1) * PAGE;
        (next < end).then_some(next)
    })
    .map(move |at| {
        let stop = ((at / PAGE + 1) * PAGE).min(end);
        let index = |number: u64| usize::try_from(number).unwrap_or_default();
        (at / PAGE, index(at % PAGE), index(stop - at))
    })
}

impl StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(lock(&self.0).len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut layers = lock(&self.0);
        layers.check(offset, out.len())?;
        layers.read_file(offset, out)?;
        let mut done = 0;
        for (number, start, count) in parts(offset, out.len()) {
            if let Some(page) = layers.pages.get(&number) {
                out[done..done + count].copy_from_slice(&page[start..start + count]);
            }
            done += count;
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut layers = lock(&self.0);
        if len < layers.len {
            layers.file_len = layers.file_len.min(len);
            layers.pages.split_off(&len.div_ceil(PAGE));
            let used = usize::try_from(len % PAGE).unwrap_or_default();
            if used > 0
                && let Some(page) = layers.pages.get_mut(&(len / PAGE))
            {
                page[used..].fill(0);
            }
        }
        layers.len = len;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut layers = lock(&self.0);
        layers.check(offset, data.len())?;
        let mut done = 0;
        for (number, start, count) in parts(offset, data.len()) {
            let mut page = layers.page(number)?;
            page[start..start + count].copy_from_slice(&data[done..done + count]);
            layers.pages.insert(number, page);
            done += count;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use fastrand::Rng;

    use super::*;

    struct Scratch(PathBuf);

    impl Scratch {
        fn new() -> Self {
            let path = std::env::temp_dir().join(Identifiers::new(None).uuid());
            fs::create_dir(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn bytes(rng: &mut Rng, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        rng.fill(&mut bytes);
        bytes
    }

    /// Compares with the same operations on a byte vector.
    #[test]
    fn an_overlay_behaves_like_a_byte_vector_and_leaves_the_file_unchanged() {
        let scratch = Scratch::new();
        for seed in 0..50 {
            let mut rng = Rng::with_seed(seed);
            let count = rng.usize(..20_000);
            let mut expected = bytes(&mut rng, count);
            let original = expected.clone();
            let path = scratch.0.join(seed.to_string());
            File::create(&path).unwrap().write_all(&original).unwrap();
            let overlay = Overlay::new(File::open(&path).unwrap()).unwrap();
            for _ in 0..200 {
                let len = expected.len();
                match rng.u8(..4) {
                    0 => {
                        let len = rng.usize(..30_000);
                        expected.resize(len, 0);
                        overlay.set_len(len as u64).unwrap();
                    }
                    1 | 2 => {
                        let start = rng.usize(..=len);
                        let count = rng.usize(..=(len - start).min(9_000));
                        let data = bytes(&mut rng, count);
                        expected[start..start + data.len()].copy_from_slice(&data);
                        overlay.write(start as u64, &data).unwrap();
                    }
                    _ => {
                        let start = rng.usize(..=len);
                        let mut found = vec![7; rng.usize(..=len - start)];
                        overlay.read(start as u64, &mut found).unwrap();
                        assert!(found == expected[start..start + found.len()], "seed {seed}");
                    }
                }
                assert_eq!(overlay.len().unwrap(), expected.len() as u64);
            }
            let end = expected.len() as u64;
            assert!(overlay.read(end, &mut [0]).is_err() && overlay.write(u64::MAX, &[0]).is_err());
            assert!(fs::read(&path).unwrap() == original, "seed {seed}: the file was changed");
        }
    }
}
