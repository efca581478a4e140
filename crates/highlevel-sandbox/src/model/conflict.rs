//! The error of a record that contradicts existing ones.

/// An error of a record that contradicts existing records. The message names the contradiction and the fix.
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
