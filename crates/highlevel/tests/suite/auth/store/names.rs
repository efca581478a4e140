//! The names of the files.

use std::collections::HashSet;
use std::path::{Component, Path};

use highlevel::auth::store::{FileStore, Key, Resource};

use super::{put, scratch, tokens};

/// The digests were computed with another tool: SHA-256 over client id, kind and id, each after its length in eight
/// bytes, of which the first 16 bytes are written.
#[test]
fn names_are_readable() {
    struct Row {
        client_id: &'static str,
        kind: &'static str,
        id: &'static str,
        name: &'static str,
    }

    let scratch = scratch();
    let store = FileStore::open(scratch.path()).expect("a store");
    for Row { client_id, kind, id, name } in [
        Row {
            client_id: "6650-app",
            kind: "location",
            id: "ve9EPM428h8vShlRW1KT",
            name: "location.ve9epm428h8vshlrw1kt.6650-app.3836acb8eeefe6919b975d80934f8741.json",
        },
        Row {
            client_id: "6650-app",
            kind: "company",
            id: "ve9EPM428h8vShlRW1KT",
            name: "company.ve9epm428h8vshlrw1kt.6650-app.93fdfccb8e17618c0452ca116a6ad8f7.json",
        },
        Row {
            client_id: "",
            kind: "location",
            id: "",
            name: "location...4768dadbadfccbed6120623fdda0ca81.json",
        },
        Row {
            client_id: "app",
            kind: "location",
            id: "../a/Zürich",
            name: "location.___a_z_rich.app.78458ea451931ba9290d08639c1c2faa.json",
        },
    ] {
        let key = Key::new(client_id, Resource::from_kind_and_id(kind, id).expect("a kind"));
        assert_eq!(store.path_of(&key), scratch.path().canonicalize().expect("a directory").join(name));
    }
}

#[tokio::test]
async fn names_are_valid_on_every_file_system_and_distinct() {
    let scratch = scratch();
    let store = FileStore::open(scratch.path()).expect("a store");
    let long = "x".repeat(500);
    let ids = [
        "",
        ".",
        "..",
        "../../etc/passwd",
        "/etc/passwd",
        "C:\\Windows\\system.ini",
        "\\\\server\\share",
        "CON",
        "nul",
        "a\0b",
        "a\nb",
        "a",
        "A",
        "é",
        "e\u{301}",
        "🏨",
        "*?<>|\"",
        "highlevel.lock",
        "a.json",
        ".tmp",
        long.as_str(),
    ];
    let mut seen = HashSet::new();
    for client_id in ids {
        for id in ids {
            for kind in ["location", "company"] {
                let key = Key::new(client_id, Resource::from_kind_and_id(kind, id).expect("a kind"));
                let path = store.path_of(&key);
                assert_eq!(
                    path.parent(),
                    Some(scratch.path().canonicalize().expect("a directory").as_path())
                );
                let name = path.file_name().expect("a name").to_str().expect("text").to_owned();
                let plain = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
                assert!(name.bytes().all(plain), "{name}");
                assert!(name.len() <= 140, "{name}: some file systems take 143 bytes, and .tmp is added");
                assert!(
                    Path::new(&name).components().all(|part| matches!(part, Component::Normal(_))),
                    "{name}"
                );
                assert!(seen.insert(name), "{key:?} has the name of another key");
            }
        }
        // The file system of this machine accepts them.
        let key = Key::new("app", Resource::Location(client_id.to_owned().into()));
        put(&store, &key, &tokens("a")).await;
        assert!(store.path_of(&key).is_file(), "{key:?}");
    }
}
