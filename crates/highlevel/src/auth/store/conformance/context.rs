//! What checks speak to stores with: each call names itself if the store answers an error.

use std::sync::Arc;
use std::time::SystemTime;

use super::Outcome;
use crate::auth::TokenSet;
use crate::auth::store::{Expected, Key, Lease, Put, Resource, StoreError, Stored, TokenStore, Version};

/// A check, and the storage that it runs on.
pub(super) struct Context {
    pub(super) check: &'static str,
    pub(super) handles: Vec<Arc<dyn TokenStore>>,
}

impl Context {
    /// The key of a location. Each check has an app of its own, so that none sees what another did.
    pub(super) fn key(&self, location: &str) -> Key {
        Key::new(self.check, Resource::Location(location.to_owned().into()))
    }

    /// The key of a company.
    pub(super) fn company_key(&self, company: &str) -> Key {
        Key::new(self.check, Resource::Company(company.to_owned().into()))
    }

    /// The first handle on the storage.
    pub(super) fn store(&self) -> Caller {
        self.caller(0)
    }

    /// Another handle on the storage.
    pub(super) fn other(&self) -> Caller {
        self.caller(1)
    }

    /// One of the handles; there are as many as it takes.
    pub(super) fn caller(&self, index: usize) -> Caller {
        Caller(Arc::clone(&self.handles[index % self.handles.len()]))
    }
}

/// A handle on the storage.
pub(super) struct Caller(Arc<dyn TokenStore>);

impl Caller {
    pub(super) async fn get(&self, key: &Key) -> Result<Option<Stored>, String> {
        self.0.get(key).await.map_err(|error| failed("get", key, &error))
    }

    pub(super) async fn put(&self, key: &Key, tokens: &TokenSet, expected: Expected) -> Result<Put, String> {
        self.0.put(key, tokens, expected).await.map_err(|error| failed("put", key, &error))
    }

    /// Puts what has to be stored.
    pub(super) async fn store(
        &self,
        key: &Key,
        tokens: &TokenSet,
        expected: Expected,
    ) -> Result<Version, String> {
        match self.put(key, tokens, expected).await? {
            Put::Stored(version) => Ok(version),
            Put::Conflict(found) => Err(format!(
                "put with {expected:?} should have stored the tokens of {}, but answered a conflict with {}",
                name(key),
                describe(found.as_ref())
            )),
        }
    }

    /// Puts what has to be refused, because this is there.
    pub(super) async fn conflict(
        &self,
        key: &Key,
        tokens: &TokenSet,
        expected: Expected,
        there: Option<(&TokenSet, Version)>,
    ) -> Outcome {
        let found = match self.put(key, tokens, expected).await? {
            Put::Conflict(found) => found,
            Put::Stored(version) => {
                return Err(format!(
                    "put with {expected:?} should have answered a conflict, because {} is there, but stored {version:?}",
                    there.map_or("nothing".to_owned(), |(_, version)| format!("{version:?}")),
                ));
            }
        };
        same(found.as_ref(), there)
            .map_err(|what| format!("the conflict of put with {expected:?}: {what}"))?;
        self.has(key, there)
            .await
            .map_err(|what| format!("after a conflict of put with {expected:?}: {what}"))
    }

    /// What is there has to be this.
    pub(super) async fn has(&self, key: &Key, there: Option<(&TokenSet, Version)>) -> Outcome {
        same(self.get(key).await?.as_ref(), there).map_err(|what| format!("get of {}: {what}", name(key)))
    }

    pub(super) async fn remove(&self, key: &Key, expected: Expected) -> Result<bool, String> {
        self.0.remove(key, expected).await.map_err(|error| failed("remove", key, &error))
    }

    pub(super) async fn removes(&self, key: &Key, expected: Expected, removed: bool) -> Outcome {
        let answer = self.remove(key, expected).await?;
        ensure(answer == removed, || {
            format!("remove with {expected:?} should have answered {removed}, but answered {answer}")
        })
    }

    /// What the app has tokens for has to be these, in any order.
    pub(super) async fn has_resources(&self, client_id: &str, mut wanted: Vec<Resource>) -> Outcome {
        let resources = self.0.resources(client_id).await;
        let mut found = resources
            .map_err(|error| format!("resources of app {} answered the error: {error}", short(client_id)))?;
        found.sort();
        wanted.sort();
        ensure(found == wanted, || {
            let missing: Vec<_> = wanted.iter().filter(|resource| !found.contains(resource)).collect();
            let odd: Vec<_> = found.iter().filter(|resource| !wanted.contains(resource)).collect();
            format!(
                "resources of app {} should have been {} different ones, but were {}; missing: {missing:?}; not expected: \
                 {odd:?}",
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
        now: SystemTime,
        until: SystemTime,
    ) -> Result<Lease, String> {
        self.0.lease(key, holder, now, until).await.map_err(|error| failed("lease", key, &error))
    }

    /// Asks for a lease; `why` says why the answer has to be this.
    pub(super) async fn leases(
        &self,
        (key, holder): (&Key, &str),
        (now, until): (SystemTime, SystemTime),
        wanted: Lease,
        why: &str,
    ) -> Outcome {
        let answer = self.lease(key, holder, now, until).await?;
        ensure(answer == wanted, || {
            format!("{why}: the lease that {holder:?} asks for should be {wanted:?}, but is {answer:?}")
        })
    }

    pub(super) async fn release(&self, key: &Key, holder: &str) -> Outcome {
        self.0.release(key, holder).await.map_err(|error| failed("release", key, &error))
    }
}

/// The outcome of something that has to be.
pub(super) fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Outcome {
    if holds { Ok(()) } else { Err(otherwise()) }
}

/// A key as failures name it.
pub(super) fn name(key: &Key) -> String {
    format!("{} {} of app {}", key.resource.kind(), short(key.resource.id()), short(&key.client_id))
}

/// An id as failures name it: those of the checks can be long.
fn short(id: &str) -> String {
    match id.char_indices().nth(60) {
        Some((end, _)) => format!("{:?}… ({} bytes)", &id[..end], id.len()),
        None => format!("{id:?}"),
    }
}

fn failed(call: &str, key: &Key, error: &StoreError) -> String {
    format!("{call} of {} answered the error: {error}", name(key))
}

fn describe(found: Option<&Stored>) -> String {
    found.map_or("nothing".to_owned(), |stored| format!("{:?}", stored.version))
}

/// That what is there is what should be.
fn same(found: Option<&Stored>, wanted: Option<(&TokenSet, Version)>) -> Outcome {
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
