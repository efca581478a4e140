//! Turns the `OpenAPI` description of HighLevel's conversations API into Rust source.
//!
//! This is the only room of the workspace that knows progenitor. It is a pipeline of pure functions, each of
//! them in a module of its own:
//!
//! | step | module | what it does |
//! |---|---|---|
//! | parse | [`parse`] | YAML text to a JSON value; two equal keys are an error |
//! | lint | [`lint`] | names everything that progenitor would silently lose, or panic about |
//! | normalise | [`normalise`] | removes what progenitor cannot take and relaxes what HighLevel sends |
//! | open enums | [`open_enums`] | enums that keep values which this version does not know |
//! | generate | [`generate`] | progenitor, behind `catch_unwind` |
//! | finish | [`finish`] | documentation, constructors, features; formats with prettyplease |
//! | outline | [`outline`] | a page for reviewers: types, fields, variants, operations |
//!
//! The same text in gives the same bytes out.

mod document;
pub mod finish;
pub mod generate;
pub mod lint;
pub mod normalise;
pub mod open_enums;
pub mod outline;
pub mod parse;
mod problem;

pub use document::{Direction, Document};
pub use problem::{Problem, Problems};

/// What comes out of the pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// The Rust source of the generated client and types.
    pub source: String,
    /// The outline of that source, for reviewers.
    pub outline: String,
    /// The description as progenitor saw it, pretty-printed JSON.
    pub normalised: String,
}

/// Runs the whole pipeline over the description of this workspace.
///
/// # Errors
///
/// As [`run`].
pub fn run_embedded() -> Result<Output, Problems> {
    run(highlevel_spec::OPENAPI_YAML)
}

/// Runs the whole pipeline over the text of an `OpenAPI` document.
///
/// ```
/// let output = highlevel_codegen::run(highlevel_spec::OPENAPI_YAML)?;
/// assert!(output.source.contains("pub struct SendMessageRequest"));
/// # Ok::<(), highlevel_codegen::Problems>(())
/// ```
///
/// # Errors
///
/// Every problem found by the first step that found any: where it is (a JSON pointer), what is wrong and how to
/// mend it. Never panics, whatever the text is.
pub fn run(yaml: &str) -> Result<Output, Problems> {
    let document = Document::new(parse::parse(yaml)?);
    lint::lint(&document)?;
    let normalised = normalise::normalise(&document);
    let enums = open_enums::find(&document);
    let generated = generate::generate(&normalised, &enums)?;
    let file = finish::finish(generated, &document, &enums)?;
    Ok(Output {
        source: finish::format(&file),
        outline: outline::outline(&file, &document),
        normalised: format!("{normalised:#}\n"),
    })
}
