//! The store of an app. Panics in it become errors.

use std::sync::Arc;
use std::time::Duration;

use super::TokenSet;
use super::store::{
    Key, LeaseResult, Precondition, PutResult, Resource, StoreError, StoreFuture, StoredTokens, TokenStore,
};
use crate::panics::catch_panic;

/// A store whose panics are returned as errors.
pub(super) struct GuardedStore(pub(super) Arc<dyn TokenStore>);

type Result<T> = std::result::Result<T, StoreError>;

impl GuardedStore {
    pub(super) async fn get(&self, key: &Key) -> Result<Option<StoredTokens>> {
        call(|| self.0.get(key)).await
    }

    pub(super) async fn put(
        &self,
        key: &Key,
        tokens: &TokenSet,
        expected: Precondition,
    ) -> Result<PutResult> {
        call(|| self.0.put(key, tokens, expected)).await
    }

    pub(super) async fn remove(&self, key: &Key, expected: Precondition) -> Result<bool> {
        call(|| self.0.remove(key, expected)).await
    }

    pub(super) async fn resources(&self, client_id: &str) -> Result<Vec<Resource>> {
        call(|| self.0.resources(client_id)).await
    }

    pub(super) async fn lease(&self, key: &Key, holder: &str, length: Duration) -> Result<LeaseResult> {
        call(|| self.0.lease(key, holder, length)).await
    }

    pub(super) async fn release(&self, key: &Key, holder: &str) -> Result<()> {
        call(|| self.0.release(key, holder)).await
    }
}

async fn call<'a, T>(start: impl FnOnce() -> StoreFuture<'a, T>) -> Result<T> {
    catch_panic(start).await.map_err(StoreError::from)?
}
