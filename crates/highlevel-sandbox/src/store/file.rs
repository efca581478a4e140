//! The database.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, StorageError, TableDefinition};

use super::{Change, Kept, ReadLimits};

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

/// A file that is open, and locked against others.
pub(super) struct StateFile {
    database: Database,
    /// The number for what comes next.
    next: u64,
    /// The format in the file is the one before.
    is_former: bool,
}

impl StateFile {
    pub(super) fn open(path: &Path, limits: ReadLimits) -> io::Result<(Self, Vec<Kept>, usize)> {
        // A damaged file can make the database panic rather than say so.
        catch_unwind(AssertUnwindSafe(|| read(path, limits)))
            .unwrap_or_else(|_| Err(Fault::Damaged("it cannot be read".to_owned())))
            .map_err(|fault| fault.words(path))
    }

    /// Writes all changes or none, and returns when they are on the disk: how many rows, and how many bytes of JSON.
    pub(super) fn write(
        &mut self,
        clear: bool,
        changes: impl Iterator<Item = Change>,
    ) -> io::Result<(u64, u64)> {
        let (mut rows, mut bytes) = (0, 0);
        // Its durability is `Immediate` unless it is set otherwise.
        let transaction = self.database.begin_write().map_err(io::Error::other)?;
        {
            let mut things = transaction.open_table(THINGS).map_err(io::Error::other)?;
            if clear {
                things.retain(|_, _| false).map_err(io::Error::other)?;
            }
            for Change { kind, id, content } in changes {
                let key = (kind, id.as_str());
                rows += 1;
                let Some(content) = content else {
                    things.remove(key).map_err(io::Error::other)?;
                    continue;
                };
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
    Damaged(String),
    /// With this many bytes beside the messages.
    TooLarge(usize),
    System(io::Error),
}

fn read(path: &Path, limits: ReadLimits) -> Result<(StateFile, Vec<Kept>, usize), Fault> {
    if is_new(path)? {
        make(path)?;
    }
    let mut database = Database::builder().set_cache_size(CACHE_BYTES).open(path)?;
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
    if !database.check_integrity()? {
        tracing::warn!(path = %path.display(), "the state file was repaired");
    }

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
        kept.push(Kept { kind, id, json });
    }
    drop((things, transaction));
    Ok((StateFile { database, next, is_former }, kept, unread))
}

/// Whether there is nothing at the path; that what is there could be a database, otherwise.
fn is_new(path: &Path) -> Result<bool, Fault> {
    let mut beginning = Vec::new();
    match File::open(path) {
        Ok(file) => file.take(MAGIC.len() as u64).read_to_end(&mut beginning).map_err(Fault::System)?,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(Fault::System(error)),
    };
    match beginning.as_slice() {
        b"" => Ok(true),
        MAGIC => Ok(false),
        _ => Err(Fault::Foreign),
    }
}

/// Makes an empty file under another name first: what has the right name is whole, whenever the machine stops.
fn make(path: &Path) -> Result<(), Fault> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".new");
    let unfinished = PathBuf::from(unfinished);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(true);
    // It holds tokens.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(&unfinished).map_err(Fault::System)?;
    let database = Database::builder().set_cache_size(CACHE_BYTES).create_file(file)?;
    let transaction = database.begin_write().map_err(damaged)?;
    transaction.open_table(ABOUT).map_err(damaged)?.insert("format", FORMAT).map_err(damaged)?;
    transaction.open_table(THINGS).map_err(damaged)?;
    transaction.commit().map_err(damaged)?;
    drop(database);
    fs::rename(&unfinished, path).map_err(Fault::System)?;
    // The name itself is in the directory. Not every system can put that on the disk.
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Ok(directory) = File::open(parent.unwrap_or(Path::new("."))) {
        let _ = directory.sync_all();
    }
    Ok(())
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
            Self::Damaged(why) => (
                ErrorKind::InvalidData,
                format!("{path} is damaged: {why}; put a copy in its place, or delete it to begin anew"),
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
