//! The code of the README and of `docs/`. Each block is part of a file that is compiled with the tests, and the first
//! program of the README is run.

use std::path::Path;
use std::process::Command;

use highlevel_sandbox::Sandbox;

use crate::metadata::root;

/// Returns the names and texts of the files in a folder with this ending.
fn texts(folder: &Path, ending: &str) -> Vec<(String, String)> {
    let files = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    files
        .filter(|path| path.extension().is_some_and(|found| found == ending))
        .map(|path| (path.display().to_string(), std::fs::read_to_string(&path).expect("UTF-8")))
        .collect()
}

/// Returns the files that are compiled with the tests.
fn sources() -> Vec<String> {
    let folders =
        ["tests/src/bin", "examples", "examples/phone_bridge", "crates/highlevel-postgres/tests/suite"];
    folders.iter().flat_map(|folder| texts(&root().join(folder), "rs")).map(|(_, text)| text).collect()
}

/// Returns the blocks of Rust code in a page.
fn blocks(page: &str) -> Vec<&str> {
    page.split("```rust\n").skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

/// Returns the lines of a text that are not blank, without their indentation.
fn lines(text: &str) -> Vec<&str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect()
}

fn contains(source: &str, block: &str) -> bool {
    let (block, source) = (lines(block), lines(source));
    source.windows(block.len()).any(|window| window == block)
}

#[test]
fn every_code_block_is_compiled() {
    let sources = sources();
    let mut pages = texts(&root(), "md");
    pages.extend(texts(&root().join("docs"), "md"));
    for (name, page) in &pages {
        for block in blocks(page) {
            let is_compiled = sources.iter().any(|source| contains(source, block));
            assert!(is_compiled, "{name}: no compiled file contains this:\n{block}");
        }
    }
    let count = pages.iter().map(|(_, page)| blocks(page).len()).sum::<usize>();
    assert!(count >= 8, "only {count} blocks of code were found");
}

#[test]
fn the_first_program_of_the_readme_is_the_one_that_is_run() {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("the README");
    let first = blocks(&readme)[0];
    assert!(first.contains("async fn main()"), "the first block is not a whole program:\n{first}");
    assert!(contains(include_str!("../src/bin/first_message.rs"), first));
}

#[test]
fn changed_blocks_are_found() {
    assert!(contains("fn f() {\n    let a = 1;\n    let b = 2;\n}", "let a = 1;\n\nlet b = 2;"));
    assert!(!contains("fn f() {\n    let a = 1;\n    let b = 2;\n}", "let a = 1;\nlet b = 3;"));
}

#[tokio::test]
async fn the_first_program_sends_an_sms_and_an_email() {
    let sandbox = Sandbox::start().await.expect("a sandbox");
    let output = Command::new(env!("CARGO_BIN_EXE_first-message"))
        .env("HIGHLEVEL_CONTACT_ID", sandbox.contact_id())
        .env("HIGHLEVEL_TOKEN", sandbox.token())
        .env("HIGHLEVEL_BASE_URL", sandbox.base_url())
        .output()
        .expect("the program runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let messages = sandbox.messages();
    let channels: Vec<&str> = messages.iter().map(|message| message.channel.as_str()).collect();
    assert_eq!(channels, ["SMS", "Email"]);
    assert_eq!(messages[0].request["message"], "Your table is ready");
    assert_eq!(messages[1].request["subject"], "Order confirmed");
    assert_eq!(messages[1].request["emailCc"], serde_json::json!(["ops@example.com"]));
    let printed = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(printed, format!("{} in {}\n", messages[0].id, messages[0].conversation_id));
}
