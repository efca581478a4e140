//! The glossary: its order, and the types that it names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::metadata::root;

/// The crates that a part of the glossary's last column stands for.
const PARTS: [(&str, &[&str]); 3] = [
    ("SDK", &["highlevel", "highlevel-wire"]),
    ("sandbox", &["highlevel-sandbox"]),
    ("PostgreSQL", &["highlevel-postgres"]),
];

/// Returns the terms with their last columns.
fn terms(page: &str) -> Vec<(&str, &str)> {
    let rows = page.lines().filter(|line| line.starts_with("| ")).skip(1);
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [term, _, used_in] = cells[..] else { panic!("{row} has {} columns", cells.len()) };
        (term, used_in)
    })
    .collect()
}

/// Returns the names of the structs, enums and traits in a text of Rust.
fn types(source: &str) -> impl Iterator<Item = &str> {
    source.lines().filter_map(|line| {
        let line = line.trim_start().trim_start_matches("pub ");
        let rest = ["struct ", "enum ", "trait "].iter().find_map(|keyword| line.strip_prefix(keyword))?;
        rest.split(|character: char| !character.is_alphanumeric()).next()
    })
}

fn collect(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = std::fs::read_to_string(&path).expect("UTF-8");
            names.extend(types(&source).map(str::to_owned));
        }
    }
}

fn types_by_part() -> BTreeMap<&'static str, BTreeSet<String>> {
    let mut parts = BTreeMap::new();
    for (part, crates) in PARTS {
        let mut names = BTreeSet::new();
        for krate in crates {
            collect(&root().join("crates").join(krate).join("src"), &mut names);
        }
        parts.insert(part, names);
    }
    parts
}

/// Returns the types in the last column of a row that do not exist, with their part.
fn missing(used_in: &str, existing: &BTreeMap<&'static str, BTreeSet<String>>) -> Vec<String> {
    let mut missing = Vec::new();
    let mut rest = used_in;
    while let Some((before, after)) = rest.split_once(" (`") {
        let part = before.rsplit(", ").next().unwrap_or_default();
        let (names, after) = after.split_once("`)").expect("a closing parenthesis");
        for name in names.split("`, `") {
            if !existing.get(part).is_some_and(|types| types.contains(name)) {
                missing.push(format!("{part}: {name}"));
            }
        }
        rest = after;
    }
    missing
}

#[test]
fn the_types_of_the_glossary_exist() {
    let page = std::fs::read_to_string(root().join("docs/glossary.md")).expect("the page exists");
    let existing = types_by_part();
    let missing: Vec<String> = terms(&page)
        .into_iter()
        .flat_map(|(term, used_in)| {
            let missing = missing(used_in, &existing);
            missing.into_iter().map(move |name| format!("{term}: {name}"))
        })
        .collect();
    assert!(missing.is_empty(), "the glossary names types that do not exist: {missing:?}");
}

#[test]
fn the_terms_of_the_glossary_are_sorted_and_unique() {
    let page = std::fs::read_to_string(root().join("docs/glossary.md")).expect("the page exists");
    let terms: Vec<String> = terms(&page).into_iter().map(|(term, _)| term.to_lowercase()).collect();
    assert!(terms.len() > 50, "{} terms", terms.len());
    assert!(terms.is_sorted_by(|first, next| first < next), "{terms:?}");
}

#[test]
fn missing_types_are_found_in_each_part() {
    let existing = types_by_part();
    assert_eq!(missing("SDK (`Receipt`), sandbox (`Fault`, `FaultRule`), UI", &existing), [""; 0]);
    assert_eq!(
        missing("SDK (`Fault`), sandbox (`Fault`, `Fau`), docs", &existing),
        ["SDK: Fault", "sandbox: Fau"]
    );
}
