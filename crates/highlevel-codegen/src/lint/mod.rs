//! Reports everything in a spec that progenitor would silently lose or panic about.
//!
//! Each rule is a function of the document. Each problem has its place, its consequence and a fix.

mod document;
mod operations;
mod received;
mod schemas;
mod walk;

use crate::{Document, Problem, Problems};

type LintRule = fn(&Document, &mut Vec<Problem>);

const RULES: &[LintRule] = &[
    document::version,
    document::webhooks,
    document::references,
    document::servers,
    operations::identifiers,
    operations::reasons,
    operations::successes,
    operations::bodies,
    operations::parameters,
    schemas::names,
    schemas::nested,
    schemas::targets,
    schemas::descriptions,
    schemas::enums,
    schemas::unions,
    schemas::titles,
    schemas::numbers,
    schemas::limits,
    schemas::keywords,
    schemas::properties,
    received::objects,
    received::collections,
    received::both_directions,
];

/// Applies all rules.
///
/// # Errors
///
/// Returns all problems of all rules.
pub fn lint(document: &Document) -> Result<(), Problems> {
    let mut problems = Vec::new();
    for rule in RULES {
        rule(document, &mut problems);
    }
    Problems::check(problems)
}
