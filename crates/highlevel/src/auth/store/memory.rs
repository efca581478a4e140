//! Tokens in memory.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use super::rules::{self, HeldLease};
use super::{
    Clock, Key, LeaseResult, Precondition, PutResult, Resource, StoreFuture, StoredTokens, TokenStore,
    Version,
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
    state: Arc<Mutex<StoredEntries>>,
    clock: Clock,
}

#[derive(Default)]
struct StoredEntries {
    tokens: HashMap<Key, StoredTokens>,
    leases: HashMap<Key, HeldLease>,
    /// The number of writes of all keys, so that no version is given twice.
    writes: u64,
}

impl MemoryStore {
    /// Creates an empty store.
    pub fn new() -> Self {
        Self { state: Arc::default(), clock: Arc::new(SystemTime::now) }
    }

    /// Sets the clock for leases, for tests. Defaults to the clock of the system.
    pub fn with_clock(self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self { clock: Arc::new(clock), ..self }
    }

    fn state(&self) -> MutexGuard<'_, StoredEntries> {
        // No change of the state can panic halfway, so it is sound even if the lock is poisoned.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StoredEntries {
    fn meets(&self, key: &Key, precondition: Precondition) -> bool {
        precondition.is_met_by(self.tokens.get(key).map(|stored| stored.version))
    }

    fn put(&mut self, key: &Key, tokens: &TokenSet, precondition: Precondition) -> PutResult {
        if !self.meets(key, precondition) {
            return PutResult::Conflict(self.tokens.get(key).cloned());
        }
        self.writes += 1;
        let version = Version(self.writes);
        self.tokens.insert(key.clone(), StoredTokens::new(tokens.clone(), version));
        PutResult::Stored(version)
    }

    fn lease(&mut self, key: &Key, holder: &str, now: SystemTime, length: Duration) -> LeaseResult {
        match rules::lease(self.leases.get(key), holder, now, length) {
            Ok(lease) => {
                self.leases.insert(key.clone(), lease);
                LeaseResult::Granted
            }
            Err(held) => held,
        }
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
        Box::pin(async move { Ok(self.state().tokens.get(key).cloned()) })
    }

    fn put<'a>(
        &'a self,
        key: &'a Key,
        tokens: &'a TokenSet,
        precondition: Precondition,
    ) -> StoreFuture<'a, PutResult> {
        Box::pin(async move { Ok(self.state().put(key, tokens, precondition)) })
    }

    fn remove<'a>(&'a self, key: &'a Key, precondition: Precondition) -> StoreFuture<'a, bool> {
        Box::pin(async move {
            let mut state = self.state();
            Ok(state.meets(key, precondition) && state.tokens.remove(key).is_some())
        })
    }

    fn resources<'a>(&'a self, client_id: &'a str) -> StoreFuture<'a, Vec<Resource>> {
        Box::pin(async move {
            let state = self.state();
            let of_app = state.tokens.keys().filter(|key| key.client_id == client_id);
            Ok(of_app.map(|key| key.resource.clone()).collect())
        })
    }

    fn lease<'a>(&'a self, key: &'a Key, holder: &'a str, length: Duration) -> StoreFuture<'a, LeaseResult> {
        Box::pin(async move {
            let now = (self.clock)();
            Ok(self.state().lease(key, holder, now, length))
        })
    }

    fn release<'a>(&'a self, key: &'a Key, holder: &'a str) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let mut state = self.state();
            if state.leases.get(key).is_some_and(|lease| lease.holder == holder) {
                state.leases.remove(key);
            }
            Ok(())
        })
    }
}
