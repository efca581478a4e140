//! A store in memory that records its operations and lets a test interfere with them.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use highlevel::auth::TokenSet;
use highlevel::auth::store::{
    Key, LeaseResult, MemoryStore, Precondition, PutResult, Resource, StoreError, StoreFuture, StoredTokens,
    TokenStore,
};

/// The interference with an operation of the store.
pub(crate) enum Before {
    Nothing,
    /// Fails without the operation.
    Fail,
    /// Fails after the operation has succeeded.
    LoseResult,
    Panic,
    /// Runs this before the operation.
    Run(Pin<Box<dyn Future<Output = ()> + Send>>),
}

type Decide = dyn Fn(&str, usize) -> Before + Send + Sync;

/// A store that calls a function before each operation, with its name and the number of earlier calls of it.
#[derive(Clone)]
pub(crate) struct SpyStore {
    inner: MemoryStore,
    counts: Arc<Mutex<HashMap<&'static str, usize>>>,
    decide: Arc<Decide>,
    holders: Arc<Mutex<Vec<String>>>,
}

impl SpyStore {
    pub(crate) fn new(
        inner: MemoryStore,
        decide: impl Fn(&str, usize) -> Before + Send + Sync + 'static,
    ) -> Self {
        Self { inner, counts: Arc::default(), decide: Arc::new(decide), holders: Arc::default() }
    }

    /// Returns a store that can be read, and fails to save tokens while the switch is on.
    pub(crate) fn not_saving(inner: &MemoryStore, is_down: &Arc<AtomicBool>) -> Self {
        let is_down = Arc::clone(is_down);
        Self::new(inner.clone(), move |operation, _| match operation {
            "put" if is_down.load(Ordering::SeqCst) => Before::Fail,
            _ => Before::Nothing,
        })
    }

    /// Returns the number of calls of an operation.
    pub(crate) fn count(&self, operation: &str) -> usize {
        self.counts.lock().expect("no panic").get(operation).copied().unwrap_or_default()
    }

    /// Returns the holders of the requested leases.
    pub(crate) fn holders(&self) -> Vec<String> {
        self.holders.lock().expect("no panic").clone()
    }

    /// Returns `true` if the result of the operation is lost.
    async fn before(&self, operation: &'static str) -> Result<bool, StoreError> {
        let nth = {
            let mut counts = self.counts.lock().expect("no panic");
            let count = counts.entry(operation).or_default();
            *count += 1;
            *count - 1
        };
        match (self.decide)(operation, nth) {
            Before::Nothing => Ok(false),
            Before::Fail => Err("the disk is full".into()),
            Before::LoseResult => Ok(true),
            Before::Panic => panic!("a store with a bug"),
            Before::Run(work) => {
                work.await;
                Ok(false)
            }
        }
    }
}

impl TokenStore for SpyStore {
    fn get<'a>(&'a self, key: &'a Key) -> StoreFuture<'a, Option<StoredTokens>> {
        Box::pin(async move {
            self.before("get").await?;
            self.inner.get(key).await
        })
    }

    fn put<'a>(
        &'a self,
        key: &'a Key,
        tokens: &'a TokenSet,
        precondition: Precondition,
    ) -> StoreFuture<'a, PutResult> {
        Box::pin(async move {
            let is_lost = self.before("put").await?;
            let put = self.inner.put(key, tokens, precondition).await;
            if is_lost { Err("the connection broke".into()) } else { put }
        })
    }

    fn remove<'a>(&'a self, key: &'a Key, precondition: Precondition) -> StoreFuture<'a, bool> {
        Box::pin(async move {
            self.before("remove").await?;
            self.inner.remove(key, precondition).await
        })
    }

    fn resources<'a>(&'a self, client_id: &'a str) -> StoreFuture<'a, Vec<Resource>> {
        Box::pin(async move {
            self.before("resources").await?;
            self.inner.resources(client_id).await
        })
    }

    fn lease<'a>(&'a self, key: &'a Key, holder: &'a str, length: Duration) -> StoreFuture<'a, LeaseResult> {
        Box::pin(async move {
            self.before("lease").await?;
            self.holders.lock().expect("no panic").push(holder.to_owned());
            self.inner.lease(key, holder, length).await
        })
    }

    fn release<'a>(&'a self, key: &'a Key, holder: &'a str) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            self.before("release").await?;
            self.inner.release(key, holder).await
        })
    }
}
