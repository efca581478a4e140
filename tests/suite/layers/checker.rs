//! Tests of the checker on small crates.

use super::rules::{Circle, Restriction, Structure, violations};
use super::source::Sources;

/// A crate of a few files, with `high` above `middle` above `low`.
fn sources(files: &[(&str, &str)]) -> Sources {
    files.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned())).collect()
}

const LAYERS: Structure =
    Structure { layers: &[&["high"], &["middle"], &["low"]], restricted: &[], circles: &[] };

const ROOT: &str = "mod high; mod middle; mod low;";

/// Checks three modules in layers.
fn check(high: &str, middle: &str, low: &str) -> Vec<String> {
    let files = [("lib.rs", ROOT), ("high.rs", high), ("middle.rs", middle), ("low.rs", low)];
    violations(&sources(&files), &LAYERS)
}

#[test]
fn uses_of_lower_layers_are_accepted() {
    let found = check(
        "use crate::middle::{self, Middle}; pub struct High(Middle, crate::low::Low); fn f() { middle::g(); }",
        "use super::low::*; pub struct Middle(Low); pub fn g() {}",
        "pub struct Low;",
    );
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn an_upward_use_is_reported_however_it_is_written() {
    struct Row {
        name: &'static str,
        root: &'static str,
        low: &'static str,
    }
    let row = |name, low| Row { name, root: "", low };
    for Row { name, root, low } in [
        row("use", "use crate::high::High;"),
        row("nested groups", "use crate::{middle::{}, high::{self, High}};"),
        row("renamed", "use crate::high::High as Other;"),
        row("unnamed", "use crate::high::High as _;"),
        row("super", "use super::high::High;"),
        row("self and super", "use self::super::high::High;"),
        row("glob", "use crate::high::*; struct Low(High);"),
        row("glob of the root", "use crate::*; struct Low(high::High);"),
        row("module and path", "use crate::high; struct Low(high::High);"),
        row("renamed module", "use crate::high as h; struct Low(h::High);"),
        row("inline path", "struct Low(crate::high::High);"),
        row("path in a body", "fn f() { let high = crate::high::High; }"),
        row("associated item", "fn f() { crate::high::High::new(); }"),
        row("use in a function", "fn f() { use crate::high::High; }"),
        row("inline module", "mod inner { struct Low(super::super::high::High); }"),
        row("public alias", "pub type Low = Vec<crate::high::High>;"),
        row("re-export", "pub use crate::high::High;"),
        row("impl", "impl crate::high::High { fn low(&self) {} }"),
        row("macro call", "fn f() { println!(\"{:?}\", crate::high::High); }"),
        row("macro definition", "macro_rules! m { () => { $crate::high::High } }"),
        row("use in a macro", "macro_rules! m { () => { use $crate::high::High; } }"),
        row("attribute", "#[serde(with = \"crate::high::High\")] struct Low;"),
        row("raw identifier", "struct Low(crate::r#high::High);"),
        Row { name: "re-export of the root", root: "pub use high::High;", low: "use crate::High;" },
        Row { name: "glob re-export", root: "pub use high::*;", low: "use crate::High;" },
        Row {
            name: "renamed re-export",
            root: "pub use high::High as Best;",
            low: "use crate::*; fn f(_: Best) {}",
        },
    ] {
        let root = format!("{ROOT} {root}");
        let files = [("lib.rs", &*root), ("high.rs", "pub struct High;"), ("middle.rs", ""), ("low.rs", low)];
        let found = violations(&sources(&files), &LAYERS);
        let user = if name == "inline module" { "crate::low::inner" } else { "crate::low" };
        let expected = format!("{user} uses crate::high::High, but `high` is in a higher layer than `low`");
        assert_eq!(found, [expected], "{name}");
    }
}

#[test]
fn a_macro_is_found_by_its_name_and_by_its_path() {
    let high = "macro_rules! make { () => {} } pub(crate) use make;";
    for low in ["make!();", "fn f() { make!(); }", "crate::high::make!();", "use crate::high::make; make!();"]
    {
        let found = check(high, "", low);
        assert_eq!(
            found,
            ["crate::low uses crate::high::make, but `high` is in a higher layer than `low`"],
            "{low}"
        );
    }
}

#[test]
fn an_upward_re_export_is_attributed_to_the_module_that_defines_the_item() {
    let middle = "pub use crate::low::Low;";
    let found = check("use crate::middle::Low;", middle, "pub struct Low;");
    assert_eq!(found, Vec::<String>::new());
    let found = check("pub struct High;", "pub use crate::high::High;", "use crate::middle::High;");
    assert_eq!(
        found,
        [
            "crate::low uses crate::high::High, but `high` is in a higher layer than `low`",
            "crate::middle uses crate::high::High, but `high` is in a higher layer than `middle`",
        ]
    );
}

#[test]
fn other_crates_tests_and_names_that_only_look_alike_are_left_out() {
    let high = "pub struct High; pub fn run() {}";
    for low in [
        "use std::high::High; struct Low(::high::High);",
        "use tokio::high; fn f() { high::High; }",
        "#[cfg(test)] mod tests { use crate::high::High; }",
        "#[cfg(all(test, unix))] mod tests { use crate::high::High; }",
        "#[cfg(test)] use crate::high::High;",
        "fn f() { let tokens = quote!(crate::high::High); }",
        "fn f() { let path = \"crate::high::High\"; }",
        "/// See [`High`](crate::high::High).\nstruct Low;",
        "struct Low { high: u8 } fn f(low: Low) { low.run(); let run = 1; run != 2; }",
        "fn f<'high>(text: &'high str) { 0..text; }",
    ] {
        assert_eq!(check(high, "", low), Vec::<String>::new(), "{low}");
    }
    let found = check(high, "", "#[cfg(not(test))] use crate::high::High;");
    assert_eq!(found.len(), 1, "{found:?}");
}

#[test]
fn items_of_the_root_are_above_all_layers() {
    let files = [
        ("lib.rs", &*format!("{ROOT} pub struct Root;")),
        ("high.rs", "use crate::Root;"),
        ("middle.rs", ""),
        ("low.rs", ""),
    ];
    let found = violations(&sources(&files), &LAYERS);
    assert_eq!(found, ["crate::high uses crate::Root, which is above all layers: move the item to a module"]);
}

#[test]
fn the_table_and_the_modules_have_to_agree() {
    let structure = Structure { layers: &[&["high", "gone"], &["low", "high"]], ..Structure::default() };
    let found = violations(
        &sources(&[("lib.rs", ROOT), ("high.rs", ""), ("middle.rs", ""), ("low.rs", "")]),
        &structure,
    );
    assert_eq!(
        found,
        [
            "`high` is in two layers: remove one of them",
            "`middle` is in no layer: add it to the table",
            "`gone` is in a layer, but does not exist: remove it",
        ]
    );
}

#[test]
fn a_restricted_module_may_use_only_the_listed_modules() {
    let files = [
        ("lib.rs", ROOT),
        ("high.rs", "use crate::{middle::Middle, low::Low};"),
        ("middle.rs", "pub struct Middle;"),
        ("low.rs", "pub struct Low;"),
    ];
    let structure = Structure { restricted: &[Restriction { module: "high", may_use: &["low"] }], ..LAYERS };
    let found = violations(&sources(&files), &structure);
    assert_eq!(found, ["crate::high uses crate::middle::Middle, but `high` must not use `middle`"]);
}

#[test]
fn a_circle_of_modules_in_one_layer_is_reported() {
    let files = [
        ("lib.rs", ROOT),
        ("high.rs", "use crate::middle::A; pub struct C;"),
        ("middle.rs", "use crate::low::B; pub struct A;"),
        ("low.rs", "use crate::high::C; pub struct B;"),
    ];
    let structure = Structure { layers: &[&["high", "middle", "low"]], ..Structure::default() };
    let found = violations(&sources(&files), &structure);
    assert_eq!(
        found,
        [
            "circle of modules: high -A-> middle -B-> low -C-> high",
            "circle of files: high.rs -A-> middle.rs -B-> low.rs -C-> high.rs (of high.rs, low.rs, middle.rs)",
        ]
    );
}

/// The files of a folder whose modules use each other.
const FOLDER: [(&str, &str); 5] = [
    ("lib.rs", "mod folder;"),
    ("folder/mod.rs", "mod a; mod b; mod c; pub use a::A; pub(crate) use self::c::C;"),
    ("folder/a.rs", "use super::b::B; pub struct A;"),
    ("folder/b.rs", "use super::c::C; pub struct B;"),
    ("folder/c.rs", "use super::A; pub struct C;"),
];

const ONE_FOLDER: Structure = Structure { layers: &[&["folder"]], ..LAYERS };

#[test]
fn a_circle_of_three_files_is_reported() {
    let found = violations(&sources(&FOLDER), &ONE_FOLDER);
    let expected = "circle of files: folder/a.rs -B-> folder/b.rs -C-> folder/c.rs -A-> folder/a.rs \
                    (of folder/a.rs, folder/b.rs, folder/c.rs)";
    assert_eq!(found, [expected]);
}

#[test]
fn a_module_may_name_the_items_of_its_own_modules_but_not_use_them() {
    for (parent, circles) in [
        ("pub use child::Child;", 0),
        ("use child::Child;", 1),
        ("pub use child::Child; fn f(_: Child) {}", 1),
    ] {
        let parent = format!("mod child; {parent} pub struct Parent;");
        let files = [
            ("lib.rs", "mod folder;"),
            ("folder.rs", &*parent),
            ("folder/child.rs", "use super::Parent; pub struct Child;"),
        ];
        assert_eq!(violations(&sources(&files), &ONE_FOLDER).len(), circles, "{parent}");
    }
}

#[test]
fn an_accepted_circle_needs_a_reason_one_folder_and_to_exist() {
    const FILES: &[&str] = &["folder/a.rs", "folder/b.rs", "folder/c.rs"];
    let check = |circles| violations(&sources(&FOLDER), &Structure { circles, ..ONE_FOLDER });
    assert_eq!(check(&[Circle { files: FILES, reason: "they are one state machine" }]), Vec::<String>::new());
    assert_eq!(
        check(&[Circle { files: FILES, reason: " " }]),
        ["the accepted circle of folder/a.rs, folder/b.rs, folder/c.rs has no reason"]
    );
    let found = check(&[
        Circle { files: FILES, reason: "they are one state machine" },
        Circle { files: &["folder/a.rs", "lib.rs"], reason: "two folders" },
    ]);
    assert_eq!(
        found,
        [
            "the accepted circle of folder/a.rs, lib.rs is not one of 6 files in one folder",
            "the accepted circle of folder/a.rs, lib.rs does not exist: remove it from the table",
        ]
    );
}
