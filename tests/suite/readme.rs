//! The code of the README: each block stands in a file that the tests compile, and the first one is run as it is.

use std::process::Command;

use highlevel_sandbox::Sandbox;

use crate::metadata::root;

/// The files that are compiled with the tests, and run by them or by the quickstart.
const SOURCES: [&str; 2] =
    [include_str!("../src/bin/first_message.rs"), include_str!("../examples/quickstart.rs")];

/// Lines without their indentation, blank ones left out.
fn lines(text: &str) -> Vec<&str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect()
}

fn stands_in(block: &str, source: &str) -> bool {
    let (block, source) = (lines(block), lines(source));
    source.windows(block.len()).any(|window| window == block)
}

#[test]
fn every_code_block_of_the_readme_is_compiled() {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("the README is there");
    let blocks: Vec<&str> =
        readme.split("```rust\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(blocks.len() >= 3, "the README has lost its code");
    for block in &blocks {
        assert!(
            SOURCES.iter().any(|source| stands_in(block, source)),
            "no compiled file contains this:\n{block}"
        );
    }
    assert!(stands_in(blocks[0], SOURCES[0]), "the README opens with the code of first_message.rs");
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
