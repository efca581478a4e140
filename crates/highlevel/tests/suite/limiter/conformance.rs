//! The checks for limiters: the limiter of the crate passes all of them, and each defect is found by name.

use std::sync::Arc;
use std::time::Duration;

use highlevel::limit::conformance::{self, Limits};
use highlevel::limit::{LocalRateLimiter, RateLimiter};

use super::broken::{Broken, Defect};

fn limits() -> Limits {
    Limits::new(4, Duration::from_millis(200), 40)
}

#[tokio::test(start_paused = true)]
async fn the_local_limiter_conforms() {
    for (burst, interval, daily) in [(4, 200, 40), (2, 1_000, 14), (9, 50, 100)] {
        let limits = Limits::new(burst, Duration::from_millis(interval), daily);
        let limiter = LocalRateLimiter::with_limits(burst, limits.interval, daily).margin(Duration::ZERO);
        conformance::run(limits, async || Ok(limiter.clone())).await.expect("it conforms");
    }
}

/// On threads and the real clock, and behind a pointer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_local_limiter_conforms_on_threads() {
    let limits = limits();
    let limiter = LocalRateLimiter::with_limits(limits.burst, limits.interval, limits.daily);
    let limiter: Arc<dyn RateLimiter> = Arc::new(limiter.margin(Duration::from_millis(10)));
    conformance::run(limits, async || Ok(Arc::clone(&limiter))).await.expect("it conforms");
}

/// The defect, and the check that has to find it.
const DEFECTS: &[(Defect, &str)] = &[
    (Defect::HalfTheLimit, "burst: as many as the limit at once"),
    (Defect::BucketOfTokens, "burst: never more in any window"),
    (Defect::FixedWindow, "burst: never more in any window"),
    (Defect::Racy, "burst: many tasks"),
    (Defect::NeverReturns, "burst: capacity returns"),
    (Defect::LastInFirstOut, "order: first in, first out"),
    (Defect::OneLimitForAll, "locations: independent"),
    (Defect::IgnoresCase, "locations: independent"),
    (Defect::CutsNames, "locations: independent"),
    (Defect::IgnoresTimeout, "timeout: honoured"),
    (Defect::WaitsForTheTimeout, "timeout: the error"),
    (Defect::NoRetryAfter, "timeout: the error"),
    (Defect::WrongKind, "timeout: the error"),
    (Defect::PanicsOnLongTimeouts, "timeout: any length"),
    (Defect::CancelledStayInTheQueue, "cancel: leaves the queue"),
    (Defect::KeepsUnused, "permit: given back unused"),
    (Defect::GivesBackStarted, "permit: used without a response"),
    (Defect::CountsFromStart, "permit: counts until the response"),
    (Defect::ForgetsResponded, "permit: counts until the response"),
    (Defect::NeverExpires, "permit: expires"),
    (Defect::ExpiresAtOnce, "permit: expires"),
    (Defect::CountsFromIssue, "permit: used late"),
    (Defect::IgnoresRejections, "rejected: blocks"),
    (Defect::BlocksAll, "rejected: blocks one location"),
    (Defect::IgnoresRetryAfter, "rejected: as long as Retry-After"),
    (Defect::BlocksForAsLongAsItIsTold, "rejected: any Retry-After"),
    (Defect::PanicsOnHugeRetryAfter, "rejected: any Retry-After"),
    (Defect::IgnoresLowerLimits, "observe: a lower limit"),
    (Defect::TakesHigherLimits, "observe: a higher limit"),
    (Defect::TakesShorterIntervals, "observe: a shorter interval"),
    (Defect::IgnoresRemaining, "observe: remaining requests"),
    (Defect::TakesRemainingAlone, "observe: remaining requests without a limit"),
    (Defect::IgnoresSpentDays, "observe: a spent day"),
    (Defect::SpentDayIsABurst, "observe: a spent day"),
    (Defect::BelievesHugeHeaders, "observe: any values"),
    (Defect::NoDailyLimit, "daily: the limit"),
    (Defect::HandlesApart, "handles: share the limits"),
];

#[tokio::test(start_paused = true)]
async fn each_defect_is_found_and_named() {
    let mut wrong = Vec::new();
    let sound = Broken::new(Defect::None, limits());
    if let Err(failures) = conformance::run(limits(), async || Ok(sound.open())).await {
        wrong.push(format!("without a defect: {failures}"));
    }
    for (defect, check) in DEFECTS {
        let limiter = Broken::new(*defect, limits());
        match conformance::run(limits(), async || Ok(limiter.open())).await {
            Ok(()) => wrong.push(format!("{defect:?} passes all checks")),
            Err(failures) if failures.iter().any(|failure| failure.check == *check) => {}
            Err(failures) => wrong.push(format!("{defect:?} should have failed {check:?}: {failures}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
