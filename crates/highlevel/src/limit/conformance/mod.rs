//! Checks for implementations of [`RateLimiter`].
//!
//! ```
//! use std::time::Duration;
//! use highlevel::limit::{LocalRateLimiter, conformance};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), conformance::Failures> {
//! let limits = conformance::Limits::new(4, Duration::from_millis(50), 30);
//! let limiter = LocalRateLimiter::with_limits(limits.burst, limits.interval, limits.daily).margin(Duration::ZERO);
//! conformance::run(limits, async || Ok(limiter.clone())).await?;
//! # Ok(())
//! # }
//! ```

mod checks;
mod context;
mod limits;

use std::pin::Pin;
use std::sync::Arc;

use self::context::Context;
pub use self::limits::Limits;
use super::{AcquireError, RateLimiter};
use crate::conformance::{CheckResult, Report, open_handles};

pub use crate::conformance::{FailedCheck, Failures};

/// Runs all checks on a limiter.
///
/// `open` opens the limiter as another process would: for a database, on a separate connection. All that are opened
/// share their limits. A limiter that counts a request without a response as ended after a while must not do so within five
/// intervals. The checks use a location each, and measure time on the clock of the runtime: a limiter without a
/// store can be checked with tokio's paused clock. No check fails because the machine is slow.
///
/// # Errors
///
/// Returns the failed checks, with what was expected and what the limiter did.
pub async fn run<L>(limits: Limits, open: impl AsyncFn() -> Result<L, AcquireError>) -> Result<(), Failures>
where
    L: RateLimiter + 'static,
{
    let mut report = Report::new("limiter", CHECKS.len());
    let handles = match open_handles(HANDLES, open).await {
        Ok(limiters) => {
            limiters.into_iter().map(|limiter| Arc::new(limiter) as Arc<dyn RateLimiter>).collect::<Vec<_>>()
        }
        Err(message) => return Err(report.not_opened(message)),
    };
    for (check, body) in CHECKS {
        let context = Context { check, limits, handles: handles.clone() };
        // On a task: a limiter that panics fails the check, and not the run.
        let outcome = match tokio::spawn(body(context)).await {
            Ok(outcome) => outcome,
            Err(error) => Err(format!("the limiter panicked: {error}")),
        };
        report.record(check, outcome);
    }
    report.finish()
}

/// The number of handles that are open on the limiter at the same time.
const HANDLES: usize = 4;

type CheckFunction = fn(Context) -> Pin<Box<dyn Future<Output = CheckResult> + Send>>;

const CHECKS: &[(&str, CheckFunction)] = &[
    ("burst: as many as the limit at once", |context| Box::pin(checks::at_once(context))),
    ("burst: never more in any window", |context| Box::pin(checks::any_window(context))),
    ("burst: many tasks", |context| Box::pin(checks::many_tasks(context))),
    ("burst: capacity returns", |context| Box::pin(checks::capacity_returns(context))),
    ("order: first in, first out", |context| Box::pin(checks::order(context))),
    ("locations: independent", |context| Box::pin(checks::locations(context))),
    ("timeout: honoured", |context| Box::pin(checks::timeout(context))),
    ("timeout: the error", |context| Box::pin(checks::timeout_error(context))),
    ("timeout: any length", |context| Box::pin(checks::any_timeout(context))),
    ("cancel: leaves the queue", |context| Box::pin(checks::cancel(context))),
    ("permit: given back unused", |context| Box::pin(checks::give_back(context))),
    ("permit: used without a response", |context| Box::pin(checks::no_response(context))),
    ("permit: counts until the response", |context| Box::pin(checks::slow_response(context))),
    ("permit: expires", |context| Box::pin(checks::expires(context))),
    ("permit: used late", |context| Box::pin(checks::used_late(context))),
    ("rejected: blocks", |context| Box::pin(checks::rejected(context))),
    ("rejected: blocks one location", |context| Box::pin(checks::rejected_elsewhere(context))),
    ("rejected: as long as Retry-After", |context| Box::pin(checks::retry_after(context))),
    ("rejected: any Retry-After", |context| Box::pin(checks::any_retry_after(context))),
    ("observe: a lower limit", |context| Box::pin(checks::lower_limit(context))),
    ("observe: a higher limit", |context| Box::pin(checks::higher_limit(context))),
    ("observe: a shorter interval", |context| Box::pin(checks::shorter_interval(context))),
    ("observe: remaining requests", |context| Box::pin(checks::remaining(context))),
    ("observe: remaining requests without a limit", |context| Box::pin(checks::remaining_alone(context))),
    ("observe: a spent day", |context| Box::pin(checks::spent_day(context))),
    ("observe: any values", |context| Box::pin(checks::any_values(context))),
    ("daily: the limit", |context| Box::pin(checks::daily(context))),
    ("handles: share the limits", |context| Box::pin(checks::handles(context))),
];
