//! Tokens in memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use super::row::Row;
use super::{Expected, Key, Lease, Put, Resource, StoreFuture, Stored, TokenStore};
use crate::auth::TokenSet;

/// Keeps tokens in the memory of one process: for tests, and for programs that are authorised anew when they start.
///
/// Clones share what they keep. When the process ends, the tokens are gone, and with them the refresh tokens: every
/// location has to install the app again. A program that is meant to start again needs a
/// [`FileStore`](super::FileStore) or a database.
///
/// ```
/// use highlevel::auth::store::{Key, MemoryStore, Resource, TokenStore};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), highlevel::auth::store::StoreError> {
/// let store = MemoryStore::new();
/// let key = Key::new("my-app", Resource::Location("ve9EPM428h8vShlRW1KT".parse()?));
/// assert!(store.get(&key).await?.is_none());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    rows: Arc<Mutex<HashMap<Key, Row>>>,
}

impl MemoryStore {
    /// A store without tokens.
    pub fn new() -> Self {
        Self::default()
    }

    fn with_rows<T>(&self, work: impl FnOnce(&mut HashMap<Key, Row>) -> T) -> T {
        // Nothing that is done under the lock can panic halfway, so a poisoned lock protects sound rows.
        work(&mut self.rows.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn change<T>(&self, key: &Key, work: impl FnOnce(&mut Row) -> T) -> T {
        self.with_rows(|rows| work(rows.entry(key.clone()).or_default()))
    }
}

impl TokenStore for MemoryStore {
    fn get<'a>(&'a self, key: &'a Key) -> StoreFuture<'a, Option<Stored>> {
        Box::pin(async move { Ok(self.with_rows(|rows| rows.get(key).and_then(Row::stored))) })
    }

    fn put<'a>(&'a self, key: &'a Key, tokens: &'a TokenSet, expected: Expected) -> StoreFuture<'a, Put> {
        Box::pin(async move { Ok(self.change(key, |row| row.put(tokens, expected))) })
    }

    fn remove<'a>(&'a self, key: &'a Key, expected: Expected) -> StoreFuture<'a, bool> {
        Box::pin(async move { Ok(self.change(key, |row| row.remove(expected))) })
    }

    fn resources<'a>(&'a self, client_id: &'a str) -> StoreFuture<'a, Vec<Resource>> {
        Box::pin(async move {
            Ok(self.with_rows(|rows| {
                let of_app =
                    rows.iter().filter(|(key, row)| key.client_id == client_id && row.tokens.is_some());
                of_app.map(|(key, _)| key.resource.clone()).collect()
            }))
        })
    }

    fn lease<'a>(
        &'a self,
        key: &'a Key,
        holder: &'a str,
        now: SystemTime,
        until: SystemTime,
    ) -> StoreFuture<'a, Lease> {
        Box::pin(async move { Ok(self.change(key, |row| row.lease(holder, now, until))) })
    }

    fn release<'a>(&'a self, key: &'a Key, holder: &'a str) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            self.change(key, |row| row.release(holder));
            Ok(())
        })
    }
}
