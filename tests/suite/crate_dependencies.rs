//! The dependencies between the crates of the workspace. A dependency that is not in the table is forbidden.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::metadata::metadata;

/// A dependency of a crate of the workspace on another one.
struct Dependency {
    user: &'static str,
    used: &'static str,
    /// `normal`, `build` or `dev`.
    kind: &'static str,
}

/// The dependencies of ARCHITECTURE.md.
const ALLOWED: &[Dependency] = &[
    Dependency { user: "highlevel-codegen", used: "highlevel-spec", kind: "normal" },
    Dependency { user: "highlevel-wire", used: "highlevel-codegen", kind: "build" },
    Dependency { user: "highlevel-wire", used: "highlevel-codegen", kind: "dev" },
    Dependency { user: "highlevel-wire", used: "highlevel-test-support", kind: "dev" },
    Dependency { user: "highlevel", used: "highlevel-wire", kind: "normal" },
    Dependency { user: "highlevel", used: "highlevel-test-support", kind: "dev" },
    Dependency { user: "highlevel-postgres", used: "highlevel", kind: "normal" },
    Dependency { user: "highlevel-postgres", used: "highlevel", kind: "dev" },
    Dependency { user: "highlevel-postgres", used: "highlevel-sandbox", kind: "dev" },
    Dependency { user: "highlevel-postgres", used: "highlevel-test-support", kind: "dev" },
    Dependency { user: "highlevel-sandbox", used: "highlevel-spec", kind: "normal" },
    Dependency { user: "highlevel-sandbox", used: "highlevel-test-support", kind: "dev" },
    Dependency { user: "highlevel-cli", used: "highlevel", kind: "normal" },
    Dependency { user: "highlevel-cli", used: "highlevel-sandbox", kind: "dev" },
    Dependency { user: "highlevel-cli", used: "highlevel-test-support", kind: "dev" },
    Dependency { user: "highlevel-examples", used: "highlevel", kind: "normal" },
    Dependency { user: "highlevel-examples", used: "highlevel-sandbox", kind: "normal" },
    Dependency { user: "highlevel-examples", used: "highlevel-postgres", kind: "dev" },
    Dependency { user: "highlevel-tests", used: "highlevel", kind: "normal" },
    Dependency { user: "highlevel-tests", used: "highlevel-sandbox", kind: "dev" },
    Dependency { user: "highlevel-tests", used: "highlevel-test-support", kind: "dev" },
    Dependency { user: "highlevel-tests", used: "highlevel-codegen", kind: "dev" },
    Dependency { user: "highlevel-tests", used: "highlevel-wire", kind: "normal" },
];

/// An external package that only one crate may depend on.
struct Reserved {
    package: &'static str,
    user: &'static str,
}

const RESERVED: &[Reserved] = &[
    Reserved { package: "progenitor", user: "highlevel-codegen" },
    Reserved { package: "progenitor-client", user: "highlevel-wire" },
    Reserved { package: "openapiv3", user: "highlevel-codegen" },
    Reserved { package: "jsonschema", user: "highlevel-sandbox" },
];

fn kind(dependency: &Value) -> &str {
    dependency["kind"].as_str().unwrap_or("normal")
}

/// Returns a message for each forbidden dependency, with the fix.
fn forbidden(metadata: &Value) -> Vec<String> {
    let packages = metadata["packages"].as_array().expect("packages");
    let members: BTreeSet<&str> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
    let mut found = Vec::new();
    for package in packages {
        let user = package["name"].as_str().expect("a name");
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            let used = dependency["name"].as_str().expect("a name");
            let kind = kind(dependency);
            let is_allowed = ALLOWED
                .iter()
                .any(|allowed| (allowed.user, allowed.used, allowed.kind) == (user, used, kind));
            if members.contains(used) && !is_allowed {
                found.push(format!(
                    "{user} --{kind}--> {used} is not in ARCHITECTURE.md: remove the dependency"
                ));
            }
            let reserved = RESERVED.iter().find(|reserved| reserved.package == used && reserved.user != user);
            if let Some(reserved) = reserved {
                let only = reserved.user;
                found
                    .push(format!("{user} --{kind}--> {used}: only {only} may depend on {used}; use {only}"));
            }
        }
    }
    found
}

#[test]
fn crates_depend_only_on_allowed_crates() {
    assert_eq!(forbidden(&metadata(&["--no-deps"])), Vec::<String>::new());
}

#[test]
fn each_allowed_dependency_exists() {
    let metadata = metadata(&["--no-deps"]);
    let packages = metadata["packages"].as_array().expect("packages");
    for allowed in ALLOWED {
        let Dependency { user, used, kind: expected } = allowed;
        let package = packages.iter().find(|package| package["name"] == *user).expect("a member");
        let exists = package["dependencies"]
            .as_array()
            .expect("dependencies")
            .iter()
            .any(|dependency| dependency["name"] == *used && kind(dependency) == *expected);
        assert!(
            exists,
            "{user} --{expected}--> {used} is allowed, but does not exist: remove it from the table"
        );
    }
}

#[test]
fn forbidden_dependencies_are_reported() {
    struct Row {
        user: &'static str,
        used: &'static str,
        kind: Value,
    }
    for Row { user, used, kind } in [
        Row { user: "highlevel-sandbox", used: "highlevel", kind: Value::Null },
        Row { user: "highlevel-sandbox", used: "highlevel-wire", kind: json!("dev") },
        Row { user: "highlevel-wire", used: "highlevel-codegen", kind: Value::Null },
        Row { user: "highlevel", used: "highlevel-sandbox", kind: json!("dev") },
        Row { user: "xtask", used: "highlevel-codegen", kind: Value::Null },
        Row { user: "xtask", used: "progenitor", kind: Value::Null },
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
