//! The reason for which a permit is not issued.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

/// An error returned by [`RateLimiter::acquire`](super::RateLimiter::acquire).
#[derive(Debug)]
pub struct AcquireError {
    kind: AcquireErrorKind,
    retry_after: Option<Duration>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The kind of an [`AcquireError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AcquireErrorKind {
    /// The burst limit leaves no permit before the timeout.
    Burst,
    /// The daily limit is used up.
    Daily,
    /// The limiter failed, for example because its store cannot be reached.
    Unavailable,
}

impl AcquireError {
    /// The burst limit leaves no permit before the timeout. One is expected after `retry_after`.
    pub fn burst(retry_after: Duration) -> Self {
        Self { kind: AcquireErrorKind::Burst, retry_after: Some(retry_after), source: None }
    }

    /// The daily limit is used up. A permit is expected after `retry_after`.
    pub fn daily(retry_after: Duration) -> Self {
        Self { kind: AcquireErrorKind::Daily, retry_after: Some(retry_after), source: None }
    }

    /// The limiter failed. The source becomes part of the error that the client returns: it must not contain credentials.
    pub fn unavailable(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { kind: AcquireErrorKind::Unavailable, retry_after: None, source: Some(source.into()) }
    }

    /// The kind of the error.
    pub fn kind(&self) -> AcquireErrorKind {
        self.kind
    }

    /// The time after which a permit is expected, if it is known.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

impl fmt::Display for AcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            AcquireErrorKind::Burst => {
                "the burst limit of the location is used up, and no permit is available in time"
            }
            AcquireErrorKind::Daily => "the daily limit of the location is used up",
            AcquireErrorKind::Unavailable => "the rate limiter failed",
        })?;
        match self.retry_after {
            Some(wait) => write!(f, "; retry after {:.1} s", wait.as_secs_f64()),
            None => Ok(()),
        }
    }
}

impl StdError for AcquireError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}
