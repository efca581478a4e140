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

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use self::context::Context;
use super::deduplicator::{Deduplicator, DeduplicatorError};

/// The times that a deduplicator is checked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// The time after which the deduplicator ends a claim. `None` if claims have no timeout, because they end with their
    /// process. Defaults to `None`.
    pub claim_timeout: Option<Duration>,
    /// The time for which committed events have to be recognized. Defaults to 2 hours and 5 minutes.
    pub retention: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self { claim_timeout: None, retention: Duration::from_secs(125 * 60) }
    }
}

/// Runs all checks on a deduplicator, and returns those that fail.
///
/// `open` opens it again each time, as another process would: for a database, with a separate connection. The storage
/// has to be empty. A runtime with several threads shows more of what goes wrong when calls meet.
///
/// `advance` is called when time has to pass. A deduplicator that uses the `now` that it is given needs nothing there. One
/// with its own clock advances it, or configures times that are short enough to wait for them.
///
/// # Errors
///
/// Returns the failed checks, with what was expected and what the deduplicator did.
pub async fn run<D>(
    open: impl AsyncFn() -> Result<D, DeduplicatorError>,
    timing: Timing,
    advance: impl AsyncFn(Duration),
) -> Result<(), Failures>
where
    D: Deduplicator + 'static,
{
    let mut handles: Vec<Arc<dyn Deduplicator>> = Vec::new();
    for _ in 0..HANDLES {
        match open().await {
            Ok(deduplicator) => handles.push(Arc::new(deduplicator)),
            Err(error) => return Err(Failures(vec![Failure { check: "open", what: error.to_string() }])),
        }
    }
    for handle in &handles {
        handle.retain_at_least(timing.retention);
    }
    let advance = |by| -> Pin<Box<dyn Future<Output = ()> + '_>> { Box::pin(advance(by)) };
    let mut context = Context::new(handles, timing, &advance);
    let mut failures = Vec::new();
    for (check, body) in CHECKS {
        context.check = check;
        if let Err(what) = body(&context).await {
            failures.push(Failure { check, what });
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(Failures(failures)) }
}

/// How many handles on the storage are open at the same time.
const HANDLES: usize = 4;

/// Nothing, or what was expected and what the deduplicator did.
type Outcome = Result<(), String>;
type Body = for<'a> fn(&'a Context<'_>) -> Pin<Box<dyn Future<Output = Outcome> + 'a>>;

const CHECKS: &[(&str, Body)] = &[
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

/// The checks that a deduplicator fails. `Display` and `Debug` list all of them.
pub struct Failures(Vec<Failure>);

/// A check that a deduplicator fails.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// The name of the check.
    pub check: &'static str,
    /// What was expected, and what the deduplicator did.
    pub what: String,
}

impl Failures {
    /// Returns the failures in the order of the checks.
    pub fn iter(&self) -> impl Iterator<Item = &Failure> {
        self.0.iter()
    }
}

impl fmt::Display for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the deduplicator fails {} of {} checks", self.0.len(), CHECKS.len())?;
        self.0.iter().try_for_each(|Failure { check, what }| write!(f, "\n  {check}\n      {what}"))
    }
}

impl fmt::Debug for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Failures {}
