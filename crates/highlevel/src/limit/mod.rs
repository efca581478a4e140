//! Rate limits: the limiter of one process, and the trait for limiters that several machines share.
//!
//! HighLevel allows 100 requests in 10 seconds and 200,000 in a day per location, and reports both in `X-RateLimit-…`
//! headers. A client asks its [`RateLimiter`] for a [`Permit`] before each request, and reports the response to it.

#[cfg(feature = "testing")]
pub mod conformance;
mod error;
mod expiry;
mod headers;
mod local;
mod permit;
mod queue;
#[cfg(test)]
mod simulation;
mod window;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

pub use error::{AcquireError, AcquireErrorKind};
pub use expiry::Expiry;
pub use headers::RateLimitHeaders;
pub use local::LocalRateLimiter;
pub use permit::{Grant, Permit};

/// The future returned by [`RateLimiter::acquire`].
pub type Acquire<'a> = Pin<Box<dyn Future<Output = Result<Permit, AcquireError>> + Send + 'a>>;

/// Issues permits to send requests.
///
/// [`LocalRateLimiter`] does so for one process. Programs on several machines that use the limits of one location can
/// implement this trait with a shared store.
pub trait RateLimiter: Send + Sync {
    /// Waits for a permit to send one request of a location, in FIFO order. Dropping the future leaves the queue.
    ///
    /// # Errors
    ///
    /// Returns an error as soon as it is known that no permit is available within `timeout`. A permit that is available
    /// now is issued even if the timeout is zero.
    fn acquire<'a>(&'a self, location: &'a str, timeout: Duration) -> Acquire<'a>;
}

impl<T: RateLimiter + ?Sized> RateLimiter for Arc<T> {
    fn acquire<'a>(&'a self, location: &'a str, timeout: Duration) -> Acquire<'a> {
        (**self).acquire(location, timeout)
    }
}

/// The response to a request that was rejected for its rate (429).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RateLimited {
    /// The time to wait, if the response has a `Retry-After` header.
    pub retry_after: Option<Duration>,
}

impl RateLimited {
    /// A response with this `Retry-After` header, if any.
    pub fn new(retry_after: Option<Duration>) -> Self {
        Self { retry_after }
    }
}
