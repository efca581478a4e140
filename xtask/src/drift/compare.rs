//! The differences between two outlines.

use std::collections::BTreeSet;

use super::outline::{Field, Operation, Outline};

/// Returns all differences, one line each.
///
/// An operation that only the spec has is not a difference: the vendor publishes several files.
pub(super) fn compare(spec: &Outline, vendor: &Outline) -> BTreeSet<String> {
    let mut differences = BTreeSet::new();
    for (name, published) in vendor {
        match spec.get(name) {
            None => {
                differences.insert(format!("{name} is only in the vendor's file"));
            }
            Some(described) => operations(name, described, published, &mut differences),
        }
    }
    differences
}

fn operations(name: &str, spec: &Operation, vendor: &Operation, differences: &mut BTreeSet<String>) {
    let mut add = |difference: String| {
        differences.insert(format!("{name} {difference}"));
    };
    let statuses = lists(&spec.statuses, &vendor.statuses);
    if !statuses.is_empty() {
        add(format!("statuses: {statuses}"));
    }
    for place in spec.fields.keys().chain(vendor.fields.keys()) {
        match (spec.fields.get(place), vendor.fields.get(place)) {
            // The fields within are reported by the object that contains them.
            (Some(_), None) if !has_parent(place, &vendor.fields) => {}
            (None, Some(_)) if !has_parent(place, &spec.fields) => {}
            (Some(_), None) => add(format!("{place} is only in the spec")),
            (None, Some(_)) => add(format!("{place} is only in the vendor's file")),
            (Some(spec), Some(vendor)) => fields(place, spec, vendor, &mut add),
            (None, None) => {}
        }
    }
}

/// Returns `true` if the field belongs to the body itself, or to an object that the other document has as well.
fn has_parent<V>(place: &str, others: &std::collections::BTreeMap<String, V>) -> bool {
    place.rsplit_once('.').is_none_or(|(parent, _)| others.contains_key(parent.trim_end_matches("[]")))
}

fn fields(place: &str, spec: &Field, vendor: &Field, add: &mut impl FnMut(String)) {
    if let (Some(described), Some(published)) = (&spec.kind, &vendor.kind)
        && described != published
    {
        add(format!("{place} has the type {described} in the spec, {published} in the vendor's file"));
    }
    match (spec.is_required, vendor.is_required) {
        (true, false) => add(format!("{place} is required in the spec only")),
        (false, true) => add(format!("{place} is required in the vendor's file only")),
        _ => {}
    }
    let values = lists(&spec.values, &vendor.values);
    if !values.is_empty() {
        add(format!("{place} values: {values}"));
    }
}

/// Describes the entries that only one of two lists has. Empty if they are equal.
fn lists(spec: &BTreeSet<String>, vendor: &BTreeSet<String>) -> String {
    let only = |one: &BTreeSet<String>, other: &BTreeSet<String>, place: &str| {
        let entries: Vec<&str> = one.difference(other).map(String::as_str).collect();
        (!entries.is_empty()).then(|| format!("{} only in {place}", entries.join(", ")))
    };
    let sides = [only(spec, vendor, "the spec"), only(vendor, spec, "the vendor's file")];
    sides.into_iter().flatten().collect::<Vec<_>>().join("; ")
}
