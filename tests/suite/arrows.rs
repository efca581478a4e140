//! Which crate may use which. An arrow that is not in the table is forbidden.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::metadata::metadata;

/// The arrows between the crates of the workspace: user, used, and how (`normal`, `build` or `dev`).
const ALLOWED: &[(&str, &str, &str)] = &[
    ("highlevel-codegen", "highlevel-spec", "normal"),
    ("highlevel-wire", "highlevel-codegen", "build"),
    ("highlevel", "highlevel-wire", "normal"),
    ("highlevel-sandbox", "highlevel-spec", "normal"),
    ("highlevel-tests", "highlevel", "normal"),
    ("highlevel-tests", "highlevel-sandbox", "normal"),
    ("highlevel-tests", "highlevel-spec", "dev"),
    ("highlevel-tests", "highlevel-wire", "dev"),
];

/// Packages from outside that only one crate knows.
const ONLY_IN: &[(&str, &str)] = &[
    ("progenitor", "highlevel-codegen"),
    ("progenitor-client", "highlevel-wire"),
    ("openapiv3", "highlevel-codegen"),
    ("jsonschema", "highlevel-sandbox"),
];

/// Every forbidden arrow, with what to do.
fn forbidden(metadata: &Value) -> Vec<String> {
    let packages = metadata["packages"].as_array().expect("packages");
    let members: BTreeSet<&str> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
    let mut found = Vec::new();
    for package in packages {
        let user = package["name"].as_str().expect("a name");
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            let used = dependency["name"].as_str().expect("a name");
            let kind = dependency["kind"].as_str().unwrap_or("normal");
            if members.contains(used) && !ALLOWED.contains(&(user, used, kind)) {
                found.push(format!(
                    "{user} --{kind}--> {used} is not an arrow of ARCHITECTURE.md: remove the dependency"
                ));
            }
            if let Some((_, room)) = ONLY_IN.iter().find(|(name, room)| *name == used && *room != user) {
                found.push(format!(
                    "{user} --{kind}--> {used}: only {room} knows {used}; use it through that crate"
                ));
            }
        }
    }
    found
}

#[test]
fn crates_use_only_what_they_may() {
    assert_eq!(forbidden(&metadata(&["--no-deps"])), Vec::<String>::new());
}

#[test]
fn every_allowed_arrow_is_there() {
    let metadata = metadata(&["--no-deps"]);
    for (user, used, kind) in ALLOWED {
        let there = metadata["packages"].as_array().expect("packages").iter().any(|package| {
            package["name"] == *user
                && package["dependencies"].as_array().expect("dependencies").iter().any(|dependency| {
                    dependency["name"] == *used && dependency["kind"].as_str().unwrap_or("normal") == *kind
                })
        });
        assert!(
            there,
            "{user} --{kind}--> {used} is allowed, but nobody goes that way: remove it from the table"
        );
    }
}

#[test]
fn a_forbidden_arrow_is_named() {
    for (user, used, kind) in [
        ("highlevel-sandbox", "highlevel", Value::Null),
        ("highlevel-sandbox", "highlevel-wire", json!("dev")),
        ("highlevel-wire", "highlevel-codegen", Value::Null),
        ("highlevel", "highlevel-sandbox", json!("dev")),
        ("xtask", "highlevel-codegen", Value::Null),
        ("xtask", "progenitor", Value::Null),
    ] {
        let mut metadata = metadata(&["--no-deps"]);
        let package = metadata["packages"]
            .as_array_mut()
            .expect("packages")
            .iter_mut()
            .find(|package| package["name"] == user)
            .expect("a member");
        package["dependencies"]
            .as_array_mut()
            .expect("dependencies")
            .push(json!({ "name": used, "kind": kind }));
        let found = forbidden(&metadata);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].starts_with(&format!("{user} --{}--> {used}", kind.as_str().unwrap_or("normal"))),
            "{found:?}"
        );
    }
}
