//! The harness that the conformance suites of stores, limiters and deduplicators share.

use std::fmt;

/// The result of a check. The error states the expected and the actual behaviour.
pub(crate) type CheckResult = Result<(), String>;

/// The checks that an implementation failed. `Display` and `Debug` list them all.
pub struct Failures {
    subject: &'static str,
    checks: usize,
    failed: Vec<FailedCheck>,
}

/// A failed check.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FailedCheck {
    /// The name of the check.
    pub check: &'static str,
    /// The expected and the actual behaviour.
    pub message: String,
}

impl Failures {
    /// Returns the failed checks, in the order of the checks.
    pub fn iter(&self) -> impl Iterator<Item = &FailedCheck> {
        self.failed.iter()
    }
}

impl fmt::Display for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {} fails {} of {} checks", self.subject, self.failed.len(), self.checks)?;
        self.iter().try_for_each(|FailedCheck { check, message }| write!(f, "\n  {check}\n      {message}"))
    }
}

impl fmt::Debug for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Failures {}

/// Collects the results of the checks of one suite.
pub(crate) struct Report(Failures);

impl Report {
    /// `subject` is the kind of implementation under test, `checks` the number of checks that are run.
    pub(crate) fn new(subject: &'static str, checks: usize) -> Self {
        Self(Failures { subject, checks, failed: Vec::new() })
    }

    /// Returns the report of a suite that could not run, because the storage could not be opened.
    pub(crate) fn not_opened(mut self, message: String) -> Failures {
        self.record("open", Err(message));
        self.0
    }

    /// Records the outcome of a check.
    pub(crate) fn record(&mut self, check: &'static str, outcome: CheckResult) {
        if let Err(message) = outcome {
            self.0.failed.push(FailedCheck { check, message });
        }
    }

    /// Returns the failed checks, if any.
    pub(crate) fn finish(self) -> Result<(), Failures> {
        if self.0.failed.is_empty() { Ok(()) } else { Err(self.0) }
    }
}

/// Opens several handles on the storage under test.
pub(crate) async fn open_handles<T, E: fmt::Display>(
    handles: usize,
    open: impl AsyncFn() -> Result<T, E>,
) -> Result<Vec<T>, String> {
    let mut opened = Vec::with_capacity(handles);
    for _ in 0..handles {
        opened.push(open().await.map_err(|error| error.to_string())?);
    }
    Ok(opened)
}

/// Fails unless a condition holds.
pub(crate) fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> CheckResult {
    if holds { Ok(()) } else { Err(otherwise()) }
}
