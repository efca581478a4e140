//! Where the tokens of an app are kept.
//!
//! Refresh tokens work once. Whoever refreshes has to store the answer before anybody uses it, and no two programs may
//! refresh the same tokens at a time: hence versions and leases.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, SystemTime};

use crate::{CompanyId, LocationId};

use super::TokenSet;

#[cfg(feature = "testing")]
pub mod conformance;
mod file;
mod json;
mod memory;
mod row;

pub use file::{FileStore, FileStoreError};
pub use json::InvalidTokens;
pub(super) use json::rounded_down as in_milliseconds;
pub use memory::MemoryStore;

/// What tokens are for: one location, or a company (agency) whose token gives those of its locations.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Resource {
    /// A location (sub-account).
    Location(LocationId),
    /// A company (agency).
    Company(CompanyId),
}

impl Resource {
    /// What kind of resource it is, for a column of a database: `location` or `company`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Location(_) => "location",
            Self::Company(_) => "company",
        }
    }

    /// Its id, for a column of a database.
    pub fn id(&self) -> &str {
        match self {
            Self::Location(id) => id,
            Self::Company(id) => id,
        }
    }

    /// The resource of a kind and an id, as [`kind`](Self::kind) and [`id`](Self::id) gave them; none if there is no
    /// such kind.
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

/// Under what tokens are stored.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Key {
    /// The client id of the app.
    pub client_id: String,
    /// What the tokens are for.
    pub resource: Resource,
}

impl Key {
    /// The key of an app, named by its client id, and a resource.
    pub fn new(client_id: impl Into<String>, resource: Resource) -> Self {
        Self { client_id: client_id.into(), resource }
    }
}

/// Which writing of an entry this is. Each writing gives the entry another version, one that it never had before, also
/// when the entry was removed in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Version(pub u64);

/// Tokens as they are stored.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Stored {
    /// The tokens.
    pub tokens: TokenSet,
    /// Their version.
    pub version: Version,
}

impl Stored {
    /// Tokens of a version, as a store answers them.
    pub fn new(tokens: TokenSet, version: Version) -> Self {
        Self { tokens, version }
    }
}

/// What has to be there for a writing to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Whatever is there is replaced.
    Anything,
    /// Nothing is there.
    Nothing,
    /// The entry is of this version.
    Version(Version),
}

/// What became of a writing.
#[derive(Debug, Clone)]
pub enum Put {
    /// The tokens are stored, durably, under a new version.
    Stored(Version),
    /// Something else was there, which is this; nothing was changed.
    Conflict(Option<Stored>),
}

/// No lease is longer. One that ends later than this from now was given by a clock that has been put back since: its
/// holder may be dead, and it is nobody's.
///
/// The SDK asks for a quarter of it; the rest is for machines whose clocks differ.
pub const LONGEST_LEASE: Duration = Duration::from_secs(60);

/// What became of asking for a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lease {
    /// It is yours until the time that was asked for, or until it is released.
    Granted,
    /// Somebody else has it until this time.
    HeldUntil(SystemTime),
}

/// The store could not do it.
pub type StoreError = Box<dyn std::error::Error + Send + Sync>;

/// The answer of a store, later.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Keeps the tokens of an app, for one program or for several that share it.
///
/// When a future answers, what it says is durable. A future that is dropped, or answers an error, may have done its work
/// or not. Each has to end: all that is done about the tokens of a location waits for it, so give a database a timeout.
///
/// [`MemoryStore`] and [`FileStore`] come with the crate; a database is a table and a statement for each method:
///
/// ```sql
/// CREATE TABLE tokens (
///     client_id    text, kind text, id text,        -- of the Key: see Resource::kind and Resource::id
///     tokens       text,                            -- TokenSet::to_json, encrypted; NULL once removed
///     version      bigint NOT NULL,                 -- stays when the tokens are removed, and only grows
///     lease_holder text, lease_until timestamptz,
///     PRIMARY KEY (client_id, kind, id)             -- compares ids byte by byte: case and spaces matter
/// );
/// -- put, with Expected::Version(7): a conflict if it changes no row
/// UPDATE tokens SET tokens = …, version = version + 1 WHERE … AND version = 7 AND tokens IS NOT NULL;
/// -- lease: held by somebody else if it changes no row
/// UPDATE tokens SET lease_holder = :holder, lease_until = :until
///     WHERE … AND (lease_holder IS NULL OR lease_holder = :holder OR lease_until <= :now
///         OR lease_until > :now + interval '60 seconds');      -- LONGEST_LEASE: the clock was put back
/// ```
///
/// The checks in `conformance`, with the feature `testing`, say whether it does what it has to.
pub trait TokenStore: fmt::Debug + Send + Sync {
    /// The tokens under a key.
    fn get<'a>(&'a self, key: &'a Key) -> StoreFuture<'a, Option<Stored>>;

    /// Stores tokens if what is there is what is expected: compare and swap.
    fn put<'a>(&'a self, key: &'a Key, tokens: &'a TokenSet, expected: Expected) -> StoreFuture<'a, Put>;

    /// Removes the tokens under a key if what is there is what is expected; answers whether they were there and are
    /// gone. A lease on the key stays as it is.
    fn remove<'a>(&'a self, key: &'a Key, expected: Expected) -> StoreFuture<'a, bool>;

    /// What an app has tokens for, in no particular order.
    fn resources<'a>(&'a self, client_id: &'a str) -> StoreFuture<'a, Vec<Resource>>;

    /// Asks for the right to refresh the tokens under a key, until a time. `holder` names who asks; a holder that has
    /// the lease already gets it again, with the new end. A lease is for a key whether it has tokens or not, and a
    /// lease whose end is not after `now`, or more than [`LONGEST_LEASE`] after it, is nobody's.
    fn lease<'a>(
        &'a self,
        key: &'a Key,
        holder: &'a str,
        now: SystemTime,
        until: SystemTime,
    ) -> StoreFuture<'a, Lease>;

    /// Gives the lease back. Does nothing if `holder` does not have it.
    fn release<'a>(&'a self, key: &'a Key, holder: &'a str) -> StoreFuture<'a, ()>;
}
