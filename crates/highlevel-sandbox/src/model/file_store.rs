//! The stored files.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::file::StoredFile;

/// The maximum number of files. Beyond it, the oldest are evicted.
pub(crate) const MAX_FILES: usize = 1_000;
/// The maximum memory usage of files, in bytes. Beyond it, the oldest are evicted.
pub(crate) const MAX_FILE_BYTES: usize = 64 * 1024 * 1024;

/// The stored files, in insertion order.
#[derive(Clone, Debug, Default)]
pub(super) struct UploadStore {
    /// Files by sequence number.
    files: BTreeMap<u64, Arc<StoredFile>>,
    next: u64,
    numbers: HashMap<String, u64>,
    /// The memory usage, in bytes.
    bytes: usize,
}

impl UploadStore {
    /// Adds a file, or replaces the one with the same ID, which retains its place in the order.
    pub(super) fn set(&mut self, file: Arc<StoredFile>) {
        let number = if let Some(number) = self.numbers.get(&file.id).copied() {
            self.bytes -= self.files.get(&number).map_or(0, |before| before.weight());
            number
        } else {
            self.next += 1;
            self.next
        };
        self.bytes += file.weight();
        self.numbers.insert(file.id.clone(), number);
        self.files.insert(number, file);
    }

    pub(super) fn remove(&mut self, id: &str) {
        if let Some(file) = self.numbers.remove(id).and_then(|number| self.files.remove(&number)) {
            self.bytes -= file.weight();
        }
    }

    /// Evicts the oldest files beyond the bounds, and returns their IDs.
    pub(super) fn evict(&mut self) -> Vec<String> {
        let mut evicted = Vec::new();
        while (self.files.len() > MAX_FILES || self.bytes > MAX_FILE_BYTES)
            && let Some((_, oldest)) = self.files.first_key_value()
        {
            let id = oldest.id.clone();
            self.remove(&id);
            evicted.push(id);
        }
        evicted
    }

    pub(super) fn get(&self, id: &str) -> Option<&Arc<StoredFile>> {
        self.files.get(self.numbers.get(id)?)
    }

    /// Returns the files, oldest first.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<StoredFile>> {
        self.files.values()
    }

    pub(super) fn len(&self) -> usize {
        self.files.len()
    }

    /// Returns the memory usage, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::model::file::MAX_FILE;

    fn file(id: usize, size: usize) -> Arc<StoredFile> {
        let content = Bytes::from(vec![0; size]);
        let name = "a.txt".to_owned();
        Arc::new(StoredFile::new(id.to_string(), ("l", "c"), name, "2026-01-31T09:30:00Z", content))
    }

    #[test]
    fn the_oldest_files_beyond_the_bounds_are_evicted() {
        let mut store = UploadStore::default();
        for id in 0..=MAX_FILES {
            store.set(file(id, 1));
        }
        assert_eq!(store.evict(), ["0"]);
        // A file that is replaced retains its place.
        store.set(file(1, 2));
        store.set(file(MAX_FILES + 1, 1));
        assert_eq!(store.evict(), ["1"]);

        let mut store = UploadStore::default();
        let count = MAX_FILE_BYTES / MAX_FILE;
        for id in 0..=count {
            store.set(file(id, MAX_FILE));
        }
        assert!(store.bytes() > MAX_FILE_BYTES);
        assert_eq!(store.evict(), ["0"]);
        assert!(store.bytes() <= MAX_FILE_BYTES && store.len() == count);
        for id in 0..=count {
            store.remove(&id.to_string());
        }
        assert_eq!((store.len(), store.bytes(), store.all().count()), (0, 0, 0));
    }
}
