//! Compares the spec with the OpenAPI files that the vendor publishes.
//!
//! Each difference is listed in `spec/drift.yaml` with its reason. A difference that is not listed is an error, and so is
//! a listed one that no longer exists. The files of the vendor are passed as paths and never committed.

mod classify;
mod compare;
mod outline;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use serde_json::Value;

use classify::{Classification, VendorFile};

/// Compares the spec with the files, and prints all differences by reason.
///
/// # Errors
///
/// Returns an error if a file cannot be read, or if the differences and the list do not match.
pub(crate) fn run(files: &[&str]) -> Result<(), String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let spec = read(&root.join("spec/openapi.yaml"))?;
    let list = read(&root.join("spec/drift.yaml"))?;
    let classification = Classification::parse(&list)?;
    let mut vendor = Vec::new();
    for file in files {
        let path = PathBuf::from(file);
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let differences = compare::compare(&outline::outline(&spec), &outline::outline(&read(&path)?));
        vendor.push(VendorFile { name, differences });
    }
    let report = classification.check(&vendor)?;
    print!("{}", report.text());
    report.result()
}

fn read(path: &Path) -> Result<Value, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let parsed = if path.extension().is_some_and(|extension| extension == "json") {
        serde_json::from_str(&text).map_err(|error| error.to_string())
    } else {
        serde_saphyr::from_str(&text).map_err(|error| error.to_string())
    };
    parsed.map_err(|error| format!("{} cannot be read: {error}", path.display()))
}
