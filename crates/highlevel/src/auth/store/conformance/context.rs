//! Calls of a store, whose errors name the call.

use std::sync::Arc;
use std::time::Duration;

use super::time::{StoreClock, StoreTime};
use crate::auth::TokenSet;
use crate::auth::store::{
    Key, LeaseResult, Precondition, PutResult, Resource, StoreError, StoredTokens, TokenStore, Version,
};
use crate::conformance::{CheckResult, ensure};

/// A check, and the storage that it runs on.
pub(super) struct Context {
    pub(super) check: &'static str,
    pub(super) handles: Vec<Arc<dyn TokenStore>>,
    pub(super) time: StoreClock,
}

impl Context {
    /// Returns the key of a location. Each check has a separate app, so that it does not see the tokens of others.
    pub(super) fn key(&self, location: &str) -> Key {
        Key::new(self.check, Resource::Location(location.to_owned().into()))
    }

    /// Returns the key of a company.
    pub(super) fn company_key(&self, company: &str) -> Key {
        Key::new(self.check, Resource::Company(company.to_owned().into()))
    }

    /// Returns the first handle on the storage.
    pub(super) fn store(&self) -> Caller {
        self.caller(0)
    }

    /// Returns another handle on the storage.
    pub(super) fn other(&self) -> Caller {
        self.caller(1)
    }

    /// Returns one of the handles, round-robin.
    pub(super) fn caller(&self, index: usize) -> Caller {
        Caller { store: Arc::clone(&self.handles[index % self.handles.len()]), time: self.time.clone() }
    }
}

/// A handle on the storage.
pub(super) struct Caller {
    pub(super) store: Arc<dyn TokenStore>,
    time: StoreClock,
}

/// A lease that was granted.
#[derive(Clone, Copy)]
pub(super) struct GrantedLease {
    /// A moment before it was granted.
    requested: StoreTime,
    length: Duration,
}

/// The deviation that is allowed in the remaining time of a lease.
const TOLERANCE: Duration = Duration::from_secs(1);

impl Caller {
    pub(super) async fn get(&self, key: &Key) -> Result<Option<StoredTokens>, String> {
        self.store.get(key).await.map_err(|error| failed("get", key, &error))
    }

    pub(super) async fn put(
        &self,
        key: &Key,
        tokens: &TokenSet,
        precondition: Precondition,
    ) -> Result<PutResult, String> {
        self.store.put(key, tokens, precondition).await.map_err(|error| failed("put", key, &error))
    }

    /// Puts tokens that have to be stored.
    pub(super) async fn store(
        &self,
        key: &Key,
        tokens: &TokenSet,
        precondition: Precondition,
    ) -> Result<Version, String> {
        match self.put(key, tokens, precondition).await? {
            PutResult::Stored(version) => Ok(version),
            PutResult::Conflict(found) => Err(format!(
                "put with {precondition:?} should have stored the tokens of {}, but returned a conflict with {}",
                name(key),
                describe(found.as_ref())
            )),
        }
    }

    /// Puts tokens that have to be refused, because of the current entry.
    pub(super) async fn conflict(
        &self,
        key: &Key,
        tokens: &TokenSet,
        precondition: Precondition,
        there: Option<(&TokenSet, Version)>,
    ) -> CheckResult {
        let found = match self.put(key, tokens, precondition).await? {
            PutResult::Conflict(found) => found,
            PutResult::Stored(version) => {
                return Err(format!(
                    "put with {precondition:?} should have returned a conflict, because {} is there, but stored {version:?}",
                    there.map_or("nothing".to_owned(), |(_, version)| format!("{version:?}")),
                ));
            }
        };
        same(found.as_ref(), there)
            .map_err(|what| format!("the conflict of put with {precondition:?}: {what}"))?;
        self.has(key, there)
            .await
            .map_err(|what| format!("after a conflict of put with {precondition:?}: {what}"))
    }

    /// Checks the current entry.
    pub(super) async fn has(&self, key: &Key, there: Option<(&TokenSet, Version)>) -> CheckResult {
        same(self.get(key).await?.as_ref(), there).map_err(|what| format!("get of {}: {what}", name(key)))
    }

    pub(super) async fn remove(&self, key: &Key, precondition: Precondition) -> Result<bool, String> {
        self.store.remove(key, precondition).await.map_err(|error| failed("remove", key, &error))
    }

    pub(super) async fn removes(&self, key: &Key, precondition: Precondition, removed: bool) -> CheckResult {
        let answer = self.remove(key, precondition).await?;
        ensure(answer == removed, || {
            format!("remove with {precondition:?} should have returned {removed}, but returned {answer}")
        })
    }

    /// Checks the resources that the app has tokens for, in any order.
    pub(super) async fn has_resources(&self, client_id: &str, mut wanted: Vec<Resource>) -> CheckResult {
        let resources = self.store.resources(client_id).await;
        let mut found = resources
            .map_err(|error| format!("resources of app {} failed with: {error}", short(client_id)))?;
        found.sort();
        wanted.sort();
        ensure(found == wanted, || {
            let missing: Vec<_> = wanted.iter().filter(|resource| !found.contains(resource)).collect();
            let unexpected: Vec<_> = found.iter().filter(|resource| !wanted.contains(resource)).collect();
            format!(
                "resources of app {} should have been {} different ones, but were {}; missing: {missing:?}; not expected: \
                 {unexpected:?}",
                short(client_id),
                wanted.len(),
                found.len(),
            )
        })
    }

    pub(super) async fn lease(
        &self,
        key: &Key,
        holder: &str,
        length: Duration,
    ) -> Result<LeaseResult, String> {
        self.store.lease(key, holder, length).await.map_err(|error| failed("lease", key, &error))
    }

    /// Requests a lease that has to be granted, because of `why`.
    pub(super) async fn granted(
        &self,
        key: &Key,
        holder: &str,
        length: Duration,
        why: &str,
    ) -> Result<GrantedLease, String> {
        let requested = self.time.now();
        match self.lease(key, holder, length).await? {
            LeaseResult::Granted => Ok(GrantedLease { requested, length }),
            LeaseResult::Held { remaining } => Err(format!(
                "{why}: the lease that {holder:?} requests should be granted, but is held for another {remaining:?}"
            )),
        }
    }

    /// Requests a lease that has to be refused, because of `why`. If `lease` may have ended meanwhile, because the machine
    /// is slow, any result is right.
    pub(super) async fn held(
        &self,
        key: &Key,
        holder: &str,
        length: Duration,
        lease: GrantedLease,
        why: &str,
    ) -> CheckResult {
        let before = self.time.since(lease.requested);
        let result = self.lease(key, holder, length).await?;
        let after = self.time.since(lease.requested);
        if after >= lease.length {
            return Ok(());
        }
        let LeaseResult::Held { remaining } = result else {
            return Err(format!(
                "{why}: the lease that {holder:?} requests should be refused, but is granted"
            ));
        };
        let least = lease.length.saturating_sub(after).saturating_sub(TOLERANCE);
        let most = lease.length.saturating_sub(before) + TOLERANCE;
        let fits = !remaining.is_zero() && least <= remaining && remaining <= most;
        ensure(fits, || {
            format!(
                "{why}: the lease should be held for another {least:?} to {most:?}, but for {remaining:?}"
            )
        })
    }

    pub(super) async fn release(&self, key: &Key, holder: &str) -> CheckResult {
        self.store.release(key, holder).await.map_err(|error| failed("release", key, &error))
    }
}

/// Describes a key in failures.
pub(super) fn name(key: &Key) -> String {
    format!("{} {} of app {}", key.resource.kind(), short(key.resource.id()), short(&key.client_id))
}

/// Shortens an id for failures.
fn short(id: &str) -> String {
    match id.char_indices().nth(60) {
        Some((end, _)) => format!("{:?}… ({} bytes)", &id[..end], id.len()),
        None => format!("{id:?}"),
    }
}

fn failed(call: &str, key: &Key, error: &StoreError) -> String {
    format!("{call} of {} failed with: {error}", name(key))
}

fn describe(found: Option<&StoredTokens>) -> String {
    found.map_or("nothing".to_owned(), |stored| format!("{:?}", stored.version))
}

/// Compares the current entry with the expected one.
fn same(found: Option<&StoredTokens>, wanted: Option<(&TokenSet, Version)>) -> CheckResult {
    match (found, wanted) {
        (None, None) => Ok(()),
        (Some(found), Some((tokens, version))) => {
            ensure(found.version == version, || {
                format!("should have been of {version:?}, but is of {:?}", found.version)
            })?;
            super::samples::same(&found.tokens, tokens)
        }
        (found, wanted) => Err(format!(
            "should have been {}, but is {}",
            wanted.map_or("nothing".to_owned(), |(_, version)| format!("{version:?}")),
            describe(found)
        )),
    }
}
