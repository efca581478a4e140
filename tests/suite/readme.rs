//! The code of the README and of `docs/`: each block stands in a file that the tests compile, and the first one is run
//! as it is.

use std::path::Path;
use std::process::Command;

use highlevel_sandbox::Sandbox;

use crate::metadata::root;

/// The text of every file in a folder with this ending.
fn texts(folder: &Path, ending: &str) -> Vec<(String, String)> {
    let files =
        std::fs::read_dir(folder).expect("the folder is there").map(|entry| entry.expect("an entry").path());
    files
        .filter(|path| path.extension().is_some_and(|found| found == ending))
        .map(|path| (path.display().to_string(), std::fs::read_to_string(&path).expect("UTF-8")))
        .collect()
}

/// The files that are compiled together with the tests.
fn sources() -> Vec<String> {
    let folders = ["tests/src/bin", "examples"];
    folders.iter().flat_map(|folder| texts(&root().join(folder), "rs")).map(|(_, text)| text).collect()
}

/// The blocks of Rust in a page.
fn blocks(page: &str) -> Vec<&str> {
    page.split("```rust\n").skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

/// Lines without their indentation, blank ones left out.
fn lines(text: &str) -> Vec<&str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect()
}

fn stands_in(block: &str, source: &str) -> bool {
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
            let compiled = sources.iter().any(|source| stands_in(block, source));
            assert!(compiled, "{name}: no compiled file contains this:\n{block}");
        }
    }
    assert!(
        pages.iter().map(|(_, page)| blocks(page).len()).sum::<usize>() >= 8,
        "the pages have lost their code"
    );
}

#[test]
fn the_readme_opens_with_the_code_that_is_run() {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("the README is there");
    assert!(stands_in(blocks(&readme)[0], include_str!("../src/bin/first_message.rs")));
}

#[test]
fn a_block_that_was_changed_is_found() {
    assert!(stands_in("let a = 1;\n\nlet b = 2;", "fn f() {\n    let a = 1;\n    let b = 2;\n}"));
    assert!(!stands_in("let a = 1;\nlet b = 3;", "fn f() {\n    let a = 1;\n    let b = 2;\n}"));
}

#[tokio::test]
async fn it_sends_an_sms_and_an_email() {
    let sandbox = Sandbox::start().await.expect("a sandbox");
    let output = Command::new(env!("CARGO_BIN_EXE_first-message"))
        .arg(sandbox.contact_id())
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
