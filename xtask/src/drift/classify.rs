//! The list of known differences, and its comparison with those that exist.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::Value;

/// The differences between the spec and a file of the vendor.
#[derive(Debug)]
pub(super) struct VendorFile {
    /// The name of the file without its extension.
    pub(super) name: String,
    pub(super) differences: BTreeSet<String>,
}

/// The known differences with their reasons.
#[derive(Debug)]
pub(super) struct Classification {
    groups: Vec<Group>,
}

/// Differences with the same reason, each of which is in all of the files.
#[derive(Debug)]
struct Group {
    reason: String,
    files: BTreeSet<String>,
    differences: BTreeSet<String>,
}

/// The result of a comparison.
#[derive(Debug)]
pub(super) struct Report {
    text: String,
    problems: Vec<String>,
}

impl Classification {
    /// Reads the list: groups with a `reason`, `files` and `differences`.
    ///
    /// # Errors
    ///
    /// Returns an error if a group is incomplete, or if a difference is listed twice for the same file.
    pub(super) fn parse(list: &Value) -> Result<Self, String> {
        let mut groups = Vec::new();
        let mut seen = BTreeSet::new();
        for group in list.as_array().ok_or("spec/drift.yaml is not a list")? {
            let reason = group["reason"].as_str().unwrap_or_default().trim().to_owned();
            let files = texts(&group["files"]);
            let differences = texts(&group["differences"]);
            if reason.is_empty() || files.is_empty() || differences.is_empty() {
                return Err(format!(
                    "spec/drift.yaml: the group {group} needs a reason, files and differences"
                ));
            }
            for pair in files.iter().flat_map(|file| differences.iter().map(move |each| (file, each))) {
                if !seen.insert((pair.0.clone(), pair.1.clone())) {
                    return Err(format!("spec/drift.yaml lists `{}` twice for {}", pair.1, pair.0));
                }
            }
            groups.push(Group { reason, files, differences });
        }
        Ok(Self { groups })
    }

    /// Compares the list with the differences of the files. Groups of other files are ignored.
    ///
    /// # Errors
    ///
    /// Returns an error if a file is not named in the list at all: probably its name is wrong.
    pub(super) fn check(&self, files: &[VendorFile]) -> Result<Report, String> {
        let mut report = Report { text: String::new(), problems: Vec::new() };
        for file in files {
            let groups: Vec<&Group> =
                self.groups.iter().filter(|group| group.files.contains(&file.name)).collect();
            if groups.is_empty() && !self.groups.is_empty() {
                return Err(format!(
                    "spec/drift.yaml does not know the file {}; correct its name",
                    file.name
                ));
            }
            report.add(file, &groups);
        }
        Ok(report)
    }
}

impl Report {
    fn add(&mut self, file: &VendorFile, groups: &[&Group]) {
        let mut listed = BTreeMap::new();
        for group in groups {
            listed.extend(group.differences.iter().map(|difference| (difference, &group.reason)));
        }
        self.line(&format!("{}: {} differences", file.name, file.differences.len()));
        for group in groups {
            self.line(&format!("  {}", group.reason));
            for difference in group.differences.intersection(&file.differences) {
                self.line(&format!("    {difference}"));
            }
        }
        for difference in &file.differences {
            if !listed.contains_key(difference) {
                self.problems.push(format!("new in {}: {difference}", file.name));
            }
        }
        for difference in listed.keys() {
            if !file.differences.contains(*difference) {
                self.problems.push(format!("stale for {}: {difference}", file.name));
            }
        }
    }

    fn line(&mut self, line: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "{line}");
    }

    /// Returns all known differences by file and reason.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Returns an error with all new differences and stale entries.
    pub(super) fn result(&self) -> Result<(), String> {
        if self.problems.is_empty() {
            return Ok(());
        }
        Err(format!(
            "{}\nadd new differences to spec/drift.yaml with a reason, or change spec/openapi.yaml; remove stale entries",
            self.problems.join("\n")
        ))
    }
}

fn texts(list: &Value) -> BTreeSet<String> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}
