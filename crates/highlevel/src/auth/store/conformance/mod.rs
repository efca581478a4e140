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
use self::time::Time;
use super::{StoreError, TokenStore};
use crate::conformance::{Outcome, Report, open_handles};

pub use crate::conformance::{Failure, Failures};

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
    run_in(Time::Real, open).await
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
    run_in(Time::settable(set_clock), open).await
}

async fn run_in<S>(time: Time, open: impl AsyncFn() -> Result<S, StoreError>) -> Result<(), Failures>
where
    S: TokenStore + 'static,
{
    let checks: Vec<_> = CHECKS
        .iter()
        .filter(|(clock, ..)| *clock == Clock::Any || matches!(time, Time::Settable { .. }))
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

type Body = for<'a> fn(&'a Context) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

/// The clock that a check needs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Clock {
    Any,
    Settable,
}

const CHECKS: &[(Clock, &str, Body)] = &[
    (Clock::Any, "get: nothing at first", |context| Box::pin(entries::nothing_at_first(context))),
    (Clock::Any, "tokens: every field", |context| Box::pin(entries::every_field(context))),
    (Clock::Any, "tokens: absent fields", |context| Box::pin(entries::absent_fields(context))),
    (Clock::Any, "tokens: unknown fields", |context| Box::pin(entries::unknown_fields(context))),
    (Clock::Any, "tokens: times", |context| Box::pin(entries::times(context))),
    (Clock::Any, "tokens: any text", |context| Box::pin(entries::any_text(context))),
    (Clock::Any, "put: without a precondition", |context| Box::pin(entries::put_anything(context))),
    (Clock::Any, "put: if there is nothing", |context| Box::pin(entries::put_nothing(context))),
    (Clock::Any, "put: if there is a version", |context| Box::pin(entries::put_version(context))),
    (Clock::Any, "remove: preconditions", |context| Box::pin(entries::remove(context))),
    (Clock::Any, "versions: never repeated", |context| Box::pin(entries::versions(context))),
    (Clock::Any, "resources: those with tokens", |context| Box::pin(entries::resources(context))),
    (Clock::Any, "handles: share tokens", |context| Box::pin(entries::handles(context))),
    (Clock::Any, "keys: resources of any id", |context| Box::pin(ids::resources(context))),
    (Clock::Any, "keys: apps of any id", |context| Box::pin(ids::apps(context))),
    (Clock::Any, "leases: one holder", |context| Box::pin(leases::one_holder(context))),
    (Clock::Any, "leases: end", |context| Box::pin(leases::end(context))),
    (Clock::Settable, "leases: exact end", |context| Box::pin(leases::exact_end(context))),
    (Clock::Settable, "leases: clock put back", |context| Box::pin(leases::clock_put_back(context))),
    (Clock::Settable, "leases: any year", |context| Box::pin(leases::any_year(context))),
    (Clock::Any, "leases: maximum length", |context| Box::pin(leases::maximum_length(context))),
    (Clock::Any, "leases: extended by the holder", |context| Box::pin(leases::extended(context))),
    (Clock::Any, "leases: shortened by the holder", |context| Box::pin(leases::shortened(context))),
    (Clock::Any, "leases: release", |context| Box::pin(leases::release(context))),
    (Clock::Any, "leases: independent keys", |context| Box::pin(leases::independent_keys(context))),
    (Clock::Any, "leases: independent of tokens", |context| Box::pin(leases::independent_of_tokens(context))),
    (Clock::Any, "concurrency: one put with a version", |context| {
        Box::pin(concurrency::put_version(context))
    }),
    (Clock::Any, "concurrency: one put into nothing", |context| Box::pin(concurrency::put_nothing(context))),
    (Clock::Any, "concurrency: one remove", |context| Box::pin(concurrency::remove(context))),
    (Clock::Any, "concurrency: no lost update", |context| Box::pin(concurrency::no_lost_update(context))),
    (Clock::Any, "concurrency: one lease", |context| Box::pin(concurrency::lease(context))),
    (Clock::Any, "concurrency: dropped calls", |context| Box::pin(concurrency::dropped_calls(context))),
];
