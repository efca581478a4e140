//! Private files and directories, which are written durably. All of this blocks.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::error::FileStoreError;

/// Creates the directory and its missing ancestors. Returns its canonical path.
pub(super) fn create_directory(path: &Path) -> Result<PathBuf, FileStoreError> {
    let failed = |error| FileStoreError::io("create", path, error);
    let missing = path.ancestors().take_while(|path| !path.as_os_str().is_empty() && !path.exists()).count();
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(path).map_err(failed)?;
    let path = path.canonicalize().map_err(failed)?;
    for above in path.ancestors().skip(1).take(missing) {
        // A directory may be executable and not readable. Then the system syncs it to the disk.
        let _ = sync(above);
    }
    Ok(path)
}

/// Returns `true` if there is a file. Anything else with that name, such as a symbolic link, was not created by a store.
pub(super) fn is_plain_file(path: &Path) -> Result<bool, FileStoreError> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_file() => Ok(true),
        Ok(found) => Err(FileStoreError::not_a_file(path, found.is_symlink())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(FileStoreError::io("read", path, error)),
    }
}

/// Writes a file that only the owner may read, and syncs it to the disk. An existing file or link is removed first, so that
/// nothing is written through a link.
pub(super) fn write_new(path: &Path, contents: &[u8]) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = private(OpenOptions::new().write(true).create_new(true)).open(path)?;
    file.write_all(contents)?;
    file.sync_all()
}

/// Sets the mode 0600 for files that are created.
pub(super) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// Syncs the names in a directory to the disk. On Windows, renaming does that.
pub(super) fn sync(directory: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(directory)?.sync_all() } else { Ok(()) }
}

/// Checks that other users cannot access a file or directory.
#[cfg(unix)]
pub(super) fn check_private(path: &Path, found: &fs::Metadata) -> Result<(), FileStoreError> {
    let mode = std::os::unix::fs::MetadataExt::mode(found) & 0o777;
    let of_others = mode & 0o077;
    if of_others == 0 { Ok(()) } else { Err(FileStoreError::open_to_others(path, mode, found.is_dir())) }
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "on Unix it can fail")]
pub(super) fn check_private(_: &Path, _: &fs::Metadata) -> Result<(), FileStoreError> {
    Ok(())
}

/// Returns the id of the user who owns a file.
#[cfg(unix)]
pub(super) fn owner(found: &fs::Metadata) -> u32 {
    std::os::unix::fs::MetadataExt::uid(found)
}

#[cfg(not(unix))]
pub(super) fn owner(_: &fs::Metadata) -> u32 {
    0
}
