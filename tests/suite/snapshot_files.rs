//! The folder of the snapshots. Apart from the snapshots themselves, because it is not true while they are written.

use std::collections::BTreeSet;

use crate::snapshots::SNAPSHOTS;

/// A snapshot that no test writes any more would be read for nothing.
#[test]
fn no_snapshot_is_left_over() {
    let folder = crate::metadata::root().join("tests/snapshots");
    let found: BTreeSet<String> = std::fs::read_dir(folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        // What insta writes beside a snapshot that does not match; git ignores it.
        .filter(|name| !name.ends_with(".snap.new"))
        .collect();
    let expected: BTreeSet<String> = SNAPSHOTS.iter().map(|name| format!("{name}.snap")).collect();
    assert_eq!(found, expected);
}
