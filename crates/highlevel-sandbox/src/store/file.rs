//! The database.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, StorageError, TableDefinition};

use super::{Change, Kept};

/// Kind and id, to the number of the first writing, and JSON.
const THINGS: TableDefinition<'_, (&str, &str), (u64, &[u8])> = TableDefinition::new("things");
/// What the file says about itself.
const ABOUT: TableDefinition<'_, &str, &str> = TableDefinition::new("highlevel-sandbox");
/// Grows when an older sandbox could not read the file.
const FORMAT: &str = "1";
/// With which every redb file begins.
const MAGIC: &[u8] = b"redb\x1A\x0A\xA9\x0D\x0A";

/// A file that is open, and locked against others.
pub(super) struct StateFile {
    database: Database,
    /// The number for what comes next.
    next: u64,
}

impl StateFile {
    pub(super) fn open(path: &Path) -> io::Result<(Self, Vec<Kept>)> {
        // A damaged file can make the database panic rather than say so.
        catch_unwind(AssertUnwindSafe(|| read(path)))
            .unwrap_or_else(|_| Err(Fault::Damaged("it cannot be read".to_owned())))
            .map_err(|fault| fault.words(path))
    }

    /// Writes all changes or none, and returns when they are on the disk.
    pub(super) fn write(&mut self, clear: bool, changes: impl Iterator<Item = Change>) -> io::Result<()> {
        // Its durability is `Immediate` unless it is set otherwise.
        let transaction = self.database.begin_write().map_err(io::Error::other)?;
        {
            let mut things = transaction.open_table(THINGS).map_err(io::Error::other)?;
            if clear {
                things.retain(|_, _| false).map_err(io::Error::other)?;
            }
            for Change { kind, id, value } in changes {
                let key = (kind, id.as_str());
                let Some(value) = value else {
                    things.remove(key).map_err(io::Error::other)?;
                    continue;
                };
                let known = things.get(key).map_err(io::Error::other)?.map(|known| known.value().0);
                let number = known.unwrap_or_else(|| {
                    self.next += 1;
                    self.next
                });
                let json = serde_json::to_vec(&value)?;
                things.insert(key, (number, json.as_slice())).map_err(io::Error::other)?;
            }
        }
        transaction.commit().map_err(io::Error::other)
    }
}

/// Why a file cannot be used.
enum Fault {
    Foreign,
    Newer(String),
    Locked,
    Damaged(String),
    System(io::Error),
}

fn read(path: &Path) -> Result<(StateFile, Vec<Kept>), Fault> {
    if is_new(path)? {
        make(path)?;
    }
    let mut database = Database::open(path)?;
    let transaction = database.begin_read().map_err(damaged)?;
    let Ok(about) = transaction.open_table(ABOUT) else { return Err(Fault::Foreign) };
    let format = about.get("format").map_err(damaged)?.map(|format| format.value().to_owned());
    match format.as_deref() {
        Some(FORMAT) => {}
        Some(other) => return Err(Fault::Newer(other.to_owned())),
        None => return Err(Fault::Foreign),
    }
    drop((about, transaction));
    if !database.check_integrity()? {
        tracing::warn!(path = %path.display(), "the state file was repaired");
    }

    let transaction = database.begin_read().map_err(damaged)?;
    let things = transaction.open_table(THINGS).map_err(damaged)?;
    let mut kept = Vec::new();
    for entry in things.iter().map_err(damaged)? {
        let (key, value) = entry.map_err(damaged)?;
        let ((kind, id), (number, json)) = (key.value(), value.value());
        let value =
            serde_json::from_slice(json).map_err(|error| Fault::Damaged(format!("{kind} {id}: {error}")))?;
        kept.push((number, Kept { kind: kind.to_owned(), id: id.to_owned(), value }));
    }
    drop((things, transaction));
    kept.sort_by_key(|(number, _)| *number);
    let next = kept.last().map_or(0, |(number, _)| *number);
    Ok((StateFile { database, next }, kept.into_iter().map(|(_, kept)| kept).collect()))
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
    let database = Database::builder().create_file(file)?;
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
