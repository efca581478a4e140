//! Secrets in the configuration.

use std::fmt;

/// A value that is not printed.
#[derive(Clone)]
pub(super) struct Redacted<T>(pub(super) T);

impl<T> fmt::Debug for Redacted<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[redacted]")
    }
}
