//! The folder of the snapshots. This check is separate from them because it fails while they are regenerated.

use std::collections::BTreeSet;

use crate::snapshots::SNAPSHOTS;

#[test]
fn every_snapshot_file_belongs_to_a_test() {
    let folder = crate::metadata::root().join("tests/snapshots");
    let found: BTreeSet<String> = std::fs::read_dir(folder)
        .expect("the folder exists")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        // insta writes this file next to a snapshot that does not match. Git ignores it.
        .filter(|name| !name.ends_with(".snap.new"))
        .collect();
    let expected: BTreeSet<String> = SNAPSHOTS.iter().map(|name| format!("{name}.snap")).collect();
    assert_eq!(found, expected);
}
