//! The directory and the files of the file store.

use std::fs;

use highlevel::auth::store::{FileStore, Precondition, Resource, TokenStore};
use secrecy::ExposeSecret;

use super::{key, put, scratch, tokens};

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_may_read_what_it_creates() {
    use std::os::unix::fs::PermissionsExt;

    let scratch = scratch();
    let directory = scratch.path().join("var").join("tokens");
    let store = FileStore::open(&directory).expect("a store");
    put(&store, &key("a"), &tokens("a")).await;
    put(&store, &key("a"), &tokens("b")).await;
    store.lease(&key("b"), "ann", std::time::Duration::from_secs(15)).await.expect("lease");
    let mode = |path: &std::path::Path| fs::metadata(path).expect("a file").permissions().mode() & 0o777;
    for path in [directory.as_path(), &scratch.path().join("var"), scratch.path()] {
        assert_eq!(mode(path), 0o700, "{}", path.display());
    }
    let files: Vec<_> =
        fs::read_dir(&directory).expect("a directory").map(|file| file.expect("a file").path()).collect();
    assert_eq!(files.len(), 3, "an entry, a lease and the marker: {files:?}");
    for path in files {
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[cfg(unix)]
#[test]
fn a_directory_that_others_may_enter_is_refused() {
    use std::os::unix::fs::PermissionsExt;

    let scratch = scratch();
    for mode in [0o755, 0o750, 0o705, 0o777, 0o1777, 0o710] {
        fs::create_dir_all(scratch.path()).expect("a directory");
        fs::set_permissions(scratch.path(), fs::Permissions::from_mode(mode)).expect("permissions");
        let error = FileStore::open(scratch.path()).expect_err("a store").to_string();
        let help =
            format!("run `chmod 700 '{}'`", scratch.path().canonicalize().expect("a directory").display());
        assert!(
            error.contains("other users can access the token directory") && error.contains(&help),
            "{error}"
        );
        assert!(error.contains(&format!("(mode {:04o})", mode & 0o777)), "{error}");
        assert_eq!(scratch.names(), [""; 0], "nothing is written there");
        fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o700)).expect("permissions");
        FileStore::open(scratch.path()).expect("the help fixes it");
        fs::remove_dir_all(scratch.path()).expect("a directory");
    }
}

#[cfg(unix)]
#[test]
fn a_directory_of_another_user_is_refused() {
    use std::os::unix::fs::{DirBuilderExt, chown};

    let scratch = scratch();
    fs::DirBuilder::new().mode(0o700).create(scratch.path()).expect("a directory");
    if chown(scratch.path(), Some(1), None).is_err() {
        eprintln!("SKIPPED: a directory of another user; run it as root");
        return;
    }
    let error = FileStore::open(scratch.path()).expect_err("a store").to_string();
    assert!(error.contains("belongs to another user (uid 1; the program runs as 0)"), "{error}");
    assert!(error.contains("chown -R 0"), "{error}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_directory_that_cannot_be_written() {
    use std::os::unix::fs::PermissionsExt;

    let scratch = scratch();
    let store = FileStore::open(scratch.path()).expect("a store");
    put(&store, &key("a"), &tokens("a")).await;
    fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o500)).expect("permissions");
    let error = store.put(&key("a"), &tokens("b"), Precondition::Anything).await.err();
    let (opened, stored) = (FileStore::open(scratch.path()).err(), store.get(&key("a")).await);
    fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o700)).expect("permissions");
    let Some(error) = error else {
        eprintln!("SKIPPED: a directory that cannot be written; run it as another user than root");
        return;
    };
    assert!(error.to_string().contains("run the program as the user who owns the directory"), "{error}");
    assert!(opened.expect("an error").to_string().contains("choose a directory of this user"));
    let stored = stored.expect("get").expect("tokens");
    assert_eq!(stored.tokens.access_token.expose_secret(), "secret-access-a", "what was there stays");
}

#[test]
fn a_directory_that_cannot_be_created() {
    let scratch = scratch();
    fs::create_dir(scratch.path()).expect("a directory");
    let file = scratch.path().join("file");
    fs::write(&file, "").expect("a file");
    for path in [file.clone(), file.join("tokens")] {
        let error = FileStore::open(&path).expect_err("a store");
        let text = error.to_string();
        assert!(text.contains(&format!("cannot create {}", path.display())), "{text}");
        assert!(text.contains("a file is where a directory should be"), "{text}");
        assert_eq!(error.path(), path);
    }
}

/// Each point at which a process can be killed while it replaces a file leaves one of these.
#[tokio::test]
async fn leftovers_of_killed_processes_are_removed() {
    let scratch = scratch();
    let store = FileStore::open(scratch.path()).expect("a store");
    let path = store.path_of(&key("a"));
    put(&store, &key("a"), &tokens("latest")).await;
    let latest = fs::read(&path).expect("a file");
    put(&store, &key("a"), &tokens("previous")).await;
    let leftover = format!("{}.tmp", path.display());

    for end in (0..=latest.len()).step_by(13).chain([latest.len()]) {
        // Killed after some of the new file was written.
        fs::write(&leftover, &latest[..end]).expect("a file");
        for store in [store.clone(), FileStore::open(scratch.path()).expect("a store")] {
            let stored = store.get(&key("a")).await.expect("get").expect("tokens");
            assert_eq!(stored.tokens.access_token.expose_secret(), "secret-access-previous");
        }
        assert!(!fs::exists(&leftover).expect("a directory"), "opening removes the leftover");
        // The next put replaces it, too.
        fs::write(&leftover, &latest[..end]).expect("a file");
        put(&store, &key("a"), &tokens("previous")).await;
        assert!(!fs::exists(&leftover).expect("a directory"));
    }
    // Killed after renaming.
    fs::write(&path, &latest).expect("a file");
    let stored = store.get(&key("a")).await.expect("get").expect("tokens");
    assert_eq!(stored.tokens.access_token.expose_secret(), "secret-access-latest");
}

#[tokio::test]
async fn other_files_in_the_directory_remain() {
    let scratch = scratch();
    drop(FileStore::open(scratch.path()).expect("a store"));
    let others = [
        "README",
        "my.lock",
        "my.tmp",
        "location.json",
        "location.a.b.json.tmp",
        "user.a.b.c.json.tmp",
        ".hidden",
    ];
    for name in others {
        fs::write(scratch.path().join(name), "mine").expect("a file");
    }
    let store = FileStore::open(scratch.path()).expect("a store");
    put(&store, &key("a"), &tokens("a")).await;
    assert_eq!(store.resources("6650-app").await.expect("resources"), [key("a").resource]);
    for name in others {
        assert_eq!(fs::read_to_string(scratch.path().join(name)).expect("a file"), "mine", "{name}");
    }
}

/// Damaged files of one app are skipped, and do not affect others.
#[tokio::test]
async fn apps_are_listed_independently() {
    let scratch = scratch();
    let store = FileStore::open(scratch.path()).expect("a store");
    let mut foreign = key("a");
    foreign.client_id = "other".to_owned();
    put(&store, &key("a"), &tokens("a")).await;
    put(&store, &foreign, &tokens("a")).await;
    fs::write(store.path_of(&foreign), "").expect("a file");
    assert_eq!(store.resources("6650-app").await.expect("resources"), [key("a").resource]);
    assert_eq!(store.resources("other").await.expect("resources"), []);
}

#[tokio::test]
async fn reopening_finds_all_tokens() {
    let scratch = scratch();
    let keys: Vec<_> = (0..20).map(|number| key(&number.to_string())).collect();
    for key in &keys {
        let store = FileStore::open(scratch.path()).expect("a store");
        put(&store, key, &tokens(key.resource.id())).await;
    }
    let store = FileStore::open(scratch.path()).expect("a store");
    for key in &keys {
        let stored = store.get(key).await.expect("get").expect("tokens");
        assert_eq!(
            stored.tokens.access_token.expose_secret(),
            format!("secret-access-{}", key.resource.id())
        );
    }
    let mut resources = store.resources("6650-app").await.expect("resources");
    resources.sort();
    let mut wanted: Vec<Resource> = keys.into_iter().map(|key| key.resource).collect();
    wanted.sort();
    assert_eq!(resources, wanted);
}

#[tokio::test]
async fn debug_output_and_paths_have_no_tokens() {
    let scratch = scratch();
    let store = FileStore::open(scratch.path()).expect("a store");
    put(&store, &key("a"), &tokens("a")).await;
    let stored = store.get(&key("a")).await.expect("get");
    assert!(!format!("{store:?} {stored:?} {:?}", store.path_of(&key("a"))).contains("secret"));
}
