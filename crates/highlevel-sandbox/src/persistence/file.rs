//! The database.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::thread;

use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, StorageError, TableDefinition};

use super::opening::{self, OpenError, Opened, Overlay};
use super::row::{ReadLimits, RowChange, StoredRow};

/// Kind and id, to the number of the first writing, and JSON.
const THINGS: TableDefinition<'_, (&str, &str), (u64, &[u8])> = TableDefinition::new("things");
/// What the file says about itself.
const ABOUT: TableDefinition<'_, &str, &str> = TableDefinition::new("highlevel-sandbox");
/// Grows when an older sandbox could not read the file.
const FORMAT: &str = "2";
/// Had all credentials in one row. It is read, and is of the new format once it was written.
const FORMER_FORMAT: &str = "1";
/// The memory for pages of the database. Its own default is a gigabyte.
const CACHE_BYTES: usize = 16 * 1024 * 1024;
/// The most bytes of JSON in rows that cannot be left out.
const MAX_OTHER_BYTES: usize = 256 * 1024 * 1024;
/// With which every redb file begins.
const MAGIC: &[u8] = b"redb\x1A\x0A\xA9\x0D\x0A";

/// The name of the thread in which a file is read for the first time. A damaged file can make the database panic rather
/// than return an error; the program prints nothing of a panic in this thread.
pub const CHECK_THREAD: &str = "highlevel-sandbox-check";

/// A file that is open, and locked against others.
pub(super) struct StateFile {
    /// `None` after an error, until it can be opened again: the database does nothing more then.
    database: Option<Database>,
    /// The same file, however its name is changed.
    file: File,
    path: PathBuf,
    limits: ReadLimits,
    /// The number of the row that is the newest.
    next: u64,
    /// The format in the file is the one before.
    is_former: bool,
}

impl StateFile {
    pub(super) fn open(path: &Path, limits: ReadLimits) -> io::Result<(Self, Vec<StoredRow>, usize)> {
        open(path, limits).map_err(|fault| fault.words(path))
    }

    /// Opens the database again after an error, and returns what is in it.
    pub(super) fn reopen(&mut self) -> io::Result<Vec<StoredRow>> {
        // The lock goes with the database, and comes back with it.
        self.database = None;
        if !opening::is_at(&self.file, &self.path) {
            return Err(io::Error::other("the file was removed or replaced; restart the sandbox"));
        }
        let again = catch_unwind(AssertUnwindSafe(|| -> Result<_, Fault> {
            let database = database(self.file.try_clone().map_err(Fault::System)?)?;
            let Rows { kept, next, .. } = rows(&database, self.limits)?;
            Ok((database, kept, next))
        }));
        let again = again.unwrap_or_else(|_| Err(Fault::Damaged("it cannot be read".to_owned())));
        let (database, kept, next) = again.map_err(|fault| fault.words(&self.path))?;
        (self.database, self.next) = (Some(database), next);
        Ok(kept)
    }

    /// Writes all changes or none, and returns when they are on the disk: how many rows, and how many bytes of JSON.
    pub(super) fn write(
        &mut self,
        clear: bool,
        changes: impl Iterator<Item = RowChange>,
    ) -> io::Result<(u64, u64)> {
        // What is written to a file without a name is lost with the process.
        if !opening::is_at(&self.file, &self.path) {
            return Err(io::Error::other("the file was removed or replaced"));
        }
        catch_unwind(AssertUnwindSafe(|| self.commit(clear, changes)))
            .unwrap_or_else(|_| Err(io::Error::other("the database in it is damaged")))
    }

    fn commit(&mut self, clear: bool, changes: impl Iterator<Item = RowChange>) -> io::Result<(u64, u64)> {
        let (mut rows, mut bytes) = (0, 0);
        let Some(database) = &self.database else { return Err(io::Error::other("the database is closed")) };
        // Its durability is `Immediate` unless it is set otherwise.
        let transaction = database.begin_write().map_err(io::Error::other)?;
        {
            let mut things = transaction.open_table(THINGS).map_err(io::Error::other)?;
            if clear {
                things.retain(|_, _| false).map_err(io::Error::other)?;
            }
            for RowChange { kind, id, content, is_new } in changes {
                let key = (kind, id.as_str());
                rows += 1;
                if is_new || content.is_none() {
                    things.remove(key).map_err(io::Error::other)?;
                }
                let Some(content) = content else { continue };
                let known = things.get(key).map_err(io::Error::other)?.map(|known| known.value().0);
                let number = known.unwrap_or_else(|| {
                    self.next += 1;
                    self.next
                });
                let json = content.to_json()?;
                bytes += json.len() as u64;
                things.insert(key, (number, json.as_slice())).map_err(io::Error::other)?;
            }
            if self.is_former {
                let mut about = transaction.open_table(ABOUT).map_err(io::Error::other)?;
                about.insert("format", FORMAT).map_err(io::Error::other)?;
            }
        }
        transaction.commit().map_err(io::Error::other)?;
        self.is_former = false;
        Ok((rows, bytes))
    }
}

/// Why a file cannot be used.
enum Fault {
    Foreign,
    Newer(String),
    Locked,
    NotAFile,
    DanglingLink,
    Damaged(String),
    /// With this many bytes beside the messages.
    TooLarge(usize),
    System(io::Error),
}

/// What a database has in it.
struct Rows {
    kept: Vec<StoredRow>,
    /// How many rows are beyond the limits.
    unread: usize,
    next: u64,
    is_former: bool,
}

fn open(path: &Path, limits: ReadLimits) -> Result<(StateFile, Vec<StoredRow>, usize), Fault> {
    let (database, file, rows) = match opening::open(path, initialise)? {
        Opened::New(database, file) => {
            (database, file, Rows { kept: Vec::new(), unread: 0, next: 0, is_former: false })
        }
        Opened::Existing(mut file) => {
            let mut beginning = Vec::new();
            (&mut file).take(MAGIC.len() as u64).read_to_end(&mut beginning).map_err(Fault::System)?;
            file.rewind().map_err(Fault::System)?;
            if beginning != MAGIC {
                return Err(Fault::Foreign);
            }
            // First in an overlay: opening a database repairs it, and a file that is refused is not to be changed.
            let copy = file.try_clone().map_err(Fault::System)?;
            let rows = in_its_own_thread(move || {
                let mut database = database(Overlay::new(copy).map_err(Fault::System)?)?;
                if !database.check_integrity()? {
                    tracing::warn!("the state file is repaired");
                }
                rows(&database, limits)
            })?;
            let opened = file.try_clone().map_err(Fault::System)?;
            (in_its_own_thread(move || Ok(database(opened)?))?, file, rows)
        }
    };
    let Rows { kept, unread, next, is_former } = rows;
    let path = path.to_owned();
    Ok((StateFile { database: Some(database), file, path, limits, next, is_former }, kept, unread))
}

/// Runs what can panic where no one sees it.
fn in_its_own_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    let thread = thread::Builder::new().name(CHECK_THREAD.to_owned()).spawn(work).map_err(Fault::System)?;
    thread.join().unwrap_or_else(|_| Err(Fault::Damaged("it cannot be read".to_owned())))
}

/// Opens the database in a file or an overlay.
fn database(storage: impl Storage) -> Result<Database, DatabaseError> {
    let mut builder = Database::builder();
    storage.open(builder.set_cache_size(CACHE_BYTES))
}

/// Where a database can be.
trait Storage {
    fn open(self, builder: &redb::Builder) -> Result<Database, DatabaseError>;
}

impl Storage for File {
    fn open(self, builder: &redb::Builder) -> Result<Database, DatabaseError> {
        builder.create_file(self)
    }
}

impl Storage for Overlay {
    fn open(self, builder: &redb::Builder) -> Result<Database, DatabaseError> {
        builder.create_with_backend(self)
    }
}

fn rows(database: &Database, limits: ReadLimits) -> Result<Rows, Fault> {
    let transaction = database.begin_read().map_err(damaged)?;
    let Ok(about) = transaction.open_table(ABOUT) else { return Err(Fault::Foreign) };
    let format = about.get("format").map_err(damaged)?.map(|format| format.value().to_owned());
    let is_former = format.as_deref() == Some(FORMER_FORMAT);
    match format.as_deref() {
        Some(FORMAT | FORMER_FORMAT) => {}
        Some(other) => return Err(Fault::Newer(other.to_owned())),
        None => return Err(Fault::Foreign),
    }
    drop((about, transaction));

    let transaction = database.begin_read().map_err(damaged)?;
    let things = transaction.open_table(THINGS).map_err(damaged)?;
    // First what there is and how long it is: a file may have more than is kept in memory.
    let mut rows = Vec::new();
    let mut others = 0;
    for entry in things.iter().map_err(damaged)? {
        let (key, value) = entry.map_err(damaged)?;
        let ((kind, id), (number, json)) = (key.value(), value.value());
        if kind != limits.kind {
            others += json.len();
        }
        rows.push((number, kind.to_owned(), id.to_owned(), json.len()));
    }
    if others > MAX_OTHER_BYTES {
        return Err(Fault::TooLarge(others));
    }
    rows.sort_by_key(|(number, ..)| *number);
    let next = rows.last().map_or(0, |(number, ..)| *number);
    let (mut limited, mut bytes) = (0, 0);
    // From the newest on, until it is too much.
    let is_read = |(_, kind, _, length): &(u64, String, String, usize)| {
        if kind != limits.kind {
            return true;
        }
        limited += 1;
        bytes += length;
        limited <= limits.rows && bytes <= limits.bytes
    };
    let all = rows.len();
    let mut read: Vec<_> = rows.into_iter().rev().filter(is_read).collect();
    read.reverse();
    let unread = all - read.len();
    let mut kept = Vec::with_capacity(read.len());
    for (_, kind, id, _) in read {
        let json = things.get((kind.as_str(), id.as_str())).map_err(damaged)?;
        let json = json.map(|value| value.value().1.to_vec()).unwrap_or_default();
        kept.push(StoredRow { kind, id, json });
    }
    drop((things, transaction));
    Ok(Rows { kept, unread, next, is_former })
}

/// Makes a database of an empty file.
fn initialise(file: File) -> Result<Database, Fault> {
    let database = database(file)?;
    let transaction = database.begin_write().map_err(damaged)?;
    transaction.open_table(ABOUT).map_err(damaged)?.insert("format", FORMAT).map_err(damaged)?;
    transaction.open_table(THINGS).map_err(damaged)?;
    transaction.commit().map_err(damaged)?;
    Ok(database)
}

impl From<OpenError> for Fault {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Locked => Self::Locked,
            OpenError::NotAFile => Self::NotAFile,
            OpenError::DanglingLink => Self::DanglingLink,
            OpenError::System(error) => Self::System(error),
        }
    }
}

impl Fault {
    fn words(self, path: &Path) -> io::Error {
        let path = path.display();
        let (kind, words) = match self {
            Self::Foreign => (
                ErrorKind::InvalidData,
                format!("{path} is not a state file of the sandbox, and is left alone; choose another path"),
            ),
            Self::Newer(format) => (
                ErrorKind::InvalidData,
                format!(
                    "{path} is of a newer sandbox (format {format}, this one reads {FORMAT}); update this one"
                ),
            ),
            Self::Locked => (
                ErrorKind::ResourceBusy,
                format!("{path} is in use by another sandbox; stop it, or choose another path"),
            ),
            Self::NotAFile => (
                ErrorKind::InvalidInput,
                format!("{path} is not a regular file, and is left alone; choose another path"),
            ),
            Self::DanglingLink => (
                ErrorKind::InvalidInput,
                format!(
                    "{path} is a symbolic link to a path where nothing is; remove it, or create the file it leads to"
                ),
            ),
            Self::Damaged(why) => (
                ErrorKind::InvalidData,
                format!(
                    "{path} is damaged: {why}; it was not changed; replace it with a copy, or delete it to start with an empty one"
                ),
            ),
            Self::TooLarge(bytes) => (
                ErrorKind::InvalidData,
                format!(
                    "{path} holds {bytes} bytes beside its messages, more than the {MAX_OTHER_BYTES} that fit in \
                     memory; use another file"
                ),
            ),
            Self::System(error) => (error.kind(), format!("cannot use {path} as state file: {error}")),
        };
        io::Error::new(kind, words)
    }
}

fn damaged(error: impl std::fmt::Display) -> Fault {
    Fault::Damaged(error.to_string())
}

impl From<DatabaseError> for Fault {
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
