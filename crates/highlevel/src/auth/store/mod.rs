//! Token stores: where the tokens of an app are persisted.
//!
//! A refresh token works once. The response to a refresh has to be stored before any process uses it, and two processes
//! must not refresh the same tokens at the same time. Hence versions and leases.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::{CompanyId, LocationId};

use super::TokenSet;

#[cfg(feature = "testing")]
pub mod conformance;
mod file;
mod json;
mod memory;
mod rules;

pub use file::{FileStore, FileStoreError};
pub use json::InvalidTokens;
pub(super) use json::rounded_down as in_milliseconds;
pub use memory::MemoryStore;

/// The owner of tokens: a location, or a company (agency) whose token gives those of its locations.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Resource {
    /// A location (sub-account).
    Location(LocationId),
    /// A company (agency).
    Company(CompanyId),
}

impl Resource {
    /// Returns the kind of the resource, for a column of a database: `location` or `company`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Location(_) => "location",
            Self::Company(_) => "company",
        }
    }

    /// Returns the id, for a column of a database.
    pub fn id(&self) -> &str {
        match self {
            Self::Location(id) => id.as_str(),
            Self::Company(id) => id.as_str(),
        }
    }

    /// Returns the resource with this [`kind`](Self::kind) and [`id`](Self::id), or `None` if the kind is unknown.
    ///
    /// ```
    /// use highlevel::auth::store::Resource;
    ///
    /// let resource = Resource::Location("ve9EPM428h8vShlRW1KT".parse()?);
    /// assert_eq!(Resource::from_kind_and_id(resource.kind(), resource.id()), Some(resource));
    /// # Ok::<(), std::convert::Infallible>(())
    /// ```
    pub fn from_kind_and_id(kind: &str, id: impl Into<String>) -> Option<Self> {
        match kind {
            "location" => Some(Self::Location(id.into().into())),
            "company" => Some(Self::Company(id.into().into())),
            _ => None,
        }
    }
}

/// The key that tokens are stored under.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Key {
    /// The client id of the app.
    pub client_id: String,
    /// The owner of the tokens.
    pub resource: Resource,
}

impl Key {
    /// Creates the key of an app, named by its client id, and a resource.
    pub fn new(client_id: impl Into<String>, resource: Resource) -> Self {
        Self { client_id: client_id.into(), resource }
    }
}

/// The version of stored tokens.
///
/// Each write gives an entry a version that it never had before, even if the tokens are the same as before, the entry was
/// removed in between, or the storage was restored from a backup. A counter repeats itself after a restore: use random
/// numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Version(pub u64);

/// Tokens as they are stored.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StoredTokens {
    /// The tokens.
    pub tokens: TokenSet,
    /// Their version.
    pub version: Version,
}

impl StoredTokens {
    /// Creates stored tokens, for implementations of [`TokenStore`].
    pub fn new(tokens: TokenSet, version: Version) -> Self {
        Self { tokens, version }
    }
}

/// The state of an entry that a write requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precondition {
    /// The write always happens.
    Anything,
    /// There are no tokens.
    Nothing,
    /// The tokens are of this version, and are the ones that were read with it.
    Version(Version),
}

/// The result of [`TokenStore::put`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum PutResult {
    /// The tokens are stored durably, with a new version.
    Stored(Version),
    /// The precondition was not met. Nothing was changed. Contains the current entry.
    Conflict(Option<StoredTokens>),
}

/// The longest lease. A store shortens longer ones to this, and ignores a lease that ends later than this from now: the
/// clock was put back after the lease was granted, and its holder may be dead.
///
/// The SDK requests leases of 15 seconds.
pub const MAX_LEASE: Duration = Duration::from_secs(60);

/// The result of [`TokenStore::lease`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LeaseResult {
    /// The caller holds the lease until it ends or is released.
    Granted,
    /// Another holder has the lease.
    Held {
        /// The time until the lease ends, by the clock of the store. It may be released earlier.
        remaining: Duration,
    },
}

/// The error of a store.
pub type StoreError = Box<dyn std::error::Error + Send + Sync>;

/// The future of a store's response.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// The clock of a store.
type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// Stores the tokens of an app, for one process or for several that share the storage.
///
/// When a future succeeds, its effect is durable. The effect of a future that is dropped or fails is unknown. Every future
/// has to complete: all calls of a location wait for it, so give a database a timeout.
///
/// [`MemoryStore`] and [`FileStore`] are part of this crate. A database needs two tables and a statement for each method:
///
/// ```sql
/// CREATE TABLE tokens (
///     client_id text, kind text, id text,           -- the Key: see Resource::kind and Resource::id
///     tokens    text NOT NULL,                      -- TokenSet::to_json, encrypted
///     version   bigint NOT NULL,                    -- random for each write
///     PRIMARY KEY (client_id, kind, id)             -- compares ids byte by byte: case and spaces matter
/// );
/// CREATE UNLOGGED TABLE leases (
///     client_id text, kind text, id text,
///     holder    text NOT NULL,
///     until     timestamptz NOT NULL,
///     PRIMARY KEY (client_id, kind, id)
/// );
/// -- put, with Precondition::Version(7): a conflict if it changes no row
/// UPDATE tokens SET tokens = :tokens, version = :random WHERE … AND version = 7;
/// -- lease, by the clock of the database: held by another holder if it changes no row
/// INSERT INTO leases VALUES (…, :holder, clock_timestamp() + least(:length, interval '60 seconds'))
///     ON CONFLICT (client_id, kind, id) DO UPDATE SET holder = excluded.holder, until = excluded.until
///     WHERE leases.holder = excluded.holder OR leases.until <= clock_timestamp()
///         OR leases.until > clock_timestamp() + interval '60 seconds';    -- MAX_LEASE: the clock was put back
/// ```
///
/// The checks in `conformance` (feature `testing`) verify an implementation.
pub trait TokenStore: Send + Sync {
    /// Returns the tokens of a key.
    fn get<'a>(&'a self, key: &'a Key) -> StoreFuture<'a, Option<StoredTokens>>;

    /// Stores tokens if the precondition is met: compare and swap.
    fn put<'a>(
        &'a self,
        key: &'a Key,
        tokens: &'a TokenSet,
        precondition: Precondition,
    ) -> StoreFuture<'a, PutResult>;

    /// Removes the tokens of a key if the precondition is met. Returns `true` if there were tokens and they are removed. A
    /// lease on the key remains.
    fn remove<'a>(&'a self, key: &'a Key, precondition: Precondition) -> StoreFuture<'a, bool>;

    /// Returns the resources that an app has tokens for, in no particular order.
    fn resources<'a>(&'a self, client_id: &'a str) -> StoreFuture<'a, Vec<Resource>>;

    /// Acquires the right to refresh the tokens of a key for a length of time, at most [`MAX_LEASE`], by the clock of the
    /// store. `holder` identifies the caller. A holder that has the lease already is granted it again, with the new end. A
    /// key can be leased whether it has tokens or not.
    ///
    /// A lease need not be durable: the holders do not survive a crash of the machine either.
    fn lease<'a>(&'a self, key: &'a Key, holder: &'a str, length: Duration) -> StoreFuture<'a, LeaseResult>;

    /// Releases the lease. Does nothing if `holder` does not have it.
    fn release<'a>(&'a self, key: &'a Key, holder: &'a str) -> StoreFuture<'a, ()>;
}

/// Implements the trait for a pointer to a store.
macro_rules! forward {
    ($($pointer:ty),+) => {$(
        impl<T: TokenStore + ?Sized> TokenStore for $pointer {
            fn get<'a>(&'a self, key: &'a Key) -> StoreFuture<'a, Option<StoredTokens>> {
                (**self).get(key)
            }

            fn put<'a>(
                &'a self,
                key: &'a Key,
                tokens: &'a TokenSet,
                precondition: Precondition,
            ) -> StoreFuture<'a, PutResult> {
                (**self).put(key, tokens, precondition)
            }

            fn remove<'a>(&'a self, key: &'a Key, precondition: Precondition) -> StoreFuture<'a, bool> {
                (**self).remove(key, precondition)
            }

            fn resources<'a>(&'a self, client_id: &'a str) -> StoreFuture<'a, Vec<Resource>> {
                (**self).resources(client_id)
            }

            fn lease<'a>(
                &'a self,
                key: &'a Key,
                holder: &'a str,
                length: Duration,
            ) -> StoreFuture<'a, LeaseResult> {
                (**self).lease(key, holder, length)
            }

            fn release<'a>(&'a self, key: &'a Key, holder: &'a str) -> StoreFuture<'a, ()> {
                (**self).release(key, holder)
            }
        }
    )+};
}

forward!(Arc<T>, Box<T>, &T);
