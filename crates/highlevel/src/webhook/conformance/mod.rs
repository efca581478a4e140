//! Checks that any [`Deduplicator`] has to pass.
//!
//! ```
//! use highlevel::webhook::InMemoryDeduplicator;
//! use highlevel::webhook::conformance::{self, Timing};
//! use std::sync::Arc;
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), conformance::Failures> {
//! let deduplicator = Arc::new(InMemoryDeduplicator::new());
//! conformance::run(async || Ok(deduplicator.clone()), Timing::default(), async |_| ()).await?;
//! # Ok(())
//! # }
//! ```

mod checks;
mod concurrency;
mod context;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use self::context::Context;
use super::deduplicator::{Deduplicator, DeduplicatorError};
use crate::conformance::{CheckResult, Report, open_handles};

pub use self::context::Timing;
pub use crate::conformance::{FailedCheck, Failures};

/// Runs all checks on a deduplicator, and returns those that fail.
///
/// `open` opens it again each time, as another process would: for a database, with a separate connection. The storage
/// has to be empty. A runtime with several threads finds more errors in concurrent calls.
///
/// `advance` is called when time has to pass. A deduplicator that uses the `now` that it is given needs nothing there.
/// One with its own clock advances it, or configures times that are short enough to wait for them.
///
/// # Errors
///
/// Returns the failed checks, with the expected and the actual result.
pub async fn run<D>(
    open: impl AsyncFn() -> Result<D, DeduplicatorError>,
    timing: Timing,
    advance: impl AsyncFn(Duration),
) -> Result<(), Failures>
where
    D: Deduplicator + 'static,
{
    let mut report = Report::new("deduplicator", CHECKS.len());
    let handles = match open_handles(HANDLES, open).await {
        Ok(opened) => {
            opened.into_iter().map(|handle| Arc::new(handle) as Arc<dyn Deduplicator>).collect::<Vec<_>>()
        }
        Err(message) => return Err(report.not_opened(message)),
    };
    for handle in &handles {
        handle.retain_at_least(timing.retention);
    }
    let advance = |by| -> Pin<Box<dyn Future<Output = ()> + '_>> { Box::pin(advance(by)) };
    let mut context = Context::new(handles, timing, &advance);
    for (check, body) in CHECKS {
        context.check = check;
        report.record(check, body(&context).await);
    }
    report.finish()
}

/// The number of handles that are open on the storage at the same time.
const HANDLES: usize = 4;

type CheckFunction = for<'a> fn(&'a Context<'_>) -> Pin<Box<dyn Future<Output = CheckResult> + 'a>>;

const CHECKS: &[(&str, CheckFunction)] = &[
    ("claims: one delivery at a time", |context| Box::pin(checks::one_at_a_time(context))),
    ("claims: events are independent", |context| Box::pin(checks::independent(context))),
    ("claims: shared by all handles", |context| Box::pin(checks::handles(context))),
    ("tokens: each claim has its own", |context| Box::pin(checks::tokens(context))),
    ("commit: redeliveries are duplicates", |context| Box::pin(checks::commit(context))),
    ("commit: repeated", |context| Box::pin(checks::commit_repeated(context))),
    ("commit: by a stale token", |context| Box::pin(checks::commit_stale(context))),
    ("commit: without a claim", |context| Box::pin(checks::commit_unclaimed(context))),
    ("commit: of each of many events", |context| Box::pin(checks::many(context))),
    ("abort: the next delivery is granted", |context| Box::pin(checks::abort(context))),
    ("abort: by a stale token", |context| Box::pin(checks::abort_stale(context))),
    ("abort: after a commit", |context| Box::pin(checks::abort_committed(context))),
    ("ids: compared byte by byte", |context| Box::pin(checks::ids(context))),
    ("timeout: not too early", |context| Box::pin(checks::timeout_not_too_early(context))),
    ("timeout: a claim ends", |context| Box::pin(checks::timeout_ends(context))),
    ("timeout: the previous claim is lost", |context| Box::pin(checks::timeout_loses(context))),
    ("retention: for the required time", |context| Box::pin(checks::retention(context))),
    ("retention: while the clock is set back", |context| Box::pin(checks::clock_set_back(context))),
    ("concurrency: one claim", |context| Box::pin(concurrency::one_claim(context))),
    ("concurrency: one commit", |context| Box::pin(concurrency::one_commit(context))),
    ("concurrency: stale tokens", |context| Box::pin(concurrency::stale_tokens(context))),
];
