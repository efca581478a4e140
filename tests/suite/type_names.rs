//! The names of types, traits and aliases: a name that two crates declare has one meaning.

use std::collections::{BTreeMap, BTreeSet};

use crate::layers::source::{Sources, read_modules, read_sources};
use crate::metadata::root;
use crate::snapshots::GENERATED_SOURCE;

/// A name that several crates declare for the same concept.
struct Shared {
    name: &'static str,
    meaning: &'static str,
}

const SHARED: &[Shared] = &[
    Shared { name: "Channel", meaning: "a channel of messages, with its names" },
    Shared { name: "Client", meaning: "sends the operations of the HighLevel API" },
    Shared { name: "Clock", meaning: "a source of the current time" },
    Shared { name: "Contact", meaning: "a person in a location, with names and addresses" },
    Shared { name: "Envelope", meaning: "the fields of a webhook event that are not about its message" },
    Shared { name: "Error", meaning: "the error type of a crate's public functions" },
    Shared { name: "ErrorKind", meaning: "the kind of an `Error`" },
    Shared { name: "ErrorResponse", meaning: "a response of the HighLevel API that reports an error" },
    Shared { name: "Family", meaning: "a family of channels with the same kind of content" },
    Shared { name: "Inner", meaning: "the allocation behind a pointer-sized handle" },
    Shared { name: "Limits", meaning: "the rate limits of a location" },
    Shared { name: "MessageSource", meaning: "the `source` of an event: the origin of its message" },
    Shared { name: "Note", meaning: "a note about a contact" },
    Shared { name: "Outbox", meaning: "messages or events that are stored before they are sent" },
    Shared { name: "Result", meaning: "`std::result::Result` with the error of the crate" },
    Shared { name: "Shared", meaning: "the state that tasks or handles share" },
    Shared { name: "Use", meaning: "the use of one permit of a rate limiter" },
];

/// Each name with the files that declare it, by crate.
type Declarations = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// Returns `true` for names of types and traits. Those of functions and macros have no capital letter, those of constants no
/// small one.
fn is_type(name: &str) -> bool {
    name.starts_with(char::is_uppercase) && name.contains(char::is_lowercase)
}

/// Adds the names that the library or the program of a crate declares outside its tests.
fn declare(declarations: &mut Declarations, krate: &str, sources: &Sources) {
    let roots = ["lib.rs", "main.rs"].into_iter().filter(|root| sources.contains_key(*root));
    for module in roots.flat_map(|root| read_modules(sources, root)) {
        for name in module.items.into_iter().filter(|name| is_type(name)) {
            let files = declarations.entry(name).or_default().entry(krate.to_owned()).or_default();
            files.insert(format!("crates/{krate}/src/{}", module.file));
        }
    }
}

fn declarations() -> Declarations {
    let mut declarations = Declarations::new();
    for krate in std::fs::read_dir(root().join("crates")).expect("a folder") {
        let krate = krate.expect("an entry");
        let name = krate.file_name().into_string().expect("a UTF-8 name");
        declare(&mut declarations, &name, &read_sources(&krate.path().join("src")));
    }
    // It is included, so it is no module of `lib.rs`.
    let generated = std::fs::read_to_string(root().join(GENERATED_SOURCE)).expect("UTF-8");
    declare(&mut declarations, "highlevel-wire", &Sources::from([("lib.rs".to_owned(), generated)]));
    declarations
}

/// Returns a message for each name that several crates declare, and that is not listed.
fn ambiguous(declarations: &Declarations, shared: &[Shared]) -> Vec<String> {
    let is_listed = |name: &str| shared.iter().any(|shared| shared.name == name);
    let repeated = declarations.iter().filter(|(name, crates)| crates.len() > 1 && !is_listed(name));
    repeated
        .map(|(name, crates)| {
            let files: Vec<&str> = crates.values().flatten().map(String::as_str).collect();
            format!("`{name}` is declared in {}: rename all but one, or list its meaning", files.join(", "))
        })
        .collect()
}

#[test]
fn no_name_has_different_meanings_in_two_crates() {
    let ambiguous = ambiguous(&declarations(), SHARED);
    assert!(ambiguous.is_empty(), "{}", ambiguous.join("\n"));
}

#[test]
fn each_shared_name_is_declared_in_two_crates_and_has_a_meaning() {
    let declarations = declarations();
    assert!(SHARED.is_sorted_by(|first, next| first.name < next.name), "the names are not sorted");
    for Shared { name, meaning } in SHARED {
        let crates = declarations.get(*name).map_or(0, BTreeMap::len);
        assert!(crates > 1, "{name} is declared in {crates} crates: remove it from the list");
        assert!(meaning.split(' ').count() > 3, "{name}: {meaning}");
    }
}

#[test]
fn repeated_names_are_found_outside_tests() {
    struct Row {
        name: &'static str,
        first: &'static str,
        second: &'static str,
        expected: &'static [&'static str],
    }
    let rows = [
        Row {
            name: "private",
            first: "struct Window;",
            second: "pub enum Window { A }",
            expected: &["Window"],
        },
        Row { name: "traits", first: "trait Grant {}", second: "type Grant = u8;", expected: &["Grant"] },
        Row { name: "nested", first: "mod a { struct Job; }", second: "struct Job;", expected: &["Job"] },
        Row { name: "listed", first: "struct Listed;", second: "struct Listed;", expected: &[] },
        Row { name: "once", first: "struct One;", second: "struct Two;", expected: &[] },
        Row { name: "imported", first: "pub use b::Two;", second: "struct Two;", expected: &[] },
        Row {
            name: "in a test",
            first: "struct Case;",
            second: "#[cfg(test)] mod tests { struct Case; }",
            expected: &[],
        },
        Row {
            name: "constants",
            first: "const LIMIT: u8 = 1;",
            second: "const LIMIT: u8 = 2;",
            expected: &[],
        },
    ];
    let listed = [Shared { name: "Listed", meaning: "the same in both" }];
    for Row { name, first, second, expected } in rows {
        let mut declarations = Declarations::new();
        for (krate, text) in [("a", first), ("b", second)] {
            let sources = Sources::from([("lib.rs".to_owned(), text.to_owned())]);
            declare(&mut declarations, krate, &sources);
        }
        let found = ambiguous(&declarations, &listed);
        let expected: Vec<String> = expected
            .iter()
            .map(|name| {
                let files = "crates/a/src/lib.rs, crates/b/src/lib.rs";
                format!("`{name}` is declared in {files}: rename all but one, or list its meaning")
            })
            .collect();
        assert_eq!(found, expected, "{name}");
    }
}
