//! The error of a record that contradicts what exists.

/// Why something cannot be put beside what exists: the text says what it would contradict, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict(String);

impl Conflict {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl std::fmt::Display for Conflict {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Conflict {}
