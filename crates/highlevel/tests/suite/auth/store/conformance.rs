//! The stores of the crate pass the conformance checks, and broken stores fail the right ones.

use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use highlevel::auth::store::{FileStore, MemoryStore, StoreError, TokenStore, conformance};

use super::broken::{Broken, Defect};
use super::scratch;

/// A clock that the checks set.
#[derive(Clone)]
struct Clock(Arc<Mutex<SystemTime>>);

impl Clock {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(SystemTime::UNIX_EPOCH)))
    }

    fn read(&self) -> impl Fn() -> SystemTime + Send + Sync + 'static {
        let clock = self.0.clone();
        move || *clock.lock().expect("a lock")
    }

    fn set(&self) -> impl Fn(SystemTime) + Send + Sync + 'static {
        let clock = self.0.clone();
        move |now| *clock.lock().expect("a lock") = now
    }
}

/// Runs the checks with a clock that can be set, and with the clock of the system.
async fn passes<S: TokenStore + 'static>(
    with_clock: impl AsyncFn(Clock) -> Result<S, StoreError>,
    real: impl AsyncFn() -> Result<S, StoreError>,
) {
    let clock = Clock::new();
    conformance::run_with_clock(async || with_clock(clock.clone()).await, clock.set())
        .await
        .expect("a store that conforms");
    conformance::run(real).await.expect("a store that conforms");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn memory_store_conforms() {
    let (store, real) = (MemoryStore::new(), MemoryStore::new());
    passes(async |clock: Clock| Ok(store.clone().with_clock(clock.read())), async || Ok(real.clone())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn file_store_conforms() {
    let (scratch, real) = (scratch(), scratch());
    passes(
        async |clock: Clock| Ok(FileStore::open(scratch.path())?.with_clock(clock.read())),
        async || Ok(FileStore::open(real.path())?),
    )
    .await;
}

/// Clones share a queue, unlike several processes.
#[tokio::test]
async fn clones_of_a_file_store_conform() {
    let (scratch, real) = (scratch(), scratch());
    let store = FileStore::open(scratch.path()).expect("a store");
    let real = FileStore::open(real.path()).expect("a store");
    passes(async |clock: Clock| Ok(store.clone().with_clock(clock.read())), async || Ok(real.clone())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn another_implementation_conforms() {
    let clock = Clock::new();
    let store = Broken::new(Defect::None, clock.read());
    conformance::run_with_clock(async || Ok(store.clone()), clock.set())
        .await
        .expect("a store that conforms");
    let store = Broken::new(Defect::None, SystemTime::now);
    conformance::run(async || Ok(store.clone())).await.expect("a store that conforms");
}

/// An application may own its store in any of these ways.
#[tokio::test]
async fn pointers_to_a_store_conform() {
    let clock = Clock::new();
    let store: Arc<dyn TokenStore> = Arc::new(MemoryStore::new().with_clock(clock.read()));
    conformance::run_with_clock(async || Ok(store.clone()), clock.set())
        .await
        .expect("a store that conforms");

    let clock = Clock::new();
    let store = MemoryStore::new().with_clock(clock.read());
    let boxed = async || Ok(Box::new(store.clone()) as Box<dyn TokenStore>);
    conformance::run_with_clock(boxed, clock.set()).await.expect("a store that conforms");

    let clock = Clock::new();
    let store: &'static MemoryStore = Box::leak(Box::new(MemoryStore::new().with_clock(clock.read())));
    conformance::run_with_clock(async || Ok(store), clock.set()).await.expect("a store that conforms");
}

#[tokio::test]
async fn the_storage_has_to_be_empty_and_to_open() {
    let clock = Clock::new();
    let store = MemoryStore::new().with_clock(clock.read());
    conformance::run_with_clock(async || Ok(store.clone()), clock.set())
        .await
        .expect("a store that conforms");
    let failures = conformance::run_with_clock(async || Ok(store.clone()), clock.set()).await;
    let failures = failures.expect_err("not empty");
    assert!(failures.to_string().contains("the store fails"), "{failures}");

    let failures =
        conformance::run(async || Err::<MemoryStore, _>("no such host".into())).await.expect_err("not open");
    assert!(failures.to_string().contains("no such host"), "{failures}");
}

/// Each defect, a check that finds it, and a part of the failure.
const DEFECTS: &[(Defect, &str, &str)] = &[
    (
        Defect::LosesRefreshToken,
        "tokens: every field",
        "refresh_token should have been Some(\"refresh-whole\")",
    ),
    (Defect::LosesScopes, "tokens: every field", "scopes should have been [\"conversations.whole\""),
    (Defect::KeepsOldRefreshToken, "tokens: absent fields", "refresh_token should have been None"),
    (Defect::TimesInSeconds, "tokens: times", "expires_at should have been"),
    (Defect::TimesRoundedUp, "tokens: times", "less than a millisecond before"),
    (Defect::CutsTokens, "tokens: any text", "access_token should have been"),
    (Defect::ScopesJoinedBySpaces, "tokens: any text", "scopes should have been"),
    (Defect::NoCompareAndSwap, "put: if there is a version", "should have returned a conflict"),
    (Defect::OverwritesSomething, "put: if there is nothing", "should have returned a conflict"),
    (Defect::InsertsForVersion, "put: if there is a version", "because nothing is there"),
    (Defect::ConflictWrites, "put: if there is nothing", "after a conflict"),
    (Defect::ConflictHidesEntry, "put: if there is nothing", "but is nothing"),
    (Defect::RemoveIgnoresPrecondition, "remove: preconditions", "should have returned false"),
    (Defect::RemoveAlwaysReturnsTrue, "remove: preconditions", "should have returned false"),
    (Defect::RemoveDoesNothing, "remove: preconditions", "should have been nothing"),
    (Defect::VersionsRestart, "versions: never repeated", "should have got a new version"),
    (Defect::VersionKeptForSameTokens, "versions: never repeated", "should have got a new version"),
    (Defect::VersionsByContent, "versions: never repeated", "should have got a new version"),
    (Defect::IgnoresCase, "keys: resources of any id", "returned a conflict"),
    (Defect::TrimsIds, "keys: resources of any id", "returned a conflict"),
    (Defect::CutsIds, "keys: resources of any id", "returned a conflict"),
    (Defect::IgnoresKind, "keys: resources of any id", "returned a conflict"),
    (Defect::IgnoresApp, "leases: independent keys", "ann has the lease of this key"),
    (Defect::FailsOnSlashes, "keys: resources of any id", "no such file or directory"),
    (
        Defect::ListsRemoved,
        "resources: those with tokens",
        "not expected: [Location(LocationId(\"removed\"))]",
    ),
    (Defect::ListsAllApps, "resources: those with tokens", "not expected"),
    (Defect::ListsLeases, "resources: those with tokens", "not expected: [Location(LocationId(\"leased\"))]"),
    (Defect::LosesUnknownFields, "tokens: unknown fields", "the unknown fields should have been"),
    (Defect::KeepsOldUnknownFields, "tokens: unknown fields", "the unknown fields should have been []"),
    (Defect::LeasesNeverEnd, "leases: end", "ann's lease has ended"),
    (Defect::LeasesNeverHeld, "leases: one holder", "ann has it"),
    (Defect::LeasesOfFixedLength, "leases: end", "ann has it"),
    (Defect::LeasesOfFixedLength, "leases: shortened by the holder", "with another end"),
    (Defect::LeasesOfAnyLength, "leases: maximum length", "should be held for at most 60s"),
    (Defect::LongLeasesFail, "leases: maximum length", "the interval is out of range"),
    (Defect::LeasesIgnoreClock, "leases: exact end", "20 seconds are left to ann"),
    (Defect::LeasesNotExtended, "leases: extended by the holder", "with a later end"),
    (Defect::LeasesRefusedToHolder, "leases: extended by the holder", "ann has it and requests it again"),
    (Defect::LeasesEndEarly, "leases: exact end", "a millisecond is left to ann"),
    (Defect::LeasesEndLate, "leases: exact end", "ann's lease ends now"),
    (Defect::LeasesSurviveClockPutBack, "leases: clock put back", "ann's lease ends later than any can"),
    (Defect::LeasesTakenByRefused, "leases: one holder", "ann has it"),
    (Defect::OneLeaseForAllKeys, "keys: resources of any id", "there is no lease of this key"),
    (Defect::RemainingIsLength, "leases: exact end", "20 seconds are left to ann"),
    (Defect::RemainingIsZero, "leases: one holder", "but for 0ns"),
    (Defect::AnyoneReleases, "leases: release", "bob released what ann has"),
    (Defect::ReleaseDoesNothing, "leases: release", "ann released it"),
    (Defect::LeaseChangesVersion, "leases: independent of tokens", "after a lease was granted again"),
    (Defect::RemoveEndsLease, "leases: independent of tokens", "the tokens were removed"),
    (Defect::PutEndsLease, "leases: independent of tokens", "tokens were put"),
    (Defect::LeaseNeedsTokens, "leases: one holder", "ann has it"),
    (Defect::PutNeedsLease, "leases: independent of tokens", "returned a conflict"),
    (Defect::SeparateHandles, "handles: share tokens", "through another handle"),
    (Defect::RacyPut, "concurrency: one put with a version", "1 should have succeeded"),
    (Defect::RacyPut, "concurrency: one put into nothing", "1 should have succeeded"),
    (Defect::RacyPut, "concurrency: no lost update", "8 tasks should have added one"),
    (Defect::RacyRemove, "concurrency: one remove", "1 should have removed the tokens"),
    (Defect::RacyLease, "concurrency: one lease", "1 should have been granted"),
];

/// A store that hangs after a dropped call is found, after a minute of paused time.
#[tokio::test(start_paused = true)]
async fn a_store_that_blocks_after_a_dropped_call_is_found() {
    let clock = Clock::new();
    let store = Broken::new(Defect::LocksUntilCompleted, clock.read());
    let result = conformance::run_with_clock(async || Ok(store.clone()), clock.set()).await;
    let (check, text) = ("concurrency: dropped calls", "calls should not wait for ever");
    assert_eq!(difference(Defect::LocksUntilCompleted, check, text, result), None);
}

/// Defects that are found with the clock of the system as well, and their checks.
const DEFECTS_IN_REAL_TIME: &[(Defect, &str, &str)] = &[
    (Defect::LeasesNeverHeld, "leases: one holder", "ann has it"),
    (Defect::LeasesOfAnyLength, "leases: maximum length", "should be held for at most 60s"),
    (Defect::LeasesNotExtended, "leases: extended by the holder", "with a later end"),
    (Defect::LeasesTakenByRefused, "leases: one holder", "ann has it"),
    (Defect::RemainingIsZero, "leases: one holder", "but for 0ns"),
    (Defect::ReleaseDoesNothing, "leases: release", "ann released it"),
    (Defect::RacyLease, "concurrency: one lease", "1 should have been granted"),
];

#[tokio::test]
async fn every_defect_is_found_and_named() {
    let mut wrong = Vec::new();
    for (defect, check, text) in DEFECTS {
        let clock = Clock::new();
        let shared = Broken::new(*defect, clock.read());
        let open = async || {
            let is_separate = *defect == Defect::SeparateHandles;
            Ok(if is_separate { Broken::new(*defect, clock.read()) } else { shared.clone() })
        };
        wrong.extend(difference(*defect, check, text, conformance::run_with_clock(open, clock.set()).await));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[tokio::test]
async fn defects_are_found_in_real_time() {
    let mut wrong = Vec::new();
    for (defect, check, text) in DEFECTS_IN_REAL_TIME {
        let store = Broken::new(*defect, SystemTime::now);
        let result = conformance::run(async || Ok(store.clone())).await;
        wrong.extend(difference(*defect, check, text, result));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// Compares the result of the checks with the failure that a defect has to cause.
fn difference(
    defect: Defect,
    check: &str,
    text: &str,
    result: Result<(), conformance::Failures>,
) -> Option<String> {
    let Err(failures) = result else { return Some(format!("{defect:?} passes all checks")) };
    let is_named = failures.iter().any(|failure| failure.check == check && failure.message.contains(text));
    (!is_named).then(|| format!("{defect:?} should fail {check:?} with {text:?}: {failures}"))
}
