//! The errors of a file store, and how to fix them.

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::auth::store::Key;

/// The error of a [`FileStore`](super::FileStore). The text names the path and states how to fix it; it quotes no tokens.
///
/// The source is the [`io::Error`] of the operating system, if there is one, such as
/// [`StorageFull`](ErrorKind::StorageFull).
#[derive(Debug)]
pub struct FileStoreError {
    path: PathBuf,
    problem: String,
    help: String,
    source: Option<io::Error>,
}

impl FileStoreError {
    /// Returns the path of the file or directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn new(path: &Path, problem: impl Into<String>, help: impl Into<String>) -> Self {
        Self { path: path.to_owned(), problem: problem.into(), help: help.into(), source: None }
    }

    /// The system failed to read, write, lock … a path.
    pub(super) fn io(verb: &str, path: &Path, error: io::Error) -> Self {
        let help = match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                "free some space; the tokens that were stored before are unchanged"
            }
            ErrorKind::ReadOnlyFilesystem => "make the file system writable, or choose another directory",
            ErrorKind::PermissionDenied => {
                "run the program as the user who owns the directory, or choose a directory of this user"
            }
            ErrorKind::NotFound => "check that the directory, and the disk that it is on, are still there",
            ErrorKind::NotADirectory | ErrorKind::AlreadyExists => {
                "a file is where a directory should be: choose another directory, or move the file away"
            }
            ErrorKind::Unsupported => "choose a directory on a local disk, whose file system supports locks",
            _ => "check the disk and the limits of the process, then try again",
        };
        let problem = format!("cannot {verb} {}: {error}", path.display());
        Self { source: Some(error), ..Self::new(path, problem, help) }
    }

    /// Another process did not release a lock in time.
    pub(super) fn locked(path: &Path, timeout: Duration) -> Self {
        let problem =
            format!("another process has held the lock {} for {} s", path.display(), timeout.as_secs());
        let help = "it may be stopped or in a debugger: continue or end it, do not delete the file";
        Self { source: Some(ErrorKind::TimedOut.into()), ..Self::new(path, problem, help) }
    }

    pub(super) fn unreadable(path: &Path, why: &str) -> Self {
        let help =
            "restore it from a backup, or stop the programs that use it, delete it, and reinstall the app";
        Self::new(
            path,
            format!("the token file {} is damaged or of another program: {why}", path.display()),
            help,
        )
    }

    pub(super) fn newer(path: &Path, why: &str) -> Self {
        let help = "update this program to the version of the one that wrote it";
        Self::new(path, format!("the token file {} cannot be read: {why}", path.display()), help)
    }

    pub(super) fn renamed(path: &Path, key: &Key) -> Self {
        let (kind, id) = (key.resource.kind(), key.resource.id());
        let problem = format!(
            "the token file {} was copied or renamed: it contains {kind} {id:?} of app {:?}",
            path.display(),
            key.client_id
        );
        Self::new(path, problem, "restore its name, or delete it if the original is there")
    }

    #[cfg(unix)]
    pub(super) fn open_to_others(path: &Path, mode: u32, is_directory: bool) -> Self {
        let (kind, wanted) = if is_directory { ("directory", 700) } else { ("file", 600) };
        Self::new(
            path,
            format!("other users can access the token {kind} {} (mode {mode:04o})", path.display()),
            format!(
                "run `chmod {wanted} '{}'`; if another user may have read the tokens, reinstall the app",
                path.display()
            ),
        )
    }

    pub(super) fn other_owner(path: &Path, found: u32, wanted: u32) -> Self {
        Self::new(
            path,
            format!(
                "the token directory {} belongs to another user (uid {found}; the program runs as {wanted})",
                path.display()
            ),
            format!("run the program as that user, or run `chown -R {wanted} '{}'`", path.display()),
        )
    }

    pub(super) fn gone(path: &Path) -> Self {
        let problem = format!(
            "{} is gone, so this is not the directory that was opened, or not all of it",
            path.display()
        );
        Self::new(
            path,
            problem,
            "check whether the directory was moved or its disk unmounted; then reopen the store",
        )
    }

    pub(super) fn not_a_file(path: &Path, is_link: bool) -> Self {
        let found = if is_link { "a symbolic link" } else { "not a file" };
        let problem = format!("{} is {found}, but the store needs a file there", path.display());
        Self::new(path, problem, "find out who put it there, and remove it")
    }

    /// No thread could be started, or the operation panicked.
    pub(super) fn not_completed(path: &Path, error: io::Error) -> Self {
        let problem =
            format!("an operation on the token directory {} may not have completed: {error}", path.display());
        let help = "check the limits of the process for threads and memory, then try again";
        Self { source: Some(error), ..Self::new(path, problem, help) }
    }
}

impl fmt::Display for FileStoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.problem, self.help)
    }
}

impl std::error::Error for FileStoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|error| error as _)
    }
}
