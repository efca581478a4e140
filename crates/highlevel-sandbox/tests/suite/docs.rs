//! What `docs/sandbox.md` says is true.

use std::process::Command;

use highlevel_sandbox::{Sandbox, Snapshot};
use reqwest::Method;
use serde_json::Value;

use crate::caller::bare;
use crate::process::Directory;

const DOCS: &str = include_str!("../../../../docs/sandbox.md");

/// The code blocks of a language.
fn blocks(language: &str) -> impl Iterator<Item = &'static str> {
    let start = format!("```{language}\n");
    let blocks = DOCS.match_indices("```").filter_map(move |(at, _)| DOCS[at..].strip_prefix(&start));
    blocks.map(|rest| rest.split("\n```").next().unwrap())
}

#[tokio::test]
async fn every_operation_of_the_admin_api_is_in_the_table() {
    let sandbox = Sandbox::start().await.unwrap();
    let response = bare(&sandbox, Method::GET, "/_sandbox/openapi.json").send().await.unwrap();
    let description: Value = response.json().await.unwrap();
    let mut operations = 0;
    for (path, item) in description["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys().filter(|key| *key != "parameters") {
            let row = format!("| `{} {path}` |", method.to_uppercase());
            assert!(DOCS.contains(&row), "docs/sandbox.md has no row {row}");
            operations += 1;
        }
    }
    assert_eq!(
        operations,
        DOCS.lines()
            .filter(|line| line
                .split('`')
                .nth(1)
                .is_some_and(|cell| line.starts_with("| `") && cell.contains(" /_sandbox/")))
            .count()
    );
}

#[tokio::test]
async fn the_seed_can_be_used() {
    let seed = blocks("yaml").find(|block| block.starts_with("locations:")).unwrap();
    let seed = Snapshot::parse(seed).unwrap();
    let sandbox = Sandbox::builder().seed(seed).start().await.unwrap();
    assert_eq!(sandbox.message("first").unwrap().text(), Some("Hello"));
}

#[test]
fn the_example_for_other_languages_runs() {
    if Command::new("python3").arg("--version").output().is_err() {
        println!("skipped: python3 is not installed");
        return;
    }
    let directory = Directory::new("python");
    let file = directory.file("example.py");
    std::fs::write(&file, blocks("python").next().unwrap()).unwrap();
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_highlevel-sandbox")).parent().unwrap();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path =
        std::env::join_paths([program.to_owned()].into_iter().chain(std::env::split_paths(&path))).unwrap();
    let output =
        Command::new("python3").arg(file).env("PATH", path).env("no_proxy", "127.0.0.1").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
