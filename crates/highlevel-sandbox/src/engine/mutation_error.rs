//! The error of a change of what exists.

use std::io::{self, ErrorKind};

/// Why a change was not made.
#[derive(Debug)]
pub(crate) enum MutationError {
    /// There is no such thing.
    Missing(String),
    /// It contradicts what there is.
    Conflict(String),
    /// It cannot be read.
    Invalid(String),
    /// It does not fit into what may be kept.
    TooMuch(String),
}

impl MutationError {
    pub(crate) fn into_io(self) -> io::Error {
        match self {
            Self::Missing(words) => io::Error::new(ErrorKind::NotFound, words),
            Self::Conflict(words) | Self::Invalid(words) => io::Error::new(ErrorKind::InvalidInput, words),
            Self::TooMuch(words) => io::Error::new(ErrorKind::QuotaExceeded, words),
        }
    }
}

impl From<io::Error> for MutationError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::NotFound => Self::Missing(error.to_string()),
            ErrorKind::QuotaExceeded => Self::TooMuch(error.to_string()),
            _ => Self::Invalid(error.to_string()),
        }
    }
}
