//! Directories that are removed with their test.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A path that no other test uses. It is removed when this is dropped, with all of its content.
#[derive(Debug)]
pub struct Directory(PathBuf);

impl Directory {
    /// Returns a path in `parent` at which nothing exists yet.
    pub fn absent(parent: impl AsRef<Path>, name: &str) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = parent.as_ref().join(format!("{name}-{}-{number}", std::process::id()));
        // A killed process may have had the same id.
        let _ = std::fs::remove_dir_all(&path);
        Self(path)
    }

    /// Creates a directory in `parent`.
    pub fn create(parent: impl AsRef<Path>, name: &str) -> Self {
        let directory = Self::absent(parent, name);
        std::fs::create_dir(&directory.0).expect("a new directory");
        directory
    }

    /// Returns the path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Returns the path as text.
    pub fn text(&self) -> &str {
        self.0.to_str().expect("a path in UTF-8")
    }

    /// Returns the path of a file in the directory.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Returns the sorted names of the files in the directory.
    pub fn names(&self) -> Vec<String> {
        let files = std::fs::read_dir(&self.0).expect("a directory");
        let mut names: Vec<_> =
            files.map(|file| file.expect("a file").file_name().into_string().expect("text")).collect();
        names.sort();
        names
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
