//! The language of comments, string literals and pages.
//!
//! Comments should read like those of any other Rust project. A few words are good indicators that they do not, so
//! their frequency is limited.

mod figures;
mod rust_text;

use std::path::{Path, PathBuf};

use figures::{Figures, Overused, Prose};

use crate::metadata::root;
use crate::snapshots::GENERATED_SOURCE;

/// The highest accepted frequencies.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// Per 1,000 words.
    answer: f64,
    /// Per 1,000 words.
    what: f64,
    /// Per 1,000 words.
    say: f64,
    /// Percentage of summaries that begin with a question word.
    questions: f64,
}

/// The limits of all areas.
const AIM: Limits = Limits { answer: 0.4, what: 2.0, say: 0.8, questions: 4.0 };

/// Files whose prose is measured together.
struct Area {
    name: &'static str,
    /// Relative to the root of the workspace.
    folders: &'static [&'static str],
    ending: &'static str,
    prose: fn(&str) -> Vec<Prose>,
    limits: Limits,
}

const AREAS: &[Area] = &[
    Area {
        name: "comments of the SDK",
        folders: &["crates/highlevel", "crates/highlevel-postgres"],
        ending: "rs",
        prose: figures::comments,
        limits: AIM,
    },
    Area {
        name: "comments of the sandbox",
        folders: &["crates/highlevel-sandbox"],
        ending: "rs",
        prose: figures::comments,
        limits: AIM,
    },
    Area {
        name: "comments of the command line",
        folders: &["crates/highlevel-cli"],
        ending: "rs",
        prose: figures::comments,
        limits: AIM,
    },
    Area {
        name: "comments of the generator, the generated crate and the spec",
        folders: &["crates/highlevel-codegen", "crates/highlevel-wire", "spec"],
        ending: "rs",
        prose: figures::comments,
        limits: AIM,
    },
    Area {
        name: "comments of tests, examples and tools",
        folders: &["tests", "examples", "xtask", "benchmarks", "fuzz"],
        ending: "rs",
        prose: figures::comments,
        limits: AIM,
    },
    Area {
        name: "string literals of the SDK",
        folders: &["crates/highlevel/src", "crates/highlevel-postgres/src"],
        ending: "rs",
        prose: figures::literals,
        limits: AIM,
    },
    Area {
        name: "string literals of the sandbox",
        folders: &["crates/highlevel-sandbox/src"],
        ending: "rs",
        prose: figures::literals,
        limits: AIM,
    },
    Area {
        name: "string literals of the command line",
        folders: &["crates/highlevel-cli/src"],
        ending: "rs",
        prose: figures::literals,
        limits: AIM,
    },
    Area {
        name: "string literals elsewhere",
        folders: &[
            "crates/highlevel-codegen",
            "crates/highlevel-wire",
            "spec",
            "tests",
            "examples",
            "xtask",
            "benchmarks",
            "fuzz",
        ],
        ending: "rs",
        prose: figures::literals,
        limits: AIM,
    },
    Area { name: "pages", folders: &[""], ending: "md", prose: figures::lines, limits: AIM },
    Area {
        name: "API descriptions",
        folders: &[""],
        ending: "yaml",
        prose: figures::descriptions,
        limits: AIM,
    },
    Area { name: "templates", folders: &["crates"], ending: "html", prose: figures::lines, limits: AIM },
];

/// The folder of this check, which has to name the words. It is not measured.
const CHECK: &str = "tests/suite/language";

/// Banned words in texts of HighLevel, which are quoted as they are: the file, and a part of the line.
const QUOTATIONS: &[(&str, &str)] = &[];

/// Endings of the files that people read, as far as they are text.
const READ: [&str; 9] = ["rs", "md", "html", "yaml", "mjs", "js", "css", "toml", "run"];

/// Returns the files of a folder in the workspace, with their paths relative to the root.
fn files(folder: &str, ending: &str) -> Vec<(String, String)> {
    let mut paths = Vec::new();
    collect(&root().join(folder), &mut paths);
    paths.sort();
    let mut files = Vec::new();
    for path in paths {
        // Scripts without an ending are called `run`.
        let found = path.extension().or(path.file_name()).expect("a file has a name");
        let name = path.strip_prefix(root()).expect("a path below the root").display().to_string();
        // The texts of the generated source are those of the spec, which is measured.
        if found == ending && !name.starts_with(CHECK) && name != GENERATED_SOURCE {
            files.push((name, std::fs::read_to_string(&path).expect("sources are UTF-8")));
        }
    }
    files
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.expect("an entry of a folder").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("names are UTF-8");
        if !path.is_dir() {
            paths.push(path);
        } else if !["target", "node_modules", "results"].contains(&name)
            && (!name.starts_with('.') || name == ".ci")
        {
            collect(&path, paths);
        }
    }
}

fn measure(area: &Area) -> Figures {
    let mut figures = Figures::default();
    for (name, text) in area.folders.iter().flat_map(|folder| files(folder, area.ending)) {
        figures.add(&name, &(area.prose)(&text));
    }
    figures
}

/// Returns the figures of an area that are above their limits, each with its places.
fn violations(area: &Area, figures: &Figures) -> Vec<String> {
    let Limits { answer, what, say, questions } = area.limits;
    let mut violations = Vec::new();
    let mut check = |label: &str, found: f64, limit: f64, places: &[String]| {
        if found > limit {
            violations.push(format!(
                "{}: {label}: {found:.2} is more than {limit}\n    {}",
                area.name,
                places.join("\n    ")
            ));
        }
    };
    for (label, overused, limit) in [
        ("\"answer\" per 1,000 words", Overused::Answer, answer),
        ("\"what\" per 1,000 words", Overused::What, what),
        ("\"say\" and \"tell\" per 1,000 words", Overused::Say, say),
    ] {
        check(label, figures.per_thousand(overused), limit, figures.places(overused));
    }
    let label = "percentage of summaries that begin with a question word";
    check(label, figures.question_percentage(), questions, figures.questions());
    violations
}

#[test]
fn overused_words_are_rare() {
    let mut found = Vec::new();
    for area in AREAS {
        let figures = measure(area);
        println!("{}: {figures}", area.name);
        found.extend(violations(area, &figures));
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn no_file_contains_a_banned_word() {
    let mut lines = Vec::new();
    for (name, text) in READ.iter().flat_map(|ending| files("", ending)) {
        for (number, word) in figures::banned(&text) {
            let line = text.lines().nth(number - 1).unwrap_or_default().trim();
            if !QUOTATIONS.iter().any(|(file, quoted)| name == *file && line.contains(quoted)) {
                lines.push(format!("{name}:{number}: \"{word}\" in: {line}"));
            }
        }
    }
    assert!(lines.is_empty(), "these lines contain a banned word:\n{}", lines.join("\n"));
}

#[test]
fn an_area_above_its_limits_is_reported_with_its_places() {
    let limits = Limits { answer: 400.0, what: 400.0, say: 0.0, questions: 50.0 };
    let area = Area { name: "this", folders: &[], ending: "rs", prose: figures::comments, limits };
    let mut figures = Figures::default();
    figures.add("a.rs", &figures::comments("/// What it says.\n"));
    let violations = violations(&area, &figures);
    assert_eq!(
        violations,
        [
            "this: \"say\" and \"tell\" per 1,000 words: 333.33 is more than 0\n    a.rs:1: What it says.",
            "this: percentage of summaries that begin with a question word: 100.00 is more than 50\n    \
             a.rs:1: What it says.",
        ]
    );
}

#[test]
fn every_area_has_files() {
    for area in AREAS {
        assert!(area.folders.iter().any(|folder| !files(folder, area.ending).is_empty()), "{}", area.name);
    }
}
