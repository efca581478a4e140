//! What every store of tokens has to do, as tests that any implementation runs.
//!
//! ```
//! use highlevel::auth::store::{MemoryStore, conformance};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), conformance::Failures> {
//! let store = MemoryStore::new();
//! conformance::run(async || Ok(store.clone())).await?;
//! # Ok(())
//! # }
//! ```

mod concurrency;
mod context;
mod entries;
mod ids;
mod leases;
mod samples;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use self::context::Context;
use super::{StoreError, TokenStore};

/// Runs all checks on a storage, and answers which of them fail, and how.
///
/// `open` opens the storage anew each time, as another process would: for a database, a connection of its own. The
/// storage has to be empty, and is best one of its own for each run, because leases and versions stay in it. A runtime
/// with several threads shows more of what goes wrong when calls meet. The checks read no clock.
///
/// # Errors
///
/// If a check fails: the failures say what was expected and what the store did.
pub async fn run<S>(open: impl AsyncFn() -> Result<S, StoreError>) -> Result<(), Failures>
where
    S: TokenStore + 'static,
{
    let mut handles: Vec<Arc<dyn TokenStore>> = Vec::new();
    for _ in 0..HANDLES {
        match open().await {
            Ok(store) => handles.push(Arc::new(store)),
            Err(error) => return Err(Failures(vec![Failure { check: "open", what: error.to_string() }])),
        }
    }
    let mut failures = Vec::new();
    for (check, body) in CHECKS {
        let context = Context { check, handles: handles.clone() };
        if let Err(what) = body(&context).await {
            failures.push(Failure { check, what });
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(Failures(failures)) }
}

/// How many handles on the storage are open at the same time.
const HANDLES: usize = 4;

/// Nothing, or what was expected and what the store did.
type Outcome = Result<(), String>;
type Body = for<'a> fn(&'a Context) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

const CHECKS: &[(&str, Body)] = &[
    ("get: nothing at first", |context| Box::pin(entries::nothing_at_first(context))),
    ("tokens: every field", |context| Box::pin(entries::every_field(context))),
    ("tokens: fields that are not there", |context| Box::pin(entries::absent_fields(context))),
    ("tokens: times", |context| Box::pin(entries::times(context))),
    ("tokens: any text", |context| Box::pin(entries::any_text(context))),
    ("put: whatever is there", |context| Box::pin(entries::put_anything(context))),
    ("put: nothing is there", |context| Box::pin(entries::put_nothing(context))),
    ("put: a version is there", |context| Box::pin(entries::put_version(context))),
    ("remove: what is expected", |context| Box::pin(entries::remove(context))),
    ("versions: never the same again", |context| Box::pin(entries::versions(context))),
    ("resources: what there are tokens for", |context| Box::pin(entries::resources(context))),
    ("handles: see each other's tokens", |context| Box::pin(entries::handles(context))),
    ("keys: resources of any id", |context| Box::pin(ids::resources(context))),
    ("keys: apps of any id", |context| Box::pin(ids::apps(context))),
    ("leases: one holder", |context| Box::pin(leases::one_holder(context))),
    ("leases: end", |context| Box::pin(leases::end(context))),
    ("leases: a clock that was put back", |context| Box::pin(leases::clock_put_back(context))),
    ("leases: again for the holder", |context| Box::pin(leases::again(context))),
    ("leases: release", |context| Box::pin(leases::release(context))),
    ("leases: of one key", |context| Box::pin(leases::of_one_key(context))),
    ("leases: leave tokens alone", |context| Box::pin(leases::leave_tokens_alone(context))),
    ("leases: any clock", |context| Box::pin(leases::any_clock(context))),
    ("concurrency: a version is replaced once", |context| Box::pin(concurrency::replace(context))),
    ("concurrency: nothing is replaced once", |context| Box::pin(concurrency::first(context))),
    ("concurrency: no writing is lost", |context| Box::pin(concurrency::count(context))),
    ("concurrency: one lease", |context| Box::pin(concurrency::lease(context))),
];

/// The checks that a store fails. Printing it, also for debugging, prints them all.
pub struct Failures(Vec<Failure>);

/// One check that a store fails.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// The name of the check.
    pub check: &'static str,
    /// What was expected, and what the store did.
    pub what: String,
}

impl Failures {
    /// One by one, in the order of the checks.
    pub fn iter(&self) -> impl Iterator<Item = &Failure> {
        self.0.iter()
    }
}

impl fmt::Display for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the store fails {} of {} checks", self.0.len(), CHECKS.len())?;
        self.0.iter().try_for_each(|Failure { check, what }| write!(f, "\n  {check}\n      {what}"))
    }
}

impl fmt::Debug for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Failures {}
