//! Tokens in memory.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::row::Row;
use super::{
    Clock, Key, LeaseResult, Precondition, PutResult, Resource, StoreFuture, StoredTokens, TokenStore,
};
use crate::auth::TokenSet;

/// Stores tokens in the memory of one process: for tests, and for programs that are authorized again after each start.
///
/// Clones share the tokens. They are lost when the process ends, and with them the refresh tokens: the app has to be
/// reinstalled on every location. A program that restarts needs a [`FileStore`](super::FileStore) or a database.
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
#[derive(Clone)]
pub struct MemoryStore {
    rows: Arc<Mutex<HashMap<Key, Row>>>,
    clock: Clock,
}

impl MemoryStore {
    /// Creates an empty store.
    pub fn new() -> Self {
        Self { rows: Arc::default(), clock: Arc::new(SystemTime::now) }
    }

    /// Sets the clock for leases, for tests. Defaults to the clock of the system.
    pub fn with_clock(self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self { clock: Arc::new(clock), ..self }
    }

    fn with_rows<T>(&self, work: impl FnOnce(&mut HashMap<Key, Row>) -> T) -> T {
        // Nothing under the lock can panic halfway, so the rows are sound even if it is poisoned.
        work(&mut self.rows.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn change<T>(&self, key: &Key, work: impl FnOnce(&mut Row) -> T) -> T {
        self.with_rows(|rows| work(rows.entry(key.clone()).or_default()))
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}

impl TokenStore for MemoryStore {
    fn get<'a>(&'a self, key: &'a Key) -> StoreFuture<'a, Option<StoredTokens>> {
        Box::pin(async move { Ok(self.with_rows(|rows| rows.get(key).and_then(Row::stored))) })
    }

    fn put<'a>(
        &'a self,
        key: &'a Key,
        tokens: &'a TokenSet,
        precondition: Precondition,
    ) -> StoreFuture<'a, PutResult> {
        Box::pin(async move { Ok(self.change(key, |row| row.put(tokens, precondition))) })
    }

    fn remove<'a>(&'a self, key: &'a Key, precondition: Precondition) -> StoreFuture<'a, bool> {
        Box::pin(async move { Ok(self.change(key, |row| row.remove(precondition))) })
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

    fn lease<'a>(&'a self, key: &'a Key, holder: &'a str, length: Duration) -> StoreFuture<'a, LeaseResult> {
        Box::pin(async move {
            let now = (self.clock)();
            Ok(self.change(key, |row| row.lease(holder, now, length)))
        })
    }

    fn release<'a>(&'a self, key: &'a Key, holder: &'a str) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            self.change(key, |row| row.release(holder));
            Ok(())
        })
    }
}
