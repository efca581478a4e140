//! The error of a change to the model.

use std::io::{self, ErrorKind};

/// An error of a change to the model or the credentials. The change was not made.
#[derive(Debug)]
pub(crate) enum MutationError {
    /// A referenced record does not exist.
    Missing(String),
    /// The change contradicts existing records.
    Conflict(String),
    /// The input is malformed.
    Invalid(String),
    /// The change exceeds a memory limit.
    TooLarge(String),
}

impl MutationError {
    pub(crate) fn into_io(self) -> io::Error {
        match self {
            Self::Missing(message) => io::Error::new(ErrorKind::NotFound, message),
            Self::Conflict(message) | Self::Invalid(message) => {
                io::Error::new(ErrorKind::InvalidInput, message)
            }
            Self::TooLarge(message) => io::Error::new(ErrorKind::QuotaExceeded, message),
        }
    }
}

impl From<io::Error> for MutationError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::NotFound => Self::Missing(error.to_string()),
            ErrorKind::QuotaExceeded => Self::TooLarge(error.to_string()),
            _ => Self::Invalid(error.to_string()),
        }
    }
}
