//! What can be wrong with a file store, and how to mend it.

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::Key;

/// A file store could not do it. The text says what happened, with the path, and what to do; it quotes no tokens.
#[derive(Debug)]
pub struct FileStoreError {
    path: PathBuf,
    what: String,
    mend: String,
}

impl FileStoreError {
    /// The file or directory that it is about.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn new(path: &Path, what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { path: path.to_owned(), what: what.into(), mend: mend.into() }
    }

    /// The system would not let the store read, write, lock … a path.
    pub(super) fn io(verb: &str, path: &Path, error: &io::Error) -> Self {
        let mend = match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                "make room there; the tokens that were stored before are as they were"
            }
            ErrorKind::ReadOnlyFilesystem => "make the file system writable, or choose another directory",
            ErrorKind::PermissionDenied => {
                "run the program as the user who owns the directory, or choose a directory of this user"
            }
            ErrorKind::NotFound => "see whether the directory, or the disk that it is on, is still there",
            ErrorKind::NotADirectory | ErrorKind::AlreadyExists => {
                "a file is where a directory should be: choose another directory, or move the file away"
            }
            ErrorKind::Unsupported => "choose a directory on a local disk, whose file system has locks",
            _ => "see whether the disk is in order; try again",
        };
        Self::new(path, format!("cannot {verb} {}: {error}", path.display()), mend)
    }

    pub(super) fn unreadable(path: &Path, why: &str) -> Self {
        let mend = "restore it from a backup, or stop the programs that use it, delete it, and have the app installed anew";
        Self::new(
            path,
            format!("the token file {} is damaged or of another program: {why}", path.display()),
            mend,
        )
    }

    pub(super) fn newer(path: &Path, why: &str) -> Self {
        let mend = "update this program to the version of the one that wrote it";
        Self::new(path, format!("the token file {} cannot be read: {why}", path.display()), mend)
    }

    pub(super) fn renamed(path: &Path, key: &Key) -> Self {
        let (kind, id) = (key.resource.kind(), key.resource.id());
        let what = format!(
            "the token file {} was copied or renamed: it is of {kind} {id:?} of app {:?}",
            path.display(),
            key.client_id
        );
        Self::new(path, what, "give it back its name, or delete it if the original is there")
    }

    #[cfg(unix)]
    pub(super) fn open_to_others(path: &Path, mode: u32, is_directory: bool) -> Self {
        let (what, wanted) = if is_directory { ("directory", 700) } else { ("file", 600) };
        Self::new(
            path,
            format!("other users may get at the token {what} {} (mode {mode:04o})", path.display()),
            format!(
                "run `chmod {wanted} '{}'`; if somebody may have read the tokens, have the app installed anew",
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
        let what = format!(
            "{} is gone, so this is not the directory that was opened, or not all of it",
            path.display()
        );
        Self::new(
            path,
            what,
            "see whether the directory was moved or its disk unmounted; then open the store anew",
        )
    }

    pub(super) fn not_a_file(path: &Path, is_link: bool) -> Self {
        let found = if is_link { "a symbolic link" } else { "not a file" };
        let what = format!("{} is {found}, where the store keeps a file of its own", path.display());
        Self::new(path, what, "find out who put it there, and remove it")
    }

    /// The runtime did not let the work end.
    pub(super) fn not_done(path: &Path, why: &str) -> Self {
        let what =
            format!("what was asked of the token directory {} may not have been done: {why}", path.display());
        Self::new(path, what, "ask again, in a runtime that is not shutting down")
    }
}

impl fmt::Display for FileStoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.what, self.mend)
    }
}

impl std::error::Error for FileStoreError {}
