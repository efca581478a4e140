//! ARCHITECTURE.md, compared with the tables of the layers and with the files of the workspace.

use super::{CLI, HIGHLEVEL, POSTGRES, SANDBOX};
use crate::metadata::root;

fn page() -> String {
    std::fs::read_to_string(root().join("ARCHITECTURE.md")).expect("the page exists")
}

/// Returns the modules in the lines of each block of text, without their descriptions.
fn blocks(page: &str) -> Vec<Vec<Vec<&str>>> {
    let blocks = page.split("```text\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default());
    blocks
        .map(|block| {
            let layers = block.lines().map(|line| line.split("  ").next().unwrap_or_default());
            layers.map(|layer| layer.split(", ").collect()).collect()
        })
        .collect()
}

#[test]
fn the_page_lists_the_layers() {
    let page = page();
    let expected: Vec<Vec<Vec<&str>>> = [HIGHLEVEL, SANDBOX, POSTGRES, CLI]
        .iter()
        .map(|structure| structure.layers.iter().map(|layer| layer.to_vec()).collect())
        .collect();
    assert_eq!(blocks(&page), expected);
}

/// The paths in the page are relative to the root, to `crates`, or to the source of a crate that has layers in the page.
#[test]
fn the_page_names_existing_files() {
    let sources = ["highlevel", "highlevel-sandbox", "highlevel-postgres", "highlevel-cli"]
        .map(|it| format!("crates/{it}/src"));
    let folders: Vec<&str> = ["", "crates"].into_iter().chain(sources.iter().map(String::as_str)).collect();
    let page = page();
    let is_path = |text: &&str| {
        let last = text.rsplit('/').next().unwrap_or_default();
        !text.contains([' ', '*', ':']) && (text.contains('/') || last.contains('.'))
    };
    let paths: Vec<&str> = page.split('`').skip(1).step_by(2).filter(is_path).collect();
    assert!(paths.len() > 30, "{paths:?}");
    let exists = |path: &&str| folders.iter().any(|folder| root().join(folder).join(path).exists());
    let missing: Vec<&str> = paths.into_iter().filter(|path| !exists(path)).collect();
    assert!(missing.is_empty(), "ARCHITECTURE.md names files that do not exist: {missing:?}");
}
