//! The database in the state file.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::thread;

use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, StorageError, TableDefinition};

use super::opening::{self, OpenError, Opened, Overlay};
use super::row::{ReadLimits, RowChange, StoredRow};

/// Maps kind and ID to a sequence number, assigned when the row is first written, and JSON.
const ROWS: TableDefinition<'_, (&str, &str), (u64, &[u8])> = TableDefinition::new("things");
/// Metadata of the file.
const METADATA: TableDefinition<'_, &str, &str> = TableDefinition::new("highlevel-sandbox");
/// The file format. Incremented when older versions cannot read the file.
const FORMAT: &str = "2";
/// The former format, with all credentials in one row. The first write converts it to the current format.
const FORMER_FORMAT: &str = "1";
/// The page cache of the database. The default of redb is a gigabyte.
const CACHE_BYTES: usize = 16 * 1024 * 1024;
/// The maximum size of the JSON in rows that cannot be skipped, in bytes.
const MAX_OTHER_BYTES: usize = 256 * 1024 * 1024;
/// The first bytes of every redb file.
const MAGIC: &[u8] = b"redb\x1A\x0A\xA9\x0D\x0A";

/// The name of the thread that reads a file for the first time. A damaged file can make the database panic instead of
/// returning an error, so the program does not print panics of this thread.
pub const CHECK_THREAD: &str = "highlevel-sandbox-check";

/// An open file, locked against other processes.
pub(super) struct StateFile {
    /// `None` after an error until the file is reopened, because redb rejects all operations after an I/O error.
    database: Option<Database>,
    /// The open file, even if it is renamed or deleted.
    file: File,
    path: PathBuf,
    limits: ReadLimits,
    /// The sequence number of the newest row.
    last_number: u64,
    /// The file has the former format.
    has_former_format: bool,
}

impl StateFile {
    pub(super) fn open(path: &Path, limits: ReadLimits) -> io::Result<(Self, Vec<StoredRow>, usize)> {
        open(path, limits).map_err(|error| error.into_io(path))
    }

    /// Reopens the database after an error, and returns its rows.
    pub(super) fn reopen(&mut self) -> io::Result<Vec<StoredRow>> {
        // Dropping the database releases the lock; opening it acquires the lock again.
        self.database = None;
        if !opening::is_at(&self.file, &self.path) {
            return Err(io::Error::other("the file was removed or replaced; restart the sandbox"));
        }
        let reopened = catch_unwind(AssertUnwindSafe(|| -> Result<_, FileError> {
            let database = database(self.file.try_clone().map_err(FileError::System)?)?;
            let FileContent { rows, last_number, .. } = content(&database, self.limits)?;
            Ok((database, rows, last_number))
        }));
        let reopened = reopened.unwrap_or_else(|_| Err(FileError::Damaged("it cannot be read".to_owned())));
        let (database, rows, last_number) = reopened.map_err(|error| error.into_io(&self.path))?;
        (self.database, self.last_number) = (Some(database), last_number);
        Ok(rows)
    }

    /// Writes all changes in one synced transaction. Returns the number of rows, and the size of their JSON in bytes.
    pub(super) fn write(&mut self, clear: bool, changes: &[RowChange]) -> io::Result<(u64, u64)> {
        // Changes written to a deleted file would be lost when the process ends.
        if !opening::is_at(&self.file, &self.path) {
            return Err(io::Error::other("the file was removed or replaced"));
        }
        catch_unwind(AssertUnwindSafe(|| self.commit(clear, changes)))
            .unwrap_or_else(|_| Err(io::Error::other("the database in it is damaged")))
    }

    fn commit(&mut self, clear: bool, changes: &[RowChange]) -> io::Result<(u64, u64)> {
        let (mut rows, mut bytes) = (0, 0);
        let Some(database) = &self.database else { return Err(io::Error::other("the database is closed")) };
        // The durability of a transaction defaults to `Immediate`.
        let transaction = database.begin_write().map_err(io::Error::other)?;
        {
            let mut table = transaction.open_table(ROWS).map_err(io::Error::other)?;
            if clear {
                table.retain(|_, _| false).map_err(io::Error::other)?;
            }
            for RowChange { kind, id, content, is_new } in changes {
                let key = (*kind, id.as_str());
                rows += 1;
                if *is_new || content.is_none() {
                    table.remove(key).map_err(io::Error::other)?;
                }
                let Some(content) = content else { continue };
                let existing = table.get(key).map_err(io::Error::other)?.map(|row| row.value().0);
                let number = existing.unwrap_or_else(|| {
                    self.last_number += 1;
                    self.last_number
                });
                let json = content.to_json()?;
                bytes += json.len() as u64;
                table.insert(key, (number, json.as_slice())).map_err(io::Error::other)?;
            }
            if self.has_former_format {
                let mut metadata = transaction.open_table(METADATA).map_err(io::Error::other)?;
                metadata.insert("format", FORMAT).map_err(io::Error::other)?;
            }
        }
        transaction.commit().map_err(io::Error::other)?;
        self.has_former_format = false;
        Ok((rows, bytes))
    }
}

/// An error of opening or reading a file.
enum FileError {
    Foreign,
    Newer(String),
    Locked,
    NotAFile,
    DanglingLink,
    Damaged(String),
    /// The size of all rows except messages, in bytes.
    TooLarge(usize),
    System(io::Error),
}

/// The content of a database.
struct FileContent {
    rows: Vec<StoredRow>,
    /// The number of rows that exceed the limits.
    unread: usize,
    last_number: u64,
    has_former_format: bool,
}

fn open(path: &Path, limits: ReadLimits) -> Result<(StateFile, Vec<StoredRow>, usize), FileError> {
    let (database, file, content) = match opening::open(path, initialise)? {
        Opened::New(database, file) => {
            let empty = FileContent { rows: Vec::new(), unread: 0, last_number: 0, has_former_format: false };
            (database, file, empty)
        }
        Opened::Existing(mut file) => {
            let mut start = Vec::new();
            (&mut file).take(MAGIC.len() as u64).read_to_end(&mut start).map_err(FileError::System)?;
            file.rewind().map_err(FileError::System)?;
            if start != MAGIC {
                return Err(FileError::Foreign);
            }
            // First in an overlay: opening a database repairs it, and a rejected file must not be changed.
            let copy = file.try_clone().map_err(FileError::System)?;
            let content = in_check_thread(move || {
                let mut database = database(Overlay::new(copy).map_err(FileError::System)?)?;
                if !database.check_integrity()? {
                    tracing::warn!("repaired the state file");
                }
                content(&database, limits)
            })?;
            let opened = file.try_clone().map_err(FileError::System)?;
            (in_check_thread(move || Ok(database(opened)?))?, file, content)
        }
    };
    let FileContent { rows, unread, last_number, has_former_format } = content;
    let path = path.to_owned();
    let file = StateFile { database: Some(database), file, path, limits, last_number, has_former_format };
    Ok((file, rows, unread))
}

/// Runs a closure in a thread named [`CHECK_THREAD`], and returns an error if it panics.
fn in_check_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, FileError> + Send + 'static,
) -> Result<T, FileError> {
    let thread =
        thread::Builder::new().name(CHECK_THREAD.to_owned()).spawn(work).map_err(FileError::System)?;
    thread.join().unwrap_or_else(|_| Err(FileError::Damaged("it cannot be read".to_owned())))
}

/// Opens the database in a file or an overlay.
fn database(storage: impl Storage) -> Result<Database, DatabaseError> {
    let mut builder = Database::builder();
    storage.open(builder.set_cache_size(CACHE_BYTES))
}

/// Storage of a database.
trait Storage {
    fn open(self, builder: &mut redb::Builder) -> Result<Database, DatabaseError>;
}

impl Storage for File {
    fn open(self, builder: &mut redb::Builder) -> Result<Database, DatabaseError> {
        builder.create_file(self)
    }
}

impl Storage for Overlay {
    fn open(self, builder: &mut redb::Builder) -> Result<Database, DatabaseError> {
        if self.require_verification().map_err(StorageError::Io)? {
            // The progress is between these values only if the verification of the primary slot has failed.
            builder.set_repair_callback(|repair| {
                if (0.2..0.5).contains(&repair.progress()) {
                    repair.abort();
                }
            });
        }
        builder.create_with_backend(self)
    }
}

/// Reads the content of a database.
fn content(database: &Database, limits: ReadLimits) -> Result<FileContent, FileError> {
    let transaction = database.begin_read().map_err(damaged)?;
    let Ok(metadata) = transaction.open_table(METADATA) else { return Err(FileError::Foreign) };
    let format = metadata.get("format").map_err(damaged)?.map(|format| format.value().to_owned());
    let has_former_format = format.as_deref() == Some(FORMER_FORMAT);
    match format.as_deref() {
        Some(FORMAT | FORMER_FORMAT) => {}
        Some(other) => return Err(FileError::Newer(other.to_owned())),
        None => return Err(FileError::Foreign),
    }
    drop((metadata, transaction));

    let transaction = database.begin_read().map_err(damaged)?;
    let table = transaction.open_table(ROWS).map_err(damaged)?;
    // First only keys and lengths, because the file may not fit in memory.
    let mut entries = Vec::new();
    let mut others = 0;
    for entry in table.iter().map_err(damaged)? {
        let (key, value) = entry.map_err(damaged)?;
        let ((kind, id), (number, json)) = (key.value(), value.value());
        if kind != limits.kind {
            others += json.len();
        }
        entries.push((number, kind.to_owned(), id.to_owned(), json.len()));
    }
    if others > MAX_OTHER_BYTES {
        return Err(FileError::TooLarge(others));
    }
    entries.sort_by_key(|(number, ..)| *number);
    let last_number = entries.last().map_or(0, |(number, ..)| *number);
    let (mut limited, mut bytes) = (0, 0);
    // From the newest to the oldest, until a limit is exceeded.
    let is_read = |(_, kind, _, length): &(u64, String, String, usize)| {
        if kind != limits.kind {
            return true;
        }
        limited += 1;
        bytes += length;
        limited <= limits.rows && bytes <= limits.bytes
    };
    let all = entries.len();
    let mut read: Vec<_> = entries.into_iter().rev().filter(is_read).collect();
    read.reverse();
    let unread = all - read.len();
    let mut rows = Vec::with_capacity(read.len());
    for (_, kind, id, _) in read {
        let json = table.get((kind.as_str(), id.as_str())).map_err(damaged)?;
        let json = json.map(|value| value.value().1.to_vec()).unwrap_or_default();
        rows.push(StoredRow { kind, id, json });
    }
    drop((table, transaction));
    Ok(FileContent { rows, unread, last_number, has_former_format })
}

/// Creates a database in an empty file.
fn initialise(file: File) -> Result<Database, FileError> {
    let database = database(file)?;
    let transaction = database.begin_write().map_err(damaged)?;
    transaction.open_table(METADATA).map_err(damaged)?.insert("format", FORMAT).map_err(damaged)?;
    transaction.open_table(ROWS).map_err(damaged)?;
    transaction.commit().map_err(damaged)?;
    Ok(database)
}

impl From<OpenError> for FileError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Locked => Self::Locked,
            OpenError::NotAFile => Self::NotAFile,
            OpenError::DanglingLink => Self::DanglingLink,
            OpenError::System(error) => Self::System(error),
        }
    }
}

impl FileError {
    fn into_io(self, path: &Path) -> io::Error {
        let path = path.display();
        let (kind, message) = match self {
            Self::Foreign => (
                ErrorKind::InvalidData,
                format!("{path} is not a state file of the sandbox; choose another path"),
            ),
            Self::Newer(format) => (
                ErrorKind::InvalidData,
                format!(
                    "{path} was written by a newer sandbox (format {format}, supported is {FORMAT}); update this sandbox"
                ),
            ),
            Self::Locked => (
                ErrorKind::ResourceBusy,
                format!("{path} is in use by another sandbox; stop it, or choose another path"),
            ),
            Self::NotAFile => {
                (ErrorKind::InvalidInput, format!("{path} is not a regular file; choose another path"))
            }
            Self::DanglingLink => (
                ErrorKind::InvalidInput,
                format!(
                    "{path} is a symbolic link to a path that does not exist; remove the link, or create its target"
                ),
            ),
            Self::Damaged(reason) => (
                ErrorKind::InvalidData,
                format!(
                    "{path} is damaged and was not changed: {reason}; restore a backup, or delete the file to start empty"
                ),
            ),
            Self::TooLarge(bytes) => (
                ErrorKind::InvalidData,
                format!(
                    "{path} contains {bytes} bytes besides messages, more than the limit of {MAX_OTHER_BYTES}; use another \
                     file"
                ),
            ),
            Self::System(error) => (error.kind(), format!("failed to use {path} as the state file: {error}")),
        };
        io::Error::new(kind, message)
    }
}

fn damaged(error: impl std::fmt::Display) -> FileError {
    FileError::Damaged(error.to_string())
}

impl From<DatabaseError> for FileError {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::DatabaseAlreadyOpen => Self::Locked,
            DatabaseError::Storage(StorageError::Io(error)) if error.kind() != ErrorKind::UnexpectedEof => {
                Self::System(error)
            }
            other => damaged(other),
        }
    }
}
