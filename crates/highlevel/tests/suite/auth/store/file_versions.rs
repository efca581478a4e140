//! Versions of tokens in files.

use std::fs;

use highlevel::auth::store::{FileStore, Precondition, PutResult, TokenStore};

use super::{key, name, put, scratch, tokens};

/// A version that was read before must not match other tokens after the file was changed by hand.
#[tokio::test]
async fn a_version_matches_only_the_tokens_that_were_read_with_it() {
    struct Case<'a> {
        name: &'a str,
        /// Happens after the version was read.
        then: &'a dyn Fn(),
        /// The tokens that are stored afterwards.
        found: &'a str,
    }

    let scratch = scratch();
    let key = key("a");
    let path = FileStore::open(scratch.path()).expect("a store").path_of(&key);
    let edit = |from: &str, to: &str| {
        let text = fs::read_to_string(&path).expect("a file");
        assert!(text.contains(from));
        fs::write(&path, text.replace(from, to)).expect("a file");
    };
    let reopened = async |name: &str| {
        let store = FileStore::open(scratch.path()).expect("a store");
        put(&store, &key, &tokens(name)).await
    };
    let backup = scratch.path().with_extension("backup");
    for case in [
        Case { name: "the file was edited", then: &|| edit("access-read", "access-edited"), found: "edited" },
        Case {
            name: "the refresh token was edited",
            then: &|| edit("refresh-read", "refresh-edited"),
            found: "read",
        },
        Case {
            name: "the file was replaced by an earlier one",
            then: &|| assert!(fs::copy(&backup, &path).is_ok()),
            found: "earlier",
        },
    ] {
        // Opened for each step, as by processes that restart.
        reopened("earlier").await;
        fs::copy(&path, &backup).expect("a copy");
        let read = reopened("read").await;
        (case.then)();
        let store = FileStore::open(scratch.path()).expect("a store");
        let result = store.put(&key, &tokens("refreshed"), Precondition::Version(read)).await.expect("put");
        let PutResult::Conflict(Some(found)) = result else { panic!("{}: {result:?}", case.name) };
        assert_eq!(name(&found), case.found, "{}", case.name);
        assert!(!store.remove(&key, Precondition::Version(read)).await.expect("remove"), "{}", case.name);
    }
    fs::remove_file(&backup).expect("a file");
}

/// The entry is deleted, by hand or by the store, and stored again: an old version stays invalid.
#[tokio::test]
async fn versions_are_not_repeated_after_the_file_was_deleted() {
    let scratch = scratch();
    let key = key("a");
    let mut seen = Vec::new();
    for round in 0..20 {
        let store = FileStore::open(scratch.path()).expect("a store");
        // The same tokens each time.
        let version = put(&store, &key, &tokens("same")).await;
        for old in &seen {
            let result = store.put(&key, &tokens("other"), Precondition::Version(*old)).await.expect("put");
            assert!(matches!(result, PutResult::Conflict(Some(_))), "round {round}: {result:?}");
        }
        assert!(!seen.contains(&version), "round {round}: {version:?} after {seen:?}");
        seen.push(version);
        match round % 3 {
            0 => fs::remove_file(store.path_of(&key)).expect("a file"),
            1 => assert!(store.remove(&key, Precondition::Version(version)).await.expect("remove")),
            _ => {}
        }
    }
}

/// The same tokens are restored: the version that was read with them is valid, because nothing has changed.
#[tokio::test]
async fn a_version_matches_the_same_tokens_after_they_were_restored() {
    let scratch = scratch();
    let (store, key) = (FileStore::open(scratch.path()).expect("a store"), key("a"));
    let read = put(&store, &key, &tokens("a")).await;
    let backup = fs::read(store.path_of(&key)).expect("a file");
    put(&store, &key, &tokens("b")).await;
    fs::write(store.path_of(&key), backup).expect("a file");
    let result = store.put(&key, &tokens("c"), Precondition::Version(read)).await.expect("put");
    assert!(matches!(result, PutResult::Stored(_)), "{result:?}");
}
