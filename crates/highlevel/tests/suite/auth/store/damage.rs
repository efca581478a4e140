//! Files that are not as the store left them: an error that names the file and the fix, never "no tokens", and never a
//! token in the text.

use std::fs;

use highlevel::auth::store::{FileStore, FileStoreError, Precondition, StoreError, TokenStore};
use serde_json::Value;

use super::{key, put, scratch, tokens};

/// Returns the errors of the calls that need the tokens of a damaged file.
async fn errors(store: &FileStore) -> Vec<StoreError> {
    let key = key("a");
    vec![
        store.get(&key).await.expect_err("get"),
        store.put(&key, &tokens("b"), Precondition::Anything).await.expect_err("put"),
        store.remove(&key, Precondition::Anything).await.expect_err("remove"),
    ]
}

/// Checks that a damaged file is an error that contains these texts, and that other files are listed nevertheless.
async fn check(store: &FileStore, texts: &[&str]) {
    let path = store.path_of(&key("a"));
    for error in errors(store).await {
        let error_text = error.to_string();
        for text in texts.iter().chain(&[path.to_str().expect("text")]) {
            assert!(error_text.contains(text), "{text:?} is not in: {error_text}");
        }
        assert!(!error_text.contains("secret"), "{error_text}");
        let error = error.downcast::<FileStoreError>().expect("the error of the file store");
        assert_eq!(error.path(), path);
    }
    let sound = key("sound");
    put(store, &sound, &tokens("sound")).await;
    let listed = store.resources(&sound.client_id).await.expect("resources");
    assert!(listed.contains(&sound.resource) && !listed.contains(&key("a").resource), "{listed:?}");
    assert!(store.remove(&sound, Precondition::Anything).await.expect("remove"));
}

#[tokio::test]
async fn damaged_and_foreign_files() {
    let scratch = scratch();
    let store = FileStore::open(scratch.path()).expect("a store");
    let path = store.path_of(&key("a"));
    put(&store, &key("a"), &tokens("a")).await;
    let whole = fs::read_to_string(&path).expect("a file");
    let edited = |pointer: &str, value: Value| {
        let mut json: Value = serde_json::from_str(&whole).expect("JSON");
        *json.pointer_mut(pointer).expect("a value") = value;
        json.to_string().into_bytes()
    };
    let mut cases: Vec<(Vec<u8>, &str)> = vec![
        (b"not by us".to_vec(), "it is not JSON (line 1, column 2)"),
        (b"[]".to_vec(), "a field is missing"),
        (br#"{"format":1}"#.to_vec(), "a field is missing"),
        (br#"{"access_token":"secret-of-another-program"}"#.to_vec(), "a field is missing"),
        (vec![0; whole.len()], "it is not JSON"),
        (vec![0xff; 10], "it is not UTF-8"),
        (vec![b' '; 2 << 20], "it is longer than 1 MiB"),
        ([whole.as_bytes(), b"}"].concat(), "it is not JSON"),
        (edited("/tokens/scopes", Value::Null), "a field is missing or of another type"),
        (edited("/version", (-1).into()), "a field is missing or of another type"),
        (edited("/kind", "user".into()), "the kind of resource is unknown"),
        (edited("/tokens/obtained_at_unix_ms", i64::MIN.into()), "is out of range"),
    ];
    cases.extend(
        (0..whole.len()).step_by(7).map(|end| (whole.as_bytes()[..end].to_vec(), "it ends too early")),
    );
    for (contents, why) in cases {
        fs::write(&path, &contents).expect("a file");
        check(
            &store,
            &["the token file", "is damaged or of another program", why, "restore it from a backup"],
        )
        .await;
        assert!(
            fs::read(&path).expect("a file") == contents,
            "what is there may help to find out what happened"
        );
    }

    fs::write(&path, &whole).expect("a file");
    assert!(store.get(&key("a")).await.expect("get").is_some(), "a repaired file is valid again");
}

#[tokio::test]
async fn files_of_a_newer_format() {
    let scratch = scratch();
    let store = FileStore::open(scratch.path()).expect("a store");
    let path = store.path_of(&key("a"));
    put(&store, &key("a"), &tokens("a")).await;
    for pointer in ["/format", "/tokens/format"] {
        let mut json: Value = serde_json::from_slice(&fs::read(&path).expect("a file")).expect("JSON");
        let before = json.clone();
        *json.pointer_mut(pointer).expect("a value") = 4.into();
        // The error must not describe anything else, because format 4 is unknown.
        json["added"] = "something".into();
        fs::write(&path, json.to_string()).expect("a file");
        check(&store, &["it has format 4, but this program supports formats up to 3", "update this program"])
            .await;
        fs::write(&path, before.to_string()).expect("a file");
    }
}

/// A file was copied or renamed by hand: a location must not send with the token of another one.
#[tokio::test]
async fn a_file_under_the_name_of_another_key() {
    let scratch = scratch();
    let store = FileStore::open(scratch.path()).expect("a store");
    put(&store, &key("b"), &tokens("b")).await;
    fs::copy(store.path_of(&key("b")), store.path_of(&key("a"))).expect("a copy");
    check(&store, &["was copied or renamed", "it contains location \"b\" of app \"6650-app\"", "delete it"])
        .await;
}

#[tokio::test]
async fn directories_are_not_read_as_entries() {
    let scratch = scratch();
    let store = FileStore::open(scratch.path()).expect("a store");
    let path = store.path_of(&key("a"));
    fs::create_dir(&path).expect("a directory");
    check(&store, &["is not a file, but the store needs a file there", "remove it"]).await;
}

#[cfg(unix)]
#[tokio::test]
async fn symbolic_links_are_neither_read_nor_written_through() {
    use std::os::unix::fs::symlink;

    let scratch = scratch();
    let store = FileStore::open(scratch.path()).expect("a store");
    let path = store.path_of(&key("a"));
    let victim = scratch.path().join("victim");
    put(&store, &key("a"), &tokens("a")).await;
    fs::rename(&path, &victim).expect("a file");
    let contents = fs::read(&victim).expect("a file");

    symlink(&victim, &path).expect("a link");
    check(&store, &["is a symbolic link", "find out who put it there"]).await;
    assert!(fs::read(&victim).expect("a file") == contents);

    // Where the file is written before it is renamed.
    fs::remove_file(&path).expect("a link");
    symlink(&victim, format!("{}.tmp", path.display())).expect("a link");
    put(&store, &key("a"), &tokens("b")).await;
    assert!(fs::read(&victim).expect("a file") == contents);
    assert!(fs::symlink_metadata(&path).expect("a file").is_file());

    // The lock file, too.
    symlink(&victim, format!("{}.lock", path.display())).expect("a link");
    for error in [
        store.put(&key("a"), &tokens("c"), Precondition::Anything).await.expect_err("put"),
        store.lease(&key("a"), "ann", std::time::Duration::from_secs(15)).await.expect_err("lease"),
    ] {
        assert!(error.to_string().contains(".lock is a symbolic link"), "{error}");
    }
    assert!(fs::read(&victim).expect("a file") == contents);

    // And the marker of the directory.
    let marker = scratch.path().join("highlevel.lock");
    fs::remove_file(&marker).expect("a file");
    symlink(&victim, &marker).expect("a link");
    let error = store.put(&key("a"), &tokens("c"), Precondition::Anything).await.expect_err("put");
    assert!(error.to_string().contains("highlevel.lock is a symbolic link"), "{error}");
    FileStore::open(scratch.path()).expect_err("a store");
}

#[cfg(unix)]
#[tokio::test]
async fn files_that_others_may_read() {
    use std::os::unix::fs::PermissionsExt;

    let scratch = scratch();
    let store = FileStore::open(scratch.path()).expect("a store");
    let path = store.path_of(&key("a"));
    put(&store, &key("a"), &tokens("a")).await;
    for mode in [0o644, 0o640, 0o604, 0o620, 0o601] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("permissions");
        let help = format!("run `chmod 600 '{}'`", path.display());
        check(&store, &["other users can access the token file", &format!("(mode {mode:04o})"), &help]).await;
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("permissions");
    assert!(store.get(&key("a")).await.expect("get").is_some());
}

/// A disk that is not mounted is an empty directory.
#[tokio::test]
async fn a_missing_directory_is_reported() {
    let scratch = scratch();
    let store = FileStore::open(scratch.path()).expect("a store");
    put(&store, &key("a"), &tokens("a")).await;
    for is_empty in [false, true] {
        fs::remove_dir_all(scratch.path()).expect("a directory");
        if is_empty {
            fs::create_dir(scratch.path()).expect("a directory");
        }
        let length = std::time::Duration::from_secs(15);
        let mut errors = errors(&store).await;
        errors.push(store.lease(&key("a"), "ann", length).await.expect_err("lease"));
        errors.push(store.release(&key("a"), "ann").await.expect_err("release"));
        errors.push(store.resources("6650-app").await.expect_err("resources"));
        for error in errors {
            let text = error.to_string();
            assert!(text.contains("highlevel.lock is gone") && text.contains("reopen the store"), "{text}");
        }
        drop(FileStore::open(scratch.path()));
        fs::create_dir_all(scratch.path()).expect("a directory");
    }
}
