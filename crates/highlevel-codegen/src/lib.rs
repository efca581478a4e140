//! Turns the `OpenAPI` spec of HighLevel's conversations API into Rust source.
//!
//! This is the only crate of the workspace that depends on progenitor. It is a pipeline of pure functions, each in a
//! separate module:
//!
//! | step | module | task |
//! |---|---|---|
//! | parse | [`parse`] | parses YAML text into a JSON value; duplicate keys are an error |
//! | lint | [`lint`] | reports everything that progenitor would silently lose or panic about |
//! | normalise | [`normalise`] | removes parts that progenitor does not support and relaxes received types |
//! | open enums | [`open_enums`] | finds enums, to replace them by ones that keep undocumented values |
//! | generate | [`generate`] | runs progenitor, behind `catch_unwind` |
//! | finish | [`finish`] | adds documentation, constructors and features, and rewrites operations; formats with prettyplease |
//! | outline | [`outline`] | lists types, fields, variants and operations for reviewers |
//!
//! The same input gives the same bytes.

mod document;
pub mod finish;
pub mod generate;
pub mod lint;
pub mod normalise;
pub mod open_enums;
mod operations;
pub mod outline;
pub mod parse;
mod problem;

pub use document::{Document, SchemaUse};
pub use problem::{Problem, Problems};

/// The output of the pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GeneratedFiles {
    /// The Rust source of the generated client and types.
    pub source: String,
    /// The outline of that source, for reviewers.
    pub outline: String,
    /// The spec as progenitor reads it, as pretty-printed JSON.
    pub normalised: String,
}

/// Runs the pipeline over the spec of this workspace.
///
/// # Errors
///
/// Returns the errors of [`run`].
pub fn run_embedded() -> Result<GeneratedFiles, Problems> {
    run(highlevel_spec::OPENAPI_YAML)
}

/// Runs the pipeline over the text of an `OpenAPI` document.
///
/// ```
/// let output = highlevel_codegen::run(highlevel_spec::OPENAPI_YAML)?;
/// assert!(output.source.contains("pub struct SendMessageRequest"));
/// # Ok::<(), highlevel_codegen::Problems>(())
/// ```
///
/// # Errors
///
/// Returns all problems of the first step that finds any, each with a JSON pointer, a message and a fix. Never panics.
pub fn run(yaml: &str) -> Result<GeneratedFiles, Problems> {
    let document = Document::new(parse::parse(yaml)?);
    lint::lint(&document)?;
    let normalised = normalise::normalise(&document);
    let enums = open_enums::find(&document);
    let generated = generate::generate(&normalised, &enums)?;
    let file = finish::finish(generated, &document, &enums)?;
    Ok(GeneratedFiles {
        source: finish::format(&file),
        outline: outline::outline(&file, &document),
        normalised: format!("{normalised:#}\n"),
    })
}
