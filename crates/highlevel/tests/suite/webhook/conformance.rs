//! The deduplicators of the crate pass the conformance checks, and broken ones fail them.

use std::sync::Arc;

use highlevel::webhook::conformance::{self, Timing};
use highlevel::webhook::{InMemoryDeduplicator, OnFull};

use super::broken::{Broken, Defect, TIMEOUT};

const LEASED: Timing =
    Timing { claim_timeout: Some(TIMEOUT), retention: std::time::Duration::from_secs(125 * 60) };

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_in_memory_deduplicator_conforms() {
    let deduplicator = Arc::new(InMemoryDeduplicator::new());
    conformance::run(async || Ok(Arc::clone(&deduplicator)), Timing::default(), async |_| ())
        .await
        .expect("it conforms");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_deduplicator_with_claim_timeouts_conforms() {
    let deduplicator = Broken::new(Defect::None);
    conformance::run(async || Ok(deduplicator.clone()), LEASED, async |_| ()).await.expect("it conforms");
}

/// Eviction violates the contract, even if the caller has chosen it.
#[tokio::test]
async fn eviction_inside_the_window_does_not_conform() {
    let deduplicator = Arc::new(InMemoryDeduplicator::new().capacity(500).on_full(OnFull::EvictOldest));
    let failures = conformance::run(async || Ok(Arc::clone(&deduplicator)), Timing::default(), async |_| ())
        .await
        .expect_err("it evicts");
    let failed: Vec<_> = failures.iter().map(|failure| failure.check).collect();
    assert!(failed.contains(&"commit: of each of many events"), "{failures}");
}

#[tokio::test]
async fn a_deduplicator_that_cannot_be_opened_fails() {
    let open = async || Err::<Broken, _>("no such host".into());
    let failures = conformance::run(open, LEASED, async |_| ()).await.expect_err("not open");
    assert!(failures.to_string().contains("no such host"), "{failures}");
}

/// A defect, a check that fails because of it, and a part of the message.
const DEFECTS: &[(Defect, &str, &str)] = &[
    (Defect::GrantsTwice, "claims: one delivery at a time", "should have returned InProgress"),
    (Defect::GrantsOneEventAtOnce, "claims: events are independent", "while another event is in progress"),
    (Defect::ReportsHandledForInProgress, "claims: one delivery at a time", "returned Handled"),
    (Defect::HandlesApart, "claims: shared by all handles", "through another handle"),
    (Defect::RacyBegin, "concurrency: one claim", "1 should have been granted"),
    (Defect::SameTokenForAll, "tokens: each claim has its own", "for a second claim"),
    (Defect::CommitByStaleToken, "commit: by a stale token", "for a stale token"),
    (Defect::CommitByStaleToken, "timeout: the previous claim is lost", "for the claim that timed out"),
    (Defect::CommitByStaleTokenOfCommitted, "commit: by a stale token", "of a committed event"),
    (Defect::AbortByStaleToken, "abort: by a stale token", "after an abort by a stale token"),
    (Defect::AbortByStaleToken, "timeout: the previous claim is lost", "by the claim that timed out"),
    (Defect::CommitByStaleToken, "concurrency: stale tokens", "only the commit of the current claim"),
    (Defect::AbortDoesNothing, "concurrency: one commit", "when all deliveries had ended"),
    (Defect::ForgetsCommit, "commit: redeliveries are duplicates", "returned InProgress"),
    (Defect::SwallowsErrors, "commit: of each of many events", "events were committed"),
    (Defect::CommitNotRepeatable, "commit: repeated", "each time, for the same token"),
    (Defect::CommitsUnclaimed, "commit: without a claim", "for an event that was never claimed"),
    (Defect::CommitsAborted, "commit: without a claim", "after the abort"),
    (Defect::ReportsClaimLost, "commit: redeliveries are duplicates", "for the current claim"),
    (Defect::AbortDoesNothing, "abort: the next delivery is granted", "after an abort"),
    (Defect::AbortUndoesCommit, "abort: after a commit", "when an abort follows the commit"),
    (Defect::IgnoresCase, "ids: compared byte by byte", "beside similar ids"),
    (Defect::TrimsIds, "ids: compared byte by byte", "beside similar ids"),
    (Defect::TruncatesIds, "ids: compared byte by byte", "beside similar ids"),
    (Defect::AsciiOnly, "ids: compared byte by byte", "beside similar ids"),
    (Defect::NeverExpires, "timeout: a claim ends", "of a process that was killed"),
    (Defect::ExpiresTooEarly, "timeout: not too early", "after half of the claim timeout"),
    (Defect::ExpiresCommitted, "timeout: a claim ends", "after the commit, even after the claim timeout"),
    (Defect::SameTokenAfterTimeout, "timeout: a claim ends", "for a second claim"),
    (Defect::ExpiresWhenClockSetBack, "retention: while the clock is set back", "InProgress"),
    (Defect::EvictsInsideWindow, "commit: of each of many events", "events were committed"),
    (Defect::RetainsHalfAsLong, "retention: for the required time", "within the required retention"),
    (Defect::ForgetsWhenClockSetBack, "retention: while the clock is set back", "Handled"),
];

#[tokio::test]
async fn each_defect_fails_the_check_that_is_named_after_it() {
    let mut wrong = Vec::new();
    for (defect, check, text) in DEFECTS {
        let shared = Broken::new(*defect);
        let open = async || {
            let apart = *defect == Defect::HandlesApart;
            Ok(if apart { Broken::new(*defect) } else { shared.clone() })
        };
        match conformance::run(open, LEASED, async |_| ()).await {
            Ok(()) => wrong.push(format!("{defect:?} passes all checks")),
            Err(failures) => {
                let named =
                    failures.iter().any(|failure| failure.check == *check && failure.message.contains(text));
                if !named {
                    wrong.push(format!("{defect:?} should have failed {check:?} with {text:?}: {failures}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
