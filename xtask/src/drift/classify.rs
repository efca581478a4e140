//! The list of known differences, and its comparison with those that exist.

use std::collections::BTreeSet;
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

/// Returns `true` if a difference is the listed one. Each `*` of the list stands for any text.
fn matches(pattern: &str, difference: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| difference.strip_prefix(first)) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

impl Report {
    fn add(&mut self, file: &VendorFile, groups: &[&Group]) {
        self.line(&format!("{}: {} differences", file.name, file.differences.len()));
        // Each difference is shown under the first group that lists it.
        let mut unlisted: BTreeSet<&String> = file.differences.iter().collect();
        for group in groups {
            self.line(&format!("  {}", group.reason));
            let is_of_group =
                |difference: &String| group.differences.iter().any(|pattern| matches(pattern, difference));
            let (of_group, others) =
                unlisted.into_iter().partition::<BTreeSet<_>, _>(|difference| is_of_group(difference));
            for difference in of_group {
                self.line(&format!("    {difference}"));
            }
            unlisted = others;
        }
        self.problems.extend(unlisted.iter().map(|difference| format!("new in {}: {difference}", file.name)));
        for pattern in groups.iter().flat_map(|group| &group.differences) {
            if !file.differences.iter().any(|difference| matches(pattern, difference)) {
                self.problems.push(format!("stale for {}: {pattern}", file.name));
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
