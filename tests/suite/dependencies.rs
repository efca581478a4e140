//! The minimum Rust versions of external dependencies.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

use crate::metadata::metadata;

/// Returns the packages in the dependency tree of the published crates on this platform, without dev-dependencies.
fn published_tree() -> Vec<Value> {
    let host = host();
    let metadata = metadata(&["--filter-platform", &host]);
    let packages: BTreeMap<&str, &Value> = by_id(&metadata["packages"]);
    let nodes: BTreeMap<&str, &Value> = by_id(&metadata["resolve"]["nodes"]);
    let members: Vec<&str> =
        metadata["workspace_members"].as_array().expect("members").iter().filter_map(Value::as_str).collect();
    let mut waiting: Vec<&str> =
        members.into_iter().filter(|id| packages[id]["publish"] != Value::Array(Vec::new())).collect();
    let mut seen = BTreeSet::new();
    while let Some(id) = waiting.pop() {
        if seen.insert(id) {
            let used = nodes[id]["deps"].as_array().expect("deps").iter().filter(|used| {
                used["dep_kinds"].as_array().expect("kinds").iter().any(|kind| kind["kind"] != "dev")
            });
            waiting.extend(used.filter_map(|used| used["pkg"].as_str()));
        }
    }
    seen.into_iter().map(|id| packages[id].clone()).collect()
}

fn by_id(list: &Value) -> BTreeMap<&str, &Value> {
    list.as_array().expect("a list").iter().map(|item| (item["id"].as_str().expect("an id"), item)).collect()
}

fn host() -> String {
    let output = Command::new("rustc").arg("-vV").output().expect("rustc runs");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    text.lines().find_map(|line| line.strip_prefix("host: ")).expect("a host").to_owned()
}

/// No dependency of the published crates requires a newer Rust than `rust-version`.
#[test]
fn the_stated_rust_version_suffices_for_all_dependencies() {
    let version =
        |text: &str| -> Vec<u32> { text.split('.').map(|part| part.parse().expect("a number")).collect() };
    let stated = version(env!("CARGO_PKG_RUST_VERSION"));
    let newer: Vec<String> = published_tree()
        .iter()
        .filter(|package| {
            package["rust_version"].as_str().is_some_and(|needed| {
                let mut needed = version(needed);
                needed.truncate(2);
                needed > stated
            })
        })
        .map(|package| {
            format!("{} {} needs Rust {}", package["name"], package["version"], package["rust_version"])
        })
        .collect();
    assert_eq!(newer, Vec::<String>::new(), "state a newer rust-version, or use an older package");
}
