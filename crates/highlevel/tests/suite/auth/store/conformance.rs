//! The stores of the crate pass the conformance checks, and stores that are broken do not.

use highlevel::auth::store::{FileStore, MemoryStore, conformance};

use super::Scratch;
use super::broken::{Broken, Defect};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn memory() {
    let store = MemoryStore::new();
    conformance::run(async || Ok(store.clone())).await.expect("a store");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn file() {
    let scratch = Scratch::new();
    conformance::run(async || Ok(FileStore::open(&scratch.0)?)).await.expect("a store");
}

/// Clones share a queue, which is not what several processes do.
#[tokio::test]
async fn clones_of_a_file_store() {
    let scratch = Scratch::new();
    let store = FileStore::open(&scratch.0).expect("a store");
    conformance::run(async || Ok(store.clone())).await.expect("a store");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_store_of_somebody_else() {
    let store = Broken::new(Defect::None);
    conformance::run(async || Ok(store.clone())).await.expect("a store");
}

#[tokio::test]
async fn the_storage_has_to_be_empty_and_to_open() {
    let store = MemoryStore::new();
    conformance::run(async || Ok(store.clone())).await.expect("a store");
    let failures = conformance::run(async || Ok(store.clone())).await.expect_err("not empty");
    assert!(failures.to_string().contains("the store fails"), "{failures}");

    let failures =
        conformance::run(async || Err::<MemoryStore, _>("no such host".into())).await.expect_err("not open");
    assert!(failures.to_string().contains("no such host"), "{failures}");
}

/// Each defect, a check that it fails, and words of the failure.
const DEFECTS: &[(Defect, &str, &str)] = &[
    (
        Defect::LosesRefreshToken,
        "tokens: every field",
        "refresh_token should have been Some(\"refresh-whole\")",
    ),
    (Defect::LosesScopes, "tokens: every field", "scopes should have been [\"conversations.whole\""),
    (
        Defect::KeepsOldRefreshToken,
        "tokens: fields that are not there",
        "refresh_token should have been None",
    ),
    (Defect::TimesInSeconds, "tokens: times", "expires_at should have been"),
    (Defect::TimesRoundedUp, "tokens: times", "less than a millisecond before"),
    (Defect::CutsTokens, "tokens: any text", "access_token should have been"),
    (Defect::ScopesJoinedBySpaces, "tokens: any text", "scopes should have been"),
    (Defect::NoCompareAndSwap, "put: a version is there", "should have answered a conflict"),
    (Defect::OverwritesSomething, "put: nothing is there", "should have answered a conflict"),
    (Defect::InsertsForVersion, "put: a version is there", "because nothing is there"),
    (Defect::ConflictWrites, "put: nothing is there", "after a conflict"),
    (Defect::ConflictHidesWhatIsThere, "put: nothing is there", "but is nothing"),
    (Defect::RemoveIgnoresExpected, "remove: what is expected", "should have answered false"),
    (Defect::RemoveAlwaysSaysYes, "remove: what is expected", "should have answered false"),
    (Defect::RemoveDoesNothing, "remove: what is expected", "should have been nothing"),
    (Defect::VersionsStartAgain, "versions: never the same again", "should have had a version of its own"),
    (
        Defect::VersionStaysForSameTokens,
        "versions: never the same again",
        "should have had a version of its own",
    ),
    (Defect::VersionsByContent, "versions: never the same again", "should have had a version of its own"),
    (Defect::IgnoresCase, "keys: resources of any id", "answered a conflict"),
    (Defect::TrimsIds, "keys: resources of any id", "answered a conflict"),
    (Defect::CutsIds, "keys: resources of any id", "answered a conflict"),
    (Defect::IgnoresKind, "keys: resources of any id", "answered a conflict"),
    (Defect::IgnoresApp, "leases: of one key", "ann has the lease of this key"),
    (Defect::FailsOnSlashes, "keys: resources of any id", "no such file or directory"),
    (
        Defect::ListsRemoved,
        "resources: what there are tokens for",
        "not expected: [Location(LocationId(\"removed\"))]",
    ),
    (Defect::ListsAllApps, "resources: what there are tokens for", "not expected"),
    (
        Defect::ListsLeases,
        "resources: what there are tokens for",
        "not expected: [Location(LocationId(\"leased\"))]",
    ),
    (Defect::LeasesNeverEnd, "leases: end", "ann's ends now"),
    (Defect::LeasesForEverybody, "leases: one holder", "ann has it"),
    (Defect::LeasesByOwnClock, "leases: any clock", "by the clock passed in"),
    (Defect::LeasesNotAgain, "leases: again for the holder", "ann has it and asks again"),
    (Defect::LeasesKeepFirstEnd, "leases: again for the holder", "with another end"),
    (Defect::LeasesEndLate, "leases: end", "ann's ends now"),
    (
        Defect::LeasesOutliveTheirClock,
        "leases: a clock that was put back",
        "ann's ends later than any lease may",
    ),
    (Defect::OneLeaseForAll, "keys: resources of any id", "nobody asked for this key"),
    (Defect::AnybodyReleases, "leases: release", "bob released what ann has"),
    (Defect::ReleaseDoesNothing, "leases: release", "ann released it"),
    (Defect::LeaseChangesVersion, "leases: leave tokens alone", "after a lease was given again"),
    (Defect::RemoveEndsLease, "leases: leave tokens alone", "the tokens were removed"),
    (Defect::LeaseNeedsTokens, "leases: one holder", "ann has it"),
    (Defect::WritingNeedsLease, "leases: leave tokens alone", "answered a conflict"),
    (Defect::HandlesApart, "handles: see each other's tokens", "through another handle"),
    (Defect::RacyWriting, "concurrency: a version is replaced once", "1 should have been done"),
    (Defect::RacyWriting, "concurrency: nothing is replaced once", "1 should have been done"),
    (Defect::RacyWriting, "concurrency: no writing is lost", "8 should have added one"),
    (Defect::RacyLeases, "concurrency: one lease", "1 should have been given the lease"),
];

#[tokio::test]
async fn defects_are_found_and_named() {
    let mut wrong = Vec::new();
    for (defect, check, words) in DEFECTS {
        let shared = Broken::new(*defect);
        let open = async || {
            let apart = *defect == Defect::HandlesApart;
            Ok(if apart { Broken::new(*defect) } else { shared.clone() })
        };
        match conformance::run(open).await {
            Ok(()) => wrong.push(format!("{defect:?} passes all checks")),
            Err(failures) => {
                let named =
                    failures.iter().any(|failure| failure.check == *check && failure.what.contains(words));
                if !named {
                    wrong.push(format!("{defect:?} should have failed {check:?} with {words:?}: {failures}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
