//! Checks that any [`TokenStore`] has to pass, as tests for its implementation.
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
mod time;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;

use self::context::Context;
use self::time::StoreClock;
use super::{StoreError, TokenStore};
use crate::conformance::{CheckResult, Report, open_handles};

pub use crate::conformance::{FailedCheck, Failures};

/// Runs the checks on a store whose clock cannot be set, such as that of a database.
///
/// `open` opens the storage as another process would: for a database, on a separate connection. The storage has to be
/// empty; use a separate one for each run, because leases remain in it. A runtime with several threads finds more races. The
/// checks wait for leases of 300 milliseconds to end, and need a runtime with timers.
///
/// # Errors
///
/// Returns the failed checks, each with the expected and the actual behaviour.
pub async fn run<S>(open: impl AsyncFn() -> Result<S, StoreError>) -> Result<(), Failures>
where
    S: TokenStore + 'static,
{
    run_in(StoreClock::Real, open).await
}

/// Runs the checks as [`run`] does, and in addition those that set the clock of the store: the exact end of leases, and a
/// clock that is put back.
///
/// `set_clock` sets the clock of all handles on the storage. Between two calls the clock stands still.
///
/// ```
/// use std::sync::{Arc, Mutex};
/// use std::time::SystemTime;
///
/// use highlevel::auth::store::{MemoryStore, conformance};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), conformance::Failures> {
/// let clock = Arc::new(Mutex::new(SystemTime::UNIX_EPOCH));
/// let set_clock = {
///     let clock = Arc::clone(&clock);
///     move |now| *clock.lock().unwrap() = now
/// };
/// let store = MemoryStore::new().with_clock(move || *clock.lock().unwrap());
/// conformance::run_with_clock(async || Ok(store.clone()), set_clock).await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// Returns the failed checks, each with the expected and the actual behaviour.
pub async fn run_with_clock<S>(
    open: impl AsyncFn() -> Result<S, StoreError>,
    set_clock: impl Fn(SystemTime) + Send + Sync + 'static,
) -> Result<(), Failures>
where
    S: TokenStore + 'static,
{
    run_in(StoreClock::settable(set_clock), open).await
}

async fn run_in<S>(time: StoreClock, open: impl AsyncFn() -> Result<S, StoreError>) -> Result<(), Failures>
where
    S: TokenStore + 'static,
{
    let checks: Vec<_> = CHECKS
        .iter()
        .filter(|(clock, ..)| *clock == RequiredClock::Any || matches!(time, StoreClock::Settable { .. }))
        .collect();
    let mut report = Report::new("store", checks.len());
    let handles = match open_handles(HANDLES, open).await {
        Ok(stores) => {
            stores.into_iter().map(|store| Arc::new(store) as Arc<dyn TokenStore>).collect::<Vec<_>>()
        }
        Err(message) => return Err(report.not_opened(message)),
    };
    for (_, check, body) in &checks {
        let context = Context { check, handles: handles.clone(), time: time.clone() };
        report.record(check, body(&context).await);
    }
    report.finish()
}

/// The number of handles on the storage that are open at the same time.
const HANDLES: usize = 4;

type CheckFunction = for<'a> fn(&'a Context) -> Pin<Box<dyn Future<Output = CheckResult> + Send + 'a>>;

/// The clock that a check needs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum RequiredClock {
    Any,
    Settable,
}

const CHECKS: &[(RequiredClock, &str, CheckFunction)] = &[
    (RequiredClock::Any, "get: nothing at first", |context| Box::pin(entries::nothing_at_first(context))),
    (RequiredClock::Any, "tokens: every field", |context| Box::pin(entries::every_field(context))),
    (RequiredClock::Any, "tokens: absent fields", |context| Box::pin(entries::absent_fields(context))),
    (RequiredClock::Any, "tokens: unknown fields", |context| Box::pin(entries::unknown_fields(context))),
    (RequiredClock::Any, "tokens: times", |context| Box::pin(entries::times(context))),
    (RequiredClock::Any, "tokens: any text", |context| Box::pin(entries::any_text(context))),
    (RequiredClock::Any, "put: without a precondition", |context| Box::pin(entries::put_anything(context))),
    (RequiredClock::Any, "put: if there is nothing", |context| Box::pin(entries::put_nothing(context))),
    (RequiredClock::Any, "put: if there is a version", |context| Box::pin(entries::put_version(context))),
    (RequiredClock::Any, "remove: preconditions", |context| Box::pin(entries::remove(context))),
    (RequiredClock::Any, "versions: never repeated", |context| Box::pin(entries::versions(context))),
    (RequiredClock::Any, "resources: those with tokens", |context| Box::pin(entries::resources(context))),
    (RequiredClock::Any, "handles: share tokens", |context| Box::pin(entries::handles(context))),
    (RequiredClock::Any, "keys: resources of any id", |context| Box::pin(ids::resources(context))),
    (RequiredClock::Any, "keys: apps of any id", |context| Box::pin(ids::apps(context))),
    (RequiredClock::Any, "leases: one holder", |context| Box::pin(leases::one_holder(context))),
    (RequiredClock::Any, "leases: end", |context| Box::pin(leases::end(context))),
    (RequiredClock::Settable, "leases: exact end", |context| Box::pin(leases::exact_end(context))),
    (RequiredClock::Settable, "leases: clock put back", |context| Box::pin(leases::clock_put_back(context))),
    (RequiredClock::Settable, "leases: any year", |context| Box::pin(leases::any_year(context))),
    (RequiredClock::Any, "leases: maximum length", |context| Box::pin(leases::maximum_length(context))),
    (RequiredClock::Any, "leases: extended by the holder", |context| Box::pin(leases::extended(context))),
    (RequiredClock::Any, "leases: shortened by the holder", |context| Box::pin(leases::shortened(context))),
    (RequiredClock::Any, "leases: release", |context| Box::pin(leases::release(context))),
    (RequiredClock::Any, "leases: independent keys", |context| Box::pin(leases::independent_keys(context))),
    (RequiredClock::Any, "leases: independent of tokens", |context| {
        Box::pin(leases::independent_of_tokens(context))
    }),
    (RequiredClock::Any, "concurrency: one put with a version", |context| {
        Box::pin(concurrency::put_version(context))
    }),
    (RequiredClock::Any, "concurrency: one put into nothing", |context| {
        Box::pin(concurrency::put_nothing(context))
    }),
    (RequiredClock::Any, "concurrency: one remove", |context| Box::pin(concurrency::remove(context))),
    (RequiredClock::Any, "concurrency: no lost update", |context| {
        Box::pin(concurrency::no_lost_update(context))
    }),
    (RequiredClock::Any, "concurrency: one lease", |context| Box::pin(concurrency::lease(context))),
    (RequiredClock::Any, "concurrency: dropped calls", |context| {
        Box::pin(concurrency::dropped_calls(context))
    }),
];
