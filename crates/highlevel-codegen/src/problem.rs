//! What is wrong with a description, as data.

use std::fmt;

/// One thing that is wrong: where, what, and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// JSON pointer into the document; empty for the document as a whole.
    pub pointer: String,
    /// What is wrong, and what would come of it.
    pub what: String,
    /// How to mend it.
    pub mend: String,
}

impl Problem {
    /// A problem at a place.
    pub fn new(pointer: impl Into<String>, what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), what: what.into(), mend: mend.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.pointer.is_empty() { "the document" } else { &self.pointer };
        write!(f, "{place}\n    {}\n    mend: {}", self.what, self.mend)
    }
}

/// All problems that one step of the pipeline found; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// `Err` with the problems in the order of their places, or `Ok` if there are none.
    pub fn check(mut problems: Vec<Problem>) -> Result<(), Self> {
        if problems.is_empty() {
            return Ok(());
        }
        problems.sort();
        problems.dedup();
        Err(Self(problems))
    }

    /// The problems, in the order of their places.
    pub fn as_slice(&self) -> &[Problem] {
        &self.0
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let noun = if self.0.len() == 1 { "problem" } else { "problems" };
        write!(f, "the OpenAPI description has {} {noun}", self.0.len())?;
        for problem in &self.0 {
            write!(f, "\n\n  {}", problem.to_string().replace('\n', "\n  "))?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
